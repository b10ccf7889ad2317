//! A long list: what edits do to the nodes of a chain.
//!
//! A node takes elements until the limit, then a new one begins. An insertion into a full node splits it, and what is
//! small around it is joined. Removals only drop empty nodes. All as in Redis's quicklist (Matt Stancliff), so that the
//! nodes are the same, and with them the moment when one listpack is left.

use super::iter::Iter;
use super::node::Node;
use super::nodes::{NodeAt, Nodes};
use super::{Block, End, NodeLimit};
use crate::types::listpack::{Deque, EMPTY_BYTES, Element, Needle};

/// A list of many nodes: listpacks, and big elements on their own.
#[derive(Clone, Debug, Default)]
pub struct Chain(Nodes);

impl Chain {
    /// A chain of one listpack, or none if it is empty.
    pub(super) fn of_listpack(listpack: Vec<u8>) -> Self {
        let mut chain = Self::default();
        chain.append_packed(listpack);
        chain
    }

    /// Adds a sound listpack at the right, as a node. An empty one is dropped.
    pub(super) fn append_packed(&mut self, listpack: Vec<u8>) {
        let deque = Deque::new(listpack);
        if !deque.is_empty() {
            self.push_node(End::Right, Node::Packed(deque));
        }
    }

    /// Adds an element at the right that is a node of its own.
    pub(super) fn append_plain(&mut self, text: Vec<u8>) {
        self.push_node(End::Right, Node::Plain(text.into()));
    }

