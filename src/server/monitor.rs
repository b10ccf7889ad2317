//! `MONITOR`: every command as it is run, told to the clients that watch. Also: which arguments nobody may see.

use super::State;
use crate::commands::CommandId;
use crate::commands::table::{ADMIN, SKIP_MONITOR};
use crate::config;
use crate::net::Token;
use crate::resp::Args;

impl State {
    /// Tells the watching clients about a command that is about to run.
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
        let hidden = sensitive(&registered.full_name, args);
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
pub fn sensitive(full_name: &str, args: &Args<'_>) -> Vec<usize> {
    let is = |index: usize, word: &str| {
        args.get(index).is_some_and(|a| a.eq_ignore_ascii_case(word.as_bytes()))
    };
    match full_name {
        "auth" => (1..args.len()).collect(),
        "hello" => (0..args.len())
            .filter(|&i| i >= 2 && is(i - 2, "auth") || i >= 1 && is(i - 1, "auth"))
            .collect(),
        "config|set" => (3..args.len())
            .step_by(2)
            .filter(|&i| {
                std::str::from_utf8(args.bytes(i - 1)).is_ok_and(|name| {
                    config::lookup(name.as_bytes()).is_some_and(|(row, _)| row.sensitive)
                })
            })
            .collect(),
        _ => Vec::new(),
    }
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
