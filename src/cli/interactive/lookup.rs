//! What the server is asked while somebody types: names of keys, and commands that our table does not have. On a connection of its
//! own, since the one at the prompt may be in a transaction; and only for as long as a person waits.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cli::connection::Connection;
use crate::cli::documentation;
use crate::cli::failure::Failure;
use crate::resp::Value;

/// The most names that are shown.
const KEYS_MAX: usize = 100;
/// How long somebody waits who has pressed a key.
const TIME_MAX: Duration = Duration::from_millis(500);
/// How often a server is asked for its commands that does not tell them in time.
const QUESTIONS_MAX: usize = 3;
/// Keys looked at by one `SCAN`.
const SCAN_COUNT: &str = "1000";

/// A source of names.
#[derive(Default)]
pub struct Lookup {
    connection: Option<Connection>,
    /// Answers that nobody has waited for to the end. They come before that of the next question.
    late: usize,
    /// Syntax lines by full name, `xinfo|stream`. Asked for when somebody wants to know.
    commands: BTreeMap<String, String>,
    /// How often they were asked for.
    asked: usize,
}

impl Lookup {
    /// Asks this connection from now on; `None` knows nothing.
    pub fn ask(&mut self, connection: Option<Connection>) {
        (self.connection, self.late) = (connection, 0);
    }

    /// Keys that start with `prefix`: at most a hundred, and what is found within half a second. Errors find none.
    pub fn keys_with(&mut self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        if self.scan(&pattern(prefix), &mut keys).is_err() {
            self.ask(None);
        }
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(KEYS_MAX);
        keys
    }

    /// The syntax of a command as the server documents it, and the words behind its name, which may be two.
    pub fn syntax<'w>(&mut self, name: &str, rest: &'w [String]) -> Option<(&str, &'w [String])> {
        let name = name.to_ascii_lowercase();
        let commands = self.commands();
        let of_subcommand = rest.split_first().and_then(|(word, after)| {
            let line = commands.get(&format!("{name}|{}", word.to_ascii_lowercase()))?;
            Some((line.as_str(), after))
        });
        of_subcommand.or_else(|| Some((commands.get(&name)?.as_str(), rest)))
    }

    /// Names of commands, or of the subcommands of one.
    pub fn commands_below(&mut self, container: Option<&str>) -> Vec<String> {
        let prefix = container.map(|name| format!("{}|", name.to_ascii_lowercase()));
        let prefix = prefix.unwrap_or_default();
        let names = self.commands().keys().filter_map(|name| name.strip_prefix(prefix.as_str()));
        names.filter(|name| !name.contains('|')).map(str::to_ascii_uppercase).collect()
    }

    /// All that the server documents; nothing, if it does not do so in time.
    fn commands(&mut self) -> &BTreeMap<String, String> {
        let is_unknown = self.commands.is_empty() && self.asked < QUESTIONS_MAX;
        if is_unknown && self.connection.is_some() {
            self.asked += 1;
            let answer = self.answer(&[&b"COMMAND"[..], b"DOCS"], Instant::now() + TIME_MAX);
            if answer.is_err() {
                self.ask(None);
            }
            let docs = answer.ok().flatten();
            self.commands = docs.as_ref().map(documentation::syntax_lines).unwrap_or_default();
        }
        &self.commands
    }

    /// Collects names, with duplicates. After an error the connection is of no use.
    fn scan(&mut self, pattern: &[u8], keys: &mut Vec<Vec<u8>>) -> Result<(), Failure> {
        let end = Instant::now() + TIME_MAX;
        let mut cursor = b"0".to_vec();
        while keys.len() < KEYS_MAX && Instant::now() < end {
            let words =
                [b"SCAN", cursor.as_slice(), b"MATCH", pattern, b"COUNT", SCAN_COUNT.as_bytes()];
            let Some(Value::Array(reply)) = self.answer(&words, end)? else { break };
            let [next, Value::Array(found)] = reply.as_slice() else { break };
            keys.extend(found.iter().filter_map(|key| key.as_bytes().map(<[u8]>::to_vec)));
            cursor = next.as_bytes().unwrap_or(b"0").to_vec();
            if cursor == b"0" {
                break;
            }
        }
        Ok(())
    }

    /// The answer to a question; `None` if it is not there before `end`.
    fn answer(&mut self, words: &[&[u8]], end: Instant) -> Result<Option<Value>, Failure> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        connection.send(words)?;
        self.late += 1;
        let mut answer = None;
        while self.late > 0 && Instant::now() < end {
            answer = connection.receive_for_a_moment()?;
            self.late -= usize::from(answer.is_some());
        }
        Ok(answer.filter(|_| self.late == 0))
    }
}

/// The glob pattern of all that starts with `prefix`.
fn pattern(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::new();
    for &byte in prefix {
        if b"*?[]\\^".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_literally() {
        assert_eq!(pattern(b"a[1]*"), br"a\[1\]\**");
    }
}
