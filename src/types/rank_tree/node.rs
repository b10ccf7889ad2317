//! `Node`: a leaf, or children with their lengths and first handles. Insertion and removal along a path.
//!
//! INVARIANTS: every child has a handle; `Child::first`, `order` and `len` are those of its subtree; all leaves are
//! equally deep. A node that gets short is joined with a neighbour or filled up from it. One that is alone may stay
//! short: it has been split off at an end of the tree, where nodes are left full because more will come there.

use super::leaf::{self, Leaf, handle_of};
use crate::dict::Handle;

/// Children of a node.
const CAPACITY: usize = 48;
const LEN_MIN: usize = CAPACITY / 4;

/// A leaf or an inner node.
pub(super) enum Node {
    Leaf(Box<Leaf>),
    Inner(Vec<Child>),
}

/// A subtree, and what one has to know of it to pass it by.
pub(super) struct Child {
    /// Handles in it.
    len: usize,
    /// The first of them, and its record's order.
    first: Handle,
    order: u64,
    node: Node,
}

/// What an insertion or a removal needs beside the place: how to read records, and the count of nodes to keep.
pub(super) struct Change<'a, F> {
    pub(super) order_of: F,
    pub(super) nodes: &'a mut Nodes,
}

/// How many nodes a tree has.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Nodes {
    pub(super) leaves: usize,
    pub(super) inner: usize,
}

impl Nodes {
    /// Memory of so many nodes.
    pub(super) fn bytes(self) -> usize {
        self.leaves * size_of::<Leaf>() + self.inner * CAPACITY * size_of::<Child>()
    }
}

/// A new handle and its record's order, and whether the tree ends there.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) order: u64,
    pub(super) handle: Handle,
    pub(super) is_last: bool,
}

/// Where a full node of `capacity` is cut to make room at a place: in the middle, but at the ends of the tree not at
/// all, so that handles that come in order leave full nodes behind.
fn cut(place: usize, capacity: usize, path: &[u8], is_last: bool) -> usize {
    if is_last {
        capacity
    } else if path.iter().all(|index| *index == 0) {
        0
    } else {
        // Whichever part the place is in gets one more.
        capacity / 2 + usize::from(place > capacity / 2)
    }
}

impl Child {
    /// A subtree that has handles.
    pub(super) fn new<F: Fn(Handle) -> u64>(node: Node, order_of: &F) -> Self {
        let (len, first) = (node.len(), node.first());
        Self { len, first, order: order_of(first), node }
    }

    fn renew<F: Fn(Handle) -> u64>(&mut self, order_of: &F) {
        self.len = self.node.len();
        self.first = self.node.first();
        self.order = order_of(self.first);
    }
}

/// An inner node of these children. All have room for as many as there may be.
pub(super) fn inner(children: impl IntoIterator<Item = Child>) -> Node {
    let mut node = Vec::with_capacity(CAPACITY);
    node.extend(children);
    Node::Inner(node)
}

