//! Sorted sets against a sorted list, in both forms.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

const PACKED: PackedLimits = PackedLimits { entries: 128, value_bytes: 64 };
const NEVER_PACKED: PackedLimits = PackedLimits { entries: 0, value_bytes: 64 };
const KEY: HashKey = (7, 8);

fn of(pairs: &[(&str, f64)], limits: PackedLimits) -> SortedSet {
    let mut set = SortedSet::new(1, 1, limits, KEY);
    for (member, score) in pairs {
        set.set(member.as_bytes(), *score, limits, KEY);
    }
    set
}

fn texts<'a>(pairs: impl Iterator<Item = (Element<'a>, f64)>) -> Vec<(Vec<u8>, f64)> {
    pairs.map(|(member, score)| (member.to_vec(), score)).collect()
}

/// A sorted set, what it should hold, and how members and scores are drawn.
struct Pair {
    set: SortedSet,
    model: BTreeMap<Vec<u8>, f64>,
    limits: PackedLimits,
    scores: Vec<f64>,
    random: StdRng,
}

impl Pair {
    fn new(limits: PackedLimits, scores: Vec<f64>) -> Self {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let random = StdRng::seed_from_u64(seed);
        let set = SortedSet::new(1, 1, limits, KEY);
        Self { set, model: BTreeMap::new(), limits, scores, random }
    }

    fn sorted(&self) -> Vec<(Vec<u8>, f64)> {
        let mut pairs: Vec<_> = self.model.iter().map(|(m, score)| (m.clone(), *score)).collect();
        pairs.sort_by(|(m, a), (n, b)| a.partial_cmp(b).unwrap().then_with(|| m.cmp(n)));
        pairs
    }

    fn member(&mut self, members: u32) -> Vec<u8> {
        let number = self.random.random_range(0..members);
        format!("{}{number}", ["", "m"][number as usize % 2]).into_bytes()
    }

    fn score(&mut self) -> f64 {
        self.scores[self.random.random_range(0..self.scores.len())]
    }

    fn step(&mut self, members: u32, growing: bool) {
        let (member, score) = (self.member(members), self.score());
        if self.random.random_ratio(if growing { 7 } else { 3 }, 10) {
            let before = self.set.set(&member, score, self.limits, KEY);
            assert_eq!(before, self.model.get(&member).copied());
            if before != Some(score) {
                self.model.insert(member, score);
            }
        } else if self.random.random_ratio(1, 40) && !self.model.is_empty() {
            let start = self.random.random_range(0..self.model.len());
            let ranks = start..self.model.len().min(start + self.random.random_range(0..20));
            let expected = self.sorted()[ranks.clone()].to_vec();
            let mut removed = Vec::new();
            self.set.remove_range(ranks, |member, score| removed.push((member.to_vec(), score)));
            assert_eq!(removed, expected);
            removed.iter().for_each(|(member, _)| _ = self.model.remove(member));
        } else {
            assert_eq!(self.set.remove(&member), self.model.remove(&member));
        }
    }

