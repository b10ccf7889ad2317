//! The nodes of a chain, in order: a deque of chunks of up to 128 nodes, which know how many elements they have.
//!
//! So the ends are reached in O(1), an index is found by adding up chunks and then nodes, and nothing larger than the
//! deque of chunks is ever moved or allocated: a list of 10 million short elements has about 200 chunks.
//!
//! A copy of a list shares the chunks, and a chunk that is shared is copied when it changes: up to about 1 MiB at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use super::End;
use super::node::Node;

const CHUNK_NODES: usize = 128;

/// Nodes with at least one element each, and sums over them.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    chunks: VecDeque<Chunk>,
    elements: usize,
    heap_bytes: usize,
}

/// Some nodes in a row; at least one.
#[derive(Clone, Debug, Default)]
struct Chunk {
    nodes: Arc<VecDeque<Node>>,
    elements: usize,
}

/// Where a node is. Good until nodes are added or removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NodeAt {
    chunk: usize,
    node: usize,
}

impl Chunk {
    fn of(nodes: VecDeque<Node>) -> Self {
        Self { elements: nodes.iter().map(Node::len).sum::<usize>(), nodes: Arc::new(nodes) }
    }

    #[inline]
    fn nodes_mut(&mut self) -> &mut VecDeque<Node> {
        Arc::make_mut(&mut self.nodes)
    }
}

impl Nodes {
    /// Number of elements. O(1).
    #[inline]
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Bytes of memory behind it. O(1).
    pub fn heap_bytes(&self) -> usize {
        let nodes = match self.chunks.len() {
            1 => self.chunks[0].nodes.capacity(),
            chunks => chunks * CHUNK_NODES,
        };
        let tables = nodes * size_of::<Node>() + self.chunks.capacity() * size_of::<Chunk>();
        self.heap_bytes + tables
    }

    /// The node, if there is just one.
    pub fn only(&self) -> Option<&Node> {
        match (self.chunks.len(), self.chunks.front()) {
            (1, Some(chunk)) if chunk.nodes.len() == 1 => chunk.nodes.front(),
            _ => None,
        }
    }

    /// Where the node at `end` is, if there are any. O(1).
    #[inline]
    pub fn at_end(&self, end: End) -> Option<NodeAt> {
        let last = self.chunks.len().checked_sub(1)?;
        Some(match end {
            End::Left => NodeAt { chunk: 0, node: 0 },
            End::Right => NodeAt { chunk: last, node: self.chunks[last].nodes.len() - 1 },
        })
    }

    /// Where the node next to that `at` a place is, on the way to an end. O(1).
    #[inline]
    pub fn neighbour(&self, at: NodeAt, towards: End) -> Option<NodeAt> {
        let NodeAt { chunk, node } = at;
        match towards {
            End::Right if node + 1 < self.chunks[chunk].nodes.len() => {
                Some(NodeAt { chunk, node: node + 1 })
            }
            End::Right => {
                (chunk + 1 < self.chunks.len()).then(|| NodeAt { chunk: chunk + 1, node: 0 })
            }
            End::Left if node > 0 => Some(NodeAt { chunk, node: node - 1 }),
            End::Left => {
                let chunk = chunk.checked_sub(1)?;
                Some(NodeAt { chunk, node: self.chunks[chunk].nodes.len() - 1 })
            }
        }
    }

    /// The node at a place. O(1).
    #[inline]
    pub fn get(&self, at: NodeAt) -> &Node {
        &self.chunks[at.chunk].nodes[at.node]
    }

