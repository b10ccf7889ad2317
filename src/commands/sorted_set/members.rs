//! How members and scores are answered.

use crate::resp::{Protocol, Reply};
use crate::types::listpack::Element;

/// Writes one member.
#[inline]
pub(super) fn reply_member(reply: &mut Reply, member: Element<'_>) {
    match member {
        Element::Int(number) => reply.bulk_integer(number),
        Element::Str(bytes) => reply.bulk(bytes),
    }
}

/// What is answered for each member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// The member.
    Members,
    /// Member and score: one array of all in RESP2, an array of two for each in RESP3. No map, for the order counts.
    WithScores,
    /// Member and score, in an array of two for each in both protocols.
    Pairs,
    /// Member and score, in an array that has begun already.
    Bare,
}

impl Shape {
    /// With or without scores.
    pub(super) fn with_scores(with_scores: bool) -> Self {
        if with_scores { Self::WithScores } else { Self::Members }
    }

    fn has_arrays_of_two(self, reply: &Reply) -> bool {
        self == Self::Pairs || self == Self::WithScores && reply.protocol == Protocol::Resp3
    }

    /// Writes the head of an array of `len` members. What is asked for may be more than there can be.
    pub(super) fn begin(self, reply: &mut Reply, len: usize) {
        match self {
            Self::Bare => {}
            Self::WithScores if !self.has_arrays_of_two(reply) => {
                reply.array(len.saturating_mul(2));
            }
            _ => reply.array(len),
        }
    }

    /// Writes one of them.
    #[inline]
    pub(super) fn write(self, reply: &mut Reply, member: Element<'_>, score: f64) {
        if self == Self::Members {
            return reply_member(reply, member);
        }
        if self.has_arrays_of_two(reply) {
            reply.array(2);
        }
        reply_member(reply, member);
        reply.double(score);
    }

    /// Writes all of them.
    pub(super) fn write_all<'a>(
        self,
        reply: &mut Reply,
        members: impl Iterator<Item = (Element<'a>, f64)>,
    ) {
        match self {
            Self::Members => members.for_each(|(member, _)| reply_member(reply, member)),
            _ => members.for_each(|(member, score)| self.write(reply, member, score)),
        }
    }
}
