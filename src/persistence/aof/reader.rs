//! Reading a log back. What was checked, or is written by others, comes out; a torn tail is told from damage.
//!
//! A write that was cut off by a crash leaves a part of a block at the very end of the file: the reader says where the
//! sound part ends. Anything else that is wrong is damage, and nothing after it may be trusted. Bytes without a
//! checksum at the end are what Redis has appended, or a block that was cut between two commands: they are whole
//! commands, in the order in which they ran, and come out, too. Transactions come out whole or not at all.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use super::block::{self, Line, Place};
use super::item::{Item, item};

/// A power cut leaves whole sectors of zeros in what was not written; nobody else writes so many.
const SECTOR: usize = 512;

/// What is wrong with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// Neither a command nor a comment.
    BadFormat {
        /// Where, in the file.
        offset: u64,
    },
    /// A block is not what was written.
    Checksum {
        /// Where the block begins, in the file.
        offset: u64,
    },
    /// A block is missing before this one.
    Sequence {
        /// Where the block begins, in the file.
        offset: u64,
    },
    /// A command that goes beyond the end of the file, though others come after it.
    Overlong {
        /// Where it begins, in the file.
        offset: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadFormat { offset } => write!(f, "no command begins at offset {offset}"),
            Self::Checksum { offset } => {
                write!(
                    f,
                    "the block at offset {offset} is not what was written (checksum mismatch)"
                )
            }
            Self::Sequence { offset } => {
                write!(f, "a block is missing before offset {offset} (sequence mismatch)")
            }
            Self::Overlong { offset } => write!(
                f,
                "the command at offset {offset} announces more than there is, but more commands follow it"
            ),
        }
    }
}

/// How a file ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tail {
    /// Where the sound part ends, in the file.
    pub sound_end: u64,
    /// The file goes on after that with something that was cut off.
    pub torn: bool,
    /// What was cut off is a transaction without its EXEC.
    pub in_transaction: bool,
    /// The number of the next block.
    pub next_block: u64,
    /// We were the last to write, and have not said that we stopped: the next block continues the count.
    pub open: bool,
    /// What the log tells, if it was ended in order and nobody has written since.
    pub place: Option<Place>,
}

/// Reads one file, which is fed in pieces of any size.
#[derive(Default)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Offset of the buffer in the file.
    offset: u64,
    /// Up to here the buffer is understood.
    parsed: usize,
    /// Where the block begins that is not ended yet.
    block_start: usize,
    /// Where the transaction begins that is not ended yet.
    transaction: Option<usize>,
    /// Runs of commands that may come out.
    ready: VecDeque<Range<usize>>,
    /// Runs of commands that were understood, and wait for a checksum or for EXEC.
    waiting: VecDeque<Range<usize>>,
    /// Blocks with checksums are expected.
    checked: bool,
    next_block: u64,
    /// The last line said that all before it is this.
    place: Option<Place>,
    /// A block at what may be the end of the file is not what was written.
    suspect: Option<Damage>,
}

