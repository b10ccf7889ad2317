//! The payload of `DUMP` and `RESTORE`: one value, the version, and a checksum.

use super::checksum::Checksum;
use super::format::{ValueType, Version};
use super::input::{Input, Stop};
use super::read_value::ValueReader;
use super::{Encoder, Error, Format, Limits, Problem, Value, ValueWriter};
use crate::keyspace::ValueRef;

/// Version and checksum.
const FOOTER: usize = 2 + 8;

/// The payload of a value. It is what Redis 7.0 writes; a hash with expire times of fields is written as by Redis 7.4,
/// because 7.0 has no form for it. O(value).
pub fn dump(value: ValueRef<'_>, encoder: &mut Encoder) -> Vec<u8> {
    let format = if value.has_field_expiry() { Format::Redis12 } else { Format::Redis10 };
    let mut payload = Vec::new();
    let mut writer = ValueWriter::new(format, value);
    writer.write_type(&mut payload);
    writer.step(value, encoder, &mut payload, usize::MAX);
    payload.extend_from_slice(&format.number().to_le_bytes());
    payload.extend_from_slice(&Checksum::of(&payload).to_le_bytes());
    payload
}

/// The value in a payload of any version that is read. [`Problem::Version`] and [`Problem::Checksum`] are about the
/// footer (a payload too short for one has no right checksum), all others about the value. O(payload).
pub fn restore(payload: &[u8], limits: &Limits) -> Result<Value, Error> {
    let (body, version) = check_footer(payload)?;
    let mut input = Input::new(body, 0);
    let value_type = input
        .whole(|input| Ok::<_, Stop>(ValueType::from_number(input.byte()?, version.family)?))?;
    let value = match value_type {
        Some(value_type) => ValueReader::new(value_type).read(&mut input, limits)?,
        None => None,
    };
    let Some(value) = value else {
        return Err(Error { offset: body.len() as u64, problem: Problem::Truncated });
    };
    if input.consumed() < body.len() {
        return Err(input.error(Problem::TrailingBytes));
    }
    Ok(value)
}

/// What stands before the footer, and the version.
fn check_footer(payload: &[u8]) -> Result<(&[u8], Version), Error> {
    let error = |problem| Error { offset: payload.len().saturating_sub(FOOTER) as u64, problem };
    let Some((body, &[low, high, ref sum @ ..])) = payload.split_last_chunk::<FOOTER>() else {
        return Err(error(Problem::Checksum));
    };
    let number = u16::from_le_bytes([low, high]);
    let version = Version::from_number(u32::from(number))
        .ok_or_else(|| error(Problem::Version(u32::from(number))))?;
    if Checksum::of(&payload[..body.len() + 2]).to_le_bytes() != *sum {
        return Err(error(Problem::Checksum));
    }
    Ok((body, version))
}
