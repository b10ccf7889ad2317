//! The search for expired keys: what noting a TTL costs, and a sweep with nothing due, some due and all due.

mod support;

use std::hint::black_box;

use criterion::{BatchSize, Throughput};
use mini_redis::dict::{Dict, Handle, Slot};
use mini_redis::keyspace::{Expiry, Keyspace, NewString};

const NOW_MS: i64 = 1_700_000_000_000;
/// Keys of a dict that is looked through without finding anything.
const KEYS: u64 = 1_000_000;
/// Keys that expire together.
const DUE_KEYS: u64 = 100_000;
/// Steps between two looks at the clock, as in the server.
const BUCKETS_PER_STEP: usize = 64;

fn hash_of(key: u64) -> u64 {
    let mixed = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

/// Expire times spread over ten hours that begin an hour from now.
fn expire_at_ms(key: u64) -> i64 {
    NOW_MS + 3_600_000 + (hash_of(key) % 36_000_000) as i64
}

fn filled() -> Dict {
    let mut dict = Dict::with_base(NOW_MS);
    for key in 1..=KEYS {
        let handle = Handle::from_bits(key).expect("keys begin at 1 and fit 40 bits");
        let slot = dict.insert(hash_of(key), handle, |handle: Handle| hash_of(handle.bits()));
        dict.note_expiry(slot, expire_at_ms(key));
    }
    dict
}

fn slot_of(dict: &Dict, key: u64) -> Slot {
    dict.find(hash_of(key), |handle| handle.bits() == key).expect("it was inserted")
}

/// One whole round over the dict; returns how many keys were due.
fn sweep_round(dict: &mut Dict, now_ms: i64, due: &mut Vec<Handle>) -> usize {
    let expires = |handle: Handle| Some(expire_at_ms(handle.bits()));
    while !dict.sweep(now_ms, BUCKETS_PER_STEP, expires, due).round_finished {}
    let found = due.len();
    due.clear();
    found
}

/// A keyspace whose keys all expire in the same millisecond, which has just passed.
fn all_due() -> Keyspace {
    let mut keyspace = Keyspace::new(1, 42, NOW_MS);
    let mut db = keyspace.db(0);
    for key in 0..DUE_KEYS {
        let name = format!("key:{key:012}");
        db.set_string(name.as_bytes(), NewString::encode(b"value:00"), Expiry::At(NOW_MS + 1000));
    }
    keyspace.set_now_ms(NOW_MS + 1100);
    keyspace
}

fn main() {
    let mut criterion = support::criterion();
    let mut group = criterion.benchmark_group("expiry");
    let (mut dict, mut due, mut key) = (filled(), Vec::new(), 0);
    group.bench_function("note_expiry", |b| {
        b.iter(|| {
            key = key % KEYS + 1;
            let slot = slot_of(&dict, key);
            dict.note_expiry(slot, black_box(expire_at_ms(key)));
        });
    });
    group.bench_function("find_only", |b| {
        b.iter(|| {
            key = key % KEYS + 1;
            black_box(slot_of(&dict, key))
        });
    });
    group.throughput(Throughput::Elements(KEYS));
    group.bench_function("sweep_1m_nothing_due", |b| {
        b.iter(|| assert_eq!(sweep_round(&mut dict, NOW_MS + 60_000, &mut due), 0));
    });
    group.sample_size(10).throughput(Throughput::Elements(DUE_KEYS));
    group.bench_function("sweep_100k_all_due", |b| {
        b.iter_batched(
            all_due,
            |mut keyspace| {
                while !keyspace.sweep_expired(BUCKETS_PER_STEP) {}
                assert!(keyspace.databases()[0].is_empty());
                keyspace
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    criterion.final_summary();
}
