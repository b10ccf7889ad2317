//! What eviction asks of the keyspace: keys at random, and how little each would be missed. Which of them go, and when, is
//! the server's decision.

use rand::RngExt as _;

use super::{Entry, Keyspace};

/// Buckets looked at for each key that is wanted, where only keys with an expire time will do: most hints are left of keys
/// that have moved on or have none any more.
const BUCKETS_PER_KEY: usize = 4;
/// Steps of a scan, where that has found nothing: a tenth of a millisecond.
const SCAN_STEPS: usize = 1000;

/// Which keys may be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evictable {
    /// All.
    Any,
    /// Those with an expire time.
    Expiring,
}

impl Keyspace {
    /// Calls `emit` with keys of a database, drawn at random: `count` if there are that many, some perhaps more than once.
    /// O(count); of keys with an expire time, O(keys / 4096) for each, and where almost none has one, there may be none
    /// this time: the next call looks elsewhere.
    pub fn sample(
        &mut self,
        db: usize,
        evictable: Evictable,
        count: usize,
        mut emit: impl FnMut(Entry<'_>),
    ) {
        let (database, random) = (&mut self.databases[db], &mut self.random);
        match evictable {
            Evictable::Any => {
                let draws = (0..count).map_while(|_| database.random_entry(|| random.random()));
                draws.for_each(emit);
            }
            Evictable::Expiring if database.keys_with_expiry() == 0 => {}
            Evictable::Expiring => {
                let mut left = count;
                for _ in 0..count * BUCKETS_PER_KEY {
                    for entry in database.random_expiring_entries(random.random()).take(left) {
                        emit(entry);
                        left -= 1;
                    }
                    if left == 0 {
                        return;
                    }
                }
                if left == count {
                    database.scan_for_expiring(SCAN_STEPS, emit);
                }
            }
        }
    }

    /// How little a key would be missed, by the access clock: seconds since its last use, or, where uses are counted, how
    /// far it is from the highest count.
    pub fn staleness(&self, access: u32) -> u64 {
        if self.policy.lfu {
            return u64::from(u8::MAX - self.policy.frequency(access, self.wall_ms));
        }
        u64::from(self.policy.idle_seconds(access, self.wall_ms))
    }

    /// Bytes that keys have left and that the next keys will take: allocated, but no more than room. O(databases).
    pub fn vacant_bytes(&self) -> usize {
        self.databases.iter().map(super::Database::vacant_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Expiry, NewString};
    use super::*;

    fn drawn(keyspace: &mut Keyspace, evictable: Evictable, count: usize) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        keyspace.sample(0, evictable, count, |entry| keys.push(entry.key().to_vec()));
        keys
    }

    #[test]
    fn keys_with_an_expire_time_are_found_among_many_without() {
        let mut keyspace = Keyspace::new(1, 1, 1000);
        assert!(drawn(&mut keyspace, Evictable::Any, 3).is_empty());
        for number in 0..20_000 {
            let key = format!("k{number}");
            let expiry = if number % 5_000 == 0 { Expiry::At(9_000_000) } else { Expiry::Clear };
            keyspace.db(0).set_string(key.as_bytes(), NewString::Int(1), expiry);
        }
        assert_eq!(drawn(&mut keyspace, Evictable::Any, 7).len(), 7);
        let mut found = std::collections::BTreeSet::new();
        for _ in 0..5_000 {
            found.extend(drawn(&mut keyspace, Evictable::Expiring, 1));
        }
        assert_eq!(
            found,
            ["k0", "k10000", "k15000", "k5000"].map(|key| key.as_bytes().to_vec()).into()
        );
    }

    #[test]
    fn hints_that_are_left_behind_yield_nothing() {
        let mut keyspace = Keyspace::new(1, 1, 1000);
        for number in 0..100 {
            let key = format!("k{number}");
            keyspace.db(0).set_string(key.as_bytes(), NewString::Int(1), Expiry::At(9_000_000));
        }
        for number in 1..100 {
            let key = format!("k{number}");
            keyspace.db(0).set_string(key.as_bytes(), NewString::Int(1), Expiry::Clear);
        }
        for _ in 0..100 {
            assert!(drawn(&mut keyspace, Evictable::Expiring, 5).iter().all(|key| key == b"k0"));
        }
    }
}
