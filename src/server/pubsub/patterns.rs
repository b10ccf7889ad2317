//! An index of patterns by what they begin with, so that a message is not compared with all of them.
//!
//! All patterns that share their literal bytes before the first wildcard are a group; a channel can match those groups
//! only whose prefix it begins with. In the sorted map of prefixes these are found from the longest to the shortest: the
//! greatest prefix that is not greater than the channel is either one of them, or shows how much of the channel any other
//! one can have in common with it.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::topics::TopicId;
use crate::glob::Pattern;

/// Patterns by literal prefix.
#[derive(Default)]
pub struct PatternIndex {
    groups: BTreeMap<Box<[u8]>, BTreeMap<TopicId, Pattern>>,
}

impl PatternIndex {
    /// Adds a pattern under its number. O(log patterns).
    pub fn add(&mut self, id: TopicId, pattern: &[u8]) {
        let pattern = Pattern::new(pattern);
        let prefix = pattern.literal_prefix();
        match self.groups.get_mut(prefix) {
            Some(group) => group.insert(id, pattern),
            None => self.groups.entry(prefix.into()).or_default().insert(id, pattern),
        };
    }

    /// Removes a pattern that was added. O(log patterns).
    pub fn remove(&mut self, id: TopicId, pattern: &[u8]) {
        let pattern = Pattern::new(pattern);
        let prefix = pattern.literal_prefix();
        if let Some(group) = self.groups.get_mut(prefix) {
            group.remove(&id);
            if group.is_empty() {
                self.groups.remove(prefix);
            }
        }
    }

    /// The numbers of the patterns that match a channel, those with the longest prefix first. Compares the patterns of a
    /// group when the channel begins with its prefix; each step from prefix to prefix is O(log groups).
    pub fn matching(&self, channel: &[u8]) -> Vec<TopicId> {
        let mut found = Vec::new();
        let mut bound = Bound::Included(channel);
        while let Some((prefix, group)) =
            self.groups.range::<[u8], _>((Bound::Unbounded, bound)).next_back()
        {
            let common = common_len(prefix, channel);
            if common == prefix.len() {
                let matching = group.iter().filter(|(_, pattern)| pattern.matches(channel));
                found.extend(matching.map(|(&id, _)| id));
                bound = Bound::Excluded(&channel[..common]);
            } else {
                bound = Bound::Included(&channel[..common]);
            }
        }
        found
    }
}

/// How many bytes two texts have in common at their beginning.
fn common_len(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::super::topics::Topics;
    use super::*;
    use crate::glob;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    #[test]
    fn finds_what_a_comparison_with_all_patterns_finds() {
        let mut random = StdRng::seed_from_u64(5);
        let mut word = |alphabet: &[u8], len_max: usize| -> Vec<u8> {
            let len = random.random_range(0..=len_max);
            (0..len).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect()
        };
        let mut matches = 0;
        for _ in 0..100 {
            let (mut topics, mut index) = (Topics::new((1, 2)), PatternIndex::default());
            for _ in 0..60 {
                let pattern = word(b"aab*?[]\\", 6);
                let (id, is_new) = topics.find_or_add(&pattern);
                if is_new {
                    index.add(id, &pattern);
                }
            }
            for _ in 0..60 {
                let channel = word(b"aab*", 6);
                let mut found: Vec<&[u8]> =
                    index.matching(&channel).into_iter().map(|id| topics.name(id)).collect();
                let mut expected: Vec<&[u8]> =
                    topics.names().filter(|pattern| glob::matches(pattern, &channel)).collect();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "{:?}", channel.escape_ascii().to_string());
                matches += found.len();
            }
            let names: Vec<Vec<u8>> = topics.names().map(<[u8]>::to_vec).collect();
            for name in names {
                index.remove(topics.find(&name).expect("it is there"), &name);
            }
            assert!(index.groups.is_empty());
        }
        assert!(matches > 10_000, "{matches}");
    }

    #[test]
    fn the_longest_prefix_comes_first() {
        let (mut topics, mut index) = (Topics::new((1, 2)), PatternIndex::default());
        for pattern in ["*", "news.*", "new*", "news.[a-z]*", "nexus*", "o*"] {
            let (id, _) = topics.find_or_add(pattern.as_bytes());
            index.add(id, pattern.as_bytes());
        }
        let names = |channel: &[u8]| -> Vec<String> {
            let found = index.matching(channel).into_iter();
            found.map(|id| String::from_utf8_lossy(topics.name(id)).into_owned()).collect()
        };
        assert_eq!(names(b"news.art"), ["news.*", "news.[a-z]*", "new*", "*"]);
        assert_eq!(names(b"newt"), ["new*", "*"]);
        assert_eq!(names(b"z"), ["*"]);
        assert!(names(b"").is_empty());
    }
}
