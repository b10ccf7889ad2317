//! `RankTree`: handles in order, found by order or by rank: a B+tree whose nodes know how many handles are below them.
//!
//! It is what a skiplist with spans is to Redis, in a fifth of the memory: a handle costs 8 bytes in a leaf that is 70 to
//! 100 % full, and one byte above it. What a handle stands for is the caller's: records have an *order*, a `u64` (made of
//! a score), and the caller breaks ties. Handles of equal records must not be in the tree twice.
//!
//! A place in the tree is a [`Path`], the index to take at each level. Searching, by order or by rank, makes a path, and
//! all else takes one. (R. Bayer and E. McCreight, "Organization and Maintenance of Large Ordered Indexes", 1972; counted
//! trees: Knuth, The Art of Computer Programming 3, section 6.2.3. The hints in the leaves are explained in `leaf.rs`.)

mod iter;
mod leaf;
mod node;

use std::fmt;
use std::ops::Range;

pub use iter::Iter;

use crate::dict::Handle;
use leaf::Leaf;
use node::{Change, Child, Entry, Node, Nodes};

/// No tree is higher: with nodes a quarter full, 12 levels have 10^13 handles.
const HEIGHT_MAX: usize = 16;

/// A place in a tree: a handle, or the end of a leaf. Valid until the tree changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    indices: [u8; HEIGHT_MAX],
    height: u8,
}

impl Path {
    fn indices(&self) -> &[u8] {
        &self.indices[..usize::from(self.height)]
    }

    fn push(&mut self, index: usize) {
        self.indices[usize::from(self.height)] = index as u8;
        self.height += 1;
    }
}

/// Handles in order.
pub struct RankTree {
    root: Node,
    len: usize,
    nodes: Nodes,
}

impl Default for RankTree {
    fn default() -> Self {
        Self::new()
    }
}

impl RankTree {
    /// An empty tree.
    pub fn new() -> Self {
        Self { root: Node::Leaf(Leaf::new()), len: 0, nodes: Nodes { leaves: 1, inner: 0 } }
    }

