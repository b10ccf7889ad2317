//! Names of keys for completion, asked of the server on a connection of its own: the one at the prompt may be in a transaction.

use std::time::{Duration, Instant};

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::resp::Value;

/// The most names that are shown.
const KEYS_MAX: usize = 100;
/// How long somebody waits who has pressed TAB.
const TIME_MAX: Duration = Duration::from_millis(500);
/// Keys looked at by one `SCAN`.
const SCAN_COUNT: &str = "1000";

/// A source of names.
#[derive(Default)]
pub struct Keys {
    connection: Option<Connection>,
    /// Answers that nobody has waited for to the end. They come before that of the next question.
    late: usize,
}

impl Keys {
    /// Asks this connection from now on; `None` has no names.
    pub fn ask(&mut self, connection: Option<Connection>) {
        *self = Self { connection, late: 0 };
    }

    /// Keys that start with `prefix`: at most a hundred, and what is found within half a second. Errors find none.
    pub fn starting_with(&mut self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        if self.scan(&pattern(prefix), &mut keys).is_err() {
            self.ask(None);
        }
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(KEYS_MAX);
        keys
    }

    /// Collects names, with duplicates. After an error the connection is of no use.
    fn scan(&mut self, pattern: &[u8], keys: &mut Vec<Vec<u8>>) -> Result<(), Failure> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let end = Instant::now() + TIME_MAX;
        let mut cursor = b"0".to_vec();
        while keys.len() < KEYS_MAX && Instant::now() < end {
            let words =
                [b"SCAN", cursor.as_slice(), b"MATCH", pattern, b"COUNT", SCAN_COUNT.as_bytes()];
            connection.send(&words)?;
            self.late += 1;
            let mut answer = None;
            while self.late > 0 && Instant::now() < end {
                answer = connection.receive_for_a_moment()?;
                self.late -= usize::from(answer.is_some());
            }
            let Some(Value::Array(reply)) = answer.filter(|_| self.late == 0) else { break };
            let [next, Value::Array(found)] = reply.as_slice() else { break };
            keys.extend(found.iter().filter_map(|key| key.as_bytes().map(<[u8]>::to_vec)));
            cursor = next.as_bytes().unwrap_or(b"0").to_vec();
            if cursor == b"0" {
                break;
            }
        }
        Ok(())
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
