//! The 80-bit "long double" of the x87, in which `INCRBYFLOAT` and `HINCRBYFLOAT` compute.
//!
//! Redis adds with C's `long double`, and its answers show it: 64 bits of mantissa, and exponents up to 4932 decimal
//! digits. So that ours are the same bytes on every machine, the three steps are done here in integers: [`parse`] reads
//! what `strtold` reads, [`LongDouble::checked_add`] rounds to nearest-even as the hardware does, and `Display` writes
//! the `%.17Lf` without trailing zeros of Redis's `ld2string(LD_STR_HUMAN)`.
//!
//! All of them end in one place: [`LongDouble::round`] takes an exact value of up to 128 bits and gives the nearest number.
//! Error texts and the commands are left to the callers.
//!
//! [`parse`]: LongDouble::parse

mod parse;

use std::fmt;

use num_bigint::BigUint;

/// Exponent of the lowest mantissa bit in the smallest numbers, where precision runs out.
const EXPONENT_MIN: i32 = -16445;
/// Exponent of the lowest mantissa bit in the largest numbers.
const EXPONENT_MAX: i32 = 16320;
/// Bits of a mantissa. The top one is set, unless the exponent is `EXPONENT_MIN`.
const MANTISSA_BITS: i32 = 64;

/// Decimals of Redis's human-readable format, and the power of ten they make.
const DECIMALS: usize = 17;
const DECIMAL_UNITS: u128 = 100_000_000_000_000_000;

/// An extended-precision number: finite or infinite, never NaN. `-0` and `0` are distinct values that print the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Magnitude {
    /// `mantissa * 2^exponent`.
    Finite {
        mantissa: u64,
        exponent: i32,
    },
    Infinite,
}

impl LongDouble {
    /// The value of a key or field that does not exist.
    pub const ZERO: Self = Self::zero(false);

    const fn zero(negative: bool) -> Self {
        Self { negative, magnitude: Magnitude::Finite { mantissa: 0, exponent: EXPONENT_MIN } }
    }

