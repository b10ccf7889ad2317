//! The manifest: which files make up the log. Format and names are those of Redis 7 (`aof.c`).
//!
//! ```text
//! file appendonly.aof.2.base.rdb seq 2 type b
//! file appendonly.aof.5.incr.aof seq 5 type i
//! ```

use std::fmt;

/// Longest line.
const LINE_BYTES_MAX: usize = 1024;

/// What a file of the log is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// All data at one time.
    Base,
    /// No longer needed, to be removed.
    History,
    /// What has changed since.
    Incr,
}

impl FileKind {
    fn letter(self) -> char {
        match self {
            Self::Base => 'b',
            Self::History => 'h',
            Self::Incr => 'i',
        }
    }
}

/// A file of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFile {
    /// Its name, in the directory of the log.
    pub name: String,
    /// Its number among those of its kind.
    pub number: u64,
}

/// The files of the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Manifest {
    /// All data at one time, if it was written already.
    pub base: Option<LogFile>,
    /// What has changed since, oldest first.
    pub incr: Vec<LogFile>,
    /// Files to be removed.
    pub history: Vec<LogFile>,
}

/// A manifest that is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestError {
    /// The line it is about, counted from 1.
    pub line: usize,
    /// The text of the line.
    pub text: String,
    /// What is wrong, in Redis's words.
    pub reason: &'static str,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, text, reason } = self;
        write!(f, "Reading the manifest file, at line {line}\n>>> '{text}'\n{reason}")
    }
}

impl Manifest {
    /// The name of the manifest for files that are called `name`.
    pub fn file_name(name: &str) -> String {
        format!("{name}.manifest")
    }

    /// The name of a base file. `is_rdb`: as a snapshot, else as commands.
    pub fn base_name(name: &str, number: u64, is_rdb: bool) -> String {
        format!("{name}.{number}.base.{}", if is_rdb { "rdb" } else { "aof" })
    }

    /// The name of a file of changes.
    pub fn incr_name(name: &str, number: u64) -> String {
        format!("{name}.{number}.incr.aof")
    }

    /// The number of the next base file.
    pub fn next_base(&self) -> u64 {
        let old = self.base.iter().chain(&self.history).map(|file| file.number);
        old.max().unwrap_or(0) + 1
    }

    /// The number of the next file of changes.
    pub fn next_incr(&self) -> u64 {
        self.incr.iter().chain(&self.history).map(|file| file.number).max().unwrap_or(0) + 1
    }

    /// All files that hold data, in the order in which they are loaded.
    pub fn files(&self) -> impl Iterator<Item = (FileKind, &LogFile)> {
        let base = self.base.iter().map(|file| (FileKind::Base, file));
        base.chain(self.incr.iter().map(|file| (FileKind::Incr, file)))
    }

