//! `Writer`: an RDB file, in pieces that the caller takes away as it likes.

use super::checksum::Checksum;
use super::encoder::{Encoder, length};
use super::{Format, ValueWriter, format};
use crate::keyspace::{Piece, Recency, ValueRef};

/// Writes a file: [`begin`](Self::begin), then databases with their keys, then [`end`](Self::end). Each call adds to
/// `out`, which nobody else may add to.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    encoder: Encoder,
    /// `None`: zeros are written instead.
    checksum: Option<Checksum>,
}

/// A key whose value is being written.
#[derive(Debug)]
pub struct KeyWriter(ValueWriter);

impl Writer {
    /// `compresses` is `rdbcompression`, `sums` is `rdbchecksum`.
    pub fn new(format: Format, compresses: bool, sums: bool) -> Self {
        Self { format, encoder: Encoder::new(compresses), checksum: sums.then(Checksum::new) }
    }

    /// Writes, and adds what was written to the checksum.
    fn write<T>(
        &mut self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Encoder, &mut Vec<u8>) -> T,
    ) -> T {
        let start = out.len();
        let result = write(&mut self.encoder, out);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&out[start..]);
        }
        result
    }

    /// Writes the header.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        let magic = self.format.magic();
        self.write(out, |_, out| out.extend_from_slice(magic));
    }

    /// Writes a name and a text about the file: `redis-ver`, `ctime`, `repl-id` and so on.
    pub fn aux(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        self.write(out, |encoder, out| {
            out.push(format::AUX);
            encoder.string(out, name);
            encoder.string(out, value);
        });
    }

    /// Writes the text of a library of functions.
    pub fn function(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        self.write(out, |encoder, out| {
            out.push(format::FUNCTION_2);
            encoder.string(out, text);
        });
    }

    /// Begins a database with so many keys, of which so many expire: hints for who reads it.
    pub fn select_db(&mut self, out: &mut Vec<u8>, db: u64, keys: u64, expiring: u64) {
        self.write(out, |_, out| {
            out.push(format::SELECT_DB);
            length(out, db);
            out.push(format::RESIZE_DB);
            length(out, keys);
            length(out, expiring);
        });
    }

    /// Writes a key with its value. Expire times of fields are left out where the format has none: see
    /// [`ValueRef::has_field_expiry`] and [`Format::has_field_expiry`]. O(value).
    pub fn key(
        &mut self,
        out: &mut Vec<u8>,
        name: &[u8],
        value: ValueRef<'_>,
        expire_at_ms: Option<i64>,
        recency: Recency,
    ) {
        let mut key = self.begin_key(out, name, value, expire_at_ms, recency);
        self.step(out, &mut key, value, usize::MAX);
    }

    /// Writes a key, whose value is to follow in steps.
    pub fn begin_key(
        &mut self,
        out: &mut Vec<u8>,
        name: &[u8],
        value: ValueRef<'_>,
        expire_at_ms: Option<i64>,
        recency: Recency,
    ) -> KeyWriter {
        let writer = ValueWriter::new(self.format, value);
        self.write(out, |encoder, out| {
            if let Some(at_ms) = expire_at_ms {
                out.push(format::EXPIRE_TIME_MS);
                out.extend_from_slice(&at_ms.to_le_bytes());
            }
            match recency {
                Recency::Unknown => {}
                Recency::IdleSeconds(seconds) => {
                    out.push(format::IDLE);
                    length(out, seconds);
                }
                Recency::Frequency(frequency) => out.extend_from_slice(&[format::FREQ, frequency]),
            }
            writer.write_type(out);
            encoder.string(out, name);
        });
        KeyWriter(writer)
    }

    /// Writes what stands before the pieces of a big value, for a key that was begun: [`piece`](Self::piece) writes them.
    pub fn head(&mut self, out: &mut Vec<u8>, key: &KeyWriter, value: ValueRef<'_>) {
        self.write(out, |_, out| key.0.write_head(value, out));
    }

    /// Writes a piece of a key's value.
    pub fn piece(&mut self, out: &mut Vec<u8>, key: &KeyWriter, piece: Piece<'_>) {
        self.write(out, |encoder, out| key.0.write_piece(piece, encoder, out));
    }

    /// Writes about `bytes_max` more of a key's value, which must be what it was when the key was begun. Returns
    /// whether it is complete. A string, a listpack or an intset is written at once.
    pub fn step(
        &mut self,
        out: &mut Vec<u8>,
        key: &mut KeyWriter,
        value: ValueRef<'_>,
        bytes_max: usize,
    ) -> bool {
        self.write(out, |encoder, out| key.0.step(value, encoder, out, bytes_max))
    }

    /// Takes records that another writer of the same format has made without a checksum.
    pub fn records(&mut self, records: Vec<u8>) -> Vec<u8> {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&records);
        }
        records
    }

    /// Writes the end.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.write(out, |_, out| out.push(format::EOF));
        let sum = self.checksum.as_ref().map_or(0, Checksum::value);
        out.extend_from_slice(&sum.to_le_bytes());
    }
}