impl Reader {
    /// Adds a piece of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        // What has come out is done with.
        let done = self.waiting.front().map_or(self.parsed, |run| run.start).min(self.block_start);
        if self.ready.is_empty() && done > 0 {
            self.buffer.drain(..done);
            self.offset += done as u64;
            self.parsed -= done;
            self.block_start -= done;
            self.transaction = self.transaction.map(|start| start - done);
            for run in &mut self.waiting {
                *run = run.start - done..run.end - done;
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next run of commands, as bytes in RESP; `None` if more of the file is needed.
    pub fn next_commands(&mut self) -> Result<Option<&[u8]>, Damage> {
        while self.ready.is_empty() {
            match item(&self.buffer, self.parsed) {
                Item::Partial => break,
                Item::Bad(_) if self.is_cut_off_by_zeros() => break,
                item => self.note(item)?,
            }
        }
        Ok(self.ready.pop_front().map(|run| &self.buffer[run]))
    }

    /// The file has ended. The runs of commands that are still to come out, and how it ends. Call it when
    /// `next_commands` has nothing more.
    pub fn finish(mut self) -> Result<(Vec<u8>, Tail), Damage> {
        let partial = self.parsed < self.buffer.len();
        if let Some(damage) = self.suspect {
            if partial {
                return Err(damage);
            }
            self.drop_from(self.block_start);
        } else if partial {
            self.check_that_nothing_follows()?;
        }
        if self.checked && has_sector_of_zeros(&self.buffer[self.block_start..self.parsed]) {
            self.drop_from(self.block_start);
        }
        let in_transaction = self.transaction.is_some();
        if let Some(start) = self.transaction {
            self.drop_from(start);
        }
        let commands =
            self.waiting.iter().flat_map(|run| &self.buffer[run.clone()]).copied().collect();
        let torn = self.parsed < self.buffer.len();
        let tail = Tail {
            sound_end: self.at(self.parsed),
            torn,
            place: self.place.filter(|_| !torn),
            in_transaction,
            next_block: self.next_block,
            open: self.checked,
        };
        Ok((commands, tail))
    }

    fn note(&mut self, item: Item) -> Result<(), Damage> {
        if let Some(damage) = self.suspect {
            return Err(damage); // it was not the end of the file
        }
        self.place = None;
        match item {
            Item::Command { end, name } => self.note_command(end, name),
            Item::Comment { end } => self.note_comment(end)?,
            Item::Bad(at) => return Err(Damage::BadFormat { offset: self.at(at) }),
            Item::Partial => {}
        }
        Ok(())
    }

    fn at(&self, index: usize) -> u64 {
        self.offset + index as u64
    }

    /// Whether what comes next is a sound beginning and then nothing but zeros.
    fn is_cut_off_by_zeros(&self) -> bool {
        let rest = &self.buffer[self.parsed..];
        let len = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        len < rest.len() && item(&rest[..len], 0) == Item::Partial
    }

    fn note_command(&mut self, end: usize, name: Range<usize>) {
        let name = &self.buffer[name];
        if name.eq_ignore_ascii_case(b"multi") {
            self.transaction = self.transaction.or(Some(self.parsed));
        } else if name.eq_ignore_ascii_case(b"exec") {
            self.transaction = None;
        }
        match self.waiting.back_mut() {
            Some(run) if run.end == self.parsed => run.end = end,
            _ => self.waiting.push_back(self.parsed..end),
        }
        self.parsed = end;
        if !self.checked && self.transaction.is_none() {
            // Nobody checks this: what is whole may come out.
            self.ready.append(&mut self.waiting);
            self.block_start = end;
        }
    }

    fn note_comment(&mut self, end: usize) -> Result<(), Damage> {
        let start = std::mem::replace(&mut self.parsed, end);
        let text = &self.buffer[start..end - 2];
        let line = Line::parse(text);
        if line.is_none() && text.starts_with(block::PREFIX) {
            return Err(Damage::BadFormat { offset: self.at(start) });
        }
        match line {
            None => return Ok(()), // a comment of others, which a block may have within it
            Some(Line::Open(number)) => {
                self.checked = true;
                self.next_block = number;
            }
            Some(Line::Close(number)) => {
                self.checked = false;
                self.next_block = number;
            }
            Some(Line::At(place)) => self.place = Some(place),
            Some(Line::Block { number, len, checksum }) => {
                self.check_block(start, number, len, checksum)?;
                if self.suspect.is_some() {
                    return Ok(());
                }
            }
        }
        self.ready.append(&mut self.waiting);
        self.block_start = end;
        Ok(())
    }

    fn check_block(
        &mut self,
        end: usize,
        number: u64,
        len: usize,
        checksum: u64,
    ) -> Result<(), Damage> {
        let offset = self.at(self.block_start);
        let block = &self.buffer[self.block_start..end];
        if self.checked && (block.len() != len || block::checksum(number, block) != checksum) {
            // At the end of the file it is a write that was cut off.
            self.suspect = Some(Damage::Checksum { offset });
            self.transaction = None;
            return Ok(());
        }
        if self.checked && number != self.next_block {
            return Err(Damage::Sequence { offset });
        }
        self.checked = true;
        self.next_block = number + 1;
        Ok(())
    }

    /// Forgets what was understood from `start` on.
    fn drop_from(&mut self, start: usize) {
        self.parsed = start;
        self.waiting.retain_mut(|run| {
            run.end = run.end.min(start);
            run.start < run.end
        });
    }

    /// An incomplete command at the end of the file was cut off, unless what it swallows are whole commands.
    fn check_that_nothing_follows(&self) -> Result<(), Damage> {
        let rest = &self.buffer[self.parsed..];
        for line_end in memchr::memmem::find_iter(rest, b"\r\n") {
            let next = line_end + 2;
            let follows = match rest.get(next) {
                Some(b'*') => matches!(item(rest, next), Item::Command { .. }),
                Some(b'#') => {
                    rest[next..].starts_with(block::PREFIX)
                        && {
                            matches!(item(rest, next), Item::Comment { end } if Line::parse(&rest[next..end - 2]).is_some())
                        }
                }
                _ => false,
            };
            if follows {
                return Err(Damage::Overlong { offset: self.at(self.parsed) });
            }
        }
        Ok(())
    }
}

fn has_sector_of_zeros(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, &[0; SECTOR]).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::write_request;

    fn command(line: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        write_request(&mut bytes, words.into_iter());
        bytes
    }

    fn block(number: u64, lines: &[&str]) -> Vec<u8> {
        let mut bytes: Vec<u8> = lines.iter().flat_map(|line| command(line)).collect();
        let line = Line::of_block(number, &bytes);
        line.write(&mut bytes);
        bytes
    }

    /// A file of ours: 20 commands in blocks of different sizes.
    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        Line::Open(5).write(&mut bytes);
        let mut written = 0;
        for (number, count) in [1, 2, 3, 1, 4, 5, 1, 3].into_iter().enumerate() {
            let lines: Vec<String> =
                (written..written + count).map(|i| format!("SET key:{i} value{i}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            bytes.extend(block(5 + number as u64, &lines));
            written += count;
        }
        bytes
    }

    /// All commands that come out, and how the file ends.
    fn read(bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Tail), Damage> {
        let (mut reader, mut all) = (Reader::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            reader.feed(piece);
            while let Some(commands) = reader.next_commands()? {
                all.extend_from_slice(commands);
            }
        }
        let (rest, tail) = reader.finish()?;
        all.extend(rest);
        Ok((all, tail))
    }

    /// The bytes of a file without its comments.
    fn commands_of(bytes: &[u8]) -> Vec<u8> {
        let (mut all, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            match item(bytes, at) {
                Item::Command { end, .. } => {
                    all.extend_from_slice(&bytes[at..end]);
                    at = end;
                }
                Item::Comment { end } => at = end,
                _ => break,
            }
        }
        all
    }

    #[test]
    fn what_was_written_comes_out_however_it_is_fed() {
        let bytes = file();
        for piece in [1, 2, 7, 64, 1 << 20] {
            let (all, tail) = read(&bytes, piece).unwrap();
            assert_eq!(all, commands_of(&bytes));
            let expected = Tail {
                sound_end: bytes.len() as u64,
                torn: false,
                in_transaction: false,
                next_block: 13,
                open: true,
                place: None,
            };
            assert_eq!(tail, expected);
        }
    }

    #[test]
    fn d15_a_file_cut_anywhere_gives_the_longest_whole_prefix() {
        let bytes = file();
        for len in 0..bytes.len() {
            let (all, tail) = read(&bytes[..len], 50).unwrap();
            assert_eq!(all, commands_of(&bytes[..len]), "cut at {len}");
            assert_eq!(tail.torn, tail.sound_end < len as u64);
        }
    }

    #[test]
    fn d17_no_flipped_bit_gives_wrong_data() {
        let bytes = file();
        let whole = commands_of(&bytes);
        let (mut refused, mut shortened, mut harmless) = (0, 0, 0);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            match read(&flipped, 1 << 20) {
                Err(_) => refused += 1,
                Ok((all, _)) if all == whole => harmless += 1,
                Ok((all, tail)) => {
                    assert!(whole.starts_with(&all) && tail.torn, "bit {bit}: wrong data");
                    shortened += 1;
                }
            }
        }
        assert!(
            refused > 5000 && shortened > 100 && harmless < 200,
            "{refused} {shortened} {harmless}"
        );
    }

    #[test]
    fn d18_zeros_at_the_end_are_a_torn_tail() {
        let bytes = file();
        for cut in [bytes.len(), bytes.len() - 3, bytes.len() - 50, bytes.len() - 110] {
            for zeros in [1, 2, 10, 511, 1500, 8192] {
                let mut torn = bytes[..cut].to_vec();
                torn.resize(cut + zeros, 0);
                let (all, tail) = read(&torn, 4096).unwrap();
                assert!(tail.torn && commands_of(&bytes[..cut]).starts_with(&all));
            }
        }
    }

    #[test]
    fn d19_a_huge_length_before_whole_commands_is_refused() {
        for bytes in [file(), commands_of(&file())] {
            let text = String::from_utf8(bytes).unwrap();
            let broken = text.replacen("$5\r\nkey:7", "$999999\r\nkey:7", 1);
            assert!(matches!(read(broken.as_bytes(), 100), Err(Damage::Overlong { .. })));
        }
    }

    #[test]
    fn a_missing_block_is_noticed() {
        let mut bytes = Vec::new();
        Line::Open(1).write(&mut bytes);
        bytes.extend(block(1, &["SET a 1"]));
        let offset = bytes.len() as u64;
        bytes.extend(block(3, &["SET c 1"]));
        assert_eq!(read(&bytes, 1000), Err(Damage::Sequence { offset }));
    }

    #[test]
    fn files_of_redis_come_out_command_by_command() {
        let mut bytes = b"#TS:1700000000\r\n".to_vec();
        bytes.extend(command("SET a 1"));
        bytes.extend(b"#TS:1700000001\r\n");
        bytes.extend(command("SET b 1"));
        let (all, tail) = read(&bytes, 5).unwrap();
        assert_eq!(all, commands_of(&bytes));
        assert!(!tail.open && !tail.torn);
    }

    #[test]
    fn what_redis_appends_to_a_file_of_ours_is_read() {
        let mut bytes = file();
        Line::Close(13).write(&mut bytes);
        bytes.extend(command("SET by redis"));
        let (all, tail) = read(&bytes, 1000).unwrap();
        assert_eq!(all, commands_of(&bytes));
        assert!(!tail.open && tail.next_block == 13);
        Line::Open(13).write(&mut bytes);
        bytes.extend(block(13, &["SET ours again"]));
        let (all, tail) = read(&bytes, 1000).unwrap();
        assert_eq!((all, tail.next_block), (commands_of(&bytes), 14));
    }

    #[test]
    fn d23_a_transaction_without_its_exec_is_dropped() {
        let sound = command("SET a 1");
        let mut bytes = sound.clone();
        for line in ["MULTI", "SET a 2", "SET b 2"] {
            bytes.extend(command(line));
        }
        let (all, tail) = read(&bytes, 10).unwrap();
        assert_eq!(all, sound);
        assert_eq!((tail.sound_end, tail.in_transaction), (sound.len() as u64, true));
        bytes.extend(command("EXEC"));
        assert_eq!(read(&bytes, 10).unwrap().0, bytes);
    }

    #[test]
    fn a_last_block_whose_sectors_did_not_all_arrive_is_a_torn_tail() {
        let mut bytes = file();
        let sound_end = bytes.len();
        let value = "x".repeat(3000);
        bytes.extend(block(13, &[&format!("SET big {value}")]));
        bytes[sound_end + 600..sound_end + 1112].fill(0);
        let (all, tail) = read(&bytes, 1000).unwrap();
        assert_eq!((all, tail.sound_end), (commands_of(&file()), sound_end as u64));
        let without_line = &bytes[..bytes.len() - 30];
        assert_eq!(read(without_line, 1000).unwrap().1.sound_end, sound_end as u64);
        bytes.extend(block(14, &["SET later 1"]));
        assert_eq!(read(&bytes, 1000), Err(Damage::Checksum { offset: sound_end as u64 }));
    }

    #[test]
    fn a_place_holds_only_at_the_very_end() {
        let place = Place { replid: [b'a'; 40], offset: 7, db: 1 };
        let mut bytes = file();
        Line::Close(13).write(&mut bytes);
        Line::At(place).write(&mut bytes);
        assert_eq!(read(&bytes, 100).unwrap().1.place, Some(place));
        for more in [&b"#a comment of others\r\n"[..], &command("SET a 1"), b"*1\r\n$4"] {
            let bytes = [&bytes, more].concat();
            assert_eq!(read(&bytes, 100).unwrap().1.place, None);
        }
        let flipped = bytes.len() - 30;
        bytes[flipped] ^= 1;
        assert!(read(&bytes, 100).is_err());
    }
}