    /// Reads a manifest. Takes bytes of any origin.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        let error = |line: usize, text: &[u8], reason| {
            Err(ManifestError { line, text: String::from_utf8_lossy(text).into_owned(), reason })
        };
        if text.is_empty() {
            return error(1, b"", "Found an empty AOF manifest");
        }
        let mut manifest = Self::default();
        let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n');
        for (index, line) in lines.enumerate() {
            let number = index + 1;
            if line.len() >= LINE_BYTES_MAX {
                return error(number, &line[..64], "The AOF manifest file contains too long line");
            }
            if line.starts_with(b"#") {
                continue;
            }
            let Some((kind, file)) = parse_line(line) else {
                return error(number, line, "Invalid AOF manifest file format");
            };
            if let Err(reason) = manifest.add(kind, file) {
                return error(number, line, reason);
            }
        }
        Ok(manifest)
    }

    fn add(&mut self, kind: FileKind, file: LogFile) -> Result<(), &'static str> {
        match kind {
            FileKind::Base if self.base.is_some() => {
                return Err("Found duplicate base file information");
            }
            FileKind::Base => self.base = Some(file),
            FileKind::History => self.history.push(file),
            FileKind::Incr => {
                if self.incr.last().is_some_and(|last| last.number >= file.number) {
                    return Err("Found a non-monotonic sequence number");
                }
                self.incr.push(file);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Manifest {
    /// The text of the manifest file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let history = self.history.iter().map(|file| (FileKind::History, file));
        let base = self.base.iter().map(|file| (FileKind::Base, file));
        let incr = self.incr.iter().map(|file| (FileKind::Incr, file));
        for (kind, file) in base.chain(history).chain(incr) {
            writeln!(f, "file {} seq {} type {}", file.name, file.number, kind.letter())?;
        }
        Ok(())
    }
}

/// A line of pairs of words. Unknown keys are left to the versions that know them.
fn parse_line(line: &[u8]) -> Option<(FileKind, LogFile)> {
    let words = crate::config::words::split_words(line)?;
    if words.len() < 6 || words.len() % 2 != 0 {
        return None;
    }
    let (mut name, mut number, mut kind) = (None, None, None);
    for pair in words.chunks_exact(2) {
        let value = &pair[1];
        if pair[0].eq_ignore_ascii_case(b"file") {
            let text = String::from_utf8(value.clone()).ok()?;
            // A path would lead out of the directory.
            name = Some(text).filter(|name| !name.is_empty() && !name.contains('/'));
            name.as_ref()?;
        } else if pair[0].eq_ignore_ascii_case(b"seq") {
            number = Some(str::from_utf8(value).ok()?.parse::<u64>().ok().filter(|&n| n > 0)?);
        } else if pair[0].eq_ignore_ascii_case(b"type") {
            kind = Some(match value.as_slice() {
                b"b" => FileKind::Base,
                b"h" => FileKind::History,
                b"i" => FileKind::Incr,
                _ => return None,
            });
        }
    }
    Some((kind?, LogFile { name: name?, number: number? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> (usize, &'static str) {
        let error = Manifest::parse(text.as_bytes()).unwrap_err();
        (error.line, error.reason)
    }

    #[test]
    fn a_manifest_reads_back() {
        let text = "file a.2.base.rdb seq 2 type b\nfile a.1.incr.aof seq 1 type h\n\
                    file a.3.incr.aof seq 3 type i\nfile a.4.incr.aof seq 4 type i\n";
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.to_string(), text);
        assert_eq!((manifest.next_base(), manifest.next_incr()), (3, 5));
        let names: Vec<_> = manifest.files().map(|(_, file)| file.name.as_str()).collect();
        assert_eq!(names, ["a.2.base.rdb", "a.3.incr.aof", "a.4.incr.aof"]);
        let spaced = "# by hand\nFILE \"a b\" seq 1 type b creator me\n";
        assert_eq!(Manifest::parse(spaced.as_bytes()).unwrap().base.unwrap().name, "a b");
    }

    #[test]
    fn d24_what_is_no_manifest_is_refused_with_its_line() {
        const FORMAT: &str = "Invalid AOF manifest file format";
        assert_eq!(reason(""), (1, "Found an empty AOF manifest"));
        assert_eq!(reason("\n"), (1, FORMAT));
        for line in [
            "file a seq 1",
            "file a seq 1 type",
            "file a seq 1 type x",
            "file a seq 0 type b",
            "file a seq x type b",
            "file ../a seq 1 type b",
            "a b c d e f",
        ] {
            assert_eq!(reason(&format!("file b seq 1 type b\n{line}\n")), (2, FORMAT), "{line}");
        }
        assert_eq!(
            reason("file a seq 1 type b\nfile b seq 2 type b\n"),
            (2, "Found duplicate base file information")
        );
        assert_eq!(
            reason("file a seq 2 type i\nfile b seq 1 type i\n"),
            (2, "Found a non-monotonic sequence number")
        );
        let long = format!("file {} seq 1 type b\n", "x".repeat(2000));
        assert_eq!(reason(&long), (1, "The AOF manifest file contains too long line"));
    }
}
