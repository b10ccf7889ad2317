//! Commands typed at a prompt.
//!
//! ```text
//! assistant   completion and hints (syntax: what may follow; lookup: what the server knows)
//! history     earlier lines, without passwords
//! waiting     what the server sends while somebody types
//! ```
//! Editing itself is rustyline's.

mod assistant;
mod history;
mod lookup;
mod syntax;
mod waiting;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor, ExternalPrinter};

use super::address::Address;
use super::failure::Failure;
use super::format::Format;
use super::options::Settings;
use super::session::Session;
use super::{one_shot, stream};
use crate::commands::table::{READ, WRITE};
use crate::config::words::split_words;
use assistant::Assistant;
use waiting::{Printer, Waiting};

/// From this time on a reply was slow, and how long it took is shown.
const SLOW: Duration = Duration::from_millis(500);

/// Runs the prompt until `exit` or the end of input.
pub fn run(settings: &Settings, session: &mut Session) -> Result<bool, Failure> {
    session.collect_redirections();
    let mut prompt = Prompt::new(settings.format, session)?;
    prompt.connect()?;
    while let Some(text) = prompt.read()? {
        for command in commands(&text) {
            match command {
                Err(text) => prompt.say(text)?,
                Ok(words) if is_exit(&words) => return Ok(true),
                Ok(words) => prompt.execute(&words)?,
            }
        }
    }
    Ok(true)
}

fn is_exit(words: &[Vec<u8>]) -> bool {
    matches!(words, [word] if word.eq_ignore_ascii_case(b"exit") || word.eq_ignore_ascii_case(b"quit"))
}

/// The commands in what was typed or pasted: one a line, and a line ends only outside of quotes.
fn commands(text: &str) -> Vec<Result<Vec<Vec<u8>>, &'static str>> {
    let mut found = Vec::new();
    let mut command = String::new();
    for line in text.lines() {
        command.push_str(line);
        if let Some(words) = split_words(command.as_bytes()) {
            if !words.is_empty() {
                found.push(Ok(words));
            }
            command.clear();
        } else {
            command.push('\n');
        }
    }
    if !command.is_empty() {
        found.push(Err("Invalid argument(s)"));
    }
    found
}

struct Prompt<'s> {
    editor: Editor<Assistant, FileHistory>,
    history: Option<PathBuf>,
    format: Format,
    session: &'s mut Session,
}

impl<'s> Prompt<'s> {
    fn new(format: Format, session: &'s mut Session) -> Result<Self, Failure> {
        let config = Config::builder()
            .max_history_size(history::LINES_MAX)
            .and_then(|config| config.history_ignore_dups(true))
            .map_err(editor_failed)?
            .history_ignore_space(true)
            .completion_type(rustyline::CompletionType::List)
            .build();
        let mut editor = Editor::with_config(config).map_err(editor_failed)?;
        editor.set_helper(Some(Assistant::new(format.has_colours())));
        let history = history::file();
        if let Some(file) = &history {
            // The first session has none yet.
            let _ = editor.load_history(file);
        }
        Ok(Self { editor, history, format, session })
    }

    fn say(&self, text: impl std::fmt::Display) -> Result<(), Failure> {
        writeln!(io::stdout(), "{text}").map_err(Failure::output)
    }

    /// Connects if there is no connection. A failure is told and can be tried again.
    fn connect(&mut self) -> Result<bool, Failure> {
        if self.session.is_connected() {
            return Ok(true);
        }
        let connected = match self.session.connection() {
            Ok(_) => true,
            Err(failure) => {
                self.say(failure)?;
                false
            }
        };
        self.refresh_keys(connected);
        Ok(connected)
    }

    /// Gives completion a connection of its own, with this login and database.
    fn refresh_keys(&mut self, connected: bool) {
        let connection = if connected { self.session.open().ok() } else { None };
        if let Some(assistant) = self.editor.helper() {
            assistant.lookup.borrow_mut().ask(connection);
        }
    }

    fn text(&self) -> String {
        if !self.session.is_connected() {
            return "not connected> ".to_owned();
        }
        let db = match self.session.db() {
            0 => String::new(),
            db => format!("[{db}]"),
        };
        let transaction = if self.session.carried().queued.is_some() { "(TX)" } else { "" };
        format!("{}{db}{transaction}> ", self.session.address())
    }

