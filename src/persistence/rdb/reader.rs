//! `Reader`: an RDB file that arrives in pieces, as events.
//!
//! Only what is not a whole item yet is kept: of a big collection one element, of a long string all of it.

use super::checksum::Checksum;
use super::format::{self, Family, ValueType, Version};
use super::input::{Input, Stop};
use super::read_value::ValueReader;
use super::{Error, Limits, Problem, Value};
use crate::keyspace::Recency;

/// Bytes that a file begins with, version included.
const MAGIC_BYTES: usize = 9;

/// Memory of the buffer that is kept when a long string has been read.
const BUFFER_KEPT: usize = 1 << 20;

/// An expire time that means none.
const NEVER: i64 = -1;

/// What was found in a file.
#[derive(Debug)]
pub enum Event {
    /// The file is an RDB file.
    Header(Version),
    /// A name and a text about the file, such as `redis-ver`.
    Aux {
        /// The name.
        name: Vec<u8>,
        /// The text.
        value: Vec<u8>,
    },
    /// The keys that follow are of this database.
    SelectDb(u64),
    /// How large the database is. A hint.
    ResizeDb {
        /// Keys in it.
        keys: u64,
        /// Of which so many expire.
        expiring: u64,
    },
    /// How large a slot of a cluster is. A hint.
    SlotInfo {
        /// Number of the slot.
        slot: u64,
        /// Keys in it.
        keys: u64,
        /// Of which so many expire.
        expiring: u64,
    },
    /// The text of a library of functions.
    Function(Vec<u8>),
    /// Data of a module that belong to no key were passed over.
    ModuleAux {
        /// The number of the module's type: its name and version.
        module: u64,
    },
    /// A key with its value.
    Key(Key),
    /// The end. What follows in the input is not part of the file ([`Reader::rest`]).
    End {
        /// Whether there was a checksum, which was right then.
        has_checksum: bool,
    },
}

/// A key that was read.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Value,
    /// When it expires, in Unix milliseconds; `None` = never. It may have passed.
    pub expire_at_ms: Option<i64>,
    /// How long ago or how often it was used, if the file says so.
    pub recency: Recency,
}

/// What the next key has beside its name and value.
#[derive(Clone, Copy, Default, Debug)]
struct Attributes {
    expire_at_ms: Option<i64>,
    recency: Recency,
}

/// Where in the file the next byte is.
#[derive(Debug)]
enum State {
    Header,
    Records,
    ModuleAux { module: u64 },
    Value { name: Vec<u8>, value: ValueReader },
    Ended,
}

/// Reads a file that comes in pieces.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    state: State,
    version: Version,
    attributes: Attributes,
    /// What has arrived and is not forgotten yet.
    buffer: Vec<u8>,
    /// How much of it was read, and how much of that is in the checksum.
    read: usize,
    summed: usize,
    /// Where the buffer begins in the file.
    offset: u64,
    /// `None`: not to be checked.
    checksum: Option<Checksum>,
}

/// One step's result.
enum Step {
    /// Something was found.
    Event(Event),
    /// Something was read that is no event of its own.
    Silent,
    /// The value of this key follows.
    Value(Vec<u8>, ValueType),
    /// Data of a module follow.
    ModuleAux(u64),
    /// The file has ended, with this checksum or none.
    End(u64),
}

impl Reader {
    /// To read a file from its first byte on. `checks` is `rdbchecksum`: whether the checksum must be right.
    pub fn new(limits: Limits, checks: bool) -> Self {
        Self {
            limits,
            state: State::Header,
            version: Version { family: Family::Redis, number: 1 },
            attributes: Attributes::default(),
            buffer: Vec::new(),
            read: 0,
            summed: 0,
            offset: 0,
            checksum: checks.then(Checksum::new),
        }
    }

