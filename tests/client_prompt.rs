//! The client at a terminal: editing, completion, hints, what happens when the connection breaks. In a pseudo-terminal.

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use expectrl::session::OsSession;
use expectrl::{ControlCode, Eof, Expect};
use support::{DEADLINE, TestServer, wait_until};

/// A client at a prompt, with a home of its own.
struct Terminal {
    session: OsSession,
    home: PathBuf,
}

impl Terminal {
    fn start(server: &TestServer, name: &str, flags: &[&str]) -> Terminal {
        let home =
            std::env::temp_dir().join(format!("mini-redis-client-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).expect("the temporary directory is writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_client"));
        command.arg(server.address().to_string()).args(flags);
        command.env("HOME", &home).env("TERM", "xterm").env("NO_COLOR", "1");
        command
            .env_remove("XDG_DATA_HOME")
            .env_remove("REDISCLI_AUTH")
            .env_remove("REDISCLI_HISTFILE");
        let mut session = OsSession::spawn(command).expect("a pseudo-terminal");
        session.set_expect_timeout(Some(DEADLINE));
        let mut terminal = Terminal { session, home };
        terminal.expect(&format!("{}> ", server.address()));
        terminal
    }

    #[track_caller]
    fn expect(&mut self, text: &str) {
        if let Err(error) = self.session.expect(text) {
            panic!("waited in vain for {text:?}: {error}");
        }
    }

    fn type_text(&mut self, text: &str) {
        self.session.send(text).expect("the terminal takes it");
    }

    /// Presses TAB until `completed` is there: names of keys are only waited for as long as a person would.
    #[track_caller]
    fn complete(&mut self, completed: &str) {
        self.session.set_expect_timeout(Some(Duration::from_secs(2)));
        let is_there = (0..10).any(|_| {
            self.type_text("\t");
            self.session.expect(completed).is_ok()
        });
        assert!(is_there, "waited in vain for {completed:?}");
        self.session.set_expect_timeout(Some(DEADLINE));
    }

    /// Types a line and waits for `answer`, which the line must not contain.
    #[track_caller]
    fn run(&mut self, line: &str, answer: &str) {
        self.type_text(&format!("{line}\r"));
        self.expect(answer);
        self.expect("> ");
    }

    #[track_caller]
    fn end(&mut self) {
        self.session.send(ControlCode::EOT).expect("the terminal takes it");
        self.session.expect(Eof).expect("the client ends");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

#[test]
fn commands_are_answered_and_the_prompt_shows_the_database() {
    let server = TestServer::start(&[]);
    let mut terminal = Terminal::start(&server, "commands", &[]);
    terminal.run("INCR n", "(integer) 1");
    terminal.run("3 INCR n", "(integer) 4");
    terminal.run("INCRBY n x", "(error) ERR value is not an integer");
    terminal.type_text("SELECT 2\r");
    terminal.expect(&format!("{}[2]> ", server.address()));
    terminal.run("GET n", "(nil)");
    terminal.run("help append", "complexity: O(1)");
    terminal.end();
}

#[test]
fn tab_completes_commands_options_and_keys_and_hints_show_the_rest() {
    let server = TestServer::start(&[]);
    server.connect().run("SET user:1000 somebody").is("+OK");
    let mut terminal = Terminal::start(&server, "completion", &[]);
    terminal.type_text("appe");
    terminal.type_text("\t");
    terminal.expect("append ");
    terminal.expect("key value");
    terminal.session.send(ControlCode::ETX).expect("the terminal takes it");
    terminal.expect("> ");
    terminal.type_text("GET user");
    terminal.complete("user:1000 ");
    terminal.run("", "\"somebody\"");
    terminal.run("SET k v KEE\t", "OK");
    terminal.end();
}

#[test]
fn history_is_kept_without_passwords() {
    let server = TestServer::start(&[]);
    let mut terminal = Terminal::start(&server, "history", &[]);
    terminal.run("ECHO remembered", "\"remembered\"");
    // The text of the error holds what ends a prompt.
    terminal.run("AUTH verysecret", "<password> called");
    terminal.end();
    let file = terminal.home.join(".local/share/mini-redis/client_history");
    let kept = std::fs::read_to_string(file).expect("the history is written");
    assert!(kept.contains("ECHO remembered") && !kept.contains("verysecret"), "{kept}");
}

#[test]
fn ctrl_c_ends_a_subscription_and_not_the_client() {
    let server = TestServer::start(&[]);
    let mut terminal = Terminal::start(&server, "subscription", &["-3"]);
    terminal.type_text("SUBSCRIBE news\r");
    terminal.expect("Reading messages");
    let mut publisher = server.connect();
    wait_until("it has subscribed", || publisher.run("PUBLISH news hello").wire() == ":1");
    terminal.expect("\"hello\"");
    terminal.session.send(ControlCode::ETX).expect("the terminal takes it");
    // Connected again at once.
    terminal.expect(&format!("{}> ", server.address()));
    terminal.run("PING", "PONG");
    terminal.end();
}

#[test]
fn a_broken_connection_is_told_with_what_is_lost() {
    let server = TestServer::start(&[]);
    let mut terminal = Terminal::start(&server, "reconnect", &[]);
    terminal.run("CLIENT SETNAME me", "OK");
    let mut other = server.connect();
    other.run("CLIENT KILL TYPE normal SKIPME yes");
    // Told while the client waits at the prompt.
    terminal.expect("Server closed the connection");
    terminal.type_text("\r");
    terminal.expect("Lost with the connection: the name of the connection.");
    terminal.expect("not connected> ");
    terminal.run("PING", "PONG");
    terminal.end();
}

#[test]
fn the_prompt_shows_a_transaction_and_what_becomes_of_it() {
    let server = TestServer::start(&[]);
    let mut terminal = Terminal::start(&server, "transaction", &[]);
    terminal.run("WATCH k", "OK");
    terminal.type_text("MULTI\r");
    terminal.expect("(TX)> ");
    terminal.run("SET k 1", "QUEUED");
    let mut other = server.connect();
    other.run("CLIENT KILL TYPE normal SKIPME yes");
    terminal.expect("Server closed the connection");
    // Meant for the transaction: it must not be executed outside of it.
    terminal.type_text("SET k 2\r");
    terminal.expect("the open transaction with 1 queued command, the watched keys.");
    terminal.expect("Not sent");
    terminal.expect("not connected> ");
    terminal.run("GET k", "(nil)");
    terminal.end();
}

#[test]
fn pushes_are_shown_while_somebody_types() {
    let server = TestServer::start(&[]);
    let mut terminal = Terminal::start(&server, "pushes", &["-3"]);
    terminal.run("CLIENT TRACKING ON", "OK");
    terminal.run("GET k", "(nil)");
    terminal.type_text("ECHO un");
    server.connect().run("SET k v").is("+OK");
    terminal.expect("-> invalidate: 'k'");
    terminal.run("finished", "\"unfinished\"");
    terminal.end();
}
