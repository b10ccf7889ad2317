//! `Encoder`: lengths and strings as RDB has them. The forms are in `input`.

use super::format::string_encoding;
use super::lzf::Compressor;
use crate::resp::number::parse_i64;

/// The longest text of an integer that has a form of its own: `-2147483648`.
const INTEGER_TEXT_MAX: usize = 11;
/// Strings up to here do not get smaller.
const UNCOMPRESSED_MAX: usize = 20;
/// What compression must save.
const SAVED_MIN: usize = 4;

/// Marks a byte that stands for a string's encoding instead of a length.
const ENCODED: u8 = 0xc0;

/// Writes strings. To be kept: it has the memory that compression works in, 256 KiB from the first long string on.
#[derive(Debug, Default)]
pub struct Encoder {
    compressor: Option<Compressor>,
}

impl Encoder {
    /// `compresses` is `rdbcompression`.
    pub fn new(compresses: bool) -> Self {
        Self { compressor: compresses.then(Compressor::default) }
    }

    /// Writes a string: an integer in few bytes, what is long and gets smaller compressed, all else as it is.
    pub(super) fn string(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        if text.len() <= INTEGER_TEXT_MAX
            && let Some(number) = parse_i64(text)
            && let Ok(number) = i32::try_from(number)
        {
            return integer(out, number);
        }
        if text.len() > UNCOMPRESSED_MAX
            && let Some(compressor) = &mut self.compressor
            && let Some(compressed) = compressor.compress(text, text.len() - SAVED_MIN)
        {
            out.push(ENCODED | string_encoding::LZF);
            length(out, compressed.len() as u64);
            length(out, text.len() as u64);
            out.extend_from_slice(compressed);
            return;
        }
        length(out, text.len() as u64);
        out.extend_from_slice(text);
    }
}

/// Writes a length, or another number of its kind.
pub(super) fn length(out: &mut Vec<u8>, length: u64) {
    let [.., high, low] = length.to_be_bytes();
    match length {
        ..0x40 => out.push(low),
        0x40..0x4000 => out.extend_from_slice(&[0x40 | high, low]),
        0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

fn integer(out: &mut Vec<u8>, number: i32) {
    let bytes = number.to_le_bytes();
    let (encoding, len) = match number {
        -0x80..=0x7f => (string_encoding::INT_8, 1),
        -0x8000..=0x7fff => (string_encoding::INT_16, 2),
        _ => (string_encoding::INT_32, 4),
    };
    out.push(ENCODED | encoding);
    out.extend_from_slice(&bytes[..len]);
}

#[cfg(test)]
mod tests {
    use super::super::input::Input;
    use super::*;

    #[test]
    fn lengths_and_strings_are_read_as_they_were_written() {
        let mut encoder = Encoder::new(true);
        for len in [0, 63, 64, 16_383, 16_384, 0xffff_ffff, 0x1_0000_0000, u64::MAX] {
            let mut out = Vec::new();
            length(&mut out, len);
            assert_eq!(Input::new(&out, 0).length().unwrap(), len);
        }
        let mut texts: Vec<Vec<u8>> =
            [0, 1, 20, 21, 63, 64, 16_384].map(|len| vec![b'x'; len]).to_vec();
        for number in [-129, -128, 127, 128, 32_767, 32_768, i64::from(i32::MIN), i64::MAX] {
            texts.push(number.to_string().into_bytes());
        }
        texts.extend([b"007".to_vec(), b"-0".to_vec(), (0..=255).collect()]);
        for text in texts {
            let mut out = Vec::new();
            encoder.string(&mut out, &text);
            assert!(out.len() <= text.len() + 5);
            let mut input = Input::new(&out, 0);
            assert_eq!(*input.string().unwrap(), text);
            assert_eq!(input.consumed(), out.len());
        }
    }
}