    /// Takes the next piece of the file. Events are to be taken out before the next one, or they pile up.
    pub fn feed(&mut self, piece: &[u8]) {
        self.add_to_checksum();
        self.offset += self.read as u64;
        self.buffer.drain(..self.read);
        if self.buffer.len() + piece.len() <= BUFFER_KEPT {
            self.buffer.shrink_to(BUFFER_KEPT);
        }
        (self.read, self.summed) = (0, 0);
        self.buffer.extend_from_slice(piece);
    }

    /// The next event; `None` if more has to arrive, or all was read. After an error there is no more to come.
    /// Amortized O(bytes).
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        loop {
            let step = match &mut self.state {
                State::Header => self.read_header()?,
                State::Records => self.read_record()?,
                State::Value { .. } => self.read_value()?,
                &mut State::ModuleAux { module } => self.read_module_aux(module)?,
                State::Ended => None,
            };
            match step {
                None => return Ok(None),
                Some(Step::Event(event)) => return Ok(Some(event)),
                Some(Step::Silent) => {}
                Some(Step::Value(name, value_type)) => {
                    self.state = State::Value { name, value: ValueReader::new(value_type) };
                }
                Some(Step::ModuleAux(module)) => self.state = State::ModuleAux { module },
                Some(Step::End(sum)) => return self.end(sum).map(Some),
            }
        }
    }

    /// How many bytes were read, which is the offset of what comes next.
    pub fn offset(&self) -> u64 {
        self.offset + self.read as u64
    }

    /// To be asked when no more will arrive: whether the file was whole.
    pub fn finish(&self) -> Result<(), Error> {
        match self.state {
            State::Ended => Ok(()),
            _ => Err(Error {
                offset: self.offset + self.buffer.len() as u64,
                problem: Problem::Truncated,
            }),
        }
    }

    /// What has arrived and was not read. After [`Event::End`] it is what follows the file.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.read..]
    }

    fn add_to_checksum(&mut self) {
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&self.buffer[self.summed..self.read]);
        }
        self.summed = self.read;
    }

    fn input(&self) -> Input<'_> {
        Input::new(self.rest(), self.offset())
    }

    /// Reads an item of which nothing is read before all of it has arrived.
    fn read_whole(
        &mut self,
        read: impl FnOnce(&mut Input<'_>) -> Result<Step, Stop>,
    ) -> Result<Option<Step>, Error> {
        let mut input = self.input();
        let step = input.whole(read)?;
        self.read += input.consumed();
        Ok(step)
    }

    fn read_header(&mut self) -> Result<Option<Step>, Error> {
        let step = self.read_whole(|input| {
            let magic: [u8; MAGIC_BYTES] = input.array()?;
            Ok(Step::Event(Event::Header(parse_magic(&magic)?)))
        })?;
        if let Some(Step::Event(Event::Header(version))) = step {
            (self.version, self.state) = (version, State::Records);
        }
        Ok(step)
    }

    fn read_record(&mut self) -> Result<Option<Step>, Error> {
        let (version, mut attributes) = (self.version, self.attributes);
        let step = self.read_whole(|input| read_record(version, &mut attributes, input))?;
        self.attributes = attributes;
        Ok(step)
    }

    fn read_value(&mut self) -> Result<Option<Step>, Error> {
        let State::Value { name, value } = &mut self.state else { return Ok(None) };
        let mut input = Input::new(&self.buffer[self.read..], self.offset + self.read as u64);
        let result = value.read(&mut input, &self.limits);
        self.read += input.consumed();
        let Some(value) = result? else { return Ok(None) };
        let name = std::mem::take(name);
        self.state = State::Records;
        let Attributes { expire_at_ms, recency } = std::mem::take(&mut self.attributes);
        let key = Key { name, value, expire_at_ms, recency };
        Ok(Some(Step::Event(Event::Key(key))))
    }

    /// Passes over one of the data of a module, which are numbers and strings, each behind its kind.
    fn read_module_aux(&mut self, module: u64) -> Result<Option<Step>, Error> {
        let step = self.read_whole(|input| {
            match input.length()? {
                0 => return Ok(Step::Event(Event::ModuleAux { module })),
                1 | 2 => drop(input.length()?), // signed, unsigned
                3 => drop(input.array::<4>()?),
                4 => drop(input.array::<8>()?),
                5 => drop(input.string()?),
                _ => return Err(Problem::Module.into()),
            }
            Ok(Step::Silent)
        })?;
        if let Some(Step::Event(_)) = step {
            self.state = State::Records;
        }
        Ok(step)
    }

    fn end(&mut self, sum: u64) -> Result<Event, Error> {
        let sum_bytes = if self.version.has_checksum() { size_of::<u64>() } else { 0 };
        let end = self.read;
        self.read = end - sum_bytes; // the checksum is not of itself
        self.add_to_checksum();
        (self.read, self.summed) = (end, end);
        if let Some(checksum) = &self.checksum
            && sum != 0
            && sum != checksum.value()
        {
            let offset = self.offset() - sum_bytes as u64;
            return Err(Error { offset, problem: Problem::Checksum });
        }
        self.state = State::Ended;
        Ok(Event::End { has_checksum: sum != 0 && self.checksum.is_some() })
    }
}

