//! Glob patterns as `KEYS`, `SCAN`, `PSUBSCRIBE`, `CONFIG GET` and ACL rules understand them.
//!
//! The language is that of Redis's `stringmatchlen` (util.c), oddities included, as it behaves on x86-64:
//! - `*` any bytes, `?` one byte, `[abc]`, `[a-z]`, `[^abc]` one byte in (not in) a class, `\x` the byte `x` itself;
//! - a backslash that ends the pattern stands for itself, a class that is never closed ends with the pattern;
//! - a range may be written backwards, and takes any byte as its end: `[a-]` reaches from `]` to `a`;
//! - ranges compare signed bytes, so that `[a-\xff]` holds 0xff and everything from 0 to `a`;
//! - the empty text matches the empty pattern only, not even `*` ([`Pattern::is_star`] is for the commands that except it).
//!
//! Matching neither recurses nor allocates. Between two stars every token takes exactly one byte, so the pattern is a
//! list of segments of known width: the first is compared at the start, the last at the end, and each one between is
//! taken where it fits first, which can never be worse than a later place. A segment without `?` and classes is found by
//! substring search in linear time; the worst case, for the others, is pattern length times text length, as in Redis:
//! 50 KB of `?a` between two stars take seconds against 100 KB of `a`. Whoever cannot trust both must limit one.

use memchr::memmem;

/// A pattern prepared for many texts. Owns its bytes: it outlives the request it came in.
#[derive(Clone, Debug)]
pub struct Pattern {
    bytes: Box<[u8]>,
    /// What every matching text starts with, escapes removed.
    literal_prefix: Box<[u8]>,
    /// Bytes a text needs at least: the number of tokens other than `*`.
    width_min: usize,
    shape: Shape,
    nocase: bool,
}

/// What is left to match behind the literal prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// Nothing: a text matches by being equal.
    Literal,
    /// Only stars: a text matches by its prefix.
    Prefix,
    /// Something that takes the general matcher.
    General,
}

impl Pattern {
    /// Prepares a case-sensitive pattern. O(pattern length), and never refuses: every byte string is a pattern.
    #[must_use]
    pub fn new(pattern: &[u8]) -> Self {
        Self::with_case(pattern, false)
    }

    /// Prepares a pattern that ignores the case of ASCII letters, except, as in Redis, of those escaped inside a class.
    #[must_use]
    pub fn new_nocase(pattern: &[u8]) -> Self {
        Self::with_case(pattern, true)
    }

    fn with_case(pattern: &[u8], nocase: bool) -> Self {
        let mut literal_prefix = Vec::new();
        let mut rest = pattern;
        while let Some((Token::Byte(byte), after)) = next_token(rest) {
            literal_prefix.push(byte);
            rest = after;
        }
        let shape = match rest {
            [] => Shape::Literal,
            stars if stars.iter().all(|&byte| byte == b'*') => Shape::Prefix,
            _ => Shape::General,
        };
        let mut width_min = literal_prefix.len();
        while !rest.is_empty() {
            let (segment, after) = split_segment(rest);
            width_min += segment.width;
            rest = skip_stars(after);
        }
        Self {
            bytes: pattern.into(),
            literal_prefix: literal_prefix.into(),
            width_min,
            shape,
            nocase,
        }
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the pattern is exactly `*`, which `KEYS` and `SCAN` take as "no filter": even the empty key passes.
    #[must_use]
    pub fn is_star(&self) -> bool {
        *self.bytes == *b"*"
    }

    /// The only text that can match, if the pattern is case-sensitive and has no wildcard.
    #[must_use]
    pub fn as_literal(&self) -> Option<&[u8]> {
        (self.shape == Shape::Literal && !self.nocase).then_some(&*self.literal_prefix)
    }

    /// The bytes every matching text starts with; empty if there are none or case is ignored.
    #[must_use]
    pub fn literal_prefix(&self) -> &[u8] {
        if self.nocase { &[] } else { &self.literal_prefix }
    }

    /// Whether the whole `text` matches. Linear for a pattern of literal bytes and stars, O(pattern * text) at worst.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        if text.len() < self.width_min || (text.is_empty() && !self.bytes.is_empty()) {
            return false;
        }
        let (head, tail) = text.split_at(self.literal_prefix.len()); // no longer than width_min
        if !equal_bytes(&self.literal_prefix, head, self.nocase) {
            return false;
        }
        match self.shape {
            Shape::Literal => tail.is_empty(),
            Shape::Prefix => true,
            Shape::General => match_segments(&self.bytes, text, self.nocase),
        }
    }
}

