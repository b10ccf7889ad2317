//! Commands without a prompt: one in the arguments, or many from standard input, one a line.

use std::io::{self, BufRead, Read, Write};

use super::failure::Failure;
use super::format::{Format, harmless};
use super::modes::monitor;
use super::options::{FromStdin, Settings};
use super::session::Session;
use super::{documentation, stream};
use crate::config::words::split_words;
use crate::resp::Value;

/// The command to run: the arguments, and all of standard input as one of them where `-x` or `-X` says so.
pub fn words(settings: &Settings) -> Result<Vec<Vec<u8>>, Failure> {
    let mut words = settings.words.clone();
    match &settings.from_stdin {
        FromStdin::No => {}
        FromStdin::Last => words.push(all_of_stdin()?),
        FromStdin::Tagged(tag) => match words.iter_mut().find(|word| *word == tag) {
            Some(word) => *word = all_of_stdin()?,
            None => {
                let tag = harmless(tag);
                return Err(Failure::Usage(format!("-X {tag}: no argument is this word")));
            }
        },
    }
    Ok(words)
}

fn all_of_stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes).map_err(Failure::Input)?;
    Ok(bytes)
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
    for line in session.take_redirections() {
        writeln!(io::stdout(), "{line}").map_err(Failure::output)?;
    }
    if session.shows_pushes() {
        for push in &pushes {
            show(format, &[], push)?;
        }
    }
    show(format, words, &reply)
}

/// Shows one reply. As raw values, errors go to standard error: a script must not take one for a value.
pub fn show(format: Format, words: &[Vec<u8>], reply: &Value) -> Result<bool, Failure> {
    match reply.as_error() {
        Some(error) if matches!(format, Format::Raw(_)) => complain(&harmless(error))?,
        _ => format.print(&mut io::stdout().lock(), words, reply)?,
    }
    Ok(reply.as_error().is_none())
}

fn complain(text: &str) -> Result<(), Failure> {
    writeln!(io::stderr(), "{text}").map_err(Failure::output)
}