    /// Number of elements. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.0.elements()
    }

    /// Whether there are no elements. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory behind it. O(1).
    pub fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    /// The nodes as they are stored.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        self.0.iter().map(Node::block)
    }

    /// How many nodes there are. O(nodes / 128).
    pub(super) fn block_count(&self) -> usize {
        self.0.count()
    }

    /// The nodes from number `index` on as they are stored.
    pub fn blocks_from(&self, index: usize) -> impl Iterator<Item = Block<'_>> {
        self.0.iter_from(index).map(Node::block)
    }

    /// The element number `index` and those `towards` an end from it.
    pub(super) fn iter_from(&self, index: usize, towards: End) -> Iter<'_> {
        Iter::chained(&self.0, index, towards)
    }

    /// The listpack that a chain of one node may be replaced by.
    pub(super) fn take_only_listpack(&mut self, limit: NodeLimit, half: bool) -> Option<Vec<u8>> {
        match self.0.only()? {
            Node::Packed(deque) if limit.unchains(deque.bytes(), deque.len(), half) => {}
            _ => return None,
        }
        match self.0.remove(self.0.at_end(End::Left)?) {
            Node::Packed(deque) => Some(deque.into_listpack()),
            Node::Plain(_) => None,
        }
    }

    /// Adds an element at `end`. Amortized O(text).
    #[inline]
    pub(super) fn push(&mut self, end: End, text: &[u8], limit: NodeLimit) {
        match self.0.at_end(end) {
            Some(at) if has_room(self.0.get(at), text, limit) => {
                self.0.edit(at, |node| node.push(end, text));
            }
            _ => self.push_node(end, new_node(text, limit)),
        }
    }

    /// Adds a node at `end`. The one before it will not grow any more, at least not at once.
    fn push_node(&mut self, end: End, node: Node) {
        if let Some(at) = self.0.at_end(end) {
            self.0.edit(at, Node::shrink_to_fit);
        }
        self.0.push(end, node);
    }

    /// Hands the element at `end` to `with` and removes it. Returns whether there was one. O(element).
    #[inline]
    pub(super) fn pop(&mut self, end: End, with: impl FnOnce(Element<'_>)) -> bool {
        let Some(at) = self.0.at_end(end) else { return false };
        let node = self.0.get(at);
        let Some(element) = node.peek(end) else { return false };
        with(element);
        if node.len() == 1 {
            self.0.remove(at);
        } else {
            self.0.edit(at, |node| node.remove_end(end));
        }
        true
    }

    /// Adds an element next to the one number `index`, which there is, on the side of `side`. O(nodes).
    pub(super) fn insert(&mut self, index: usize, side: End, text: &[u8], limit: NodeLimit) {
        let Some((at, offset)) = self.0.seek(index) else { return };
        let node = self.0.get(at);
        let between = offset + usize::from(side == End::Right);
        if has_room(node, text, limit) {
            self.0.edit(at, |node| node.insert(between, text));
        } else if between == 0 || between == node.len() {
            self.insert_outside(at, side, text, limit);
        } else {
            self.insert_by_split(at, between, side, text, limit);
        }
    }

    /// Adds an element beside the full node at a place: to its neighbour, or as a new node.
    fn insert_outside(&mut self, at: NodeAt, side: End, text: &[u8], limit: NodeLimit) {
        match self.0.neighbour(at, side) {
            Some(next) if has_room(self.0.get(next), text, limit) => {
                self.0.edit(next, |node| node.push(side.opposite(), text));
            }
            _ => {
                self.0.insert(at, side, new_node(text, limit));
            }
        }
    }

    /// Splits the full node at a place before its element number `between`, and adds an element there: to the half that
    /// is not on the side of `side`, or, if it is big, as a node.
    fn insert_by_split(
        &mut self,
        at: NodeAt,
        between: usize,
        side: End,
        text: &[u8],
        limit: NodeLimit,
    ) {
        let mut right = self.0.edit(at, |node| node.split_off(between));
        if limit.is_plain(text.len()) {
            let plain = self.0.insert(at, End::Right, Node::plain(text));
            self.0.insert(plain, End::Right, right);
            return;
        }
        self.0.edit(at, Node::shrink_to_fit);
        let center = match side {
            End::Right => {
                right.push(End::Left, text);
                right.shrink_to_fit();
                let right = self.0.insert(at, End::Right, right);
                self.0.neighbour(right, End::Left)
            }
            End::Left => {
                self.0.edit(at, |left| left.push(End::Right, text));
                Some(self.0.insert(at, End::Right, right))
            }
        };
        self.join_around(center.expect("the left half is before the right one"), limit);
    }

    /// Joins nodes around one that a split has made small, as far as the limit allows.
    fn join_around(&mut self, mut center: NodeAt, limit: NodeLimit) {
        if let Some(next) = self.0.neighbour(center, End::Right) {
            self.join_with_next(next, limit);
        }
        if let Some(previous) = self.0.neighbour(center, End::Left) {
            if let Some(before) = self.0.neighbour(previous, End::Left)
                && self.join_with_next(before, limit)
            {
                center = self.0.neighbour(before, End::Right).expect("the centre is still there");
            }
            if let Some(previous) = self.0.neighbour(center, End::Left)
                && self.join_with_next(previous, limit)
            {
                center = previous;
            }
        }
        self.join_with_next(center, limit);
    }

    /// Gives the elements of the next node to the one at a place, if it may have them all.
    fn join_with_next(&mut self, at: NodeAt, limit: NodeLimit) -> bool {
        let Some(next) = self.0.neighbour(at, End::Right) else { return false };
        let may_join = may_join(self.0.get(at), self.0.get(next), limit);
        if may_join {
            let next = self.0.remove(next);
            self.0.edit(at, |node| node.concatenate(&next));
        }
        may_join
    }

    /// Puts `text` in the place of the element number `index`. Returns whether there is one. O(nodes).
    pub(super) fn set(&mut self, index: usize, text: &[u8], limit: NodeLimit) -> bool {
        let Some((at, offset)) = self.0.seek(index) else { return false };
        let node = self.0.get(at);
        if may_replace(node, offset, text, limit) {
            self.0.edit(at, |node| node.replace(offset, text));
        } else if node.len() > 1 {
            self.replace_by_node(at, offset, new_node(text, limit), limit);
        } else if matches!(node, Node::Plain(_)) && !limit.is_plain(text.len()) {
            self.insert_outside(at, End::Right, text, limit);
            let (plain, _) = self.0.seek(index).expect("what was added is behind it");
            self.0.remove(plain);
        } else {
            self.0.edit(at, |node| *node = new_node(text, limit));
        }
        true
    }

    /// Puts a node in the place of the element number `offset`, one of several, of the node at a place.
    fn replace_by_node(&mut self, at: NodeAt, offset: usize, new: Node, limit: NodeLimit) {
        let right = self.0.edit(at, |node| node.split_off(offset + 1));
        let mut center = self.0.insert(at, End::Right, new);
        if right.len() > 0 {
            let right = self.0.insert(center, End::Right, right);
            center = self.0.neighbour(right, End::Left).expect("the new node is before it");
        }
        let left = self.0.neighbour(center, End::Left).expect("the split node is before it");
        if offset == 0 {
            self.0.remove(left);
        } else {
            self.0.edit(left, |node| node.remove_end(End::Right));
            self.join_around(center, limit);
        }
    }

    /// Removes up to `max` elements that match, the first ones from an end. Returns how many. O(elements).
    pub(super) fn remove_matching(&mut self, needle: &Needle<'_>, from: End, max: usize) -> usize {
        let (mut at, mut removed) = (self.0.at_end(from), 0);
        while let Some(place) = at
            && removed < max
        {
            let node = self.0.get(place);
            let matches = node.count(needle);
            let gone = matches.min(max - removed);
            removed += gone;
            if gone == node.len() {
                at = self.0.remove_on_the_way(place, from.opposite());
                continue;
            }
            if gone > 0 {
                let skip = if from == End::Left { 0 } else { matches - gone };
                self.0.edit(place, |node| node.remove_matches(needle, skip..skip + gone));
            }
            at = self.0.neighbour(place, from.opposite());
        }
        removed
    }

    /// Removes `count` elements (at most all) at `end`. What goes is added to `cut`, as far as it is whole nodes.
    /// O(nodes).
    pub(super) fn cut(&mut self, end: End, count: usize, cut: &mut Self) {
        let rest = self.0.cut(end, count, &mut cut.0);
        if let Some(at) = self.0.at_end(end)
            && rest > 0
        {
            self.0.edit(at, |node| {
                let offset = if end == End::Left { 0 } else { node.len() - rest };
                node.remove_range(offset, rest);
            });
        }
    }

    /// Frees up to `nodes_max` nodes from the right. Returns whether none is left.
    pub fn drop_step(&mut self, nodes_max: usize) -> bool {
        for _ in 0..nodes_max {
            match self.0.at_end(End::Right) {
                Some(at) => drop(self.0.remove(at)),
                None => return true,
            }
        }
        self.is_empty()
    }
}