    fn check(&mut self) {
        let (set, sorted) = (self.set.as_ref(), self.sorted());
        assert_eq!((texts(set.iter()), set.len()), (sorted.clone(), sorted.len()));
        assert!(texts(set.iter().rev()).iter().eq(sorted.iter().rev()));
        for (rank, (member, score)) in sorted.iter().enumerate() {
            assert_eq!((set.score(member), set.rank(member)), (Some(*score), Some(rank)));
        }
        assert_eq!((set.score(b"nobody"), set.rank(b"nobody")), (None, None));
        let (low, high) = (self.score(), self.score());
        for (min, max) in [
            (ScoreBound::Inclusive(low), ScoreBound::Inclusive(high)),
            (ScoreBound::Exclusive(low), ScoreBound::Exclusive(high)),
            (ScoreBound::Inclusive(low), ScoreBound::Exclusive(low)),
            (ScoreBound::Inclusive(f64::NEG_INFINITY), ScoreBound::Inclusive(f64::INFINITY)),
        ] {
            let set = self.set.as_ref();
            let found = texts(set.range(set.ranks_by_score(min, max)));
            let within = |score: f64| !min.begins_after(score) && max.reaches(score);
            assert_eq!(
                found,
                sorted.iter().filter(|(_, s)| within(*s)).cloned().collect::<Vec<_>>()
            );
        }
        if let SortedSet::Packed(bytes) = &self.set {
            assert_eq!(validate(bytes), !sorted.is_empty());
        }
        let mut scanned = BTreeMap::new();
        let mut cursor = 0;
        loop {
            cursor = self.set.as_ref().scan(cursor, |member, score| {
                scanned.insert(member.to_vec(), score);
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(scanned, self.model);
        let one = self.set.as_ref().random(rand::random).map(|(member, _)| member.to_vec());
        assert!(one.map_or(sorted.is_empty(), |member| self.model.contains_key(&member)));
    }
}

fn some_scores() -> Vec<Vec<f64>> {
    let extreme = [f64::NEG_INFINITY, -1e300, -0.0, 0.0, 1e-300, 5e-324, 0.1, 1e300, f64::INFINITY];
    vec![
        vec![0.0],
        vec![1.0, 2.0, 3.0, 3.5],
        (0..5000).map(f64::from).collect(),
        (0..5000).map(|i| 1.0 / f64::from(i + 1)).collect(),
        extreme.to_vec(),
    ]
}

#[test]
fn random_operations_match_a_sorted_list_in_both_forms() {
    for scores in some_scores() {
        for limits in [PACKED, PackedLimits { entries: 20, value_bytes: 4 }, NEVER_PACKED] {
            let mut pair = Pair::new(limits, scores.clone());
            for step in 0..1500 {
                pair.step([60, 600][step / 750], step / 300 % 2 == 0);
                if step % 50 == 0 {
                    pair.check();
                }
            }
            pair.check();
            pair.set = pair.set.clone();
            pair.check();
        }
    }
}

#[test]
fn a_big_one_matches_a_sorted_list() {
    let mut pair = Pair::new(NEVER_PACKED, (0..1000).map(f64::from).collect());
    for step in 0..20_000 {
        pair.step(5000, step / 5000 % 2 == 0);
    }
    pair.check();
    let all = pair.set.as_ref().len();
    let mut removed = 0;
    pair.set.remove_range(0..all, |_, _| removed += 1);
    assert_eq!((removed, pair.set.as_ref().len()), (all, 0));
}

#[test]
fn a_member_is_as_random_as_any_other() {
    for limits in [PACKED, NEVER_PACKED] {
        let mut set = SortedSet::new(1, 1, limits, KEY);
        (0..40).for_each(|number: u8| _ = set.set(&[b'a' + number], 1.0, limits, KEY));
        let (mut drawn, mut sampled) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..8000 {
            let (member, _) = set.as_ref().random(rand::random).unwrap();
            *drawn.entry(member.to_vec()).or_insert(0) += 1;
        }
        for _ in 0..800 {
            set.as_ref().sample(10, rand::random, |member, _| {
                *sampled.entry(member.to_vec()).or_insert(0) += 1;
            });
        }
        for times in [drawn, sampled] {
            assert!(times.len() == 40 && times.values().all(|count| (110..290).contains(count)));
        }
    }
}

#[test]
fn members_of_one_score_are_ranged_as_bytes() {
    let pairs = ["", "a", "aa", "b", "10", "9", "\u{ff}"].map(|member| (member, 0.0));
    for limits in [PACKED, NEVER_PACKED] {
        let set = of(&pairs, limits);
        let set = set.as_ref();
        let between = |min, max| -> Vec<String> {
            texts(set.range(set.ranks_by_lex(min, max)))
                .into_iter()
                .map(|(member, _)| String::from_utf8(member).unwrap())
                .collect()
        };
        use LexBound::{Exclusive, Inclusive, Max, Min};
        assert_eq!(between(Min, Max), ["", "10", "9", "a", "aa", "b", "\u{ff}"]);
        assert_eq!(between(Inclusive(b"10"), Exclusive(b"aa")), ["10", "9", "a"]);
        assert_eq!(between(Exclusive(b"10"), Inclusive(b"aa")), ["9", "a", "aa"]);
        assert_eq!(between(Exclusive(b""), Inclusive(b"10")), ["10"]);
        assert!(
            between(Max, Min).is_empty() && between(Inclusive(b"b"), Inclusive(b"a")).is_empty()
        );
        assert!(between(Max, Max).is_empty() && between(Min, Min).is_empty());
    }
}

#[test]
fn update_sees_the_old_score_and_may_leave_it() {
    for limits in [PACKED, NEVER_PACKED] {
        let mut set = of(&[("a", 1.0)], limits);
        assert_eq!(set.update(b"b", limits, KEY, |_| None), None);
        assert_eq!(set.update(b"a", limits, KEY, |_| None), Some(1.0));
        assert_eq!(texts(set.as_ref().iter()), [(b"a".to_vec(), 1.0)]);
        assert_eq!(set.update(b"a", limits, KEY, |old| old.map(|score| score + 1.5)), Some(1.0));
        assert_eq!(set.as_ref().score(b"a"), Some(2.5));
    }
}

#[test]
fn a_listpack_gets_too_long_and_may_be_packed_again() {
    let limits = PackedLimits { entries: 3, value_bytes: 4 };
    let mut set = of(&[("a", 1.0), ("b", 2.0), ("c", 0.5)], limits);
    set.set(b"a", 9.0, limits, KEY);
    assert_eq!(set.as_ref().encoding(), "listpack");
    let full = set.clone();
    set.set(b"d", 2.0, limits, KEY);
    assert_eq!((set.as_ref().encoding(), set.as_ref().len()), ("skiplist", 4));
    set.pack_if_small(limits);
    assert_eq!(set.as_ref().encoding(), "skiplist");
    set.remove(b"d");
    assert_eq!(set.as_ref().encoding(), "skiplist", "never back by itself");
    set.pack_if_small(limits);
    assert_eq!(set.as_ref().encoding(), "listpack");
    assert_eq!(texts(set.as_ref().iter()), texts(full.as_ref().iter()));
    set.remove(b"a");
    set.set(b"longer", 1.0, limits, KEY);
    assert_eq!((set.as_ref().encoding(), set.as_ref().len()), ("skiplist", 3));
    set.pack_if_small(limits);
    assert_eq!(set.as_ref().encoding(), "skiplist", "one is too long");
    assert_eq!(SortedSet::new(1, 5, limits, KEY).as_ref().encoding(), "skiplist");
    assert_eq!(SortedSet::new(4, 1, limits, KEY).as_ref().encoding(), "skiplist");
}

#[test]
fn a_big_one_takes_little_memory_and_is_freed_in_steps() {
    let mut set = SortedSet::new(1, 1, NEVER_PACKED, KEY);
    for number in 0..100_000u64 {
        let score = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) as f64;
        set.set(format!("member:{number:010}").as_bytes(), score, NEVER_PACKED, KEY);
    }
    assert!(set.memory_bytes() <= 57 * 100_000, "{}", set.memory_bytes());
    let mut steps = 0;
    while !set.drop_step(1) {
        steps += 1;
    }
    assert!(steps > 50);
}

#[test]
fn the_bytes_are_those_that_redis_dumps() {
    let pairs = [
        ("b", 1.0),
        ("7", 1.5),
        ("x", f64::INFINITY),
        ("y", f64::NEG_INFINITY),
        ("0", 0.1),
        ("neg", -0.0),
        ("big", 1e17),
        ("p62", 4_611_686_018_427_387_904.0),
        ("p63", 1e19),
        ("h", 1e300),
        ("a", 1.0),
        ("-5", -3.0),
        ("tiny", 1e-7),
    ];
    let SortedSet::Packed(bytes) = of(&pairs, PACKED) else { panic!("a listpack") };
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "b10000001a00817902842d696e6605dffb02dffd02836e65670400018474696e790596392e3939393939393939\
         3939393939393935652d303817000193302e313030303030303030303030303030303114816102010181620201\
         01070183312e35048362696704f400008a5d78456301098370363204f400000000000000400983703633048531\
         652b31390681680297312e30303030303030303030303030303031652b3330301881780283696e6604ff"
    );
}

#[test]
fn damaged_listpacks_are_refused() {
    let with = |elements: &[&[u8]]| {
        let mut bytes = listpack::new();
        elements.iter().for_each(|element| listpack::append(&mut bytes, *element));
        bytes
    };
    assert!(validate(&with(&[b"b", b"1", b"a", b"1.5", b"7", b"inf"])));
    assert!(!validate(&with(&[])));
    assert!(!validate(&with(&[b"a"])));
    assert!(!validate(&with(&[b"a", b"x"])));
    assert!(!validate(&with(&[b"a", b"nan"])));
    assert!(!validate(&with(&[b"a", b"2", b"b", b"1"])), "scores out of order");
    assert!(!validate(&with(&[b"b", b"1", b"a", b"1"])), "members out of order");
    assert!(!validate(&with(&[b"a", b"1", b"b", b"2", b"a", b"3"])), "one twice");
    assert!(!validate(&with(&[b"a", b"1"])[1..]));
}

#[test]
fn what_comes_in_order_is_built_in_the_form_for_it() {
    let long = "x".repeat(65);
    let mixed = vec![("7", -1.0), ("a", 0.5), ("b", 0.5)];
    let endless = vec![("a", f64::NEG_INFINITY), ("b", f64::INFINITY)];
    let with_long = vec![("7", -1.0), ("8", 2.0), (long.as_str(), 3.0), ("c", 4.0)];
    for (pairs, limits, encoding) in [
        (vec![], PACKED, "listpack"),
        (mixed.clone(), PACKED, "listpack"),
        (mixed, NEVER_PACKED, "skiplist"),
        (with_long, PACKED, "skiplist"),
        (endless, PACKED, "listpack"),
    ] {
        let source = of(&pairs, limits);
        let view = source.as_ref();
        let copy = SortedSet::from_ordered(view.len(), view.iter(), limits, KEY);
        assert_eq!(copy.as_ref().encoding(), encoding);
        assert_eq!(texts(copy.as_ref().iter()), texts(view.iter()));
        let found = pairs.iter().all(|(member, _)| copy.as_ref().rank(member.as_bytes()).is_some());
        assert!(found);
    }
}
