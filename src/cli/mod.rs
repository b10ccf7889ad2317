//! The command-line client (binary `client`): for people at a prompt, and for scripts.
//!
//! ```text
//! options         the command line (address: where the server is)
//! session         a login on a server: its state, reconnecting, redirections (connection: one socket)
//! one_shot        a command in the arguments, or lines from standard input (stream: replies that do not end)
//! interactive     a prompt
//! modes           walks over keys, measurements, mass insertion, a filtered MONITOR
//! format          replies as text
//! help            the command table as pages (documentation: what only the server knows)
//! password        asked for without showing it
//! failure         why it ended, and the exit status that says so
//! ```
//! It blocks: one request, one reply. A wait looks at the flag that Ctrl-C sets ten times a second.

mod address;
mod connection;
mod documentation;
mod failure;
mod format;
mod help;
mod interactive;
mod interrupt;
mod modes;
mod one_shot;
mod options;
mod password;
mod session;
mod stream;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use failure::Failure;
use interrupt::Interrupt;
use options::{Settings, Work};
use session::Session;

/// Runs the client with the arguments of a process, the program's name first.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let settings = match Settings::read(arguments.collect(), io::stdout().is_terminal()) {
        Ok(settings) => settings,
        Err(error) => {
            let asked_for = !error.use_stderr();
            // A closed output is no reason to fail.
            let _ = error.print();
            return ExitCode::from(if asked_for { 0 } else { 2 });
        }
    };
    match settings.and_then(|settings| work(&settings)) {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(failure) => {
            if !failure.is_silent() {
                // Nobody may be listening: the status still tells.
                let _ = writeln!(io::stderr(), "{failure}");
            }
            ExitCode::from(failure.status())
        }
    }
}

/// Does what the command line says. Whether all replies were good.
fn work(settings: &Settings) -> Result<bool, Failure> {
    // Until all is there Ctrl-C just ends the process.
    let words = one_shot::words(settings)?;
    let interrupt = Interrupt::install().map_err(Failure::Input)?;
    let mut session = Session::new(settings, &interrupt);
    if settings.work != Work::Commands {
        return modes::run(settings, &mut session);
    }
    if modes::top::is_meant_by(&words) {
        return modes::top::run(settings, &mut session);
    }
    if !words.is_empty() {
        return one_shot::run(settings, &mut session, &words);
    }
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return interactive::run(settings, &mut session);
    }
    one_shot::run_lines(settings, &mut session)
}