impl Node {
    /// Handles in it. O(children).
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.len(),
            Self::Inner(children) => children.iter().map(|child| child.len).sum(),
        }
    }

    /// The first handle; there must be one.
    fn first(&self) -> Handle {
        match self {
            Self::Leaf(leaf) => handle_of(leaf.slots()[0]),
            Self::Inner(children) => children[0].first,
        }
    }

    fn is_short(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.len() < leaf::LEN_MIN,
            Self::Inner(children) => children.len() < LEN_MIN,
        }
    }

    /// Index of the child or handle at which those that `before` holds for end: for a child, the last that begins with
    /// one. As [`Leaf::seek`].
    pub(super) fn seek(&self, order: Option<u64>, mut before: impl FnMut(Handle) -> bool) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.seek(order, before),
            Self::Inner(children) => children[1..].partition_point(|child| match order {
                Some(order) if order != child.order => child.order < order,
                _ => before(child.first),
            }),
        }
    }

    /// Index of the child a rank is in, or of the handle with it, and the rank within that child. The rank after the
    /// last is in the last.
    pub(super) fn at_rank(&self, mut rank: usize) -> (usize, usize) {
        let Self::Inner(children) = self else { return (rank, 0) };
        let last = children.len() - 1;
        for (index, child) in children[..last].iter().enumerate() {
            if rank < child.len {
                return (index, rank);
            }
            rank -= child.len;
        }
        (last, rank)
    }

    /// Handles before the child or handle with this index.
    pub(super) fn len_before(&self, index: usize) -> usize {
        match self {
            Self::Leaf(_) => index,
            Self::Inner(children) => children[..index].iter().map(|child| child.len).sum(),
        }
    }

    /// Whether the index is that of the last child, or behind the last handle.
    pub(super) fn is_end(&self, index: usize) -> bool {
        match self {
            Self::Leaf(leaf) => index == leaf.len(),
            Self::Inner(children) => index + 1 == children.len(),
        }
    }

    /// The child with this index, `None` in a leaf.
    pub(super) fn child(&self, index: usize) -> Option<&Self> {
        match self {
            Self::Leaf(_) => None,
            Self::Inner(children) => Some(&children[index].node),
        }
    }

    /// The handle with this index; `None` in an inner node.
    pub(super) fn handle(&self, index: usize) -> Option<Handle> {
        match self {
            Self::Leaf(leaf) => leaf.slots().get(index).map(|slot| handle_of(*slot)),
            Self::Inner(_) => None,
        }
    }

    /// Puts a handle where the path leads, and returns the node that had to be split off behind this one, if any.
    pub(super) fn insert<F: Fn(Handle) -> u64>(
        &mut self,
        path: &[u8],
        entry: Entry,
        change: &mut Change<'_, F>,
    ) -> Option<Child> {
        let at = usize::from(path[0]);
        let children = match self {
            Self::Leaf(leaf) => return insert_into_leaf(leaf, path, entry, change),
            Self::Inner(children) => children,
        };
        let child = &mut children[at];
        let split = child.node.insert(&path[1..], entry, change);
        child.len += 1;
        if path[1..].iter().all(|index| *index == 0) {
            (child.first, child.order) = (entry.handle, entry.order);
        }
        let split = split?;
        child.len -= split.len;
        if children.len() < CAPACITY {
            children.insert(at + 1, split);
            return None;
        }
        // At the front of the tree the place is behind the first child, so that one stays.
        let cut = cut(at + 1, CAPACITY, path, entry.is_last).max(1);
        let Self::Inner(mut right) = inner(children.drain(cut..)) else {
            unreachable!("it was made an inner node")
        };
        if at + 1 < cut {
            children.insert(at + 1, split);
        } else {
            right.insert(at + 1 - cut, split);
        }
        change.nodes.inner += 1;
        Some(Child::new(Self::Inner(right), &change.order_of))
    }

    /// Takes out up to `count` handles from where the path leads to the end of that leaf, and returns how many. The
    /// path must lead to a handle. The node may be left empty.
    pub(super) fn remove<F: Fn(Handle) -> u64>(
        &mut self,
        path: &[u8],
        count: usize,
        change: &mut Change<'_, F>,
    ) -> usize {
        let at = usize::from(path[0]);
        let children = match self {
            Self::Leaf(leaf) => {
                let removed = count.min(leaf.len() - at);
                leaf.remove(at, removed);
                return removed;
            }
            Self::Inner(children) => children,
        };
        let child = &mut children[at];
        let removed = child.node.remove(&path[1..], count, change);
        child.len -= removed;
        if child.len == 0 {
            change.nodes.forget(&child.node);
            children.remove(at);
            return removed;
        }
        if path[1..].iter().all(|index| *index == 0) {
            child.first = child.node.first();
            child.order = (change.order_of)(child.first);
        }
        if child.node.is_short() {
            level(children, at, change);
        }
        removed
    }

    /// The only child, if there is just one: a tree with such a root is higher than it needs to be.
    pub(super) fn take_only_child(&mut self) -> Option<Self> {
        match self {
            Self::Inner(children) if children.len() == 1 => children.pop().map(|child| child.node),
            _ => None,
        }
    }

    /// Frees up to `leaves_max` leaves from the end; true when none is left. The lengths are not kept.
    pub(super) fn drop_step(&mut self, leaves_max: &mut usize) -> bool {
        let Self::Inner(children) = self else {
            let done = *leaves_max > 0;
            *leaves_max -= usize::from(done);
            return done;
        };
        while let Some(last) = children.last_mut() {
            if !last.node.drop_step(leaves_max) {
                return false;
            }
            children.pop();
        }
        true
    }

    /// Panics unless the invariants hold. Returns the height, and counts nodes.
    #[cfg(test)]
    pub(super) fn check(&self, order_of: &impl Fn(Handle) -> u64, nodes: &mut Nodes) -> usize {
        let children = match self {
            Self::Leaf(leaf) => {
                nodes.leaves += 1;
                leaf.check(order_of);
                return 1;
            }
            Self::Inner(children) => children,
        };
        nodes.inner += 1;
        assert!(!children.is_empty() && children.len() <= CAPACITY);
        let heights: Vec<usize> = children
            .iter()
            .map(|child| {
                assert!(child.len > 0);
                assert_eq!((child.len, child.first), (child.node.len(), child.node.first()));
                assert_eq!(child.order, order_of(child.first));
                child.node.check(order_of, nodes)
            })
            .collect();
        assert!(heights.iter().all(|height| *height == heights[0]));
        heights[0] + 1
    }
}