    /// Reads a number as Redis's `string2ld` does; `None` is "value is not a valid float".
    ///
    /// Accepted is what `strtold` takes whole: decimal or `0x` digits with point and exponent, `inf`, `infinity`.
    /// Refused are spaces, `nan`, 5120 bytes or more, and numbers that round to infinity or, not being zero, to zero.
    /// Up to 19 digits with a small exponent cost a division, the longest texts some 100 us.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        parse::long_double(text)
    }

    /// Whether this is an ordinary number. `HINCRBYFLOAT` refuses an infinite increment before it looks at the field.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.magnitude != Magnitude::Infinite
    }

    /// The sum, rounded to nearest, ties to even; `None` is "increment would produce NaN or Infinity".
    #[must_use]
    pub fn checked_add(self, increment: Self) -> Option<Self> {
        let (a, b) = (self.finite_parts()?, increment.finite_parts()?);
        // A mantissa without its top bit is at EXPONENT_MIN, so this orders by magnitude.
        let (large, large_negative, small, small_negative) = if (a.1, a.0) >= (b.1, b.0) {
            (a, self.negative, b, increment.negative)
        } else {
            (b, increment.negative, a, self.negative)
        };
        if large.0 == 0 || (large == small && large_negative != small_negative) {
            return Some(Self::zero(self.negative && increment.negative));
        }
        // Room below for an exact difference of nearby numbers, and one bit above for the carry.
        const SPARE_BITS: i32 = 63;
        let minuend = u128::from(large.0) << SPARE_BITS;
        let addend = u128::from(small.0) << SPARE_BITS;
        let distance =
            u32::try_from(large.1 - small.1).expect("the large one has the larger exponent");
        let shifted = addend.checked_shr(distance).unwrap_or(0);
        let sticky = shifted.checked_shl(distance).unwrap_or(0) != addend;
        let significand = if large_negative == small_negative {
            minuend + shifted
        } else {
            // What was shifted out makes the difference a little smaller than these bits say: round from below.
            minuend - shifted - u128::from(sticky)
        };
        let sum = Self::round(large_negative, significand, large.1 - SPARE_BITS, sticky);
        sum.is_finite().then_some(sum)
    }

    /// A thousand times the number, rounded up to a whole one, after the product was rounded: C's `ceill(x * 1000)`, which
    /// makes milliseconds of seconds. What is beyond an `i64` becomes its largest or its smallest.
    #[must_use]
    pub fn thousandfold_ceil(self) -> i64 {
        let saturated = if self.negative { i64::MIN } else { i64::MAX };
        let Some((mantissa, exponent)) = self.finite_parts() else { return saturated };
        let product = Self::round(self.negative, u128::from(mantissa) * 1000, exponent, false);
        let Some((mantissa, exponent)) = product.finite_parts() else { return saturated };
        if exponent > 0 {
            return saturated; // 64 bits and more
        }
        let shift = exponent.unsigned_abs();
        let whole = mantissa.checked_shr(shift).unwrap_or(0);
        let is_whole = whole.checked_shl(shift).unwrap_or(0) == mantissa;
        let magnitude = i128::from(whole) + i128::from(!is_whole && !self.negative);
        let value = if self.negative { -magnitude } else { magnitude };
        i64::try_from(value).unwrap_or(saturated)
    }

    fn finite_parts(self) -> Option<(u64, i32)> {
        match self.magnitude {
            Magnitude::Finite { mantissa, exponent } => Some((mantissa, exponent)),
            Magnitude::Infinite => None,
        }
    }

    /// The number nearest to `significand * 2^exponent`, ties to even mantissas.
    ///
    /// `sticky` says that the exact value is a little more, by less than one in the last place of `significand`; that one
    /// then has at least 65 bits, so that what is missing lies below the rounding.
    fn round(negative: bool, significand: u128, exponent: i32, sticky: bool) -> Self {
        if significand == 0 {
            return Self::zero(negative);
        }
        let bits = (u128::BITS - significand.leading_zeros()) as i32;
        assert!(!sticky || bits > MANTISSA_BITS);
        let dropped = (bits - MANTISSA_BITS).max(EXPONENT_MIN - exponent);
        let (rounded, exponent) = if dropped > 0 {
            (shift_right_half_even(significand, dropped as u32, sticky), exponent + dropped)
        } else {
            let raised = (MANTISSA_BITS - bits).min(exponent - EXPONENT_MIN);
            (significand << raised, exponent - raised)
        };
        // Rounding up a mantissa of all ones gives one bit too many, and that bit alone.
        let (mantissa, exponent) = match u64::try_from(rounded) {
            Ok(0) => return Self::zero(negative),
            Ok(mantissa) => (mantissa, exponent),
            Err(_) => (1 << (MANTISSA_BITS - 1), exponent + 1),
        };
        let magnitude = if exponent > EXPONENT_MAX {
            Magnitude::Infinite
        } else {
            Magnitude::Finite { mantissa, exponent }
        };
        Self { negative, magnitude }
    }
}

/// `value / 2^shift` rounded to nearest, ties to even; `shift` is at least 1. With `sticky`, `value` is a little more.
fn shift_right_half_even(value: u128, shift: u32, sticky: bool) -> u128 {
    if shift > u128::BITS {
        return 0; // less than half
    }
    let kept = value.checked_shr(shift).unwrap_or(0);
    let half = 1 << (shift - 1);
    let remainder = value & (half | (half - 1));
    let up = remainder > half || (remainder == half && (sticky || kept % 2 == 1));
    kept + u128::from(up)
}

impl From<i64> for LongDouble {
    /// Exact: every 64-bit integer fits the mantissa.
    fn from(value: i64) -> Self {
        Self::round(value < 0, value.unsigned_abs().into(), 0, false)
    }
}

