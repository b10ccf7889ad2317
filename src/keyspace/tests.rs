//! The keyspace as a whole: sweeping, flushing, swapping, and random operations compared with a std map.

use std::collections::HashMap;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

/// Time at which the tests begin, in Unix milliseconds.
const START_MS: i64 = 1_700_000_000_000;
/// Expiry hints are this coarse: a sweep finds a key for sure when it is due that long.
const HINT_MS: i64 = 16;

fn set(keyspace: &mut Keyspace, db: usize, key: &[u8], value: &[u8], expiry: Expiry) {
    keyspace.db(db).set_string(key, NewString::encode(value), expiry);
}

#[test]
fn a_sweep_removes_what_is_due_in_every_database() {
    let mut keyspace = Keyspace::new(16, 1, START_MS);
    for i in 0..16_000 {
        let expiry = if i % 4 == 0 { Expiry::Clear } else { Expiry::At(START_MS + i % 4 * 1000) };
        set(&mut keyspace, i as usize % 16, format!("key:{i}").as_bytes(), b"v", expiry);
    }
    assert!(keyspace.sweep_expired(usize::MAX));
    assert_eq!(keyspace.stats.expired, 0);
    keyspace.set_now_ms(START_MS + 2000 + HINT_MS);
    while !keyspace.sweep_expired(10) {}
    assert_eq!(keyspace.stats.expired, 8000);
    let keys: usize = keyspace.databases().iter().map(Database::len).sum();
    let with_expiry: usize = keyspace.databases().iter().map(Database::keys_with_expiry).sum();
    assert_eq!((keys, with_expiry), (8000, 4000));
}

#[test]
fn a_sweep_stops_at_its_budget_and_says_so() {
    let mut keyspace = Keyspace::new(2, 1, START_MS);
    for i in 0..10_000 {
        set(&mut keyspace, 0, format!("{i}").as_bytes(), b"v", Expiry::At(START_MS + 1));
    }
    keyspace.set_now_ms(START_MS + 1000);
    assert!(!keyspace.sweep_expired(10));
    let swept = keyspace.stats.expired;
    assert!((1..1000).contains(&swept), "{swept} keys in 10 buckets");
}

#[test]
fn nothing_is_swept_while_expiry_is_frozen() {
    let mut keyspace = Keyspace::new(1, 1, START_MS);
    set(&mut keyspace, 0, b"k", b"v", Expiry::At(START_MS + 1));
    keyspace.set_now_ms(START_MS + 1000);
    keyspace.expiry_frozen = true;
    assert!(keyspace.sweep_expired(1000));
    assert_eq!(keyspace.databases()[0].len(), 1);
    keyspace.expiry_frozen = false;
    assert!(keyspace.sweep_expired(1000));
    assert_eq!(keyspace.databases()[0].len(), 0);
}

#[test]
fn big_values_are_handed_out_however_they_go() {
    let big = vec![b'x'; LAZY_FREE_BYTES];
    let mut keyspace = Keyspace::new(1, 1, START_MS);
    set(&mut keyspace, 0, b"k", &big, Expiry::Clear);
    set(&mut keyspace, 0, b"k", &big, Expiry::Clear);
    assert!(keyspace.db(0).delete(b"k"));
    set(&mut keyspace, 0, b"k", &big, Expiry::At(START_MS + 1));
    keyspace.set_now_ms(START_MS + 1000);
    assert!(keyspace.sweep_expired(1000));
    set(&mut keyspace, 0, b"a", b"small", Expiry::Clear);
    set(&mut keyspace, 0, b"k", &big, Expiry::Clear);
    let slot = keyspace.db(0).find(b"a").unwrap();
    keyspace.db(0).move_at(slot, 0, b"k");
    assert_eq!(keyspace.stats.lazy_freed, 4);
    assert_eq!(keyspace.take_garbage().len(), 4);
    assert!(!keyspace.has_garbage());
}

