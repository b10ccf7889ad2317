//! Walking a list from any element towards either end.

use super::End;
use super::node::NodeIter;
use super::nodes::{NodeAt, Nodes};
use crate::types::listpack::{Element, Needle};

/// Elements of a list, one after the other on the way to one end. Each step O(1).
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    node: NodeIter<'a>,
    /// The place of `node`, if there are more nodes.
    chain: Option<(&'a Nodes, NodeAt)>,
    towards: End,
}

impl<'a> Iter<'a> {
    pub(super) fn packed(node: NodeIter<'a>, towards: End) -> Self {
        Self { node, chain: None, towards }
    }

    /// The element number `index` and those `towards` an end from it; none if there is none.
    pub(super) fn chained(nodes: &'a Nodes, index: usize, towards: End) -> Self {
        let Some((at, offset)) = nodes.seek(index) else {
            return Self::packed(NodeIter::Plain(None), towards);
        };
        let node = nodes.get(at).iter_from(offset, towards);
        Self { node, chain: Some((nodes, at)), towards }
    }

    #[cold]
    fn next_node(&mut self) -> Option<Element<'a>> {
        let (nodes, at) = self.chain?;
        let Some(next) = nodes.neighbour(at, self.towards) else {
            self.chain = None;
            return None;
        };
        self.chain = Some((nodes, next));
        self.node = nodes.get(next).iter();
        self.node.step(self.towards)
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        self.node.step(self.towards).or_else(|| self.next_node())
    }
}

impl std::iter::FusedIterator for Iter<'_> {}

/// Indices of the elements that stand for a text, on the way from one end to the other.
#[derive(Clone, Debug)]
pub struct Positions<'a> {
    pub(super) elements: Iter<'a>,
    pub(super) needle: Needle<'a>,
    pub(super) len: usize,
    /// Elements looked at, and how many may be.
    pub(super) seen: usize,
    pub(super) max: usize,
}

impl Iterator for Positions<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.seen < self.max {
            let element = self.elements.next()?;
            self.seen += 1;
            if self.needle.matches(element) {
                return Some(match self.elements.towards {
                    End::Right => self.seen - 1,
                    End::Left => self.len - self.seen,
                });
            }
        }
        None
    }
}
