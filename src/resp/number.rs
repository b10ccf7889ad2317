//! The texts Redis accepts and prints as numbers: integers (`string2ll`), doubles (`string2d`, `%.17g`) and
//! amounts of memory (`memtoull`). Which error a refused text gets is the caller's business.

use std::io::Write;
use std::ops::Deref;

/// Longest text `parse_i64` accepts: `-9223372036854775808`.
const I64_TEXT_LEN_MAX: usize = 20;

/// Largest magnitude up to which every whole number is exact in a double: 2^53.
const EXACT_INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// The integer that `text` is the one canonical form of: no `+`, no leading zero, no space, no `-0`. O(1).
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    if text.len() > I64_TEXT_LEN_MAX {
        return None;
    }
    match text {
        [b'-', digits @ ..] => match parse_u64(digits)? {
            0 => None,
            magnitude => 0i64.checked_sub_unsigned(magnitude),
        },
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// As [`parse_i64`], for 0 to 2^64 - 1.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => return Some(0),
        [b'1'..=b'9', ..] if text.len() <= I64_TEXT_LEN_MAX => {}
        _ => return None,
    }
    let mut value = 0u64;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// Whether a string value is kept as an integer (encoding `int`): printing the integer gives the same text back.
#[inline]
pub fn is_integer_string(text: &[u8]) -> bool {
    matches!(text, [b'-' | b'0'..=b'9', ..]) && parse_i64(text).is_some()
}

/// The double that C's `strtod` reads from the whole of `text`, with the refusals of Redis: empty, spaces, NaN,
/// overflow to infinity, underflow to zero. Takes `inf`, `infinity`, `+.5`, `5.`, `1e3`, `0x1.8p3`. Linear.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if let [b'0', b'x' | b'X', hex @ ..] = unsigned {
        let magnitude = parse_hex_f64(hex)?;
        return Some(if text[0] == b'-' { -magnitude } else { magnitude });
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let first = unsigned.first()?;
    let refused = if first.is_ascii_alphabetic() {
        value.is_nan()
    } else {
        value.is_infinite() || (value == 0.0 && has_nonzero_digit(unsigned))
    };
    (!refused).then_some(value)
}

/// The same for the ends of ranges, which Redis gives to `strtod` as they come: no text at all is zero, spaces may come
/// first, a decimal number that is too large is infinite and one too small is zero. NaN is refused. Linear.
pub fn parse_strtod(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    let text = text.trim_ascii_start();
    parse_f64(text).or_else(|| {
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        (!value.is_nan()).then_some(value)
    })
}

/// Whether the mantissa of a decimal number is not zero, so that a value of zero is an underflow.
fn has_nonzero_digit(text: &[u8]) -> bool {
    text.iter()
        .take_while(|byte| !matches!(byte, b'e' | b'E'))
        .any(|byte| matches!(byte, b'1'..=b'9'))
}

