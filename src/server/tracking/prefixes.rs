//! Broadcast: clients that want to hear of every changed key that begins with one of their prefixes, read or not.
//!
//! Changes are gathered during a turn of the loop and told at its end, a key once however often it has changed.

use std::collections::BTreeMap;

use crate::net::Token;
use crate::resp::write_request;

/// All prefixes, with those who want to hear of them.
#[derive(Default)]
pub(super) struct Prefixes {
    prefixes: BTreeMap<Vec<u8>, Prefix>,
    changed: bool,
}

#[derive(Default)]
struct Prefix {
    clients: Vec<Token>,
    keys: ChangedKeys,
}

/// The keys that have changed in this turn, each with the client whose request has changed it last, if it was one.
type ChangedKeys = BTreeMap<Vec<u8>, Option<Token>>;

/// What the clients of a prefix are to be told.
pub(super) struct Broadcast {
    /// Who they are.
    pub clients: Vec<Token>,
    keys: ChangedKeys,
}

impl Broadcast {
    /// The changed keys as an array, without those that `except` has changed itself; `None` if there are no others.
    pub fn array(&self, except: Option<Token>) -> Option<Vec<u8>> {
        let keys = self.keys.iter().filter(|(_, by)| except.is_none() || **by != except);
        let keys: Vec<&[u8]> = keys.map(|(key, _)| key.as_slice()).collect();
        let mut array = Vec::new();
        write_request(&mut array, keys.iter().copied());
        (!keys.is_empty()).then_some(array)
    }
}

impl Prefixes {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// A client wants to hear of a prefix.
    pub fn add(&mut self, prefix: &[u8], client: Token) {
        let clients = &mut self.prefixes.entry(prefix.to_vec()).or_default().clients;
        if !clients.contains(&client) {
            clients.push(client);
        }
    }

    /// A client wants to hear of a prefix no more.
    pub fn remove(&mut self, prefix: &[u8], client: Token) {
        let Some(Prefix { clients, .. }) = self.prefixes.get_mut(prefix) else { return };
        clients.retain(|&other| other != client);
        if clients.is_empty() {
            self.prefixes.remove(prefix);
        }
    }

    /// A key has changed, by a request of client `by` or by itself. O(prefixes).
    pub fn key_changed(&mut self, key: &[u8], by: Option<Token>) {
        for (_, Prefix { keys, .. }) in
            self.prefixes.iter_mut().filter(|(prefix, _)| key.starts_with(prefix))
        {
            keys.insert(key.to_vec(), by);
            self.changed = true;
        }
    }

    /// What is to be told at the end of a turn, in the order of the prefixes.
    pub fn take_changes(&mut self) -> Vec<Broadcast> {
        if !std::mem::take(&mut self.changed) {
            return Vec::new();
        }
        let changed = self.prefixes.values_mut().filter(|prefix| !prefix.keys.is_empty());
        let broadcast = |prefix: &mut Prefix| Broadcast {
            clients: prefix.clients.clone(),
            keys: std::mem::take(&mut prefix.keys),
        };
        changed.map(broadcast).collect()
    }
}
