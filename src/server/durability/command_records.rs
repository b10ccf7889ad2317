//! Keys of a snapshot as commands: the base of the log with `aof-use-rdb-preamble no`.
//!
//! ```text
//! SET k bytes, APPEND k bytes ...                  a long string in parts
//! RPUSH k e e ..., SADD k m m ..., ZADD k s m ..., HSET k f v ...      up to 64 elements each
//! HPEXPIREAT k ms FIELDS 1 f                       for each field that expires
//! PEXPIREAT k ms
//! ```
//! Redis 7 reads it, but for expire times of fields, which it does not know in any form.

use super::sink::Records;
use crate::keyspace::{Entry, Piece, Type, ValueRef};
use crate::resp::number::format_f64;
use crate::resp::write_request;
use crate::types::hash::Field;
use crate::types::list::Block;
use crate::types::listpack::Listpack;

/// Elements of a command (Redis's `AOF_REWRITE_ITEMS_PER_CMD`).
const ELEMENTS_MAX: usize = 64;
/// Bytes of the elements of a command, about.
const ELEMENTS_BYTES_MAX: usize = 64 << 10;

/// The commands of one database.
pub(super) struct CommandRecords {
    db: usize,
}

/// A key that is being written.
pub(super) struct CommandKey {
    name: Vec<u8>,
    expire_at_ms: Option<i64>,
    /// What adds elements to it.
    command: &'static [u8],
    /// Elements that were not written yet: their words, and how many they are.
    words: Vec<Vec<u8>>,
    elements: usize,
    bytes: usize,
    /// Expire times of their fields.
    times: Vec<u8>,
}

impl CommandRecords {
    pub fn new(db: usize) -> Self {
        Self { db }
    }
}

impl Records for CommandRecords {
    type Key = CommandKey;

    fn select(&mut self, out: &mut Vec<u8>) {
        let db = self.db.to_string();
        write_request(out, [&b"SELECT"[..], db.as_bytes()].into_iter());
    }

    fn key(&mut self, out: &mut Vec<u8>, entry: Entry<'_>, value: ValueRef<'_>) {
        let mut key = self.prepare(entry, value);
        value.pieces(|piece| self.piece(out, &mut key, piece));
        self.end(out, key);
    }

    fn prepare(&mut self, entry: Entry<'_>, _: ValueRef<'_>) -> CommandKey {
        CommandKey {
            name: entry.key().to_vec(),
            expire_at_ms: entry.expire_at_ms(),
            command: match entry.kind() {
                Type::String => b"SET",
                Type::List => b"RPUSH",
                Type::Set => b"SADD",
                Type::Zset => b"ZADD",
                Type::Hash => b"HSET",
                Type::Stream => unreachable!("there are no streams"),
            },
            words: Vec::new(),
            elements: 0,
            bytes: 0,
            times: Vec::new(),
        }
    }

    fn begin(&mut self, _: &mut Vec<u8>, _: &mut CommandKey) {}

    fn piece(&mut self, out: &mut Vec<u8>, key: &mut CommandKey, piece: Piece<'_>) {
        match piece {
            Piece::Text(bytes) => {
                write_request(out, [key.command, &key.name, bytes].into_iter());
                key.command = b"APPEND";
            }
            Piece::Block(Block::Plain(text)) => key.add(out, &[text]),
            Piece::Block(Block::Packed(bytes)) => {
                let mut buffer = itoa::Buffer::new();
                for element in Listpack::new(bytes).iter() {
                    key.add(out, &[element.text(&mut buffer)]);
                }
            }
            Piece::Member(member) => key.add(out, &[member]),
            Piece::Scored(member, score) => key.add(out, &[&format_f64(score), member]),
            Piece::Field(field) => key.add_field(out, &field),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, mut key: CommandKey) {
        key.flush(out);
        if let Some(at_ms) = key.expire_at_ms {
            let at_ms = at_ms.to_string();
            write_request(out, [&b"PEXPIREAT"[..], &key.name, at_ms.as_bytes()].into_iter());
        }
    }
}

impl CommandKey {
    /// Adds the words of an element.
    fn add(&mut self, out: &mut Vec<u8>, words: &[&[u8]]) {
        self.bytes += words.iter().map(|word| word.len()).sum::<usize>();
        self.words.extend(words.iter().map(|word| word.to_vec()));
        self.elements += 1;
        if self.elements == ELEMENTS_MAX || self.bytes >= ELEMENTS_BYTES_MAX {
            self.flush(out);
        }
    }

    fn add_field(&mut self, out: &mut Vec<u8>, field: &Field<'_>) {
        let (mut name, mut value) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (name, value) = (field.name.text(&mut name), field.value.text(&mut value));
        if let Some(at_ms) = field.expire_at_ms {
            let at_ms = at_ms.to_string();
            let words = [b"HPEXPIREAT", &*self.name, at_ms.as_bytes(), b"FIELDS", b"1", name];
            write_request(&mut self.times, words.into_iter());
        }
        self.add(out, &[name, value]);
    }

    /// Writes the elements that were added, and then when they expire.
    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.elements > 0 {
            let words = [self.command, &self.name].into_iter();
            let words: Vec<&[u8]> = words.chain(self.words.iter().map(Vec::as_slice)).collect();
            write_request(out, words.into_iter());
            out.append(&mut self.times);
        }
        self.words.clear();
        (self.elements, self.bytes) = (0, 0);
    }
}
