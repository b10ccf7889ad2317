//! Names of keys for completion, asked of the server on a connection of its own: the one at the prompt may be in a transaction.

use std::time::{Duration, Instant};

use crate::cli::connection::Connection;
use crate::resp::Value;

/// The most names that are shown.
const KEYS_MAX: usize = 100;
/// How long somebody waits who has pressed TAB.
const TIME_MAX: Duration = Duration::from_millis(200);
/// Keys looked at by one `SCAN`.
const SCAN_COUNT: &str = "1000";

/// A source of names.
#[derive(Default)]
pub struct Keys {
    connection: Option<Connection>,
}

impl Keys {
    /// Asks this connection from now on; `None` has no names.
    pub fn ask(&mut self, connection: Option<Connection>) {
        self.connection = connection;
    }

    /// Keys that start with `prefix`: at most a hundred, and what is found within a fifth of a second. Errors find none.
    pub fn starting_with(&mut self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let Some(connection) = &mut self.connection else { return Vec::new() };
        let (keys, works) = scan(connection, &pattern(prefix));
        if !works {
            self.connection = None;
        }
        keys
    }
}

/// The keys found, sorted, and whether the connection can be used again.
fn scan(connection: &mut Connection, pattern: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let end = Instant::now() + TIME_MAX;
    let mut keys = Vec::new();
    let mut cursor = b"0".to_vec();
    loop {
        let words =
            [b"SCAN", cursor.as_slice(), b"MATCH", pattern, b"COUNT", SCAN_COUNT.as_bytes()];
        if connection.send(&words).is_err() {
            return (keys, false);
        }
        // An answer that comes later than this would be taken for that of the next question.
        let Ok(Some(Value::Array(reply))) = connection.receive_for_a_moment() else {
            return (keys, false);
        };
        let [next, Value::Array(found)] = reply.as_slice() else { return (keys, true) };
        keys.extend(found.iter().filter_map(|key| key.as_bytes().map(<[u8]>::to_vec)));
        cursor = next.as_bytes().unwrap_or(b"0").to_vec();
        if cursor == b"0" || keys.len() >= KEYS_MAX || Instant::now() > end {
            keys.sort_unstable();
            keys.dedup();
            keys.truncate(KEYS_MAX);
            return (keys, true);
        }
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
