//! `ValueReader`: one value, read as its bytes arrive. What is left unread is less than one element.

use std::borrow::Cow;

use super::build::{add_field, add_member, add_scored, push};
use super::format::{FieldForm, NodeForm, PackedForm, ScoreForm, ValueType, node};
use super::input::{Input, Stop};
use super::read_packed::{listpack_of_ziplist, unpack};
use super::{Error, Limits, Problem, Value};
use crate::resp::number::parse_f64;
use crate::types::hash::Hash;
use crate::types::list::List;
use crate::types::listpack;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;

/// How Valkey writes that a field never expires.
const NEVER: i64 = -1;

/// A value that is being read.
#[derive(Debug)]
pub(super) enum ValueReader {
    /// Nothing of it was read.
    Start(ValueType),
    /// Some elements were.
    Collection { left: u64, parts: Parts },
}

/// A collection without what is still to come.
#[derive(Debug)]
pub(super) enum Parts {
    List(List),
    Quicklist { form: NodeForm, list: List },
    Set { set: Option<Set>, len: usize },
    SortedSet { form: ScoreForm, set: SortedSet },
    Hash { times: FieldTimes, hash: Hash },
}

/// How the expire times of fields are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldTimes {
    form: FieldForm,
    /// What relative times are relative to.
    earliest_ms: u64,
}

impl ValueReader {
    /// A value of this type.
    pub fn new(value_type: ValueType) -> Self {
        Self::Start(value_type)
    }

    /// Reads on. `None` if more has to arrive; what was read is kept.
    pub fn read(&mut self, input: &mut Input<'_>, limits: &Limits) -> Result<Option<Value>, Error> {
        if let Self::Start(value_type) = *self {
            match input.whole(|input| start(value_type, input, limits))? {
                None => return Ok(None),
                Some(Start::Whole(value)) => return Ok(Some(value)),
                Some(Start::Collection(left, parts)) => *self = Self::Collection { left, parts },
            }
        }
        let Self::Collection { left, parts } = self else { return Ok(None) };
        while *left > 0 {
            if input.whole(|input| parts.read_element(input, limits))?.is_none() {
                return Ok(None);
            }
            *left -= 1;
        }
        parts.finish(limits).map(Some).ok_or_else(|| input.error(Problem::Empty))
    }
}

/// What is known of a value when its first bytes were read.
enum Start {
    Whole(Value),
    Collection(u64, Parts),
}

fn start(value_type: ValueType, input: &mut Input<'_>, limits: &Limits) -> Result<Start, Stop> {
    let earliest_ms = match value_type {
        ValueType::String => return Ok(Start::Whole(Value::String(input.string()?.into_owned()))),
        ValueType::Packed(form) => return packed(form, input, limits).map(Start::Whole),
        ValueType::Hash(FieldForm::BeforeRelative) => u64::from_le_bytes(input.array()?),
        _ => 0,
    };
    let len = input.length()?;
    if len == 0 {
        return Err(Problem::Empty.into());
    }
    let len_hint = usize::try_from(len).unwrap_or(usize::MAX);
    let parts = match value_type {
        ValueType::Set => Parts::Set { set: None, len: len_hint },
        ValueType::SortedSet(form) => {
            let set = SortedSet::new(len_hint, 0, limits.sorted_set, limits.hash_key);
            Parts::SortedSet { form, set }
        }
        ValueType::Hash(form) => {
            Parts::Hash { times: FieldTimes { form, earliest_ms }, hash: Hash::new() }
        }
        ValueType::Quicklist(form) => Parts::Quicklist { form, list: List::default() },
        ValueType::List | ValueType::String | ValueType::Packed(_) => Parts::List(List::default()),
    };
    Ok(Start::Collection(len, parts))
}

fn packed(form: PackedForm, input: &mut Input<'_>, limits: &Limits) -> Result<Value, Stop> {
    if form == (PackedForm::HashListpackEx { has_earliest: true }) {
        input.time_ms()?; // the earliest expire time, which the listpack has, too
    }
    let bytes = input.string()?.into_owned();
    Ok(unpack(form, bytes, limits)?)
}