#[test]
fn a_flush_hands_the_database_out() {
    let mut keyspace = Keyspace::new(2, 1, START_MS);
    assert_eq!(keyspace.flush(0), 0);
    assert!(!keyspace.has_garbage());
    set(&mut keyspace, 0, b"a", b"1", Expiry::Clear);
    set(&mut keyspace, 1, b"b", b"2", Expiry::Clear);
    assert_eq!(keyspace.flush(0), 1);
    assert!(keyspace.has_garbage());
    assert_eq!(keyspace.databases()[0].memory_bytes(), 0);
    assert!(keyspace.db(1).find(b"b").is_some());
}

#[test]
fn a_swap_exchanges_keys_and_what_is_due() {
    let mut keyspace = Keyspace::new(3, 1, START_MS);
    set(&mut keyspace, 0, b"a", b"1", Expiry::At(START_MS + 1));
    set(&mut keyspace, 1, b"b", b"2", Expiry::Clear);
    keyspace.swap(0, 1);
    assert!(keyspace.db(1).find(b"a").is_some());
    assert!(keyspace.db(0).find(b"b").is_some());
    keyspace.set_now_ms(START_MS + 1000);
    assert!(keyspace.sweep_expired(1000));
    assert_eq!(keyspace.databases()[1].len(), 0);
}

/// What the keyspace should hold: for each database, keys with their values and expire times.
type Model = Vec<HashMap<Vec<u8>, (Vec<u8>, Option<i64>)>>;

const DATABASES: usize = 3;
const KEYS: u32 = 300;

struct Comparison {
    keyspace: Keyspace,
    model: Model,
    random: SmallRng,
    now_ms: i64,
}

impl Comparison {
    fn new(seed: u64) -> Self {
        Self {
            keyspace: Keyspace::new(DATABASES, seed, START_MS),
            model: vec![HashMap::new(); DATABASES],
            random: SmallRng::seed_from_u64(seed),
            now_ms: START_MS,
        }
    }

    fn db(&mut self) -> usize {
        self.random.random_range(0..DATABASES)
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.random.random_range(0..KEYS);
        // A few keys are so long that they change how the value is stored.
        let padding = if number.is_multiple_of(50) { 1100 } else { 0 };
        format!("{number}{}", "k".repeat(padding)).into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.random_range(0..4) {
            0 => self.random.random_range(-100..100_000i64).to_string().into_bytes(),
            1 => vec![b'v'; self.random.random_range(0..70)],
            2 => vec![b'v'; self.random.random_range(0..1200)],
            _ => vec![b'v'; self.random.random_range(0..5000)],
        }
    }

    fn time(&mut self) -> Option<i64> {
        self.random.random_bool(0.5).then(|| self.now_ms + self.random.random_range(1..2000))
    }

    /// Does the same to both, and compares what comes of it.
    fn step(&mut self) {
        let (db, key) = (self.db(), self.key());
        match self.random.random_range(0..100) {
            0..40 => self.set(db, &key),
            40..50 => {
                let was_there = self.model[db].remove(&key).is_some();
                assert_eq!(self.keyspace.db(db).delete(&key), was_there);
            }
            50..60 => self.set_expire(db, &key),
            60..70 => self.append(db, &key),
            70..78 => self.transfer(db, &key, true),
            78..86 => self.transfer(db, &key, false),
            86..96 => self.pass_time(),
            96 => {
                let other = (db + 1) % DATABASES;
                self.keyspace.swap(db, other);
                self.model.swap(db, other);
            }
            97 if self.random.random_bool(0.1) => {
                self.keyspace.flush(db);
                self.model[db].clear();
            }
            _ => self.compare_all(),
        }
    }

    fn set(&mut self, db: usize, key: &[u8]) {
        let (value, time) = (self.value(), self.time());
        let (expiry, time) = match self.random.random_bool(0.2) {
            true => (Expiry::Keep, self.model[db].get(key).and_then(|(_, time)| *time)),
            false => (time.map_or(Expiry::Clear, Expiry::At), time),
        };
        set(&mut self.keyspace, db, key, &value, expiry);
        self.model[db].insert(key.to_vec(), (value, time));
    }

