//! Changing a listpack that is a `Vec<u8>`: the entries behind the change move, the header follows.
//!
//! All cost O(bytes behind the change). Positions behind a change are no longer good.

use super::entry::{END, decode, skip};
use super::{COUNT_UNKNOWN, Element, Encoded, HEADER, Listpack, Position};

/// A listpack without elements.
pub fn new() -> Vec<u8> {
    vec![7, 0, 0, 0, 0, 0, END]
}

/// Adds `value` behind the last element. Amortized O(value).
#[inline]
pub fn append<'v>(listpack: &mut Vec<u8>, value: impl Into<Encoded<'v>>) {
    append_at(listpack, 0, &value.into());
}

/// As [`append`], to a listpack that begins at `start` in its buffer.
#[inline]
pub(super) fn append_at(buffer: &mut Vec<u8>, start: usize, value: &Encoded<'_>) {
    let at = buffer.len() - 1;
    let end = at + value.size();
    buffer.resize(end + 1, END);
    value.write(&mut buffer[at..end]);
    buffer[end] = END;
    let listpack = &mut buffer[start..];
    set_total(listpack);
    add_to_count(listpack, 1);
}

/// Adds `value` before the first element.
pub fn prepend<'v>(listpack: &mut Vec<u8>, value: impl Into<Encoded<'v>>) {
    insert(listpack, Position(HEADER), value);
}

/// Adds `value` before the element at `position`, or behind the last one if that is the end. It is at `position` then.
pub fn insert<'v>(listpack: &mut Vec<u8>, position: Position, value: impl Into<Encoded<'v>>) {
    put(listpack, position.0, position.0, &value.into());
    add_to_count(listpack, 1);
}

/// Puts `value` in the place of the element at `position`.
pub fn replace<'v>(listpack: &mut Vec<u8>, position: Position, value: impl Into<Encoded<'v>>) {
    let end = skip(listpack, position.0);
    put(listpack, position.0, end, &value.into());
}

/// Removes the element at `position`, where the next one is afterwards, if there is one.
pub fn delete(listpack: &mut Vec<u8>, position: Position) {
    let end = skip(listpack, position.0);
    resize_gap(listpack, position.0, end, 0);
    subtract_from_count(listpack, 1);
}

/// Removes up to `count` elements from the one at `position` (or the end) on. Returns how many.
pub fn delete_range(listpack: &mut Vec<u8>, position: Position, count: usize) -> usize {
    let (mut end, mut deleted) = (position.0, 0);
    while deleted < count && listpack[end] != END {
        end = skip(listpack, end);
        deleted += 1;
    }
    resize_gap(listpack, position.0, end, 0);
    subtract_from_count(listpack, deleted);
    deleted
}

/// Keeps the elements that `keep` wants, which it is asked in order. Returns how many are gone. O(bytes).
pub fn retain(listpack: &mut Vec<u8>, mut keep: impl FnMut(Element<'_>) -> bool) -> usize {
    let (mut read, mut write) = (HEADER, HEADER);
    let (mut kept, mut deleted) = (0, 0);
    while listpack[read] != END {
        let (element, next) = decode(listpack, read);
        if keep(element) {
            if read != write {
                listpack.copy_within(read..next, write);
            }
            write += next - read;
            kept += 1;
        } else {
            deleted += 1;
        }
        read = next;
    }
    listpack.truncate(write + 1);
    listpack[write] = END;
    set_header(listpack, kept);
    deleted
}

/// Adds the elements of `tail` behind those of `listpack`. O(bytes of `tail`).
pub fn concatenate(listpack: &mut Vec<u8>, tail: Listpack<'_>) {
    let count = Listpack::new(listpack).len() + tail.len();
    listpack.pop();
    listpack.extend_from_slice(&tail.bytes()[HEADER..]);
    set_header(listpack, count);
}

/// Takes the elements from number `index` on out, as a listpack of their own.
pub fn split_off(listpack: &mut Vec<u8>, index: usize) -> Vec<u8> {
    let view = Listpack::new(listpack);
    let len = view.len();
    let at = view.seek(index).unwrap_or(view.end()).0;
    let mut tail = Vec::with_capacity(HEADER + listpack.len() - at);
    tail.extend_from_slice(&listpack[..HEADER]);
    tail.extend_from_slice(&listpack[at..]);
    set_header(&mut tail, len.saturating_sub(index));
    listpack.truncate(at + 1);
    listpack[at] = END;
    set_header(listpack, len.min(index));
    tail
}

/// Writes `value` in the place of the bytes from `at` to `end`.
fn put(listpack: &mut Vec<u8>, at: usize, end: usize, value: &Encoded<'_>) {
    let size = value.size();
    resize_gap(listpack, at, end, size);
    value.write(&mut listpack[at..at + size]);
}

/// Moves what begins at `end` so that `size` bytes lie between it and `at`.
fn resize_gap(listpack: &mut Vec<u8>, at: usize, end: usize, size: usize) {
    let (old_len, new_end) = (listpack.len(), at + size);
    if new_end > end {
        listpack.resize(old_len + (new_end - end), 0);
        listpack.copy_within(end..old_len, new_end);
    } else if new_end < end {
        listpack.copy_within(end.., new_end);
        listpack.truncate(old_len - (end - new_end));
    }
    set_total(listpack);
}

/// Writes both parts of the header, for a listpack that is `listpack` from end to end.
#[inline]
pub(super) fn set_header(listpack: &mut [u8], count: usize) {
    set_total(listpack);
    set_count(listpack, count);
}

#[inline]
fn set_total(listpack: &mut [u8]) {
    let total = u32::try_from(listpack.len()).expect("the caller has asked safe_to_add");
    listpack[..4].copy_from_slice(&total.to_le_bytes());
}

#[inline]
fn set_count(listpack: &mut [u8], count: usize) {
    listpack[4..6].copy_from_slice(&(count.min(COUNT_UNKNOWN) as u16).to_le_bytes());
}

/// A count that has once become too large to be noted stays so: finding out would take a walk.
#[inline]
fn add_to_count(listpack: &mut [u8], more: usize) {
    if let Some(count) = Listpack::new(listpack).noted_len() {
        set_count(listpack, count + more);
    }
}

fn subtract_from_count(listpack: &mut [u8], less: usize) {
    if let Some(count) = Listpack::new(listpack).noted_len() {
        set_count(listpack, count - less);
    }
}