/// Redis's `stringmatchlen`: whether the whole `text` matches `pattern`, for a pattern used once.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    !text.is_empty() && match_segments(pattern, text, false)
        || text.is_empty() && pattern.is_empty()
}

/// One token of a pattern, other than `*`: each takes one byte of the text.
enum Token<'p> {
    Byte(u8),
    AnyByte,
    Class { negated: bool, members: &'p [u8] },
}

impl Token<'_> {
    fn accepts(&self, byte: u8, nocase: bool) -> bool {
        match *self {
            Self::AnyByte => true,
            Self::Byte(expected) => equal_byte(expected, byte, nocase),
            Self::Class { negated, members } => class_holds(members, byte, nocase) != negated,
        }
    }
}

/// The token `pattern` starts with and what follows; `None` before a star and at the end.
fn next_token(pattern: &[u8]) -> Option<(Token<'_>, &[u8])> {
    match pattern {
        [] | [b'*', ..] => None,
        [b'?', rest @ ..] => Some((Token::AnyByte, rest)),
        [b'\\', byte, rest @ ..] => Some((Token::Byte(*byte), rest)),
        [b'[', b'^', rest @ ..] => Some(class_token(true, rest)),
        [b'[', rest @ ..] => Some(class_token(false, rest)),
        [byte, rest @ ..] => Some((Token::Byte(*byte), rest)),
    }
}

/// Splits what follows `[` or `[^` into the members of the class and the rest behind its `]`.
fn class_token(negated: bool, pattern: &[u8]) -> (Token<'_>, &[u8]) {
    let mut rest = pattern;
    while let Some((_, after)) = next_member(rest) {
        rest = after;
    }
    let members = &pattern[..pattern.len() - rest.len()];
    (Token::Class { negated, members }, rest.get(1..).unwrap_or_default())
}

/// One member of a class.
enum Member {
    Byte(u8),
    /// Compared as it is even where case is ignored.
    Escaped(u8),
    Range(u8, u8),
}

/// The member a class body starts with and what follows; `None` at its `]` or at the end of the pattern.
fn next_member(class: &[u8]) -> Option<(Member, &[u8])> {
    match class {
        [] | [b']', ..] => None,
        [b'\\', byte, rest @ ..] => Some((Member::Escaped(*byte), rest)),
        [start, b'-', end, rest @ ..] => Some((Member::Range(*start, *end), rest)),
        [byte, rest @ ..] => Some((Member::Byte(*byte), rest)),
    }
}

fn class_holds(members: &[u8], byte: u8, nocase: bool) -> bool {
    let mut rest = members;
    while let Some((member, after)) = next_member(rest) {
        let holds = match member {
            Member::Byte(expected) => equal_byte(expected, byte, nocase),
            Member::Escaped(expected) => expected == byte,
            Member::Range(start, end) => range_holds(start, end, byte, nocase),
        };
        if holds {
            return true;
        }
        rest = after;
    }
    false
}

/// The ends are put in order before their case is dropped, as in Redis: with `nocase`, `[Z-a]` is empty.
fn range_holds(start: u8, end: u8, byte: u8, nocase: bool) -> bool {
    let (low, high) = if start as i8 <= end as i8 { (start, end) } else { (end, start) };
    let fold = |byte: u8| if nocase { byte.to_ascii_lowercase() as i8 } else { byte as i8 };
    (fold(low)..=fold(high)).contains(&fold(byte))
}

fn equal_byte(a: u8, b: u8, nocase: bool) -> bool {
    a == b || (nocase && a.eq_ignore_ascii_case(&b))
}

fn equal_bytes(a: &[u8], b: &[u8], nocase: bool) -> bool {
    if nocase { a.eq_ignore_ascii_case(b) } else { a == b }
}

/// The part of a pattern between two stars.
struct Segment<'p> {
    tokens: &'p [u8],
    /// Bytes of text it takes.
    width: usize,
}

impl Segment<'_> {
    /// Whether the text starts with this segment. The text is at least `width` long.
    fn is_prefix_of(&self, text: &[u8], nocase: bool) -> bool {
        let mut rest = self.tokens;
        for &byte in text {
            match next_token(rest) {
                Some((token, _)) if !token.accepts(byte, nocase) => return false,
                Some((_, after)) => rest = after,
                None => break,
            }
        }
        true
    }

    /// The first place in the text this segment fits.
    fn find_in(&self, text: &[u8], nocase: bool) -> Option<usize> {
        if self.is_literal() && !nocase {
            return memmem::find(text, self.tokens);
        }
        let last_start = text.len().checked_sub(self.width)?;
        (0..=last_start).find(|&start| self.is_prefix_of(&text[start..], nocase))
    }

    /// Whether its bytes stand for themselves: an escape would be wider in the pattern than in the text.
    fn is_literal(&self) -> bool {
        self.width == self.tokens.len()
            && !self.tokens.iter().any(|byte| matches!(byte, b'?' | b'['))
    }
}