    /// All nodes.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.chunks.iter().flat_map(|chunk| chunk.nodes.iter())
    }

    /// Number of nodes. O(chunks).
    pub fn count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.nodes.len()).sum()
    }

    /// The nodes from number `index` on. O(chunks), each step O(1).
    pub fn iter_from(&self, index: usize) -> impl Iterator<Item = &Node> {
        let (mut chunk, mut skipped) = (0, 0);
        while let Some(nodes) = self.chunks.get(chunk).map(|chunk| chunk.nodes.len())
            && skipped + nodes <= index
        {
            (chunk, skipped) = (chunk + 1, skipped + nodes);
        }
        let rest = self.chunks.range(chunk..).flat_map(|chunk| chunk.nodes.iter());
        rest.skip(index - skipped)
    }

    /// Where the element number `index` is: its node, and its number in there. From the nearer end. O(chunks).
    pub fn seek(&self, index: usize) -> Option<(NodeAt, usize)> {
        if index >= self.elements {
            return None;
        }
        let (chunk, index) = if index < self.elements / 2 {
            walk(self.chunks.iter().map(|chunk| chunk.elements), index)
        } else {
            let from_end = self.elements - 1 - index;
            let (chunk, from_end) =
                walk(self.chunks.iter().rev().map(|chunk| chunk.elements), from_end);
            let chunk = self.chunks.len() - 1 - chunk;
            (chunk, self.chunks[chunk].elements - 1 - from_end)
        };
        let (node, offset) = walk(self.chunks[chunk].nodes.iter().map(Node::len), index);
        Some((NodeAt { chunk, node }, offset))
    }

    /// Changes the node at a place; the sums follow. It must keep an element, or be removed next.
    #[inline]
    pub fn edit<R>(&mut self, at: NodeAt, edit: impl FnOnce(&mut Node) -> R) -> R {
        let chunk = &mut self.chunks[at.chunk];
        let node = &mut chunk.nodes_mut()[at.node];
        let (elements, heap_bytes) = (node.len(), node.heap_bytes());
        let result = edit(node);
        let (elements_now, heap_bytes_now) = (node.len(), node.heap_bytes());
        chunk.elements = chunk.elements - elements + elements_now;
        self.elements = self.elements - elements + elements_now;
        self.heap_bytes = self.heap_bytes - heap_bytes + heap_bytes_now;
        result
    }

    /// Adds a node at `end`. Amortized O(1).
    pub fn push(&mut self, end: End, node: Node) {
        self.elements += node.len();
        self.heap_bytes += node.heap_bytes();
        let outer = match end {
            End::Left => self.chunks.front(),
            End::Right => self.chunks.back(),
        };
        if outer.is_none_or(|chunk| chunk.nodes.len() == CHUNK_NODES) {
            push(&mut self.chunks, end, Chunk::default());
        }
        let outer = match end {
            End::Left => self.chunks.front_mut(),
            End::Right => self.chunks.back_mut(),
        };
        let chunk = outer.expect("there is one now");
        chunk.elements += node.len();
        push(chunk.nodes_mut(), end, node);
    }

    /// Adds a node next to the one at a place, on the side of `side`. Returns where it is. O(chunks).
    pub fn insert(&mut self, at: NodeAt, side: End, node: Node) -> NodeAt {
        let mut new = NodeAt { chunk: at.chunk, node: at.node + usize::from(side == End::Right) };
        let chunk = &mut self.chunks[at.chunk];
        if chunk.nodes.len() == CHUNK_NODES {
            let tail = Chunk::of(chunk.nodes_mut().split_off(CHUNK_NODES / 2));
            chunk.elements -= tail.elements;
            self.chunks.insert(at.chunk + 1, tail);
            if new.node > CHUNK_NODES / 2 {
                new = NodeAt { chunk: at.chunk + 1, node: new.node - CHUNK_NODES / 2 };
            }
        }
        self.elements += node.len();
        self.heap_bytes += node.heap_bytes();
        let chunk = &mut self.chunks[new.chunk];
        chunk.elements += node.len();
        chunk.nodes_mut().insert(new.node, node);
        new
    }

    /// Takes the node at a place out. O(chunks), at the ends O(1).
    pub fn remove(&mut self, at: NodeAt) -> Node {
        let chunk = &mut self.chunks[at.chunk];
        let node = chunk.nodes_mut().remove(at.node).expect("the place is of a node");
        chunk.elements -= node.len();
        if chunk.nodes.is_empty() {
            self.chunks.remove(at.chunk);
        }
        self.elements -= node.len();
        self.heap_bytes -= node.heap_bytes();
        node
    }

    /// Drops the node at a place. Returns where its neighbour towards an end is.
    pub fn remove_on_the_way(&mut self, at: NodeAt, towards: End) -> Option<NodeAt> {
        let left = self.neighbour(at, End::Left);
        self.remove(at);
        match (towards, left) {
            (End::Left, left) => left,
            (End::Right, Some(left)) => self.neighbour(left, End::Right),
            (End::Right, None) => self.at_end(End::Left),
        }
    }

    /// Moves whole nodes from `end` to `cut`, as many as have up to `elements` elements together. Returns how many
    /// elements are still to go, fewer than the next node has. O(nodes), but nothing is freed.
    pub fn cut(&mut self, end: End, elements: usize, cut: &mut Self) -> usize {
        let mut left = elements;
        while let Some(chunk) = self.chunk_at(end)
            && chunk.elements <= left
        {
            left -= chunk.elements;
            let chunk = match end {
                End::Left => self.chunks.pop_front(),
                End::Right => self.chunks.pop_back(),
            };
            let chunk = chunk.expect("it was looked at");
            let heap_bytes = chunk.nodes.iter().map(Node::heap_bytes).sum::<usize>();
            self.elements -= chunk.elements;
            self.heap_bytes -= heap_bytes;
            cut.elements += chunk.elements;
            cut.heap_bytes += heap_bytes;
            cut.chunks.push_back(chunk);
        }
        while let Some(at) = self.at_end(end)
            && self.get(at).len() <= left
        {
            let node = self.remove(at);
            left -= node.len();
            cut.push(End::Right, node);
        }
        left
    }

    fn chunk_at(&self, end: End) -> Option<&Chunk> {
        match end {
            End::Left => self.chunks.front(),
            End::Right => self.chunks.back(),
        }
    }
}

