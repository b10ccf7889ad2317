//! `MONITOR`: every command as it is run, told to the clients that watch. Also: which arguments nobody may see.

use super::State;
use crate::commands::table::{ADMIN, SKIP_MONITOR};
use crate::commands::{CommandId, Registered};
use crate::config;
use crate::net::Token;
use crate::resp::Args;

impl State {
    /// Tells the watching clients about a command that has run: the database is the one it left the client in.
    pub(super) fn feed_monitors(&mut self, token: Token, id: CommandId, args: &Args<'_>) {
        let registered = self.registry.get(id);
        if registered.command.flags.has(ADMIN) || registered.command.flags.has(SKIP_MONITOR) {
            return;
        }
        let client = self.clients.get(token);
        let address = if client.peer.is_unix {
            format!("unix:{}", client.peer.address.trim_end_matches(":0"))
        } else {
            client.peer.address.clone()
        };
        let (seconds, micros) = (self.now.unix_us / 1_000_000, self.now.unix_us % 1_000_000);
        let mut line = format!("+{seconds}.{micros:06} [{} {address}]", client.db).into_bytes();
        let hidden = sensitive(registered, args);
        for (index, argument) in args.iter().enumerate() {
            line.push(b' ');
            let shown = if hidden.contains(&index) { b"(redacted)" } else { argument };
            line.extend_from_slice(quoted(shown).as_bytes());
        }
        line.extend_from_slice(b"\r\n");
        for watcher in self.monitors.clone() {
            if let Some(client) = self.clients.find_mut(watcher) {
                client.output.extend(&line);
                self.write_later(watcher);
            }
        }
    }
}

/// The positions of arguments that hold a password.
pub fn sensitive(registered: &Registered, args: &Args<'_>) -> Vec<usize> {
    let is_auth =
        |index: usize| args.get(index).is_some_and(|word| word.eq_ignore_ascii_case(b"auth"));
    // The names in the table: `rename-command` must not bring a password to light.
    match (registered.parent.is_some(), registered.command.name) {
        (false, "auth") => (1..args.len()).collect(),
        (false, "hello") => {
            (2..args.len()).filter(|&i| is_auth(i - 1) || i > 2 && is_auth(i - 2)).collect()
        }
        (false, "migrate") => {
            let auth2 = |index: usize| {
                args.get(index).is_some_and(|word| word.eq_ignore_ascii_case(b"auth2"))
            };
            (6..args.len())
                .filter(|&i| is_auth(i - 1) || auth2(i - 1) || i > 7 && auth2(i - 2))
                .collect()
        }
        (true, "set") if registered.full_name == "config|set" => {
            (3..args.len()).step_by(2).filter(|&i| is_sensitive(args.bytes(i - 1))).collect()
        }
        _ => Vec::new(),
    }
}

fn is_sensitive(directive: &[u8]) -> bool {
    config::lookup(directive).is_some_and(|(row, _)| row.sensitive)
}

/// Bytes in double quotes, all that is no printable ASCII escaped: `sdscatrepr`.
pub fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                text.push('\\');
                text.push(byte as char);
            }
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            7 => text.push_str("\\a"),
            8 => text.push_str("\\b"),
            b' '..=b'~' => text.push(byte as char),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::table::{Arity, Command, Flags, command};
    use crate::commands::{CommandResult, Ctx, Group};
    use crate::resp::OwnedArgs;
    use crate::server::testing::TestServer;

    fn nothing(_: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
        Ok(())
    }

    const fn row(name: &'static str) -> Command {
        command(name, Arity::AtLeast(1), Flags::NONE, &[], nothing)
    }

    static AUTH: Command = row("auth");
    static HELLO: Command = row("hello");
    static SET: Command = row("set");

    fn hidden(command: &'static Command, full_name: &str, line: &str) -> Vec<usize> {
        let parent = full_name.contains('|').then_some(CommandId(0));
        let (full_name, group) = (full_name.to_string(), Group::Connection);
        let registered =
            Registered { command, full_name, parent, subcommands: Vec::new(), group, first_key: 0 };
        let args: OwnedArgs = line.split(' ').map(str::as_bytes).collect();
        sensitive(&registered, &args.args())
    }

    #[test]
    fn c06_passwords_are_hidden_wherever_they_are() {
        let none: [usize; 0] = [];
        assert_eq!(hidden(&AUTH, "auth", "AUTH secret"), [1]);
        assert_eq!(hidden(&AUTH, "auth", "AUTH user secret"), [1, 2]);
        assert_eq!(hidden(&HELLO, "hello", "HELLO 3 auth user secret SETNAME me"), [3, 4]);
        assert_eq!(hidden(&HELLO, "hello", "HELLO 3 SETNAME me"), none);
        let line = "CONFIG SET maxmemory 1 RequirePass secret save x";
        assert_eq!(hidden(&SET, "config|set", line), [5]);
        assert_eq!(hidden(&SET, "config|set", "CONFIG SET requirepass"), none);
        assert_eq!(hidden(&SET, "set", "SET requirepass value"), none);
    }

    #[test]
    fn c06_a_renamed_command_still_hides_its_password() {
        assert_eq!(hidden(&AUTH, "say-who", "say-who secret"), [1]);
    }

    #[test]
    fn text_is_quoted_as_redis_quotes_it() {
        assert_eq!(quoted(b"a b"), r#""a b""#);
        assert_eq!(quoted(b"\"\\\n\r\t\x07\x08\x00\xff~"), r#""\"\\\n\r\t\a\b\x00\xff~""#);
    }

    #[test]
    fn a_line_names_database_and_unix_socket() {
        let mut redis = TestServer::new();
        let watcher = redis.connect();
        redis.run_as(watcher, "MONITOR").is("+OK");
        for client in redis.server.state.clients.iter_mut().filter(|client| !client.monitor) {
            client.db = 3;
            client.peer.is_unix = true;
            client.peer.address = "/run/redis.sock:0".into();
        }
        redis.run("GET k").is("$-1");
        redis.take(watcher).is(r#"+1700000000.000000 [3 unix:/run/redis.sock] "GET" "k""#);
    }
}