/// Splits a pattern before its first star.
fn split_segment(pattern: &[u8]) -> (Segment<'_>, &[u8]) {
    let (mut rest, mut width) = (pattern, 0);
    while let Some((_, after)) = next_token(rest) {
        rest = after;
        width += 1;
    }
    (Segment { tokens: &pattern[..pattern.len() - rest.len()], width }, rest)
}

fn skip_stars(pattern: &[u8]) -> &[u8] {
    let stars = pattern.iter().take_while(|&&byte| byte == b'*').count();
    &pattern[stars..]
}

/// The general matcher, for a text that is not empty.
fn match_segments(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    let (first, mut rest) = split_segment(pattern);
    if text.len() < first.width || !first.is_prefix_of(text, nocase) {
        return false;
    }
    let mut text = &text[first.width..];
    if rest.is_empty() {
        return text.is_empty();
    }
    loop {
        rest = skip_stars(rest);
        let (segment, after) = split_segment(rest);
        if after.is_empty() {
            let Some(start) = text.len().checked_sub(segment.width) else { return false };
            return segment.is_prefix_of(&text[start..], nocase);
        }
        let Some(start) = segment.find_in(text, nocase) else { return false };
        text = &text[start + segment.width..];
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use std::time::{Duration, Instant};

    /// A second opinion written the obvious way: recursion over bytes, no segments, no token types.
    fn naive(p: &[u8], t: &[u8], nocase: bool) -> bool {
        let lower = |b: u8| if nocase { b.to_ascii_lowercase() } else { b };
        match (p.first(), t.first()) {
            (None, _) => t.is_empty(),
            (Some(b'*'), None) => naive(&p[1..], t, nocase),
            (Some(_), None) => false,
            (Some(b'*'), Some(_)) => naive(&p[1..], t, nocase) || naive(p, &t[1..], nocase),
            (Some(b'?'), Some(_)) => naive(&p[1..], &t[1..], nocase),
            (Some(b'['), Some(&c)) => {
                let mut i = 1;
                let negated = p.get(i) == Some(&b'^');
                i += usize::from(negated);
                let mut held = false;
                while i < p.len() && p[i] != b']' {
                    if p[i] == b'\\' && i + 1 < p.len() {
                        i += 1;
                        held |= p[i] == c;
                    } else if i + 2 < p.len() && p[i + 1] == b'-' {
                        let (a, b) = (p[i] as i8, p[i + 2] as i8);
                        let low = lower(a.min(b) as u8) as i8;
                        let high = lower(a.max(b) as u8) as i8;
                        held |= low <= lower(c) as i8 && lower(c) as i8 <= high;
                        i += 2;
                    } else {
                        held |= lower(p[i]) == lower(c);
                    }
                    i += 1;
                }
                held != negated && naive(p.get(i + 1..).unwrap_or(b""), &t[1..], nocase)
            }
            (Some(b'\\'), Some(&c)) if p.len() > 1 => {
                lower(p[1]) == lower(c) && naive(&p[2..], &t[1..], nocase)
            }
            (Some(&b), Some(&c)) => lower(b) == lower(c) && naive(&p[1..], &t[1..], nocase),
        }
    }

    fn random_bytes(random: &mut StdRng, alphabet: &[u8], length_max: usize) -> Vec<u8> {
        let length = random.random_range(0..=length_max);
        (0..length).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect()
    }

    #[test]
    fn agrees_with_the_naive_matcher_on_random_patterns() {
        let mut random = StdRng::seed_from_u64(7);
        let alphabets: [(&[u8], &[u8]); 4] = [
            (b"**ab?", b"ab"),
            (b"*a?[]^-\\b", b"ab]^-\\["),
            (b"*aB[]^-\\Z\xff\x80", b"abABzZ\xff\x80]-"),
            (b"*?ac[-]", b"abcd"),
        ];
        let mut matched = 0;
        for round in 0..200_000 {
            let (pattern_bytes, text_bytes) = alphabets[round % alphabets.len()];
            let p = random_bytes(&mut random, pattern_bytes, 10);
            let t = random_bytes(&mut random, text_bytes, 8);
            for nocase in [false, true] {
                let pattern = Pattern::with_case(&p, nocase);
                let expected = naive(&p, &t, nocase) && (!t.is_empty() || p.is_empty());
                assert_eq!(
                    pattern.matches(&t),
                    expected,
                    "{:?} {:?} {nocase}",
                    p.escape_ascii(),
                    t.escape_ascii()
                );
                assert!(!expected || t.starts_with(pattern.literal_prefix()));
                matched += usize::from(expected);
                if !nocase {
                    assert_eq!(matches(&p, &t), expected);
                }
            }
        }
        assert!(matched > 20_000, "the inputs collide often enough to test anything: {matched}");
    }

    /// Answers of Redis 7.0.15.
    #[test]
    fn oddities_are_those_of_redis() {
        let cases: [(&[u8], &[u8], bool); 34] = [
            (b"", b"", true),
            (b"", b"a", false),
            (b"*", b"", false),
            (b"**", b"", false),
            (b"*", b"a", true),
            (b"a*", b"a", true),
            (b"a**", b"a", true),
            (b"*a", b"a", true),
            (b"?", b"", false),
            (b"h?llo", b"hello", true),
            (b"h[^e]llo", b"hello", false),
            (b"h[^e]llo", b"hallo", true),
            (b"h[a-b]llo", b"hbllo", true),
            (b"h[b-a]llo", b"hallo", true),
            (b"\\*", b"*", true),
            (b"\\*", b"a", false),
            (b"a\\", b"a\\", true),
            (b"[\\]]", b"]", true),
            (b"[\\-]", b"-", true),
            (b"[a-]", b"a", true),
            (b"[a-]", b"^", true),
            (b"[a-]x", b"ax", false), // the class never closes
            (b"[a-", b"-", true),
            (b"[a", b"a", true),
            (b"[", b"[", false),
            (b"[^", b"x", true),
            (b"[]", b"]", false),
            (b"[]a]", b"a]", false),
            (b"[^]", b"]", true),
            (b"[a\\", b"\\", true),
            (b"[\\", b"\\", true),
            (b"[a-\xff]", b"Z", true),
            (b"[a-\xff]", b"b", false),
            (b"a*[^b]*c", b"abbbxc", true),
        ];
        for (pattern, text, expected) in cases {
            let shown = (pattern.escape_ascii().to_string(), text.escape_ascii().to_string());
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{shown:?}");
        }
    }

    #[test]
    fn ignoring_case_stops_at_escapes_and_ranges_across_cases() {
        assert!(Pattern::new_nocase(b"MaxMemory*").matches(b"maxmemory-policy"));
        assert!(Pattern::new_nocase(b"*-POL?[C-C]\\Y").matches(b"maxmemory-policy"));
        assert!(!Pattern::new_nocase(b"[\\A]").matches(b"a"));
        assert!(!Pattern::new_nocase(b"[Z-a]").matches(b"z"));
        assert!(Pattern::new_nocase(b"ABC").as_literal().is_none());
        assert!(Pattern::new_nocase(b"ABC*").literal_prefix().is_empty());
    }

    #[test]
    fn literal_parts_are_known_before_matching() {
        assert_eq!(Pattern::new(b"us\\er").as_literal(), Some(&b"user"[..]));
        assert_eq!(Pattern::new(b"user:*").as_literal(), None);
        assert_eq!(Pattern::new(b"user:\\*:?").literal_prefix(), b"user:*:");
        assert_eq!(Pattern::new(b"[u]ser").literal_prefix(), b"");
        assert!(Pattern::new(b"*").is_star() && !Pattern::new(b"**").is_star());
    }

    #[test]
    fn hostile_patterns_finish_soon() {
        let text = vec![b'a'; 100_000];
        let many_stars = [b"a*".repeat(100_000), b"b".to_vec()].concat();
        let fitting_stars = [b"a*".repeat(99_999), b"b".to_vec()].concat();
        let long_needle = [b"*".to_vec(), vec![b'a'; 50_000], b"b*".to_vec()].concat();
        let only_stars = [vec![b'*'; 1_000_000], b"b".to_vec()].concat();
        let classes = [b"*[ab]".repeat(50_000), b"b".to_vec()].concat();
        for pattern in [many_stars, fitting_stars, long_needle, only_stars, classes] {
            let started = Instant::now();
            assert!(!Pattern::new(&pattern).matches(&text));
            assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        }
    }
}
