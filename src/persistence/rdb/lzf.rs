//! LZF, the compression of strings in RDB (Marc Lehmann, liblzf).
//!
//! ```text
//! 000lllll                      l + 1 bytes follow as they are
//! lllooooo oooooooo             l + 2 bytes (l is 1 to 6) are those that came o + 1 before
//! 111ooooo llllllll oooooooo    l + 9 bytes are those that came o + 1 before
//! ```
//! Any encoder makes bytes that every decoder reads. This one finds the same matches as liblzf in Redis's settings (16
//! bits of hash, "very fast"), so that `DUMP` gives the same bytes. Written by hand: the crate `lzf` is deprecated.

/// Bytes that are copied as they are, in one run.
const LITERALS_MAX: usize = 32;
/// How far back a match may be.
const DISTANCE_MAX: usize = 1 << 13;
const MATCH_MAX: usize = 264;
const HASH_BITS: u32 = 16;
/// Output memory that is kept for the next input.
const OUTPUT_KEPT: usize = 64 * 1024;
/// What the longest match makes of its three bytes, for each of them.
const EXPANSION_MAX: usize = MATCH_MAX / 3;

/// Entries in a part of the table: 32 KiB. A table of one piece would be memory fresh from the system, which may have to
/// clear a huge page for it: that can take longer than a turn of the loop may.
const PART_LEN: usize = 1 << 13;
const PARTS: usize = (1 << HASH_BITS) / PART_LEN;

/// A compressor, with the memory it works in: 256 KiB from the first use on.
#[derive(Debug, Default)]
pub(super) struct Compressor {
    /// Where three bytes with this hash were seen last, plus `base`. What is below `base` is of inputs before.
    seen: Vec<Box<[u32; PART_LEN]>>,
    base: u32,
    output: Vec<u8>,
}

/// The bytes at and behind `at`, as a number of which only the low 24 bits count.
fn three(input: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([0, input[at], input[at + 1], input[at + 2]])
}

fn hash(three: u32) -> usize {
    let mixed = (three >> (24 - HASH_BITS)).wrapping_sub(three.wrapping_mul(5));
    (mixed & ((1 << HASH_BITS) - 1)) as usize
}

/// Whether three bytes match. Position 0 never does, as in liblzf, which takes it for "not seen".
fn is_match(input: &[u8], before: usize, at: usize) -> bool {
    before > 0 && at - before <= DISTANCE_MAX && input[before..before + 3] == input[at..at + 3]
}

/// How many bytes match, of which three do. liblzf leaves out the last two bytes of the input, unless it gets to them
/// in the first 18, which it compares without looking for the end.
fn match_len(input: &[u8], before: usize, at: usize) -> usize {
    let left = input.len() - at - 2;
    let max = left.min(MATCH_MAX);
    let is_same = |len: &usize| input[before + len] == input[at + len];
    if max <= 16 {
        return (3..max).find(|len| !is_same(len)).unwrap_or(max.max(3));
    }
    (3..=18)
        .find(|len| !is_same(len))
        .unwrap_or_else(|| (19..max).find(|len| !is_same(len)).unwrap_or(max.max(19)))
}

impl Compressor {
    /// The compressed form of `input`, if it has at most `len_max` bytes. O(input).
    pub fn compress(&mut self, input: &[u8], len_max: usize) -> Option<&[u8]> {
        let len = u32::try_from(input.len()).ok()?;
        self.forget(len);
        self.output.clear();
        self.output.shrink_to(OUTPUT_KEPT);
        let is_small = !input.is_empty() && self.find_matches(input, len_max);
        self.base += len;
        is_small.then_some(&self.output)
    }

    /// Makes all that was seen that of inputs before, with room for the positions of the next one.
    fn forget(&mut self, len: u32) {
        if self.seen.is_empty() || self.base.checked_add(len).is_none() {
            self.seen.clear();
            self.seen.resize_with(PARTS, || Box::new([0; PART_LEN]));
            self.base = 1;
        }
    }

    fn seen(&mut self, hash: usize) -> &mut u32 {
        &mut self.seen[hash / PART_LEN][hash % PART_LEN]
    }

    fn find_matches(&mut self, input: &[u8], len_max: usize) -> bool {
        let mut output = std::mem::take(&mut self.output);
        let is_small = self.find_matches_into(&mut output, input, len_max);
        self.output = output;
        is_small
    }

    fn find_matches_into(&mut self, output: &mut Vec<u8>, input: &[u8], len_max: usize) -> bool {
        let mut run = Run::begin(output);
        let mut at = 0;
        while at + 2 < input.len() {
            let base = self.base;
            let slot = self.seen(hash(three(input, at)));
            let before = slot.checked_sub(base).map(|before| before as usize);
            *slot = base + at as u32;
            let Some(before) = before.filter(|&before| is_match(input, before, at)) else {
                if run.output.len() >= len_max {
                    return false;
                }
                run.literal(input[at]);
                at += 1;
                continue;
            };
            if run.len() + 4 >= len_max {
                return false;
            }
            let len = match_len(input, before, at);
            run.copy(at - before - 1, len);
            at += len;
            if at + 2 < input.len() {
                for last in [at - 2, at - 1] {
                    *self.seen(hash(three(input, last))) = base + last as u32;
                }
            }
        }
        if run.output.len() + 3 > len_max {
            return false;
        }
        input[at..].iter().for_each(|&byte| run.literal(byte));
        run.end();
        true
    }
}