    /// Number of handles.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without handles.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory of all nodes. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.nodes.bytes()
    }

    /// The place behind all handles that `before` holds for. These must come first. With an `order`, all records of
    /// lower order are known to be before the place and all of higher order behind it, without asking. O(log n).
    pub fn seek(&self, order: Option<u64>, mut before: impl FnMut(Handle) -> bool) -> Path {
        self.descend(|node| node.seek(order, &mut before))
    }

    /// The place of the last handle that `through` holds for, if it does for any. As [`seek`](Self::seek).
    pub fn seek_last(
        &self,
        order: Option<u64>,
        through: impl FnMut(Handle) -> bool,
    ) -> Option<Path> {
        let mut path = self.seek(order, through);
        // The leaf begins with one of them, if any does.
        let last = path.indices[..usize::from(path.height)].last_mut()?;
        *last = last.checked_sub(1)?;
        Some(path)
    }

    /// The handle at a place; `None` at the end of a leaf.
    pub fn get(&self, path: &Path) -> Option<Handle> {
        let (mut next, mut at) = (&self.root, 0);
        for &index in path.indices() {
            at = usize::from(index);
            let Some(node) = next.child(at) else { break };
            next = node;
        }
        next.handle(at)
    }

    /// The place of a rank, from 0 to `len`. O(log n).
    pub fn at(&self, mut rank: usize) -> Path {
        self.descend(|node| {
            let (index, rest) = node.at_rank(rank);
            rank = rest;
            index
        })
    }

    #[inline]
    fn descend(&self, mut index_in: impl FnMut(&Node) -> usize) -> Path {
        let mut path = Path { indices: [0; HEIGHT_MAX], height: 0 };
        let mut next = Some(&self.root);
        while let Some(node) = next {
            let index = index_in(node);
            path.push(index);
            next = node.child(index);
        }
        path
    }

    /// How many handles are before a place. O(log n).
    pub fn rank(&self, path: &Path) -> usize {
        let (mut rank, mut next) = (0, Some(&self.root));
        for &index in path.indices() {
            let node = next.expect("a path is as long as the tree is high");
            rank += node.len_before(usize::from(index));
            next = node.child(usize::from(index));
        }
        rank
    }

    /// The handles with these ranks, in order from both ends. O(log n) for each leaf.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        Iter::new(self, ranks)
    }

    /// Puts a handle whose record has this order at a place. `order_of` says the order of the others. O(log n).
    pub fn insert(
        &mut self,
        path: &Path,
        order: u64,
        handle: Handle,
        order_of: impl Fn(Handle) -> u64,
    ) {
        let is_last = self.is_end(path);
        let mut change = Change { order_of, nodes: &mut self.nodes };
        let split = self.root.insert(path.indices(), Entry { order, handle, is_last }, &mut change);
        self.len += 1;
        if let Some(right) = split {
            let left = std::mem::replace(&mut self.root, node::inner([]));
            self.root = node::inner([Child::new(left, &change.order_of), right]);
            self.nodes.inner += 1;
        }
    }

    /// Whether nothing is behind a place.
    fn is_end(&self, path: &Path) -> bool {
        let mut next = Some(&self.root);
        path.indices().iter().all(|&index| {
            let Some(node) = next else { return false };
            next = node.child(usize::from(index));
            node.is_end(usize::from(index))
        })
    }

    /// Takes the handle at a place out. O(log n).
    pub fn remove(&mut self, path: &Path, order_of: impl Fn(Handle) -> u64) {
        let removed = self.remove_some(path, 1, order_of);
        debug_assert_eq!(removed, 1, "the path leads to a handle");
    }

    /// Takes the handles with these ranks out. O(removed + log n for each leaf).
    pub fn remove_range(&mut self, ranks: Range<usize>, order_of: impl Fn(Handle) -> u64) {
        let mut left = ranks.len();
        while left > 0 {
            let path = self.at(ranks.start);
            left -= self.remove_some(&path, left, &order_of);
        }
    }

    fn remove_some(
        &mut self,
        path: &Path,
        count: usize,
        order_of: impl Fn(Handle) -> u64,
    ) -> usize {
        let mut change = Change { order_of, nodes: &mut self.nodes };
        let removed = self.root.remove(path.indices(), count, &mut change);
        self.len -= removed;
        if self.len == 0 {
            *self = Self::new();
        }
        while let Some(only) = self.root.take_only_child() {
            self.root = only;
            self.nodes.inner -= 1;
        }
        removed
    }

    /// Frees a tree that nobody will use again in steps of up to `leaves_max` leaves, about 45 handles each, and
    /// returns true when it is empty.
    pub fn drop_step(&mut self, mut leaves_max: usize) -> bool {
        let is_done = self.root.drop_step(&mut leaves_max);
        if is_done {
            *self = Self::new();
        }
        is_done
    }
}