impl Nodes {
    /// Counts an empty node off.
    fn forget(&mut self, node: &Node) {
        match node {
            Node::Leaf(_) => self.leaves -= 1,
            Node::Inner(_) => self.inner -= 1,
        }
    }
}

fn insert_into_leaf<F: Fn(Handle) -> u64>(
    leaf: &mut Leaf,
    path: &[u8],
    entry: Entry,
    change: &mut Change<'_, F>,
) -> Option<Child> {
    let at = usize::from(path[0]);
    if leaf.len() < leaf::CAPACITY {
        leaf.insert(at, entry.order, entry.handle);
        return None;
    }
    let cut = cut(at, leaf::CAPACITY, path, entry.is_last);
    let mut right = leaf.split_off(cut, &change.order_of);
    if at < cut || at == 0 {
        leaf.insert(at, entry.order, entry.handle);
    } else {
        right.insert(at - cut, entry.order, entry.handle);
    }
    change.nodes.leaves += 1;
    Some(Child::new(Node::Leaf(right), &change.order_of))
}

/// Joins a short child with a neighbour, or makes both equally long.
fn level<F: Fn(Handle) -> u64>(children: &mut Vec<Child>, at: usize, change: &mut Change<'_, F>) {
    let left = at.saturating_sub(1);
    let [first, second, ..] = &mut children[left..] else { return };
    match (&mut first.node, &mut second.node) {
        (Node::Leaf(first), Node::Leaf(second)) => first.level(second, &change.order_of),
        (Node::Inner(first), Node::Inner(second)) => level_inner(first, second),
        _ => unreachable!("all leaves are equally deep"),
    }
    first.len = first.node.len();
    let second_len = second.node.len();
    if second_len == 0 {
        change.nodes.forget(&second.node);
        children.remove(left + 1);
    } else {
        second.renew(&change.order_of);
    }
}

fn level_inner(left: &mut Vec<Child>, right: &mut Vec<Child>) {
    let total = left.len() + right.len();
    let keep = if total <= CAPACITY { total } else { total / 2 };
    if keep > left.len() {
        let moved = keep - left.len();
        left.extend(right.drain(..moved));
    } else {
        let tail = left.drain(keep..).collect::<Vec<_>>();
        right.splice(..0, tail);
    }
}