/// What follows the `0x` of a C hexadecimal float: `1.8p3` is 12.
fn parse_hex_f64(text: &[u8]) -> Option<f64> {
    let mut mantissa = 0u64;
    let mut exponent = 0i64; // of two, for the lowest bit of `mantissa`
    let (mut digits, mut in_fraction, mut at) = (0usize, false, 0);
    while let Some(&byte) = text.get(at) {
        match char::from(byte).to_digit(16) {
            None if byte == b'.' && !in_fraction => in_fraction = true,
            None => break,
            Some(digit) => {
                digits += 1;
                exponent -= if in_fraction { 4 } else { 0 };
                if mantissa >> 60 == 0 {
                    mantissa = mantissa << 4 | u64::from(digit);
                } else {
                    mantissa |= u64::from(digit != 0); // only matters for which way to round
                    exponent += 4;
                }
            }
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    let power = match &text[at..] {
        [] => 0,
        [b'p' | b'P', power @ ..] => parse_exponent(power)?,
        _ => return None,
    };
    scale(mantissa, exponent.saturating_add(power))
}

/// A decimal exponent with an optional sign; one too big for an `i64` saturates, which over- or underflows anyway.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // An eighth of the range, so that adding the exponent of the digits cannot overflow.
    let limit = i64::MAX / 8;
    let power = digits.iter().fold(0i64, |power, digit| {
        power.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(limit)
    });
    Some(if negative { -power } else { power })
}

/// `mantissa` times two to the `exponent`, rounded half to even; none if that is infinite, or zero by underflow.
fn scale(mantissa: u64, exponent: i64) -> Option<f64> {
    if mantissa == 0 {
        return Some(0.0);
    }
    let zeros = mantissa.leading_zeros();
    // The value is in [2^top, 2^(top+1)). Below 2^-1022 a double has fewer than 53 bits to offer.
    let top = exponent.checked_add(63 - i64::from(zeros))?;
    if !(-1075..=1023).contains(&top) {
        return None;
    }
    let bits = if top >= -1022 { 53 } else { top + 1075 };
    let wide = u128::from(mantissa << zeros) << 64;
    let dropped = 128 - bits;
    let (kept, rest, half) = match dropped {
        128 => (0, wide, 1 << 127),
        _ => (wide >> dropped, wide & ((1 << dropped) - 1), 1 << (dropped - 1)),
    };
    let rounded = kept + u128::from(rest > half || (rest == half && kept & 1 == 1));
    // Both factors and the product are exact: `rounded` has at most 53 bits, and its lowest is worth at least 2^-1074.
    let lowest = top + 1 - bits;
    let value =
        rounded as f64 * 2f64.powi((lowest / 2) as i32) * 2f64.powi((lowest - lowest / 2) as i32);
    (value != 0.0 && value.is_finite()).then_some(value)
}

/// A printed double; derefs to its bytes.
pub struct FloatText {
    bytes: [u8; 32],
    len: usize,
}

impl Deref for FloatText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl FloatText {
    fn new() -> Self {
        Self { bytes: [0; 32], len: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }
}

/// `value` as C's `%.17g` prints it, which is how Redis 7.0 shows a score: `3`, `0.10000000000000001`, `1e+17`,
/// `inf`, `-inf`, `nan`. At most 24 bytes.
pub fn format_f64(value: f64) -> FloatText {
    let mut text = FloatText::new();
    if value.is_nan() {
        text.push(b"nan");
    } else if value.is_infinite() {
        text.push(if value > 0.0 { b"inf" } else { b"-inf" });
    } else if value.trunc() == value && value.abs() <= EXACT_INTEGER_MAX {
        if value == 0.0 && value.is_sign_negative() {
            text.push(b"-");
        }
        text.push(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        format_17_digits(value, &mut text);
    }
    text
}

/// The general case of [`format_f64`]: rounds to 17 digits, then picks C's fixed or scientific form.
fn format_17_digits(value: f64, text: &mut FloatText) {
    let mut scratch = [0u8; 32];
    let mut rest = &mut scratch[..];
    write!(rest, "{:.16e}", value.abs())
        .expect("a digit, a point, 16 digits and e-324 fit 32 bytes");
    let used = 32 - rest.len();
    let e =
        scratch[..used].iter().position(|&byte| byte == b'e').expect("the format has an exponent");
    let exponent = std::str::from_utf8(&scratch[e + 1..used])
        .ok()
        .and_then(|digits| digits.parse::<i32>().ok());
    let exponent = exponent.expect("the exponent is a number");
    let mut all = [0u8; 17];
    all[0] = scratch[0];
    all[1..].copy_from_slice(&scratch[2..18]);
    let significant = all.iter().rposition(|&digit| digit != b'0').map_or(1, |last| last + 1);
    let digits = &all[..significant];

    if value < 0.0 {
        text.push(b"-");
    }
    if !(-4..17).contains(&exponent) {
        text.push(&digits[..1]);
        push_fraction(text, &digits[1..]);
        text.push(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            text.push(b"0");
        }
        text.push(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
    } else if exponent < 0 {
        text.push(&b"0.000"[..1 + exponent.unsigned_abs() as usize]);
        text.push(digits);
    } else {
        let whole = exponent as usize + 1;
        text.push(&digits[..significant.min(whole)]);
        text.push(&b"0000000000000000"[..whole.saturating_sub(significant)]);
        push_fraction(text, &digits[significant.min(whole)..]);
    }
}

fn push_fraction(text: &mut FloatText, digits: &[u8]) {
    if !digits.is_empty() {
        text.push(b".");
        text.push(digits);
    }
}

/// Bytes meant by `100`, `1k` (1000), `1kb` (1024), `m`, `mb`, `g`, `gb`, `b`, in any case. A unit without digits
/// is zero, as in Redis; a sign or an amount of 2^64 and more is refused.
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unit: u64 = match text[digits..].to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let amount = text[..digits].iter().try_fold(0u64, |amount, digit| {
        amount.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })?;
    amount.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_canonical_integers_are_taken() {
        let taken: &[(&[u8], i64)] = &[
            (b"0", 0),
            (b"-1", -1),
            (b"10", 10),
            (b"9223372036854775807", i64::MAX),
            (b"-9223372036854775808", i64::MIN),
        ];
        for &(text, value) in taken {
            assert_eq!(parse_i64(text), Some(value));
            assert!(is_integer_string(text));
        }
        let refused: [&[u8]; 14] = [
            b"",
            b"-",
            b"+1",
            b"01",
            b"-0",
            b"-01",
            b" 1",
            b"1 ",
            b"1.0",
            b"9223372036854775808",
            b"-9223372036854775809",
            b"18446744073709551616",
            b"000000000000000000001",
            b"1\0",
        ];
        for text in refused {
            assert_eq!(parse_i64(text), None, "{text:?}");
            assert!(!is_integer_string(text));
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"99999999999999999999"), None);
        assert_eq!(parse_u64(b"-1"), None);
    }

    #[test]
    fn the_ends_of_ranges_are_read_with_fewer_refusals() {
        let taken: &[(&str, f64)] = &[
            ("", 0.0),
            (" 1.5", 1.5),
            ("-1.5", -1.5),
            ("1e400", f64::INFINITY),
            ("-1e5000", f64::NEG_INFINITY),
            ("1e-5000", 0.0),
            ("-inf", f64::NEG_INFINITY),
            ("0x10", 16.0),
        ];
        for &(text, value) in taken {
            assert_eq!(parse_strtod(text.as_bytes()), Some(value), "{text:?}");
        }
        for text in [" ", "1.5 ", "nan", "-nan", "x", "1.5x", "0x", "(1"] {
            assert_eq!(parse_strtod(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn doubles_are_read_as_by_strtod() {
        let taken: &[(&str, f64)] = &[
            ("1", 1.0),
            ("-1.5", -1.5),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-2", 0.01),
            ("007", 7.0),
            ("inf", f64::INFINITY),
            ("-INFINITY", f64::NEG_INFINITY),
            ("+inf", f64::INFINITY),
            ("0e9999", 0.0),
            ("0x1p3", 8.0),
            ("0X.8", 0.5),
            ("-0x1.8P+1", -3.0),
            ("0x10", 16.0),
            ("0x0p99999", 0.0),
            ("0x1p-1074", 5e-324),
            ("0x1.fffffffffffffp1023", f64::MAX),
            ("0x1.8p-1075", 5e-324),
            ("0x1.00000000000008p0", 1.0),
            ("0x1.000000000000081p0", 1.0 + f64::EPSILON),
            ("0x1.00000000000018p0", 1.0 + 2.0 * f64::EPSILON),
            ("0x10000000000000000000001", 2f64.powi(88)),
            ("0x0.0000000000000000000000000001p112", 1.0),
            ("4e-320", 4e-320),
            ("0x3p-1075", 1e-323),
        ];
        for &(text, value) in taken {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        assert!(parse_f64(b"-0").is_some_and(|zero| zero.is_sign_negative()));
        assert!(parse_f64(b"-0x0").is_some_and(|zero| zero.is_sign_negative()));
    }

    #[test]
    fn what_strtod_or_redis_refuses_is_no_double() {
        let refused = [
            "",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            " 1",
            "1 ",
            "nan",
            "-nan",
            "NaN",
            "nan(1)",
            "in",
            "1_0",
            "--1",
            "+-1",
            "1e400",
            "-1e400",
            "1e-400",
            "0x",
            "0x.",
            "0x1p",
            "0x1p+",
            "0x1p1024",
            "0x1p-1080",
            "0x1.ffffffffffffffp1023",
            "0x1p99999999999999999999999",
            "0x1p-99999999999999999999999",
            "0xg",
            "-0x-1",
            "1d",
            "1f",
            "0x1p-1075",
        ];
        for text in refused {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn doubles_are_printed_as_by_percent_17g() {
        let cases: &[(f64, &str)] = &[
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-3.0, "-3"),
            (0.1, "0.10000000000000001"),
            (2.14, "2.1400000000000001"),
            (1e15, "1000000000000000"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (12345678901234567.0, "12345678901234568"),
            (1.5e300, "1.5000000000000001e+300"),
            (1e-4, "0.0001"),
            (1e-5, "1.0000000000000001e-05"),
            (0.5, "0.5"),
            (4e-320, "3.999955468730732e-320"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "4.9406564584124654e-324"),
            (-1234.5, "-1234.5"),
            (9007199254740994.0, "9007199254740994"),
            (-2.2250738585072014e-308, "-2.2250738585072014e-308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (-f64::NAN, "nan"),
            (0.00012345678901234567, "0.00012345678901234567"),
        ];
        for &(value, text) in cases {
            assert_eq!(std::str::from_utf8(&format_f64(value)).unwrap(), text);
        }
    }

    #[test]
    fn memory_amounts_have_units() {
        let cases: &[(&[u8], Option<u64>)] = &[
            (b"0", Some(0)),
            (b"100", Some(100)),
            (b"1b", Some(1)),
            (b"1k", Some(1000)),
            (b"1KB", Some(1024)),
            (b"2m", Some(2_000_000)),
            (b"2Mb", Some(2 << 20)),
            (b"3g", Some(3_000_000_000)),
            (b"1gb", Some(1 << 30)),
            (b"", Some(0)),
            (b"mb", Some(0)),
            (b"007kb", Some(7168)),
            (b"-1", None),
            (b"+1", None),
            (b"1 mb", None),
            (b"1tb", None),
            (b"1.5gb", None),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"17179869184gb", None),
        ];
        for &(text, bytes) in cases {
            assert_eq!(parse_memory(text), bytes, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn printed_doubles_read_back_unchanged(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            let text = format_f64(value);
            prop_assert_eq!(parse_f64(&text).map(f64::to_bits), Some(bits));
            prop_assert!(text.len() <= 24);
        }

        #[test]
        fn every_i64_reads_back(value: i64) {
            prop_assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn arbitrary_text_is_no_crash(text in proptest::collection::vec(any::<u8>(), 0..40), hex in "-?0x[0-9a-f.]{0,40}p?-?[0-9]{0,30}") {
            let _ = (parse_i64(&text), parse_u64(&text), parse_f64(&text), parse_memory(&text), parse_f64(hex.as_bytes()));
        }
    }
}
