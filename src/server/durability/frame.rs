//! What makes a file of the records of a snapshot.

use crate::persistence::aof::block::Line;
use crate::persistence::rdb::Writer;

/// The form of a file.
pub(in crate::server) enum Frame {
    /// An RDB file, with its checksum at the end.
    Rdb(Writer),
    /// Commands in blocks with checksum lines, as in a file of changes. It is whole if it ends with a `CLOSE`.
    Commands {
        /// The number of the next block.
        next_block: u64,
    },
}

impl Frame {
    /// Writes what a file begins with; of an RDB file also facts about it.
    pub fn begin<'a>(
        &mut self,
        out: &mut Vec<u8>,
        facts: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        match self {
            Self::Rdb(writer) => {
                writer.begin(out);
                facts.into_iter().for_each(|(name, value)| writer.aux(out, name, value));
            }
            Self::Commands { next_block } => Line::Open(*next_block).write(out),
        }
    }

    /// Makes whole records a part of the file.
    pub fn records(&mut self, mut records: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Rdb(writer) => return writer.records(records),
            Self::Commands { next_block } if !records.is_empty() => {
                Line::of_block(*next_block, &records).write(&mut records);
                *next_block += 1;
            }
            Self::Commands { .. } => {}
        }
        records
    }

    /// Writes the end.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Rdb(writer) => writer.end(out),
            Self::Commands { next_block } => Line::Close(*next_block).write(out),
        }
    }
}
