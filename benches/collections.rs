//! Hashes, sets and lists: one field, one member, one element, and one step of a scan.

mod support;

use std::hint::black_box;

use criterion::Criterion;
use mini_redis::types::hash::{FieldExpiry, Hash, HashLimits};
use mini_redis::types::limits::PackedLimits;
use mini_redis::types::list::{End, List, NodeLimit};
use mini_redis::types::set::{Set, SetLimits};

use support::Random;

const PACKED: PackedLimits = PackedLimits { entries: 128, value_bytes: 64 };
const HASH_KEY: (u64, u64) = (1, 2);
const NOW_MS: i64 = 1_700_000_000_000;
/// Elements: of small collections, which are packed, and of big ones.
const SIZES: [u64; 3] = [50, 10_000, 1_000_000];

fn name(number: u64) -> Vec<u8> {
    format!("name:{number:011}").into_bytes()
}

/// Names that are there, drawn beforehand.
fn names(elements: u64) -> Vec<Vec<u8>> {
    let mut random = Random::new();
    (0..1 << 14).map(|_| name(random.below(elements))).collect()
}

fn main() {
    let mut criterion = support::criterion();
    for elements in SIZES {
        hash(&mut criterion, elements);
        set(&mut criterion, elements);
        list(&mut criterion, elements);
    }
    criterion.final_summary();
}

/// HGET, HSET and HSCAN.
fn hash(criterion: &mut Criterion, elements: u64) {
    let limits = HashLimits { packed: PACKED, hash_key: HASH_KEY, now_ms: NOW_MS };
    let mut hash = Hash::new();
    for number in 0..elements {
        hash.set(&name(number), b"value of 16 byte", FieldExpiry::Never, &limits);
    }
    let mut group = criterion.benchmark_group(format!("hash/{elements}"));
    let names = names(elements);
    let mut names = names.iter().cycle();
    let mut next = || names.next().expect("it has no end");
    group.bench_function("get", |b| {
        b.iter(|| black_box(hash.as_ref().get(next(), NOW_MS).map(|field| field.value.text_len())));
    });
    group.bench_function("set", |b| {
        b.iter(|| hash.set(next(), b"another 16 bytes", FieldExpiry::Never, &limits));
    });
    let mut cursor = 0;
    group.bench_function("scan_step", |b| {
        b.iter(|| {
            cursor =
                hash.as_ref().scan(cursor, NOW_MS, |field| _ = black_box(field.name.text_len()));
        });
    });
    group.finish();
}

/// SISMEMBER, SADD with SREM, and SSCAN.
fn set(criterion: &mut Criterion, elements: u64) {
    let limits = SetLimits { intset_entries: 512, packed: PACKED, hash_key: HASH_KEY };
    let mut set = Set::new(&name(0), 1, &limits);
    (0..elements).for_each(|number| _ = set.add(&name(number), &limits));
    let mut group = criterion.benchmark_group(format!("set/{elements}"));
    let names = names(elements);
    let mut names = names.iter().cycle();
    let mut next = || names.next().expect("it has no end");
    group.bench_function("contains", |b| b.iter(|| black_box(set.as_ref().contains(next()))));
    group.bench_function("remove_and_add", |b| {
        b.iter(|| {
            let member = next();
            set.remove(member);
            set.add(member, &limits)
        });
    });
    let mut cursor = 0;
    group.bench_function("scan_step", |b| {
        b.iter(|| cursor = set.as_ref().scan(cursor, |member| _ = black_box(member.text_len())));
    });
    group.finish();
}

/// LINDEX in the middle, and RPUSH with LPOP.
fn list(criterion: &mut Criterion, elements: u64) {
    let limit = NodeLimit::new(-2);
    let mut list = List::default();
    for number in 0..elements {
        list.push(End::Right, std::iter::once(name(number).as_slice()), limit);
    }
    let mut group = criterion.benchmark_group(format!("list/{elements}"));
    let middle = list.len() / 2;
    group.bench_function("index_of_the_middle", |b| {
        b.iter(|| black_box(list.view().get(black_box(middle)).map(|element| element.text_len())));
    });
    group.bench_function("push_and_pop", |b| {
        b.iter(|| {
            list.push(End::Right, std::iter::once(&b"name:00000000000"[..]), limit);
            list.pop(End::Left, 1, limit, |element| _ = black_box(element.text_len()));
        });
    });
    group.finish();
}