impl Parts {
    /// Reads one element. Where it stops, the collection is as it was.
    fn read_element(&mut self, input: &mut Input<'_>, limits: &Limits) -> Result<(), Stop> {
        match self {
            Self::List(list) => push(list, &input.string()?, limits),
            Self::Quicklist { form, list } => read_node(*form, list, input)?,
            Self::Set { set, len } => add_member(set, &input.string()?, *len, limits)?,
            Self::SortedSet { form, set } => {
                let (member, score) = (input.string()?, read_score(*form, input)?);
                add_scored(set, &member, score, limits)?;
            }
            Self::Hash { times, hash } => {
                let (name, value, expire_at_ms) = read_field(*times, input)?;
                add_field(hash, &name, &value, expire_at_ms, limits)?;
            }
        }
        Ok(())
    }

    /// The collection; `None` if it is empty.
    fn finish(&mut self, limits: &Limits) -> Option<Value> {
        Some(match self {
            Self::List(list) | Self::Quicklist { list, .. } => {
                let mut list = std::mem::take(list);
                list.settle(limits.list);
                return (!list.is_empty()).then_some(Value::List(list));
            }
            Self::Set { set, .. } => Value::Set(set.take()?),
            Self::SortedSet { set, .. } => {
                let mut set = std::mem::replace(set, SortedSet::Packed(listpack::new()));
                set.pack_if_small(limits.sorted_set);
                Value::SortedSet(set)
            }
            Self::Hash { hash, .. } => Value::Hash(std::mem::take(hash)),
        })
    }
}

fn read_node(form: NodeForm, list: &mut List, input: &mut Input<'_>) -> Result<(), Stop> {
    let kind = match form {
        NodeForm::Ziplist => node::PACKED,
        NodeForm::Listpack => input.length()?,
    };
    let bytes = input.string()?.into_owned();
    match (form, kind) {
        (NodeForm::Ziplist, _) => list.append_packed(listpack_of_ziplist(&bytes)?),
        (NodeForm::Listpack, node::PACKED) if listpack::validate(&bytes) => {
            list.append_packed(bytes)
        }
        (NodeForm::Listpack, node::PACKED) => return Err(Problem::Listpack.into()),
        (NodeForm::Listpack, node::PLAIN) if !bytes.is_empty() => list.append_plain(bytes),
        (NodeForm::Listpack, _) => return Err(Problem::Node.into()),
    }
    Ok(())
}

fn read_score(form: ScoreForm, input: &mut Input<'_>) -> Result<f64, Stop> {
    if form == ScoreForm::Binary {
        return input.array().map(f64::from_le_bytes);
    }
    match input.byte()? {
        253 => Ok(f64::NAN),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        len => parse_f64(input.bytes(u64::from(len))?).ok_or(Problem::Score.into()),
    }
}

/// Name, value and expire time.
type FieldParts<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>, Option<i64>);

fn read_field<'a>(times: FieldTimes, input: &mut Input<'a>) -> Result<FieldParts<'a>, Stop> {
    let before = match times.form {
        FieldForm::Plain | FieldForm::Behind => 0,
        FieldForm::BeforeAbsolute | FieldForm::BeforeRelative => input.length()?,
    };
    let (name, value) = (input.string()?, input.string()?);
    let at_ms = match times.form {
        FieldForm::Behind => Some(input.time_ms()?).filter(|&at_ms| at_ms != NEVER),
        _ if before == 0 => None,
        FieldForm::BeforeRelative => {
            let at_ms = times.earliest_ms.checked_add(before - 1).ok_or(Problem::FieldExpiry)?;
            Some(i64::try_from(at_ms).map_err(|_| Problem::FieldExpiry)?)
        }
        _ => Some(i64::try_from(before).map_err(|_| Problem::FieldExpiry)?),
    };
    Ok((name, value, at_ms))
}
