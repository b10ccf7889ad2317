//! Requests as clients send them, over a fixed set of keys.

use mini_redis::resp::write_request;

/// Keys that are there before anything is measured.
pub const KEYS: u64 = 10_000;

/// The key of number `index`, 16 bytes long. Neighbouring indexes give keys far apart; all from 0 to [`KEYS`] differ.
pub fn key(index: u64) -> Vec<u8> {
    format!("key:{:012}", index * 7919 % KEYS).into_bytes()
}

/// A key that nobody has set, unless number `index` was set under this name.
pub fn fresh_key(index: u64) -> Vec<u8> {
    format!("new:{index:012}").into_bytes()
}

/// One request; words are separated by spaces, `KEY` stands for the key of number `index`, `NEW` for a fresh one. Every
/// further `KEY` or `NEW` of the request is the one of the next number.
pub fn request(line: &str, index: u64) -> Vec<u8> {
    let mut next = index..;
    let mut number = || next.next().expect("numbers do not end");
    let words: Vec<Vec<u8>> = line
        .split(' ')
        .map(|word| match word {
            "KEY" => key(number()),
            "NEW" => fresh_key(number()),
            _ => word.as_bytes().to_vec(),
        })
        .collect();
    let mut bytes = Vec::new();
    write_request(&mut bytes, words.iter().map(Vec::as_slice));
    bytes
}

/// `depth` requests of the form `line`, one behind the other.
pub fn pipeline(line: &str, first: u64, depth: u64) -> Vec<u8> {
    (first..first + depth).flat_map(|index| request(line, index)).collect()
}