fn new_node(text: &[u8], limit: NodeLimit) -> Node {
    if limit.is_plain(text.len()) { Node::plain(text) } else { Node::packed(text) }
}

#[inline]
fn has_room(node: &Node, text: &[u8], limit: NodeLimit) -> bool {
    match node {
        Node::Packed(deque) => limit.has_room(deque.bytes(), deque.len(), text.len()),
        Node::Plain(_) => false,
    }
}

fn may_join(left: &Node, right: &Node, limit: NodeLimit) -> bool {
    match (left, right) {
        (Node::Packed(left), Node::Packed(right)) => {
            limit.allows(left.bytes() + right.bytes() - EMPTY_BYTES, left.len() + right.len())
        }
        _ => false,
    }
}

/// Whether a node can have `text` for its element number `offset`.
fn may_replace(node: &Node, offset: usize, text: &[u8], limit: NodeLimit) -> bool {
    let Node::Packed(deque) = node else { return false };
    let old = node.iter_from(offset, End::Right).step(End::Right).map_or(0, Element::text_len);
    let shorter = text.len() <= old;
    !limit.is_plain(text.len()) && (shorter || limit.tolerates(deque.bytes() + text.len() - old))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Chain {
        /// Asserts what must hold between edits.
        pub fn check(&self) {
            self.0.check();
        }
    }
}
