//! Text to [`LongDouble`]: the grammar of C's `strtold`, less what Redis refuses, correctly rounded.
//!
//! A decimal text is the exact fraction `digits * 10^exponent`. It is turned into an integer (or a quotient with a
//! remainder) of more bits than a mantissa has, and rounded once: in 128 bits for what people type, in big integers for
//! the rest.
//!
//! The one known difference: glibc rounds some hexadecimal texts of subnormal numbers to the wrong neighbour. The 17
//! decimals Redis prints cannot show it, so here they are rounded like all others.

use num_bigint::BigUint;

use super::{LongDouble, Magnitude};

/// Redis's `MAX_LONG_DOUBLE_CHARS`: texts are shorter.
const TEXT_BYTES_MAX: usize = 5 * 1024;

/// Larger exponents are as good as infinite: no text within the limit has digits enough to make up for them.
const EXPONENT_LIMIT: i32 = 1_000_000;

/// Numbers below `10^4933` may be finite, numbers from `10^-4960` on may be other than zero.
const DECIMAL_MAGNITUDES: std::ops::RangeInclusive<i32> = -4960..=4933;

/// `5^27` is the largest power of five below `2^63`.
const SMALL_POWER_MAX: u32 = 27;

/// Quotients are taken to this many bits at least: more than a mantissa and the bit that rounds it.
const QUOTIENT_BITS: u64 = 66;

/// Reads the whole text, see [`LongDouble::parse`].
pub(super) fn long_double(text: &[u8]) -> Option<LongDouble> {
    if text.len() >= TEXT_BYTES_MAX {
        return None;
    }
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        return Some(LongDouble { negative, magnitude: Magnitude::Infinite });
    }
    let number = match unsigned {
        [b'0', b'x' | b'X', digits @ ..] => Number::scan(digits, u8::is_ascii_hexdigit, b'p')?,
        _ => Number::scan(unsigned, u8::is_ascii_digit, b'e')?,
    };
    if number.digits.is_empty() {
        return Some(LongDouble::zero(negative));
    }
    let value = match unsigned {
        [_, b'x' | b'X', ..] => from_hexadecimal(negative, &number),
        _ => from_decimal(negative, &number)?,
    };
    // Out of range is an error in both directions (ERANGE); numbers that only lost precision are taken.
    (value.is_finite() && value != LongDouble::zero(negative)).then_some(value)
}

/// A scanned number: the digits with the point taken out and without zeros at either end; none for zero.
struct Number {
    digits: Vec<u8>,
    /// How many digits the point is right of their end; negative where it is inside them or to their left.
    scale: i32,
    /// The exponent as written, within `EXPONENT_LIMIT`.
    exponent: i32,
}

impl Number {
    /// Reads `digits[.digits][marker[sign]digits]`, with at least one digit before the marker.
    fn scan(text: &[u8], is_digit: fn(&u8) -> bool, marker: u8) -> Option<Self> {
        let (integer, rest) = split_digits(text, is_digit);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => split_digits(rest, is_digit),
            _ => (&[][..], rest),
        };
        if integer.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest {
            [] => 0,
            [letter, exponent @ ..] if letter.eq_ignore_ascii_case(&marker) => {
                scan_exponent(exponent)?
            }
            _ => return None,
        };
        let mut digits: Vec<u8> =
            integer.iter().chain(fraction).copied().skip_while(|&digit| digit == b'0').collect();
        let significant =
            digits.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
        let trailing_zeros = digits.len() - significant;
        digits.truncate(significant);
        let scale = trailing_zeros as i32 - fraction.len() as i32; // both within TEXT_BYTES_MAX
        Some(Self { digits, scale, exponent })
    }
}

fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| is_digit(byte)).count())
}

fn scan_exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let exponent = digits
        .iter()
        .fold(0, |sum, digit| (sum * 10 + i32::from(digit - b'0')).min(EXPONENT_LIMIT));
    Some(if negative { -exponent } else { exponent })
}

/// Rounds a hexadecimal number: 31 digits are more than a mantissa needs, the others only break ties.
fn from_hexadecimal(negative: bool, number: &Number) -> LongDouble {
    const DIGITS_MAX: usize = 31;
    let (head, tail) = number.digits.split_at(number.digits.len().min(DIGITS_MAX));
    let nibble = |digit: u8| (digit as char).to_digit(16).expect("scanned as a hexadecimal digit");
    let significand = head.iter().fold(0, |sum, &digit| sum << 4 | u128::from(nibble(digit)));
    let exponent = number.exponent + 4 * (number.scale + tail.len() as i32);
    LongDouble::round(negative, significand, exponent, !tail.is_empty()) // the last digit is not zero
}

/// Rounds a decimal number; `None` if it is out of range by so much that no arithmetic is needed.
fn from_decimal(negative: bool, number: &Number) -> Option<LongDouble> {
    let exponent = number.exponent + number.scale;
    if !DECIMAL_MAGNITUDES.contains(&(exponent + number.digits.len() as i32)) {
        return None;
    }
    let text = std::str::from_utf8(&number.digits).expect("ASCII digits");
    Some(match text.parse::<u64>() {
        Ok(digits) if exponent.unsigned_abs() <= SMALL_POWER_MAX => {
            round_small(negative, digits, exponent)
        }
        _ => round_big(negative, text, exponent),
    })
}

/// `digits * 10^exponent`, for exponents of at most `SMALL_POWER_MAX` either way.
///
/// The twos of ten go to the binary exponent; only the fives are multiplied or divided.
fn round_small(negative: bool, digits: u64, exponent: i32) -> LongDouble {
    let power = 5_u128.pow(exponent.unsigned_abs());
    if exponent >= 0 {
        return LongDouble::round(negative, u128::from(digits) * power, exponent, false);
    }
    let shift = 64 + digits.leading_zeros();
    let dividend = u128::from(digits) << shift; // at least 2^127, so the quotient has 65 bits or more
    LongDouble::round(
        negative,
        dividend / power,
        exponent - shift as i32,
        !dividend.is_multiple_of(power),
    )
}

/// `digits * 10^exponent`, of any size within `DECIMAL_MAGNITUDES`.
fn round_big(negative: bool, digits: &str, exponent: i32) -> LongDouble {
    let digits: BigUint = digits.parse().expect("a text of decimal digits");
    let power = BigUint::from(5_u32).pow(exponent.unsigned_abs());
    if exponent >= 0 {
        return round_integer(negative, &(digits * power), exponent, false);
    }
    let shift = (QUOTIENT_BITS + power.bits()).saturating_sub(digits.bits());
    let dividend = digits << shift;
    let quotient = &dividend / &power;
    let sticky = &quotient * &power != dividend;
    round_integer(negative, &quotient, exponent - shift as i32, sticky)
}

/// `integer * 2^exponent`, and a little more if `sticky`: its top 128 bits decide, the others break ties.
fn round_integer(negative: bool, integer: &BigUint, exponent: i32, sticky: bool) -> LongDouble {
    let dropped = integer.bits().saturating_sub(u128::BITS.into());
    let significand = u128::try_from(integer >> dropped).expect("128 bits are left");
    let sticky = sticky || integer.trailing_zeros().is_some_and(|zeros| zeros < dropped);
    LongDouble::round(negative, significand, exponent + dropped as i32, sticky)
}