fn push<T>(deque: &mut VecDeque<T>, end: End, item: T) {
    match end {
        End::Left => deque.push_front(item),
        End::Right => deque.push_back(item),
    }
}

/// The part that the element number `index` is in, and its number in there; there is one.
fn walk(parts: impl Iterator<Item = usize>, mut index: usize) -> (usize, usize) {
    for (number, elements) in parts.enumerate() {
        if index < elements {
            return (number, index);
        }
        index -= elements;
    }
    unreachable!("the caller has compared the index with the sum")
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Nodes {
        /// Asserts what must hold between edits.
        pub fn check(&self) {
            assert!(self.iter().all(|node| node.len() > 0));
            assert_eq!(self.elements, self.iter().map(Node::len).sum::<usize>());
            assert_eq!(self.heap_bytes, self.iter().map(Node::heap_bytes).sum::<usize>());
            for chunk in &self.chunks {
                assert!((1..=CHUNK_NODES).contains(&chunk.nodes.len()));
                assert_eq!(chunk.elements, chunk.nodes.iter().map(Node::len).sum::<usize>());
            }
        }
    }

    fn node() -> Node {
        Node::plain(b"x")
    }

    #[test]
    fn nodes_are_added_and_removed_anywhere() {
        let mut nodes = Nodes::default();
        (0..200).for_each(|_| nodes.push(End::Left, node()));
        (0..200).for_each(|_| nodes.push(End::Right, node()));
        for step in 0..300 {
            let (at, _) = nodes.seek(step * 7 % nodes.elements()).unwrap();
            let side = if step % 2 == 0 { End::Left } else { End::Right };
            let new = nodes.insert(at, side, Node::plain(b"new"));
            assert_eq!(nodes.get(new).heap_bytes(), 3);
            let beside = nodes.seek(step * 7 % (nodes.elements() - 1) + usize::from(step % 2 == 0));
            assert_eq!(nodes.neighbour(new, side.opposite()), beside.map(|(at, _)| at));
            nodes.check();
        }
        for step in 0..700 {
            let index = step * 7 % nodes.elements();
            let (at, _) = nodes.seek(index).unwrap();
            let towards = if step % 2 == 0 { End::Left } else { End::Right };
            let next = nodes.remove_on_the_way(at, towards);
            let expected = match towards {
                End::Left => index.checked_sub(1).and_then(|index| nodes.seek(index)),
                End::Right => nodes.seek(index),
            };
            assert_eq!(next, expected.map(|(at, _)| at));
            nodes.check();
        }
        assert_eq!((nodes.elements(), nodes.at_end(End::Left)), (0, None));
    }
}
