//! The hash table alone: handles stand for keys, so what is measured is the table and not the entries.

mod support;

use std::hint::black_box;

use criterion::{BatchSize, Throughput};
use mini_redis::dict::{Dict, Handle};

use support::Random;

/// Larger than the caches.
const KEYS: u64 = 1_000_000;
/// What a table that grows is filled with: dozens of segments, and buckets that stretch before they split.
const GROWTH_KEYS: u64 = 200_000;

/// The hash of a key that is its own handle: the finalizer of splitmix64.
fn hash_of(key: u64) -> u64 {
    let mixed = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn insert(dict: &mut Dict, key: u64) {
    let handle = Handle::from_bits(key).expect("keys begin at 1 and fit 40 bits");
    dict.insert(hash_of(key), handle, |handle: Handle| hash_of(handle.bits()));
}

fn remove(dict: &mut Dict, key: u64) {
    let slot = dict.find(hash_of(key), |handle| handle.bits() == key).expect("it was inserted");
    dict.remove(slot);
}

fn filled(keys: u64) -> Dict {
    let mut dict = Dict::new();
    (1..=keys).for_each(|key| insert(&mut dict, key));
    dict
}

fn main() {
    let mut criterion = support::criterion();
    let mut group = criterion.benchmark_group("dict");
    let mut dict = filled(KEYS);
    let mut random = Random::new();
    group.bench_function("hit", |b| {
        b.iter(|| {
            let key = random.next() % KEYS + 1;
            black_box(dict.find(hash_of(key), |handle| handle.bits() == key))
        });
    });
    group.bench_function("miss", |b| {
        b.iter(|| black_box(dict.find(random.next(), |_| false)));
    });
    group.bench_function("sample", |b| b.iter(|| black_box(dict.random(|| random.next()))));
    let mut cursor = 0;
    group.bench_function("scan_step", |b| {
        b.iter(|| cursor = dict.scan(cursor, |handle| _ = black_box(handle)));
    });
    let mut next = KEYS;
    group.bench_function("insert_and_remove", |b| {
        b.iter(|| {
            next += 1;
            insert(&mut dict, next);
            remove(&mut dict, next - KEYS);
        });
    });
    group.sample_size(10).throughput(Throughput::Elements(GROWTH_KEYS));
    group.bench_function("growth_from_empty", |b| {
        b.iter_batched(|| (), |()| filled(GROWTH_KEYS), BatchSize::PerIteration);
    });
    let whole = filled(GROWTH_KEYS);
    group.bench_function("scan_all", |b| {
        b.iter(|| {
            let (mut cursor, mut seen) = (0, 0u64);
            loop {
                cursor = whole.scan(cursor, |_| seen += 1);
                if cursor == 0 {
                    break seen;
                }
            }
        });
    });
    group.finish();
    criterion.final_summary();
}