/// Output that ends with a run of literals, which may be empty.
struct Run<'a> {
    output: &'a mut Vec<u8>,
    literals: usize,
}

impl<'a> Run<'a> {
    /// The byte before the literals says how many they are: it has its place now and its value later.
    fn begin(output: &'a mut Vec<u8>) -> Self {
        output.push(0);
        Self { output, literals: 0 }
    }

    /// Length of the output, without the first byte of a run that is empty.
    fn len(&self) -> usize {
        self.output.len() - usize::from(self.literals == 0)
    }

    fn literal(&mut self, byte: u8) {
        self.output.push(byte);
        self.literals += 1;
        if self.literals == LITERALS_MAX {
            self.end();
            self.output.push(0);
        }
    }

    /// Adds `len` bytes that came `distance + 1` before.
    fn copy(&mut self, distance: usize, len: usize) {
        self.end();
        let (high, low) = ((distance >> 8) as u8, distance as u8);
        match len - 2 {
            short @ ..7 => self.output.push((short as u8) << 5 | high),
            long => self.output.extend_from_slice(&[7 << 5 | high, (long - 7) as u8]),
        }
        self.output.extend_from_slice(&[low, 0]);
    }

    /// Says how many literals the run has; an empty one is taken back.
    fn end(&mut self) {
        match self.literals {
            0 => _ = self.output.pop(),
            literals => {
                let first = self.output.len() - literals - 1;
                self.output[first] = (literals - 1) as u8;
            }
        }
        self.literals = 0;
    }
}

/// Unpacks what must become `len` bytes; `None` if it does not. Takes bytes of any origin: memory is bounded by them.
pub(super) fn decompress(compressed: &[u8], len: u64) -> Option<Vec<u8>> {
    let len = usize::try_from(len).ok()?;
    if len > compressed.len().saturating_mul(EXPANSION_MAX) {
        return None;
    }
    let mut output = Vec::with_capacity(len);
    let mut input = compressed;
    while let Some((&first, rest)) = input.split_first() {
        let high = usize::from(first & 0x1f);
        input = match first >> 5 {
            0 => {
                let (literals, rest) = rest.split_at_checked(high + 1)?;
                output.extend_from_slice(literals);
                rest
            }
            7 => {
                let ([more, low], rest) = rest.split_first_chunk()?;
                repeat(&mut output, high << 8 | usize::from(*low), 9 + usize::from(*more))?;
                rest
            }
            short => {
                let (low, rest) = rest.split_first()?;
                repeat(&mut output, high << 8 | usize::from(*low), 2 + usize::from(short))?;
                rest
            }
        };
        if output.len() > len {
            return None;
        }
    }
    (output.len() == len).then_some(output)
}

/// Adds `len` bytes that came `distance + 1` before, which may overlap with what is added.
fn repeat(output: &mut Vec<u8>, distance: usize, len: usize) -> Option<()> {
    let start = output.len().checked_sub(distance + 1)?;
    let mut left = len;
    // What was added goes on as it began: each time twice as much can be copied at once.
    while left > 0 {
        let part = left.min(output.len() - start);
        output.extend_from_within(start..start + part);
        left -= part;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn repetition_becomes_what_liblzf_makes_of_it() {
        let mut compressor = Compressor::default();
        // From `DUMP` of Redis 7.0.15: SET k aaa... (30 times).
        assert_eq!(compressor.compress(&[b'a'; 30], 26), Some(&b"\x01aa\xe0\x11\0\x01aa"[..]));
        // What was seen in one input is not used for the next one.
        assert_eq!(compressor.compress(b"aabcdefghijklmnopqrstuvwxyz", 23), None);
    }

    #[test]
    fn what_does_not_get_smaller_is_refused() {
        let mut compressor = Compressor::default();
        assert_eq!(compressor.compress(b"", 10), None);
        assert_eq!(compressor.compress(b"abc", 0), None);
        assert_eq!(compressor.compress(&[b'a'; 30], 5), None);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        for (bytes, len) in [
            (&b"\x02ab"[..], 3),    // a literal too few
            (b"\x02abc", 4),        // too short
            (b"\x02abc", 2),        // too long
            (b"\x00a\x20\x01", 4),  // from before the beginning
            (b"\x00a\x20", 4),      // no distance
            (b"\x00a\xe0\x01", 11), // no distance
            (b"\x00a", u64::MAX),
            (b"", 1),
        ] {
            assert_eq!(decompress(bytes, len), None, "{bytes:?}");
        }
        assert_eq!(decompress(b"\x00a\x20\x00", 4), Some(b"aaaa".to_vec()));
        assert_eq!(decompress(b"", 0), Some(vec![]));
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(
            inputs in prop::collection::vec(prop::collection::vec(0_u8..3, 0..700), 1..4),
            noise in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut compressor = Compressor::default();
            for mut input in inputs {
                input.splice(input.len() / 2..input.len() / 2, noise.iter().copied());
                if let Some(compressed) = compressor.compress(&input, input.len()) {
                    prop_assert!(compressed.len() <= input.len());
                    prop_assert_eq!(decompress(compressed, input.len() as u64), Some(input));
                }
            }
        }

        #[test]
        fn any_bytes_may_be_unpacked(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            len in 0_u64..500,
        ) {
            decompress(&bytes, len);
        }
    }
}
