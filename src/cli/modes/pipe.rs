//! `--pipe`: sends standard input as it is, RESP or commands one a line, and counts the replies.
//!
//! One thread sends while this one reads, so that neither side can fill up. The end is known by an `ECHO` of random bytes behind the
//! input: its reply comes last (Redis's own trick).

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::progress_bar;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::resp::{Value, write_request};

/// Bytes read from the input at a time.
const READ_LEN: usize = 64 * 1024;
/// Errors that are shown; the others are only counted.
const ERRORS_SHOWN: u64 = 10;
/// Replies between two looks at Ctrl-C and the bar.
const REPLIES_PER_LOOK: u64 = 1000;

#[derive(Default)]
struct Counts {
    replies: u64,
    errors: u64,
}

/// Sends all of the input; a reply may take `timeout` when it is sent. Whether all replies were good.
pub fn run(session: &mut Session, timeout: Option<Duration>) -> Result<bool, Failure> {
    if io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "--pipe reads commands from standard input: give it a file or a pipe".to_owned(),
        ));
    }
    let connection = session.connection()?;
    let mut writer = connection.writer().map_err(Failure::ConnectionLost)?;
    let magic: [u8; 20] = rand::random();
    let bar = progress_bar(
        input_len(),
        "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left{msg}",
    );
    let (failed, failures) = mpsc::channel();
    thread::spawn({
        let bar = bar.clone();
        move || {
            if let Err(failure) = send(&mut *writer, &magic, &bar) {
                // The reader has gone: it has a failure of its own.
                let _ = failed.send(failure);
            }
        }
    });
    let mut counts = Counts::default();
    let sender = Sender { failures, timeout };
    let result = count_replies(connection, &magic, &mut counts, &bar, &sender);
    bar.finish_and_clear();
    writeln!(io::stdout(), "errors: {}, replies: {}", counts.errors, counts.replies)
        .map_err(Failure::output)?;
    result.map(|()| counts.errors == 0)
}

/// The length of the input if it is a file, else 0.
fn input_len() -> u64 {
    let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    file.and_then(|file| file.metadata())
        .map_or(0, |data| if data.is_file() { data.len() } else { 0 })
}

fn send(writer: &mut (dyn Write + Send), magic: &[u8], bar: &ProgressBar) -> Result<(), Failure> {
    let mut buffer = vec![0; READ_LEN];
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => {
                writer.write_all(&buffer[..len]).map_err(Failure::ConnectionLost)?;
                bar.inc(len as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::Input(error)),
        }
    }
    // A last line may have no end; behind RESP an empty line is nothing.
    let mut end = b"\r\n".to_vec();
    write_request(&mut end, [&b"ECHO"[..], magic].into_iter());
    writer.write_all(&end).map_err(Failure::ConnectionLost)
}

/// What the thread that sends has come to.
struct Sender {
    /// Closed when all is sent.
    failures: Receiver<Failure>,
    timeout: Option<Duration>,
}

impl Sender {
    /// Fails if the sender has, or if all is sent and no reply has come for too long.
    fn check(&self, silence: Duration) -> Result<(), Failure> {
        match self.failures.try_recv() {
            Ok(failure) => Err(failure),
            Err(TryRecvError::Disconnected) if self.timeout.is_some_and(|max| silence >= max) => {
                let text = format!("no reply for {} seconds", silence.as_secs());
                Err(Failure::ConnectionLost(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
            Err(_) => Ok(()),
        }
    }
}

/// Counts until the mark, or until the sender has failed and nothing comes any more.
fn count_replies(
    connection: &mut Connection,
    magic: &[u8],
    counts: &mut Counts,
    bar: &ProgressBar,
    sender: &Sender,
) -> Result<(), Failure> {
    let mut last_reply = Instant::now();
    loop {
        let received = connection.receive_for_a_moment()?;
        if received.is_some() {
            last_reply = Instant::now();
        }
        match received {
            Some(Value::Bulk(bytes)) if bytes == magic => return Ok(()),
            Some(Value::Push(_)) => {}
            Some(value) => {
                counts.replies += 1;
                if let Some(error) = value.as_error() {
                    counts.errors += 1;
                    if counts.errors <= ERRORS_SHOWN {
                        let error = error.escape_ascii();
                        bar.suspend(|| writeln!(io::stderr(), "{error}"))
                            .map_err(Failure::output)?;
                    }
                }
                if counts.replies.is_multiple_of(REPLIES_PER_LOOK) {
                    bar.set_message(format!(
                        ", {} replies, {} errors",
                        counts.replies, counts.errors
                    ));
                    connection.check_interrupt()?;
                }
            }
            None => {
                connection.check_interrupt()?;
                sender.check(last_reply.elapsed())?;
            }
        }
    }
}
