//! `Field`: a field of a hash as it is read, and what becomes of its expire time when it is written.

use crate::types::listpack::Element;

/// A field, read in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Its name.
    pub name: Element<'a>,
    /// Its value.
    pub value: Element<'a>,
    /// When it expires, in Unix milliseconds; `None` = never.
    pub expire_at_ms: Option<i64>,
}

impl Field<'_> {
    /// Whether it has expired: a field lives through its last millisecond.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        is_expired(self.expire_at_ms, now_ms)
    }
}

/// Whether what expires then has expired now.
pub(super) fn is_expired(expire_at_ms: Option<i64>, now_ms: i64) -> bool {
    expire_at_ms.is_some_and(|at_ms| at_ms < now_ms)
}

/// The expire time of a field that is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldExpiry {
    /// It gets none, and loses the one it has: HSET.
    Never,
    /// It keeps the one it has: HINCRBY, HSETEX with KEEPTTL.
    Keep,
    /// It gets this one, in Unix milliseconds: HSETEX.
    At(i64),
}

impl FieldExpiry {
    /// The expire time of a field that has this one.
    pub(super) fn after(self, expire_at_ms: Option<i64>) -> Option<i64> {
        match self {
            Self::Never => None,
            Self::Keep => expire_at_ms,
            Self::At(at_ms) => Some(at_ms),
        }
    }
}