/// Redis's human-readable form: the exact value rounded to 17 decimals, half to even, without trailing zeros, and never
/// `-0`. At most 4933 digits before the point; numbers from 2^64 on take a big-integer conversion.
impl fmt::Display for LongDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((mantissa, exponent)) = self.finite_parts() else {
            return f.write_str(if self.negative { "-inf" } else { "inf" });
        };
        let sign = if self.negative { "-" } else { "" };
        if exponent > 0 {
            return write!(f, "{sign}{}", BigUint::from(mantissa) << exponent);
        }
        let units = u128::from(mantissa) * DECIMAL_UNITS;
        let units = if exponent == 0 {
            units
        } else {
            shift_right_half_even(units, exponent.unsigned_abs(), false)
        };
        if units == 0 {
            return f.write_str("0");
        }
        write!(f, "{sign}{}", units / DECIMAL_UNITS)?;
        let fraction = units % DECIMAL_UNITS;
        if fraction == 0 {
            return Ok(());
        }
        let decimals = format!("{fraction:0DECIMALS$}");
        write!(f, ".{}", decimals.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> LongDouble {
        LongDouble::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text:?} is a number"))
    }

    fn parts(text: &str) -> (u64, i32) {
        parse(text).finite_parts().expect("finite")
    }

    /// `SET k a`, `INCRBYFLOAT k b` and the answer, from Redis 7.0.15 on x86-64.
    const SUMS: &[(&str, &str, &str)] = &[
        ("0", "0", "0"),
        ("1", "2", "3"),
        ("0", "-0", "0"),
        ("-0", "-0", "0"),
        ("-1", "1", "0"),
        ("3", "0.1", "3.1"),
        ("10.5", "0.1", "10.6"),
        ("3.0e3", "200", "3200"),
        ("5.0e3", "2.0e2", "5200"),
        ("0.1", "0.2", "0.3"),
        ("1", "1e-17", "1.00000000000000001"),
        ("1", "1e-18", "1"),
        ("0.1", "-0.1", "0"),
        ("1.1", "-1", "0.1"),
        ("-1.23", "1", "-0.23"),
        ("17179869184", "1.5", "17179869185.5"),
        ("1797", ".5", "1797.5"),
        ("5.", "0", "5"),
        ("+1", "+1", "2"),
        ("0.000000000000000005", "0", "0"),
        ("0.000000000000000015", "0", "0.00000000000000002"),
        ("-0.000000000000000004", "0", "0"),
        ("0.00000000000000001", "0", "0.00000000000000001"),
        ("0.000030517578125", "0", "0.000030517578125"),
        ("0.0000000000000000049999999999999999999", "0", "0"),
        ("0.5e-17", "0", "0"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("-9223372036854775808", "-1", "-9223372036854775809"),
        ("9223372036854775807", "0.5", "9223372036854775807.5"),
        ("9223372036854775807", "0.25", "9223372036854775807"),
        ("18446744073709551615", "0", "18446744073709551615"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("18446744073709551616", "1", "18446744073709551616"),
        ("18446744073709551617", "0", "18446744073709551616"),
        ("18446744073709551618", "1", "18446744073709551620"),
        ("36893488147419103233", "0", "36893488147419103232"),
        ("36893488147419103235", "0", "36893488147419103236"),
        ("123456789012345678901234567890", "0", "123456789012345678899921813504"),
        ("99999999999999999.99999999999999999", "0", "100000000000000000"),
        ("1e19", "1e-19", "10000000000000000000"),
        ("1e27", "1", "1000000000000000000000000000"),
        ("1e28", "0", "9999999999999999999731564544"),
        ("1e50", "1", "100000000000000000003583830118858923890798487404544"),
        ("-1e50", "1e50", "0"),
        ("0x10", "0", "16"),
        ("0x.8", "0", "0.5"),
        ("0X1.8P1", "-0x3", "0"),
        ("0x1p64", "-1", "18446744073709551615"),
        ("0xffffffffffffffffff", "0", "4722366482869645213696"),
        ("0x1.ffffffffffffffffp0", "0", "2"),
        ("0x1p-60", "0", "0"),
        ("1e-4950", "0", "0"),
        ("1.9e-4951", "0", "0"),
        ("0x1p-16445", "-0x1p-16445", "0"),
        ("0x1.8p-16446", "0", "0"),
        ("0e99999", "1", "1"),
    ];

    #[test]
    fn sums_print_as_in_redis() {
        for &(a, b, expected) in SUMS {
            let sum = parse(a).checked_add(parse(b)).expect("finite");
            assert_eq!(sum.to_string(), expected, "{a} + {b}");
            assert_eq!(parse(b).checked_add(parse(a)), Some(sum), "{b} + {a}");
        }
    }

    #[test]
    fn what_redis_refuses_is_no_number() {
        let refused = [
            "1.8e-4951",
            "0x1p-16446",
            "0x1p16384",
            "0xffffffffffffffff8p16316",
            "1e-5000",
            "1e5000",
            "1.18973149535723176508e4932",
            "nan",
            "infinit",
            "1e",
            "1e+",
            ".",
            "e5",
            "",
            "+-1",
            " 1",
            "1 ",
            "0x",
            "0x.",
            "0x1p",
            "1.5.1",
            "1,5",
            "abc",
            "1_000",
            "12e3x",
        ];
        for text in refused {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(LongDouble::parse(b"1\0"), None);
        let (longest, too_long) = ("1e-9".to_owned() + &"0".repeat(5115), "0".repeat(5120));
        assert_eq!(LongDouble::parse(longest.as_bytes()), None, "10^-9000...0 is too small");
        assert_eq!(LongDouble::parse(too_long.as_bytes()), None);
        assert_eq!(LongDouble::parse(&too_long.as_bytes()[1..]), Some(LongDouble::ZERO));
    }

    #[test]
    fn a_thousandfold_is_rounded_up_and_stays_an_i64() {
        for (text, thousandfold) in [
            ("0", 0),
            ("1", 1000),
            ("0.001", 1),
            ("0.0001", 1),
            ("-0.0001", 0),
            ("-0.0019", -1),
            ("-1", -1000),
            ("1.0001", 1001),
            ("2.5", 2500),
            ("1e-4000", 1),
            ("1e10", 10_000_000_000_000),
            ("9223372036854775.807", i64::MAX),
            ("9223372036854775.806", i64::MAX - 1),
            ("9223372036854775.808", i64::MAX),
            ("-9e15", -9_000_000_000_000_000_000),
            ("-9223372036854775.809", i64::MIN),
            ("1e300", i64::MAX),
            ("-1e4900", i64::MIN),
            ("inf", i64::MAX),
            ("-inf", i64::MIN),
        ] {
            assert_eq!(parse(text).thousandfold_ceil(), thousandfold, "{text}");
        }
    }

    #[test]
    fn sums_beyond_the_range_are_refused() {
        let largest = "1.18973149535723176502e4932";
        for (a, b) in
            [("inf", "1"), ("1", "-inf"), ("inf", "-INF"), ("-Infinity", "0"), (largest, largest)]
        {
            assert_eq!(parse(a).checked_add(parse(b)), None, "{a} + {b}");
        }
        assert_eq!(parse(largest).checked_add(parse("1e4900")), Some(parse(largest)));
        assert_eq!(parse(largest).to_string().len(), 4933);
        assert!(!parse("-inf").is_finite() && parse(largest).is_finite());
        assert_eq!(
            (parse("inf").to_string(), parse("-inf").to_string()),
            ("inf".to_owned(), "-inf".to_owned())
        );
    }

    /// Printing shows no more than 17 decimals, so the ends of the range are compared as bits.
    #[test]
    fn precision_runs_out_below_the_normal_numbers() {
        assert_eq!(
            parts("3.3621031431120935063e-4932"),
            (1 << 63, EXPONENT_MIN),
            "the smallest normal number"
        );
        assert_eq!(parts("1e-4950"), (3, EXPONENT_MIN));
        assert_eq!(parts("1.9e-4951"), (1, EXPONENT_MIN));
        assert_eq!(parts("0x1.8p-16446"), (1, EXPONENT_MIN));
        assert_eq!(parts("0x2.8p-16445"), (2, EXPONENT_MIN), "a tie goes to the even mantissa");
        assert_eq!(parts("0x3.8p-16445"), (4, EXPONENT_MIN));
        assert_eq!(parts("0xffffffffffffffff7p16316"), (u64::MAX, EXPONENT_MAX));
        let difference = parse("0x1p-16382").checked_add(parse("-0x1p-16445"));
        assert_eq!(
            difference.and_then(LongDouble::finite_parts),
            Some(((1 << 63) - 1, EXPONENT_MIN))
        );
    }

    #[test]
    fn bits_shifted_out_of_the_smaller_number_still_round() {
        let cases = [
            ("0x1p63", "-0x1p-2", (1 << 63, 0)), // a tie, to the even mantissa
            ("0x1p63", "-0x1.0000000000000002p-2", (u64::MAX, -1)),
            ("0x1p63", "-0x1p-200", (1 << 63, 0)),
            ("0x1p63", "0x1p-1", (1 << 63, 0)), // a tie
            ("0x1p63", "0x1.0000000000000002p-1", ((1 << 63) + 1, 0)),
            ("0x8000000000000001", "0x1p-1", ((1 << 63) + 2, 0)), // a tie
        ];
        for (a, b, expected) in cases {
            let sum = parse(a).checked_add(parse(b)).and_then(LongDouble::finite_parts);
            assert_eq!(sum, Some(expected), "{a} + {b}");
        }
    }

    #[test]
    fn integers_are_exact() {
        for value in [0, 1, -1, i64::MAX, i64::MIN, 1 << 53, (1 << 53) + 1] {
            assert_eq!(LongDouble::from(value).to_string(), value.to_string());
            assert_eq!(LongDouble::from(value), parse(&value.to_string()));
        }
    }
}
