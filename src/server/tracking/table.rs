//! Which clients may have which keys in their caches.
//!
//! A record is a key with the clients that have read it, mostly one. Clients that have gone are not looked for: they
//! stay until the key changes, and are known to be others by then.

use crate::keyspace::HashKey;
use crate::net::Token;
use crate::types::table::{Record, Table};

/// A client that may have gone, in the 8 bytes it takes in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ClientRef {
    /// Its place.
    pub token: Token,
    /// The low bits of its number, which tell it from the next one at that place.
    pub id: u32,
}

impl ClientRef {
    /// The client with this number.
    pub fn new(token: Token, id: u64) -> Self {
        Self { token, id: id as u32 }
    }

    fn number(self) -> u64 {
        u64::from(self.id) << 32 | u64::from(self.token.0)
    }

    fn from_number(number: u64) -> Self {
        Self { token: Token(number as u32), id: (number >> 32) as u32 }
    }
}

/// Keys that clients have read. Finding, adding and removing one is O(1), growth included.
pub(super) struct KeyTable {
    keys: Table<CachedKey>,
    items: usize,
}

/// Layout: length of the key, number of clients, key, clients in ascending order. There may be room for more of them.
struct CachedKey;

const HEAD_BYTES: usize = 8;
const CLIENT_BYTES: usize = 8;

impl Record for CachedKey {
    fn name(block: &[u8]) -> &[u8] {
        &block[HEAD_BYTES..HEAD_BYTES + head(block).0]
    }
}

/// Length of the key and number of clients.
fn head(block: &[u8]) -> (usize, usize) {
    let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| block[at + i])) as usize;
    (number(0), number(4))
}

fn set_count(block: &mut [u8], count: usize) {
    block[4..HEAD_BYTES].copy_from_slice(&(count as u32).to_le_bytes());
}

/// The clients of a record.
fn clients(block: &[u8]) -> &[[u8; CLIENT_BYTES]] {
    let (key_len, count) = head(block);
    let (clients, _) = block[HEAD_BYTES + key_len..].as_chunks();
    &clients[..count]
}

/// Puts a client at place `index` of a record that has room for it.
fn insert_client(block: &mut [u8], index: usize, client: u64) {
    let (key_len, count) = head(block);
    let (places, _) = block[HEAD_BYTES + key_len..].as_chunks_mut();
    places.copy_within(index..count, index + 1);
    places[index] = client.to_le_bytes();
    set_count(block, count + 1);
}

impl KeyTable {
    /// An empty table.
    pub fn new(hash_key: HashKey) -> Self {
        Self { keys: Table::new(hash_key, 0), items: 0 }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many clients of keys there are.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Bytes of memory.
    pub fn memory_bytes(&self) -> usize {
        self.keys.memory_bytes()
    }

    /// Remembers that a client has read a key. O(log n) of the key's clients if it is there already, else O(n).
    pub fn add(&mut self, key: &[u8], client: ClientRef) {
        let number = client.number();
        let Some(slot) = self.keys.find(key) else {
            self.items += 1;
            self.keys.insert(key, HEAD_BYTES + key.len() + CLIENT_BYTES, |block| {
                block[..4].copy_from_slice(&(key.len() as u32).to_le_bytes());
                set_count(block, 0);
                block[HEAD_BYTES..HEAD_BYTES + key.len()].copy_from_slice(key);
                insert_client(block, 0, number);
            });
            return;
        };
        let block = self.keys.get(slot);
        let found =
            clients(block).binary_search_by_key(&number, |client| u64::from_le_bytes(*client));
        let Err(index) = found else { return };
        self.items += 1;
        let used = HEAD_BYTES + key.len() + clients(block).len() * CLIENT_BYTES;
        if used + CLIENT_BYTES <= block.len() {
            return insert_client(self.keys.get_mut(slot), index, number);
        }
        let old = block[..used].to_vec();
        let more = (clients(block).len() / 2).max(1) * CLIENT_BYTES; // so that many clients are not copied for each
        self.keys.rewrite(slot, used + more, |block| {
            block[..used].copy_from_slice(&old);
            insert_client(block, index, number);
        });
    }

    /// Forgets a key and returns the clients that may have it. O(their number).
    pub fn take(&mut self, key: &[u8]) -> Vec<ClientRef> {
        let Some(slot) = self.keys.find(key) else { return Vec::new() };
        let block = self.keys.get(slot);
        let numbers = clients(block).iter().map(|client| u64::from_le_bytes(*client));
        let taken: Vec<ClientRef> = numbers.map(ClientRef::from_number).collect();
        self.items -= taken.len();
        self.keys.remove(slot);
        taken
    }

    /// Any of the keys.
    pub fn random_key(&self, random: impl FnMut() -> u64) -> Option<Vec<u8>> {
        self.keys.random(random).map(|handle| CachedKey::name(self.keys.block(handle)).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use rand::rngs::SmallRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    #[test]
    fn a_reference_fits_in_eight_bytes() {
        for (token, id) in [(0, 1), (u32::MAX, u64::from(u32::MAX)), (7, 1 << 40 | 5)] {
            let client = ClientRef::new(Token(token), id);
            assert_eq!(ClientRef::from_number(client.number()), client);
            assert_eq!(client.id, id as u32);
        }
    }

    #[test]
    fn the_table_does_what_a_map_of_sets_does() {
        let seed = 11;
        let mut random = SmallRng::seed_from_u64(seed);
        let mut table = KeyTable::new((1, 2));
        let mut model: BTreeMap<Vec<u8>, BTreeSet<u64>> = BTreeMap::new();
        for _ in 0..30_000 {
            let key = vec![b'k'; random.random_range(0..40)];
            if random.random_range(0..100) == 0 {
                let taken: BTreeSet<u64> =
                    table.take(&key).into_iter().map(ClientRef::number).collect();
                assert_eq!(taken, model.remove(&key).unwrap_or_default(), "seed {seed}");
            } else {
                let client = ClientRef::new(Token(random.random_range(0..300)), 1);
                table.add(&key, client);
                model.entry(key).or_default().insert(client.number());
            }
            assert_eq!(table.len(), model.len());
            assert_eq!(table.items(), model.values().map(BTreeSet::len).sum::<usize>());
        }
        let key = table.random_key(|| random.random()).expect("there are keys");
        assert!(model.contains_key(&key));
    }

    #[test]
    fn a_key_of_one_client_takes_about_forty_bytes() {
        let mut table = KeyTable::new((1, 2));
        for number in 0..100_000 {
            table.add(format!("key:{number:012}").as_bytes(), ClientRef::new(Token(1), 1));
        }
        let each = table.memory_bytes() / table.len();
        assert!((40..48).contains(&each), "{each} bytes for a key of 16");
    }
}