    /// Reads until there is something to run. `None` at the end of input.
    fn read(&mut self) -> Result<Option<String>, Failure> {
        loop {
            let text = self.text();
            let waiting = self.start_waiting();
            let typed = self.editor.readline(&text);
            let lost_transaction = self.end_waiting(waiting)?;
            self.session.interrupt().clear();
            match typed {
                Ok(text) => {
                    self.remember(&text);
                    if !lost_transaction || text.trim().is_empty() {
                        return Ok(Some(text));
                    }
                    self.say("Not sent: it was meant for the transaction that is lost.")?;
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(editor_failed(error)),
            }
        }
    }

    fn start_waiting(&mut self) -> Option<Waiting> {
        let mut printer = self.editor.create_external_printer().ok()?;
        let print: Printer = Box::new(move |text| {
            // The terminal is gone: the editor finds out by itself.
            let _ = printer.print(text);
        });
        let format = self.session.shows_pushes().then_some(self.format);
        let connection = self.session.take()?;
        match Waiting::start(connection, format, print) {
            Ok(waiting) => Some(waiting),
            Err(connection) => {
                self.session.put_back(connection);
                None
            }
        }
    }

    /// Takes the connection back. Whether a transaction was lost with it.
    fn end_waiting(&mut self, waiting: Option<Waiting>) -> Result<bool, Failure> {
        match waiting.map(Waiting::end) {
            None => Ok(false),
            Some(Ok(connection)) => {
                self.session.put_back(connection);
                Ok(false)
            }
            Some(Err(_)) => {
                let lost_transaction = self.session.carried().queued.is_some();
                self.tell_loss()?;
                self.session.disconnect();
                Ok(lost_transaction)
            }
        }
    }

    fn tell_loss(&self) -> Result<(), Failure> {
        match self.session.carried().loss() {
            Some(loss) => self.say(format!("Lost with the connection: {loss}.")),
            None => Ok(()),
        }
    }

    fn remember(&mut self, text: &str) {
        if text.trim().is_empty() || !history::may_keep(text) {
            return;
        }
        // What cannot be kept is no reason to stop.
        let _ = self.editor.add_history_entry(text);
        if let Some(file) = &self.history {
            let _ = self.editor.append_history(file);
        }
    }

    fn execute(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        match words {
            [word] if word.eq_ignore_ascii_case(b"clear") => {
                self.editor.clear_screen().map_err(editor_failed)
            }
            [word, rest @ ..] if word.eq_ignore_ascii_case(b"connect") => self.connect_to(rest),
            [times, command @ ..] if !command.is_empty() => match number(times) {
                Some(times) => {
                    for _ in 0..times {
                        if self.session.interrupt().is_set() {
                            break;
                        }
                        self.execute_once(command)?;
                    }
                    Ok(())
                }
                None => self.execute_once(words),
            },
            _ => self.execute_once(words),
        }
    }

    /// `connect host port`, or `connect host:port`.
    fn connect_to(&mut self, place: &[Vec<u8>]) -> Result<(), Failure> {
        let place: Vec<_> = place.iter().map(|word| String::from_utf8_lossy(word)).collect();
        match Address::parse(&place.join(":")) {
            None => self.say("Usage: connect host port"),
            Some(address) => {
                self.session.move_to(address);
                self.connect().map(|_| ())
            }
        }
    }

    fn execute_once(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let needs_server = !words[0].eq_ignore_ascii_case(b"help") && words[0] != b"?";
        if needs_server && !self.connect()? {
            return Ok(());
        }
        let before = (self.session.carried().clone(), self.session.db());
        let start = Instant::now();
        match one_shot::run_one(self.session, self.format, words) {
            // Ctrl-C may have ended a subscription: it is not meant for what comes next.
            Ok(_) => self.session.interrupt().clear(),
            Err(failure) if failure.is_of_output() => return Err(failure),
            Err(Failure::Interrupted) => {
                self.session.interrupt().clear();
                self.say("Interrupted. The server may still execute the command.")?;
                if let Some(loss) = before.0.loss() {
                    self.say(format!("Lost with the connection: {loss}."))?;
                }
            }
            Err(failure) => self.reconnect(words, &failure, before.0.loss())?,
        }
        if start.elapsed() >= SLOW && needs_server && !stream::is_endless(words) {
            self.say(format!("({:.2}s)", start.elapsed().as_secs_f64()))?;
        }
        if !self.session.is_connected() || self.session.db() != before.1 {
            let connected = self.connect()?;
            self.refresh_keys(connected);
        }
        Ok(())
    }

    /// Tells what was lost. A command that only reads is sent again; any other may have been executed, or not.
    fn reconnect(
        &mut self,
        words: &[Vec<u8>],
        failure: &Failure,
        loss: Option<String>,
    ) -> Result<(), Failure> {
        self.say(failure)?;
        if !self.connect()? {
            return Ok(());
        }
        let lost = loss.as_ref().map_or(String::new(), |loss| format!(" Lost: {loss}."));
        self.say(format!("Reconnected to {}.{lost}", self.session.address()))?;
        let name = String::from_utf8_lossy(&words[0]).to_ascii_uppercase();
        if loss.is_some() || !only_reads(&words[0]) {
            return self
                .say(format!("{name} was not sent again: the server may have executed it."));
        }
        match one_shot::run_one(self.session, self.format, words) {
            Err(failure) if failure.is_of_output() => Err(failure),
            Err(failure) => self.say(failure),
            Ok(_) => Ok(()),
        }
    }
}

fn only_reads(name: &[u8]) -> bool {
    let registry = super::help::registry();
    registry.find(name).is_some_and(|id| {
        let flags = registry.get(id).command.flags;
        flags.has(READ) && !flags.has(WRITE)
    })
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn editor_failed(error: ReadlineError) -> Failure {
    Failure::Input(io::Error::other(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_lines_are_commands_and_quotes_go_over_line_ends() {
        let found = commands("SET k 'a\nb'\n\nGET k\nGET 'k");
        assert_eq!(
            found,
            [
                Ok(vec![b"SET".to_vec(), b"k".to_vec(), b"a\nb".to_vec()]),
                Ok(vec![b"GET".to_vec(), b"k".to_vec()]),
                Err("Invalid argument(s)"),
            ]
        );
    }

    #[test]
    fn only_commands_that_read_are_sent_again() {
        assert!(only_reads(b"get"));
        assert!(!only_reads(b"set"));
        assert!(!only_reads(b"getdel"));
        assert!(!only_reads(b"nosuch"));
    }
}