    fn set_expire(&mut self, db: usize, key: &[u8]) {
        let time = self.time();
        let found = self.keyspace.db(db).find(key);
        assert_eq!(found.is_some(), self.model[db].contains_key(key));
        if let Some(slot) = found {
            self.keyspace.db(db).set_expire_at(slot, time);
            self.model[db].get_mut(key).unwrap().1 = time;
        }
    }

    fn append(&mut self, db: usize, key: &[u8]) {
        if let Some(slot) = self.keyspace.db(db).find_write(key) {
            let append = |bytes: &mut Vec<u8>| -> Result<(), ()> {
                bytes.extend_from_slice(b"tail");
                Ok(())
            };
            assert_eq!(self.keyspace.db(db).edit_string_at(slot, append), Ok(()));
            self.model[db].get_mut(key).unwrap().0.extend_from_slice(b"tail");
        }
    }

    fn transfer(&mut self, db: usize, key: &[u8], is_move: bool) {
        let (target, new_key) = (self.db(), self.key());
        if (db, key) == (target, &new_key[..]) {
            return;
        }
        let Some(slot) = self.keyspace.db(db).find(key) else {
            assert!(!self.model[db].contains_key(key));
            return;
        };
        let value = self.model[db][key].clone();
        if is_move {
            self.keyspace.db(db).move_at(slot, target, &new_key);
            self.model[db].remove(key);
        } else {
            self.keyspace.db(db).copy_at(slot, target, &new_key);
        }
        self.model[target].insert(new_key, value);
    }

    fn pass_time(&mut self) {
        self.now_ms += self.random.random_range(0..100);
        let now_ms = self.now_ms;
        self.keyspace.set_now_ms(now_ms);
        for database in &mut self.model {
            database.retain(|_, (_, time)| time.is_none_or(|at_ms| now_ms <= at_ms));
        }
        self.keyspace.sweep_expired(3);
    }

    fn compare_all(&mut self) {
        for (index, model) in self.model.iter().enumerate() {
            let db = self.keyspace.db(index);
            let stored: Vec<_> = db.entries().collect();
            assert_eq!(stored.len(), model.len());
            for entry in stored {
                let (value, time) = &model[entry.key()];
                assert_eq!(db.database().entry_string(entry).unwrap().to_vec(), *value);
                assert_eq!(entry.expire_at_ms(), *time);
            }
            let stored_with_expiry =
                db.database().entries().filter(|entry| entry.expire_at_ms().is_some()).count();
            assert_eq!(db.database().keys_with_expiry(), stored_with_expiry);
        }
    }

    /// A whole scan returns every key, and removes those that are due.
    fn scan_all(&mut self) {
        for (index, model) in self.model.iter().enumerate() {
            let mut seen = std::collections::HashSet::new();
            let mut cursor = 0;
            loop {
                cursor = self.keyspace.db(index).scan(cursor, |entry| {
                    seen.insert(entry.key().to_vec());
                });
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(seen.len(), model.len());
            assert!(seen.iter().all(|key| model.contains_key(key)));
            assert_eq!(self.keyspace.databases()[index].len(), model.len());
        }
    }
}

#[test]
fn random_operations_do_what_they_do_to_a_map() {
    for seed in 0..4 {
        println!("seed {seed}");
        let mut comparison = Comparison::new(seed);
        for _ in 0..5_000 {
            comparison.step();
        }
        comparison.compare_all();
        comparison.scan_all();
        comparison.now_ms += 10_000;
        comparison.pass_time();
        // The first round was under way when the keys became due.
        for _ in 0..2 {
            while !comparison.keyspace.sweep_expired(1000) {}
        }
        for (database, model) in comparison.keyspace.databases().iter().zip(&comparison.model) {
            assert_eq!((database.len(), database.keys_with_expiry()), (model.len(), 0));
        }
    }
}
