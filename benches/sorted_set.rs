//! A big sorted set: adding, changing, ranks, and ranges by rank, score and member.
//!
//! Sets of 10 thousand and a million members; `MINI_REDIS_BENCH_MEMBERS=10000000` adds one of that many, for which there
//! should be 2 GB of memory.

mod support;

use std::env;
use std::hint::black_box;
use std::ops::Range;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Throughput};
use mini_redis::types::limits::PackedLimits;
use mini_redis::types::listpack::Element;
use mini_redis::types::sorted_set::{LexBound, ScoreBound, SortedSet};

use support::Random;

const LIMITS: PackedLimits = PackedLimits { entries: 128, value_bytes: 64 };
const HASH_KEY: (u64, u64) = (1, 2);
const SIZES: [u64; 2] = [10_000, 1_000_000];
/// Members of a set that is built from nothing.
const GROWTH_MEMBERS: u64 = 100_000;
/// Members that a range has.
const RANGE_MEMBERS: usize = 100;

/// The member with a number, 16 bytes.
fn member(number: u64) -> Vec<u8> {
    format!("member:{number:09}").into_bytes()
}

/// Scores without order: what comes in order is the easier case.
fn score(number: u64) -> f64 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as f64
}

fn add(set: &mut SortedSet, name: &[u8], score: f64) {
    set.set(name, score, LIMITS, HASH_KEY);
}

fn filled(members: u64, score: impl Fn(u64) -> f64) -> SortedSet {
    let mut set = SortedSet::new(usize::MAX, 0, LIMITS, HASH_KEY);
    (0..members).for_each(|number| add(&mut set, &member(number), score(number)));
    set
}

fn sum_lengths(set: &SortedSet, ranks: Range<usize>) -> usize {
    let length = |(member, _): (Element<'_>, f64)| member.text_len();
    set.as_ref().range(ranks).map(length).sum()
}

fn main() {
    let mut criterion = support::criterion();
    let large =
        env::var("MINI_REDIS_BENCH_MEMBERS").ok().map(|text| text.parse().expect("a number"));
    for members in SIZES.into_iter().chain(large) {
        let mut group = criterion.benchmark_group(format!("sorted_set/{members}"));
        one_member(&mut group, members);
        ranges(&mut group, members);
        group.finish();
    }
    let mut group = criterion.benchmark_group("sorted_set");
    group.sample_size(10).throughput(Throughput::Elements(GROWTH_MEMBERS));
    group.bench_function("add_in_order", |b| {
        b.iter_batched(|| (), |()| filled(GROWTH_MEMBERS, |n| n as f64), BatchSize::PerIteration);
    });
    group.bench_function("add_at_random", |b| {
        b.iter_batched(|| (), |()| filled(GROWTH_MEMBERS, score), BatchSize::PerIteration);
    });
    group.finish();
    criterion.final_summary();
}

/// ZADD, ZREM, ZINCRBY, ZSCORE and ZRANK.
fn one_member(group: &mut BenchmarkGroup<'_, WallTime>, members: u64) {
    let mut set = filled(members, score);
    let mut random = Random::new();
    let names: Vec<Vec<u8>> = (0..1 << 16).map(|_| member(random.below(members))).collect();
    let mut names = names.iter().cycle();
    let mut name = || names.next().expect("it has no end");
    let mut next = members;
    group.bench_function("add_and_remove", |b| {
        b.iter(|| {
            add(&mut set, &member(next), score(next));
            set.remove(&member(next - members));
            next += 1;
        });
    });
    let mut set = filled(members, score);
    group.bench_function("change_score", |b| {
        b.iter(|| add(&mut set, name(), random.below(1 << 44) as f64));
    });
    group.bench_function("score", |b| b.iter(|| black_box(set.as_ref().score(name()))));
    group.bench_function("rank", |b| b.iter(|| black_box(set.as_ref().rank(name()))));
    group.bench_function("pop_lowest_and_add", |b| {
        b.iter(|| {
            set.remove_range(0..1, |member, _| _ = black_box(member.text_len()));
            next += 1;
            add(&mut set, &member(next), score(next));
        });
    });
}

/// ZRANGE, ZRANGEBYSCORE and ZRANGEBYLEX of 100 members, and ZCOUNT.
fn ranges(group: &mut BenchmarkGroup<'_, WallTime>, members: u64) {
    let mut random = Random::new();
    let set = filled(members, score);
    let last = members - RANGE_MEMBERS as u64;
    group.bench_function("range_by_rank_100", |b| {
        b.iter(|| {
            let start = random.below(last) as usize;
            black_box(sum_lengths(&set, start..start + RANGE_MEMBERS))
        });
    });
    group.bench_function("range_by_score_limit_100", |b| {
        b.iter(|| {
            let min = ScoreBound::Inclusive(score(random.below(members)));
            let ranks = set.as_ref().ranks_by_score(min, ScoreBound::Inclusive(f64::INFINITY));
            black_box(sum_lengths(&set, ranks.start..ranks.end.min(ranks.start + RANGE_MEMBERS)))
        });
    });
    group.bench_function("count_by_score", |b| {
        b.iter(|| {
            let min = ScoreBound::Inclusive(score(random.below(members)));
            let max = ScoreBound::Exclusive(score(random.below(members)));
            black_box(set.as_ref().ranks_by_score(min, max).len())
        });
    });
    drop(set);
    let names = filled(members, |_| 0.0);
    group.bench_function("range_by_member_limit_100", |b| {
        b.iter(|| {
            let min = member(random.below(members));
            let ranks = names.as_ref().ranks_by_lex(LexBound::Inclusive(&min), LexBound::Max);
            black_box(sum_lengths(&names, ranks.start..ranks.end.min(ranks.start + RANGE_MEMBERS)))
        });
    });
}