impl fmt::Debug for RankTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RankTree").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    /// A tree of numbers that are their own handles; their order is some of their upper bits, so that many tie.
    struct Numbers {
        tree: RankTree,
        model: Vec<u64>,
        coarse: u32,
    }

    impl Numbers {
        fn new(coarse: u32) -> Self {
            Self { tree: RankTree::new(), model: Vec::new(), coarse }
        }

        fn order_of(&self) -> impl Fn(Handle) -> u64 + use<> {
            let coarse = self.coarse;
            move |handle| handle.bits() >> coarse << 20
        }

        fn insert(&mut self, number: u64) {
            let Err(at) = self.model.binary_search(&number) else { return };
            self.model.insert(at, number);
            let handle = Handle::from_bits(number).unwrap();
            let order_of = self.order_of();
            let path = self.tree.seek(Some(order_of(handle)), |other| other < handle);
            assert_eq!(self.tree.rank(&path), at);
            self.tree.insert(&path, order_of(handle), handle, order_of);
        }

        fn remove(&mut self, at: usize) {
            let handle = Handle::from_bits(self.model.remove(at)).unwrap();
            let order_of = self.order_of();
            let path =
                self.tree.seek_last(Some(order_of(handle)), |other| other <= handle).unwrap();
            assert_eq!((self.tree.rank(&path), self.tree.get(&path)), (at, Some(handle)));
            self.tree.remove(&path, order_of);
        }

        fn remove_range(&mut self, ranks: Range<usize>) {
            self.model.drain(ranks.clone());
            self.tree.remove_range(ranks, self.order_of());
        }

        /// Everything that must hold of the nodes, and of what one sees of them.
        fn check(&self) {
            let mut nodes = Nodes::default();
            self.tree.root.check(&self.order_of(), &mut nodes);
            assert_eq!((nodes, self.tree.len()), (self.tree.nodes, self.model.len()));
            assert!(
                self.tree.range(0..usize::MAX).map(Handle::bits).eq(self.model.iter().copied())
            );
        }
    }

    #[test]
    fn random_operations_match_a_sorted_vec() {
        for (coarse, keys) in [(0, 100u64), (0, 30_000), (7, 30_000), (38, 6000), (3, 1 << 39)] {
            let seed: u64 = rand::random();
            println!("seed {seed}");
            let mut random = StdRng::seed_from_u64(seed);
            let mut numbers = Numbers::new(coarse);
            for step in 0..40_000 {
                let len = numbers.model.len();
                if random.random_ratio(if step / 10_000 % 2 == 0 { 7 } else { 3 }, 10) || len == 0 {
                    numbers.insert(random.random_range(1..=keys));
                } else if random.random_ratio(1, 300) {
                    let start = random.random_range(0..len);
                    let end = start + random.random_range(0..=(len - start).min(400));
                    numbers.remove_range(start..end);
                } else {
                    numbers.remove(random.random_range(0..len));
                }
                if step % 1000 == 0 {
                    numbers.check();
                }
            }
            numbers.check();
            while !numbers.model.is_empty() {
                numbers.remove(random.random_range(0..numbers.model.len()));
            }
            numbers.check();
            assert_eq!(numbers.tree.memory_bytes(), RankTree::new().memory_bytes());
        }
    }

    #[test]
    fn ranges_are_walked_from_both_ends() {
        let mut numbers = Numbers::new(2);
        (1..=3000).for_each(|number| numbers.insert(number));
        let random: &mut dyn FnMut(usize) -> usize = &mut |limit| rand::random_range(0..limit);
        for _ in 0..300 {
            let start = random(3001);
            let end = start + random(3001 - start);
            let (mut walk, mut expected) =
                (numbers.tree.range(start..end), numbers.model[start..end].iter().copied());
            assert_eq!(walk.len(), end - start);
            loop {
                let (one, other) = if random(2) == 0 {
                    (walk.next(), expected.next())
                } else {
                    (walk.next_back(), expected.next_back())
                };
                assert_eq!(one.map(Handle::bits), other);
                if other.is_none() {
                    break;
                }
            }
        }
        assert_eq!(
            (numbers.tree.range(5000..6000).next(), numbers.tree.range(3000..3000).next_back()),
            (None, None)
        );
    }

    #[test]
    fn what_comes_in_order_leaves_full_nodes_behind() {
        let (mut up, mut down, mut mixed) = (Numbers::new(0), Numbers::new(0), Numbers::new(0));
        for number in 1..=20_000 {
            up.insert(number);
            down.insert(20_001 - number);
            mixed.insert(number * 7919 % 20_011);
        }
        for numbers in [&up, &down] {
            numbers.check();
            assert!(numbers.tree.memory_bytes() < 20_000 * 10, "{}", numbers.tree.memory_bytes());
        }
        assert!(mixed.tree.memory_bytes() < 20_000 * 15, "{}", mixed.tree.memory_bytes());
        while up.model.len() > 1 {
            up.remove(up.model.len() / 2);
            down.remove(0);
        }
        up.check();
        down.check();
    }

    #[test]
    fn a_tree_is_freed_in_steps() {
        let mut numbers = Numbers::new(0);
        (1..=20_000).for_each(|number| numbers.insert(number));
        let (mut steps, leaves) = (1, numbers.tree.nodes.leaves);
        while !numbers.tree.drop_step(10) {
            steps += 1;
        }
        assert!(steps >= leaves / 10 && numbers.tree.is_empty());
    }
}
