//! All keys of a database, a page of `SCAN` at a time.

use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::options::KeyFilter;
use crate::resp::{ReplyError, Value};

/// Keys per page, if nobody says otherwise.
const COUNT_DEFAULT: u64 = 500;

/// A walk over keys. What is there from begin to end comes at least once; `SCAN` may name a key twice.
pub struct Walk {
    /// `None` after the last page.
    cursor: Option<Vec<u8>>,
    options: Vec<Vec<u8>>,
}

impl Walk {
    /// At the beginning.
    pub fn new(filter: &KeyFilter) -> Self {
        let count = filter.count.unwrap_or(COUNT_DEFAULT).to_string();
        let mut options = vec![b"COUNT".to_vec(), count.into_bytes()];
        if let Some(pattern) = &filter.pattern {
            options.extend([b"MATCH".to_vec(), pattern.clone()]);
        }
        if let Some(key_type) = &filter.key_type {
            options.extend([b"TYPE".to_vec(), key_type.clone().into_bytes()]);
        }
        Self { cursor: Some(b"0".to_vec()), options }
    }

    /// The next page, which may be empty; `None` behind the last.
    pub fn next(&mut self, connection: &mut Connection) -> Result<Option<Vec<Vec<u8>>>, Failure> {
        let Some(cursor) = self.cursor.take() else { return Ok(None) };
        let mut words = vec![b"SCAN".to_vec(), cursor];
        words.extend_from_slice(&self.options);
        let reply = connection.demand("SCAN", &words)?;
        let Value::Array(reply) = reply else {
            return Err(Failure::Protocol(ReplyError::BadLength));
        };
        let [cursor, Value::Array(keys)] = reply.as_slice() else {
            return Err(Failure::Protocol(ReplyError::BadLength));
        };
        self.cursor = cursor.as_bytes().filter(|&cursor| cursor != b"0").map(<[u8]>::to_vec);
        Ok(Some(keys.iter().filter_map(|key| key.as_bytes().map(<[u8]>::to_vec)).collect()))
    }
}
