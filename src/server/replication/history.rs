//! Histories of changes: which one this server follows, and how far it is in it.
//!
//! A history has a name of 40 hex digits; a position in it is the number of its bytes so far. A replica that becomes the
//! master begins a new history where the old one ends for it, and remembers the old name: other replicas of the old master
//! go on from there. (PSYNC2, as in Redis 4.)

use std::fmt;

/// The name of a history: 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReplId([u8; 40]);

impl ReplId {
    /// The name of no history.
    pub const NONE: Self = Self([b'0'; 40]);

    /// From text that must be 40 hex digits; `None` if it is not.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = <[u8; 40]>::try_from(text).ok()?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(Self(digits))
    }

    /// A name that nobody else has, from three random numbers.
    pub fn random(mut random: impl FnMut() -> u64) -> Self {
        let digits: String = (0..3).map(|_| format!("{:016x}", random())).collect();
        Self::parse(&digits.as_bytes()[..40]).expect("hex digits were written")
    }

    /// Its digits.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether a peer means this history. Upper and lower case are the same, as in Redis.
    pub fn is(&self, text: &[u8]) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }
}

impl fmt::Display for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for ReplId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the server is in which history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    /// The history that is being written.
    pub replid: ReplId,
    /// The history that it came from.
    pub replid2: ReplId,
    /// The first offset that differs from that one; -1 if there is none.
    pub second_offset: i64,
    /// Bytes of the history so far. Never decreases within one `replid`.
    pub offset: u64,
}

impl History {
    /// A history without a past.
    pub fn new(replid: ReplId) -> Self {
        Self { replid, replid2: ReplId::NONE, second_offset: -1, offset: 0 }
    }

    /// Goes on under another name: what was written so far is known under both.
    pub fn shift(&mut self, replid: ReplId) {
        self.replid2 = self.replid;
        self.second_offset = i64::try_from(self.offset).map_or(i64::MAX, |offset| offset + 1);
        self.replid = replid;
    }

    /// Begins anew at the same offset: nobody who knows the old names can go on from here.
    pub fn restart(&mut self, replid: ReplId) {
        *self = Self { offset: self.offset, ..Self::new(replid) };
    }

    /// Whether somebody who has the history called `replid` and asks for the byte with the number `next` (the first has
    /// number 1) has seen nothing but what this history has, too.
    pub fn includes(&self, replid: &[u8], next: i64) -> bool {
        self.replid.is(replid) || self.replid2.is(replid) && next <= self.second_offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: u8) -> ReplId {
        ReplId::parse(&[digit; 40]).unwrap()
    }

    #[test]
    fn a_name_is_40_hex_digits() {
        assert_eq!(ReplId::parse(b"abc"), None);
        assert_eq!(ReplId::parse(&[b'g'; 40]), None);
        let mut next = 0_u64;
        let random = ReplId::random(|| {
            next += 0x0123_4567_89ab_cdef;
            next
        });
        assert_eq!(random.to_string().len(), 40);
        assert!(random.is(random.to_string().to_uppercase().as_bytes()));
    }

    #[test]
    fn after_a_promotion_both_names_lead_on_up_to_the_point_where_it_was() {
        let mut history = History::new(id(b'a'));
        history.offset = 50;
        history.shift(id(b'b'));
        history.offset = 70;
        assert!(history.includes(&[b'b'; 40], 71));
        assert!(history.includes(&[b'A'; 40], 51));
        assert!(!history.includes(&[b'a'; 40], 52));
        assert!(!history.includes(&[b'c'; 40], 1));
        history.restart(id(b'c'));
        assert_eq!((history.offset, history.second_offset), (70, -1));
        assert!(!history.includes(&[b'b'; 40], 71));
    }
}
