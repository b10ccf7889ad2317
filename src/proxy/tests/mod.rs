//! The proxy in front of nodes that the test plays.
//!
//! ```text
//! routing    one key, several, all nodes; what is answered here or refused
//! failures   nodes that die, freeze, refuse, talk nonsense
//! model      many clients at random against a model
//! sessions   transactions, watched keys, blocking commands
//! channels   messages
//! cluster    redirections and topology
//! ```

mod channels;
mod cluster;
mod failures;
mod model;
mod routing;
mod sessions;

use super::testing::{Mood, TestProxy};

/// Keys whose slots are at the first, second and third of three nodes.
const KEYS: [&str; 3] = ["b", "c", "a"];

#[test]
fn the_keys_of_the_tests_are_where_they_should_be() {
    let slots = KEYS.map(|key| super::slots::key_slot(key.as_bytes()) / 5462);
    assert_eq!(slots, [0, 1, 2]);
}