fn parse_magic(magic: &[u8; MAGIC_BYTES]) -> Result<Version, Problem> {
    let (family, digits) = match magic {
        [b'R', b'E', b'D', b'I', b'S', digits @ ..] => (Family::Redis, &digits[..]),
        [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => (Family::Valkey, &digits[..]),
        _ => return Err(Problem::NotAnRdbFile),
    };
    let mut number = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(Problem::NotAnRdbFile);
        }
        number = 10 * number + u32::from(digit - b'0');
    }
    match Version::from_number(number) {
        Some(version) if version.family == family => Ok(version),
        _ => Err(Problem::Version(number)),
    }
}

/// Reads an opcode and what belongs to it, or the type and name of a key.
fn read_record(
    version: Version,
    attributes: &mut Attributes,
    input: &mut Input<'_>,
) -> Result<Step, Stop> {
    Ok(Step::Event(match input.byte()? {
        format::EXPIRE_TIME => {
            let seconds = i32::from_le_bytes(input.array()?);
            attributes.expire_at_ms = Some(i64::from(seconds) * 1000);
            return Ok(Step::Silent);
        }
        format::EXPIRE_TIME_MS => {
            attributes.expire_at_ms = Some(input.time_ms()?).filter(|&at_ms| at_ms != NEVER);
            return Ok(Step::Silent);
        }
        format::IDLE => {
            attributes.recency = Recency::IdleSeconds(input.length()?);
            return Ok(Step::Silent);
        }
        format::FREQ => {
            attributes.recency = Recency::Frequency(input.byte()?);
            return Ok(Step::Silent);
        }
        format::SELECT_DB => Event::SelectDb(input.length()?),
        format::RESIZE_DB => Event::ResizeDb { keys: input.length()?, expiring: input.length()? },
        format::SLOT_INFO => {
            let (slot, keys, expiring) = (input.length()?, input.length()?, input.length()?);
            Event::SlotInfo { slot, keys, expiring }
        }
        format::AUX => {
            let (name, value) = (input.string()?.into_owned(), input.string()?.into_owned());
            Event::Aux { name, value }
        }
        format::FUNCTION_2 => Event::Function(input.string()?.into_owned()),
        format::FUNCTION_BEFORE_RELEASE => return Err(Problem::FunctionBeforeRelease.into()),
        format::MODULE_AUX => return Ok(Step::ModuleAux(input.length()?)),
        format::SLOT_IMPORT if version.family == Family::Valkey => {
            return Err(Problem::SlotImport.into());
        }
        format::EOF if version.has_checksum() => {
            return Ok(Step::End(u64::from_le_bytes(input.array()?)));
        }
        format::EOF => return Ok(Step::End(0)),
        number => {
            let value_type = ValueType::from_number(number, version.family)?;
            return Ok(Step::Value(input.string()?.into_owned(), value_type));
        }
    }))
}
