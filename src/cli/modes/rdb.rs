//! `--rdb FILE`, `--functions-rdb FILE`: a snapshot of all data, got as a replica gets it, into a file. What is in it is left to
//! whoever loads it; only its first bytes are looked at.
//!
//! The server sends either `$length` and so many bytes, or `$EOF:` with forty random bytes that stand behind the snapshot, too.
//! Until it is ready it sends an empty line now and then.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;

use super::progress_bar;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::resp::ReplyError;

/// Bytes of the mark that ends a snapshot of unknown length.
const MARK_LEN: usize = 40;
/// The longest line that the server may send before the snapshot.
const LINE_LEN_MAX: usize = 1024;
/// What a snapshot begins with: that of Redis, that of Valkey.
const MAGICS: [&[u8]; 2] = [b"REDIS", b"VALKEY"];

/// How the end of the snapshot is known.
#[derive(PartialEq, Debug)]
enum End {
    Length(u64),
    Mark(Vec<u8>),
}

/// Gets a snapshot, of the functions only if so asked. `-` is standard output.
pub fn run(session: &mut Session, file: &Path, only_functions: bool) -> Result<bool, Failure> {
    let mut target = Target::create(file)?;
    let connection = session.connection()?;
    connection.ask(&["REPLCONF", "capa", "eof"])?;
    // The server then ends the connection behind the snapshot. An old one refuses, and sends more, which is not read.
    connection.ask(&["REPLCONF", "rdb-only", "1"])?;
    if only_functions {
        connection.demand("--functions-rdb", &["REPLCONF", "rdb-filter-only", "functions"])?;
    }
    let waiting = progress_bar(0, "{spinner} waiting for the snapshot, {elapsed}");
    waiting.enable_steady_tick(Duration::from_millis(200));
    let end = begin(connection);
    waiting.finish_and_clear();
    let end = end?;
    let bar = match end {
        End::Length(len) => {
            progress_bar(len, "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
        }
        End::Mark(_) => progress_bar(0, "{spinner} {bytes}, {bytes_per_sec}"),
    };
    let received = receive(connection, &end, &mut target, &bar);
    bar.finish_and_clear();
    let len = received?;
    target.finish()?;
    if file.as_os_str() != OsStr::new("-") {
        writeln!(io::stdout(), "{len} bytes written to {}", file.display())
            .map_err(Failure::output)?;
    }
    Ok(true)
}

/// Asks for the snapshot and waits until it begins.
fn begin(connection: &mut Connection) -> Result<End, Failure> {
    connection.send(&["PSYNC", "?", "-1"])?;
    let mut command = "PSYNC";
    loop {
        let line = line(connection)?;
        match line.as_slice() {
            [] | [b'+', ..] => {}
            [b'-', error @ ..]
                if error.starts_with(b"ERR unknown command") && command == "PSYNC" =>
            {
                connection.send(&["SYNC"])?;
                command = "SYNC";
            }
            [b'-', error @ ..] => {
                let error = error.escape_ascii().to_string();
                return Err(Failure::Refused { command, error });
            }
            line => return end_of(line).ok_or(Failure::Protocol(ReplyError::BadLength)),
        }
    }
}

fn end_of(line: &[u8]) -> Option<End> {
    let rest = line.strip_prefix(b"$")?;
    if let Some(mark) = rest.strip_prefix(b"EOF:") {
        return (mark.len() == MARK_LEN).then(|| End::Mark(mark.to_vec()));
    }
    let digits = std::str::from_utf8(rest).ok().filter(|text| !text.starts_with('+'))?;
    digits.parse().ok().map(End::Length)
}

/// The next line without its end, which may be a newline alone.
fn line(connection: &mut Connection) -> Result<Vec<u8>, Failure> {
    loop {
        let unread = connection.unread();
        if let Some(len) = unread.iter().take(LINE_LEN_MAX).position(|&byte| byte == b'\n') {
            let line = unread[..len].strip_suffix(b"\r").unwrap_or(&unread[..len]).to_vec();
            connection.skip(len + 1);
            return Ok(line);
        }
        if unread.len() >= LINE_LEN_MAX {
            return Err(Failure::Protocol(ReplyError::BadLength));
        }
        connection.read_some()?;
        connection.check_interrupt()?;
    }
}

/// Writes what comes until the end, and returns its length in bytes.
fn receive(
    connection: &mut Connection,
    end: &End,
    target: &mut Target,
    bar: &ProgressBar,
) -> Result<u64, Failure> {
    let mut written = 0;
    loop {
        let unread = connection.unread();
        let (len, ended) = match end {
            End::Length(total) => {
                let missing = total - written;
                let len = usize::try_from(missing).unwrap_or(usize::MAX).min(unread.len());
                (len, len as u64 == missing)
            }
            End::Mark(mark) => {
                (unread.len().saturating_sub(MARK_LEN), unread.ends_with(mark.as_slice()))
            }
        };
        target.write(written, &unread[..len])?;
        written += len as u64;
        connection.skip(len);
        bar.set_position(written);
        if ended {
            return Ok(written);
        }
        connection.read_some()?;
        connection.check_interrupt()?;
    }
}

/// Where the snapshot goes. A file appears under its name when it is whole; until then it has another one beside it.
struct Target {
    out: Box<dyn Write>,
    /// The file under its temporary name, and that name; `None` for what is no ordinary file.
    unfinished: Option<(File, PathBuf)>,
    path: PathBuf,
    /// The first bytes, until they are enough to tell whether it is a snapshot.
    begin: Vec<u8>,
}

impl Target {
    fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::file(path, error);
        let is_special = fs::metadata(path).is_ok_and(|data| !data.is_file());
        let (out, unfinished): (Box<dyn Write>, _) = if path.as_os_str() == OsStr::new("-") {
            if io::stdout().is_terminal() {
                let text = "a snapshot is not for a terminal: write it to a file or a pipe";
                return Err(Failure::Usage(text.to_owned()));
            }
            (Box::new(io::stdout()), None)
        } else if is_special {
            (Box::new(File::options().write(true).open(path).map_err(failed)?), None)
        } else {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{}.part", std::process::id()));
            let file = File::create(&name).map_err(failed)?;
            let out = file.try_clone().map_err(failed)?;
            (Box::new(out), Some((file, PathBuf::from(name))))
        };
        Ok(Self { out, unfinished, path: path.to_owned(), begin: Vec::new() })
    }

    /// Appends bytes that stand at `at`.
    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        if at == self.begin.len() as u64 {
            let enough = MAGICS.iter().map(|magic| magic.len()).max().unwrap_or(0);
            self.begin.extend(bytes.iter().take(enough - self.begin.len().min(enough)));
            if !MAGICS.iter().any(|magic| begins_alike(magic, &self.begin)) {
                return Err(no_snapshot());
            }
        }
        self.out.write_all(bytes).map_err(|error| self.failed(error))
    }

    /// A file that cannot be written is told; of standard output there is nothing to tell.
    fn failed(&self, error: io::Error) -> Failure {
        if self.path.as_os_str() == OsStr::new("-") {
            Failure::output(error)
        } else {
            Failure::file(&self.path, error)
        }
    }

    /// Gives the file its name when all of it is on the device.
    fn finish(mut self) -> Result<(), Failure> {
        if !MAGICS.iter().any(|magic| self.begin.starts_with(magic)) {
            return Err(no_snapshot());
        }
        self.out.flush().map_err(|error| self.failed(error))?;
        let Some((file, name)) = self.unfinished.take() else { return Ok(()) };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let finished = file
            .sync_all()
            .and_then(|()| fs::rename(&name, &self.path))
            .and_then(|()| File::open(folder.unwrap_or(Path::new(".")))?.sync_all());
        if finished.is_err() {
            let _ = fs::remove_file(&name);
        }
        finished.map_err(|error| self.failed(error))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((_, name)) = &self.unfinished {
            // What is no whole snapshot must not be taken for one.
            let _ = fs::remove_file(name);
        }
    }
}

fn no_snapshot() -> Failure {
    let error = "what the server sends is no snapshot".to_owned();
    Failure::Refused { command: "PSYNC", error }
}

/// Whether one begins with the other.
fn begins_alike(magic: &[u8], begin: &[u8]) -> bool {
    let len = magic.len().min(begin.len());
    magic[..len] == begin[..len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_a_length_or_a_mark() {
        assert_eq!(end_of(b"$18446744073709551615"), Some(End::Length(u64::MAX)));
        let mark = [b'x'; MARK_LEN];
        assert_eq!(end_of(&[b"$EOF:", &mark[..]].concat()), Some(End::Mark(mark.to_vec())));
        for line in [&b"$EOF:short"[..], b"$", b"$-1", b"$+1", b"$18446744073709551616", b"*1"] {
            assert_eq!(end_of(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn what_cannot_become_a_snapshot_is_known_at_once() {
        for begin in [&b""[..], b"R", b"REDIS0011", b"VALKEY080"] {
            assert!(MAGICS.iter().any(|magic| begins_alike(magic, begin)));
        }
        for begin in [&b"HTTP"[..], b"REDIX", b"VA1"] {
            assert!(!MAGICS.iter().any(|magic| begins_alike(magic, begin)));
        }
    }
}
