//! Commands whose replies do not end: `MONITOR` and the `SUBSCRIBE` family. They go on until Ctrl-C or the end of the connection.

use std::io::{self, Write};

use super::failure::Failure;
use super::format::Format;
use super::one_shot::show;
use super::session::Session;
use crate::resp::Value;

/// Whether the command has no last reply.
pub fn is_endless(words: &[Vec<u8>]) -> bool {
    const COMMANDS: [&str; 4] = ["MONITOR", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"];
    words
        .first()
        .is_some_and(|word| COMMANDS.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes())))
}

/// Shows what comes, as far as `wanted`, until Ctrl-C; then the connection is given up, since it is of no other use. False if
/// the command was refused.
pub fn run(
    session: &mut Session,
    format: Format,
    words: &[Vec<u8>],
    wanted: &mut dyn FnMut(&Value) -> bool,
) -> Result<bool, Failure> {
    let result = run_connected(session, format, words, wanted);
    let refused = matches!(result, Ok(false));
    if !refused {
        session.disconnect();
    }
    match result {
        Err(Failure::Interrupted) => Ok(true),
        result => result,
    }
}

fn run_connected(
    session: &mut Session,
    format: Format,
    words: &[Vec<u8>],
    wanted: &mut dyn FnMut(&Value) -> bool,
) -> Result<bool, Failure> {
    let in_transaction = session.carried().queued.is_some();
    let connection = session.connection()?;
    connection.send(words)?;
    let mut first = true;
    loop {
        let value = connection.receive()?;
        if first && value.as_error().is_some() {
            return show(format, words, &value);
        }
        if first && format.is_for_people() {
            writeln!(io::stdout(), "Reading messages... (press Ctrl-C to quit)")
                .map_err(Failure::output)?;
        }
        if wanted(&value) {
            show(format, words, &value)?;
        }
        // Queued: there is nothing to wait for before EXEC.
        if first && in_transaction {
            return Ok(true);
        }
        first = false;
    }
}
