//! `PackedLimits`: how far a collection stays packed.

/// Up to how many entries of up to how many bytes a collection is a listpack: a pair of `*-max-listpack-entries` and
/// `*-max-listpack-value`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackedLimits {
    /// Entries: members, or pairs.
    pub entries: usize,
    /// Length of the longest member, field or value.
    pub value_bytes: usize,
}
