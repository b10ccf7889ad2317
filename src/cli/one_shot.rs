//! Commands without a prompt: one in the arguments, or many from standard input, one a line.

use std::io::{self, BufRead, Read, Write};

use super::failure::Failure;
use super::format::{Format, harmless};
use super::modes::monitor;
use super::options::Settings;
use super::session::Session;
use super::{documentation, stream};
use crate::config::words::split_words;
use crate::resp::Value;

/// The command to run: the arguments, and with `-x` all of standard input as the last.
pub fn words(settings: &Settings) -> Result<Vec<Vec<u8>>, Failure> {
    let mut words = settings.words.clone();
    if settings.last_from_stdin {
        let mut last = Vec::new();
        io::stdin().read_to_end(&mut last).map_err(Failure::Input)?;
        words.push(last);
    }
    Ok(words)
}

/// Runs a command as often as `settings` say. Whether all replies were good.
pub fn run(settings: &Settings, session: &mut Session, words: &[Vec<u8>]) -> Result<bool, Failure> {
    let mut good = true;
    let mut done = 0;
    while settings.times.is_none_or(|times| done < times) {
        if done > 0 {
            session.interrupt().sleep(settings.interval);
        }
        if session.interrupt().is_set() {
            return Err(Failure::Interrupted);
        }
        good &= run_one(session, settings.format, words)?;
        done += 1;
    }
    Ok(good)
}

/// Runs the lines of standard input. Whether all replies were good.
pub fn run_lines(settings: &Settings, session: &mut Session) -> Result<bool, Failure> {
    let mut good = true;
    for line in io::stdin().lock().split(b'\n') {
        let line = line.map_err(Failure::Input)?;
        match split_words(&line) {
            None => {
                good = false;
                complain("Invalid argument(s)")?;
            }
            Some(words) if words.is_empty() => {}
            Some(words) => good &= run_one(session, settings.format, &words)?,
        }
        if session.interrupt().is_set() {
            return Err(Failure::Interrupted);
        }
    }
    Ok(good)
}

/// Runs one command and shows its reply. Whether the reply is no error.
pub fn run_one(session: &mut Session, format: Format, words: &[Vec<u8>]) -> Result<bool, Failure> {
    if words[0].eq_ignore_ascii_case(b"help") || words[0] == b"?" {
        return documentation::show(session, &words[1..]);
    }
    if monitor::is_filtered(words) {
        return monitor::run(session, format, words);
    }
    if stream::is_endless(words) {
        return stream::run(session, format, words, &mut |_| true);
    }
    let mut pushes = Vec::new();
    let is_shutdown = words[0].eq_ignore_ascii_case(b"shutdown");
    let reply = match session.run(words, &mut |push| pushes.push(push.clone())) {
        Err(Failure::ConnectionLost(_)) if is_shutdown => return Ok(true),
        reply => reply?,
    };
    if format.is_for_people() {
        for push in &pushes {
            show(format, &[], push)?;
        }
    }
    show(format, words, &reply)
}

/// Shows one reply. As raw values, errors go to standard error: a script must not take one for a value.
pub fn show(format: Format, words: &[Vec<u8>], reply: &Value) -> Result<bool, Failure> {
    match reply.as_error() {
        Some(error) if format == Format::Raw => complain(&harmless(error))?,
        _ => format.print(&mut io::stdout().lock(), words, reply)?,
    }
    Ok(reply.as_error().is_none())
}

fn complain(text: &str) -> Result<(), Failure> {
    writeln!(io::stderr(), "{text}").map_err(Failure::output)
}
