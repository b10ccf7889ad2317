//! `Leaf`: the bottom of the tree, up to 62 handles in order, each with a hint of what its record says.
//!
//! A handle needs 40 of a slot's 64 bits. The other 24 say where the record's order lies between those of the leaf's
//! ends when the hints were made: `(order - base) >> shift`, cut off at both sides. Whatever base and shift are, a lower
//! hint means a lower order, so hints are never wrong; they are only more or less telling. Searching a leaf reads the
//! records of those with the same hint as what is searched for: usually none or one, where searching by records would
//! be six cache misses, one after the other.

use crate::dict::Handle;

/// Slots of a leaf: with what else there is, 512 bytes.
pub(super) const CAPACITY: usize = 62;
/// Below this a leaf is joined with a neighbour or filled up from it.
pub(super) const LEN_MIN: usize = CAPACITY / 4;

const HINT_BITS: u32 = u64::BITS - Handle::BITS;
const HINT_MAX: u64 = (1 << HINT_BITS) - 1;

/// Handles in order.
#[derive(Clone)]
pub(super) struct Leaf {
    base: u64,
    shift: u8,
    len: u8,
    slots: [u64; CAPACITY],
}

/// The handle in a slot.
#[inline]
pub(super) fn handle_of(slot: u64) -> Handle {
    Handle::from_bits(slot & ((1 << Handle::BITS) - 1)).expect("a slot in use holds a handle")
}

fn hint_of(slot: u64) -> u64 {
    slot >> Handle::BITS
}

impl Leaf {
    /// A leaf without handles. Its hints will be the highest bits of the order.
    pub(super) fn new() -> Box<Self> {
        let shift = (u64::BITS - HINT_BITS) as u8;
        Box::new(Self { base: 0, shift, len: 0, slots: [0; CAPACITY] })
    }

    /// Number of handles.
    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// The slots in use, in order.
    #[inline]
    pub(super) fn slots(&self) -> &[u64] {
        &self.slots[..self.len()]
    }

    #[inline]
    fn hint(&self, order: u64) -> u64 {
        (order.saturating_sub(self.base) >> self.shift).min(HINT_MAX)
    }

    /// How many handles `before` holds for. With an `order`, all lower ones are known to be before and all higher ones
    /// are not, without asking.
    pub(super) fn seek(&self, order: Option<u64>, mut before: impl FnMut(Handle) -> bool) -> usize {
        let slots = self.slots();
        let (from, to) = match order {
            None => (0, slots.len()),
            Some(order) => {
                let hint = self.hint(order);
                let from = slots.partition_point(|slot| hint_of(*slot) < hint);
                let same = slots[from..].partition_point(|slot| hint_of(*slot) == hint);
                (from, from + same)
            }
        };
        from + slots[from..to].partition_point(|slot| before(handle_of(*slot)))
    }

    /// Puts a handle at a place. The leaf must have room.
    pub(super) fn insert(&mut self, at: usize, order: u64, handle: Handle) {
        let len = self.len();
        self.slots.copy_within(at..len, at + 1);
        self.slots[at] = self.hint(order) << Handle::BITS | handle.bits();
        self.len += 1;
    }

    /// Takes `count` handles out from a place on.
    pub(super) fn remove(&mut self, at: usize, count: usize) {
        let len = self.len();
        self.slots.copy_within(at + count..len, at);
        self.len -= count as u8;
    }

    /// Moves the handles from a place on to a new leaf. The hints go along, unless many say the same.
    pub(super) fn split_off(&mut self, at: usize, order_of: &impl Fn(Handle) -> u64) -> Box<Self> {
        let mut right = Box::new(self.clone());
        right.remove(0, at);
        self.len = at as u8;
        for leaf in [self, &mut *right] {
            let same =
                leaf.slots().windows(2).filter(|pair| hint_of(pair[0]) == hint_of(pair[1])).count();
            if same > leaf.len() / 8 {
                leaf.renew_hints(order_of);
            }
        }
        right
    }

    /// Moves handles between this leaf and the one after it: all of that one's if they fit, else as many as make both
    /// equally long.
    pub(super) fn level(&mut self, right: &mut Self, order_of: &impl Fn(Handle) -> u64) {
        let total = self.len() + right.len();
        let keep = if total <= CAPACITY { total } else { total / 2 };
        if keep > self.len() {
            let moved = keep - self.len();
            self.slots[usize::from(self.len)..keep].copy_from_slice(&right.slots[..moved]);
            right.remove(0, moved);
        } else {
            let moved = self.len() - keep;
            let len = right.len();
            right.slots.copy_within(..len, moved);
            right.slots[..moved].copy_from_slice(&self.slots[keep..keep + moved]);
            right.len += moved as u8;
        }
        self.len = keep as u8;
        self.renew_hints(order_of);
        right.renew_hints(order_of);
    }

    /// Makes the hints as telling as they can be. Reads every record.
    fn renew_hints(&mut self, order_of: &impl Fn(Handle) -> u64) {
        let (Some(first), Some(last)) = (self.slots().first(), self.slots().last()) else { return };
        let (first, last) = (order_of(handle_of(*first)), order_of(handle_of(*last)));
        self.base = first;
        self.shift = (u64::BITS - (last - first).leading_zeros()).saturating_sub(HINT_BITS) as u8;
        for at in 0..self.len() {
            let handle = handle_of(self.slots[at]);
            self.slots[at] = self.hint(order_of(handle)) << Handle::BITS | handle.bits();
        }
    }

    /// Panics unless the hints are what base and shift make of the records.
    #[cfg(test)]
    pub(super) fn check(&self, order_of: &impl Fn(Handle) -> u64) {
        for slot in self.slots() {
            assert_eq!(hint_of(*slot), self.hint(order_of(handle_of(*slot))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(bits: u64) -> Handle {
        Handle::from_bits(bits).unwrap()
    }

    #[test]
    fn a_leaf_fills_512_bytes() {
        assert_eq!(size_of::<Leaf>(), 512);
    }

    #[test]
    fn a_telling_hint_spares_the_look_at_the_record() {
        let order_of = |handle: Handle| handle.bits() << 45;
        let mut leaf = Leaf::new();
        (0..40).for_each(|i| leaf.insert(i, order_of(handle(i as u64 + 1)), handle(i as u64 + 1)));
        leaf.renew_hints(&order_of);
        leaf.check(&order_of);
        let mut asked = 0;
        let at = leaf.seek(Some(20 << 45), |found| {
            asked += 1;
            found < handle(20)
        });
        assert_eq!((at, asked), (19, 1));
    }

    #[test]
    fn one_or_no_handle_is_levelled_and_split() {
        let order_of = |handle: Handle| handle.bits();
        let (mut left, mut right) = (Leaf::new(), Leaf::new());
        left.level(&mut right, &order_of);
        right.insert(0, 7, handle(7));
        left.level(&mut right, &order_of);
        assert_eq!((left.len(), right.len()), (1, 0));
        left.insert(1, 9, handle(9));
        assert_eq!(left.split_off(0, &order_of).len(), 2);
        assert_eq!(left.len(), 0);
    }
}
