//! Hashes against a map, with a clock, in every form.

use super::*;
use crate::types::listpack::{Element, Listpack};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

const NOW_MS: i64 = 1_700_000_000_000;
const LIMITS: HashLimits = HashLimits {
    packed: PackedLimits { entries: 20, value_bytes: 10 },
    hash_key: (5, 6),
    now_ms: NOW_MS,
};

fn of(fields: &[(&str, &str)]) -> Hash {
    let mut hash = Hash::new();
    for (name, value) in fields {
        hash.set(name.as_bytes(), value.as_bytes(), FieldExpiry::Never, &LIMITS);
    }
    hash
}

fn encoding(hash: &Hash) -> &'static str {
    hash.as_ref().encoding()
}

/// Value and expire time by name; what has expired is removed by hand.
type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

fn live(model: &Model, now_ms: i64) -> Model {
    let is_live = |at_ms: &Option<i64>| at_ms.is_none_or(|at_ms| at_ms >= now_ms);
    model
        .iter()
        .filter(|(_, (_, at_ms))| is_live(at_ms))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

fn seen(field: Field<'_>) -> (Vec<u8>, (Vec<u8>, Option<i64>)) {
    (field.name.to_vec(), (field.value.to_vec(), field.expire_at_ms))
}

/// A hash, its model and a clock.
struct Pair {
    hash: Hash,
    model: Model,
    limits: HashLimits,
}

impl Pair {
    fn step(&mut self, random: &mut StdRng, names: u32, with_ttl: bool) {
        let now_ms = self.limits.now_ms;
        let name = format!("f{}", random.random_range(0..names)).into_bytes();
        let value = random.random_range(-500..500i32).to_string().into_bytes();
        let known = live(&self.model, now_ms).get(&name).cloned();
        let at_ms = now_ms + random.random_range(0..200);
        match random.random_range(0..10) {
            0..6 => {
                let expiry = match random.random_range(0..3) {
                    0 if with_ttl => FieldExpiry::At(at_ms),
                    1 => FieldExpiry::Keep,
                    _ => FieldExpiry::Never,
                };
                let is_new = self.hash.set(&name, &value, expiry, &self.limits);
                assert_eq!(is_new, known.is_none());
                let kept = expiry.after(known.and_then(|(_, at_ms)| at_ms));
                self.model.insert(name, (value, kept));
            }
            6 => {
                let at_ms = (with_ttl && random.random_bool(0.7)).then_some(at_ms);
                assert_eq!(self.hash.set_expire(&name, at_ms, now_ms), known.is_some());
                if let Some((value, _)) = known {
                    self.model.insert(name, (value, at_ms));
                }
            }
            7 | 8 => {
                assert_eq!(self.hash.remove(&name, now_ms), known.is_some());
                self.model.remove(&name);
            }
            _ => self.limits.now_ms += random.random_range(0..40),
        }
    }

    fn check(&self) {
        let now_ms = self.limits.now_ms;
        let (hash, expected) = (self.hash.as_ref(), live(&self.model, now_ms));
        assert_eq!(hash.iter(now_ms).map(seen).collect::<Model>(), expected);
        assert_eq!((hash.len(), hash.len_unexpired(now_ms)), (self.model.len(), expected.len()));
        for (name, value) in &expected {
            assert_eq!(hash.get(name, now_ms).map(|field| seen(field).1).as_ref(), Some(value));
        }
        let first_ms = self.model.values().filter_map(|(_, at_ms)| *at_ms).min();
        let next_ms = hash.next_expiry_ms();
        assert!(next_ms.is_some() || first_ms.is_none());
        assert!(next_ms.zip(first_ms).is_none_or(|(next_ms, first_ms)| next_ms <= first_ms));
        let one = hash.random(now_ms, rand::random).map(seen);
        assert_eq!(one.is_none(), expected.is_empty());
        assert!(one.is_none_or(|(name, value)| expected.get(&name) == Some(&value)));
        let mut sample = Model::new();
        hash.sample(4, now_ms, rand::random, |field| {
            let (name, value) = seen(field);
            assert!(sample.insert(name, value).is_none());
        });
        assert_eq!(sample.len(), expected.len().min(4));
        let (mut cursor, mut scanned) = (0, Model::new());
        loop {
            cursor = hash.scan(cursor, now_ms, |field| scanned.extend([seen(field)]));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(scanned, expected);
        match hash {
            HashRef::Packed(bytes) => assert_eq!(validate_packed(bytes), !hash.is_empty()),
            HashRef::PackedEx(bytes) => assert_eq!(validate_packed_ex(bytes), !hash.is_empty()),
            HashRef::Table(_) => {}
        }
    }

    /// Removes what has expired, a few steps at a time.
    fn expire(&mut self, steps_max: usize) {
        let (now_ms, model) = (self.limits.now_ms, &mut self.model);
        let mut rounds = 0;
        while rounds < 2 {
            let sweep = self.hash.remove_expired(now_ms, steps_max, |field| {
                assert!(field.is_expired(now_ms));
                assert!(model.remove(&field.name.to_vec()).is_some());
            });
            rounds += u32::from(sweep.round_finished);
        }
        assert_eq!(self.hash.as_ref().len(), model.len());
        let late = model.values().filter(|(_, at_ms)| at_ms.is_some_and(|at| at + 16 <= now_ms));
        assert_eq!(late.count(), 0);
    }
}

#[test]
fn random_operations_match_a_map_in_every_form() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut encodings = BTreeMap::new();
    for round in 0..120 {
        let mut pair = Pair { hash: Hash::new(), model: Model::new(), limits: LIMITS };
        let names = [12, 200][round % 2];
        for step in 0..300 {
            pair.step(&mut random, names, round % 3 != 0);
            if step % 10 == 0 {
                pair.check();
            }
            if step % 50 == 49 {
                pair.expire(random.random_range(1..30));
                pair.check();
            }
        }
        *encodings.entry(encoding(&pair.hash)).or_insert(0) += 1;
        pair.hash = pair.hash.clone();
        pair.check();
    }
    assert_eq!(encodings.len(), 3, "{encodings:?}");
}

#[test]
fn a_listpack_gets_too_long() {
    let mut hash = Hash::new();
    for number in 1..=20 {
        hash.set(number.to_string().as_bytes(), b"v", FieldExpiry::Never, &LIMITS);
    }
    hash.set(b"7", b"w", FieldExpiry::Never, &LIMITS);
    assert_eq!(encoding(&hash), "listpack");
    hash.set(b"21", b"v", FieldExpiry::Never, &LIMITS);
    assert_eq!((encoding(&hash), hash.as_ref().len()), ("hashtable", 21));
    assert_eq!(encoding(&of(&[("a", "ten bytes.")])), "listpack");
    assert_eq!(encoding(&of(&[("a", "v"), ("a", "eleven byte")])), "hashtable");
    assert_eq!(encoding(&of(&[("eleven byte", "v")])), "hashtable");
}

#[test]
fn a_field_with_an_expire_time_stays_packed() {
    let mut hash = of(&[("a", "1"), ("b", "two"), ("c", "3")]);
    assert!(hash.set_expire(b"a", None, NOW_MS) && !hash.set_expire(b"x", Some(NOW_MS), NOW_MS));
    assert_eq!(encoding(&hash), "listpack");
    assert!(hash.set_expire(b"c", Some(NOW_MS + 5), NOW_MS));
    assert!(hash.set_expire(b"b", Some(NOW_MS + 3), NOW_MS));
    assert_eq!(encoding(&hash), "listpackex");
    let Hash::PackedEx(bytes) = &hash else { panic!("triples") };
    let times = [NOW_MS + 3, NOW_MS + 5, 0].map(Element::Int);
    let expected = [
        [Element::Str(b"b"), Element::Str(b"two"), times[0]],
        [Element::Str(b"c"), Element::Int(3), times[1]],
        [Element::Str(b"a"), Element::Int(1), times[2]],
    ];
    assert!(Listpack::new(bytes).iter().eq(expected.into_iter().flatten()));
    assert!(hash.set_expire(b"c", None, NOW_MS) && hash.set_expire(b"b", None, NOW_MS));
    assert_eq!((encoding(&hash), hash.as_ref().next_expiry_ms()), ("listpackex", None));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_are_those_that_redis_dumps() {
    let mut hash = of(&[("a", "1"), ("b", "two"), ("", "-5"), ("123456", "x")]);
    let bytes = |hash: &Hash| match hash {
        Hash::Packed(bytes) | Hash::PackedEx(bytes) => hex(bytes),
        Hash::Table(_) => panic!("a listpack"),
    };
    assert_eq!(bytes(&hash), "21000000080081610201018162028374776f048001dffb02f240e20104817802ff");
    hash.set(b"b", b"3", FieldExpiry::Never, &LIMITS);
    hash.set(b"a", b"long", FieldExpiry::Never, &LIMITS);
    hash.remove(b"", NOW_MS);
    assert_eq!(bytes(&hash), "1d0000000600816102846c6f6e67058162020301f240e20104817802ff");

    let mut hash = of(&[("a", "1"), ("b", "two"), ("c", "3"), ("d", "4")]);
    for (name, at_ms) in [(b"c", 4_000_000_000_005), (b"b", 4_000_000_000_003)] {
        hash.set_expire(name, Some(at_ms), NOW_MS);
    }
    hash.set_expire(b"d", Some(4_000_000_000_005), NOW_MS);
    assert_eq!(
        bytes(&hash),
        "3e0000000c008162028374776f04f403409452a3030000098164020401f405409452a303000009\
         8163020301f405409452a30300000981610201010001ff"
    );
    hash.set(b"b", b"new", FieldExpiry::Never, &LIMITS);
    hash.set(b"e", b"5", FieldExpiry::Never, &LIMITS);
    assert_eq!(
        bytes(&hash),
        "3d0000000f008164020401f405409452a3030000098163020301f405409452a303000009\
         81610201010001816202836e657704000181650205010001ff"
    );
    hash.set_expire(b"c", None, NOW_MS);
    hash.set_expire(b"d", None, NOW_MS);
    assert_eq!(
        bytes(&hash),
        "2d0000000f0081610201010001816202836e6577040001816502050100018163020301000181640204010001ff"
    );
}

#[test]
fn a_field_lives_through_its_last_millisecond() {
    for table in [false, true] {
        let mut hash = of(&[("a", "1"), ("b", if table { "eleven byte" } else { "2" })]);
        assert!(hash.set_expire(b"a", Some(NOW_MS + 10), NOW_MS));
        assert!(hash.as_ref().contains(b"a", NOW_MS + 10));
        assert!(!hash.as_ref().contains(b"a", NOW_MS + 11));
        assert_eq!((hash.as_ref().len(), hash.as_ref().len_unexpired(NOW_MS + 11)), (2, 1));
        let later = HashLimits { now_ms: NOW_MS + 11, ..LIMITS };
        assert!(!hash.set_expire(b"a", None, later.now_ms), "too late to keep it");
        assert!(!hash.clone().remove(b"a", later.now_ms));
        assert!(hash.set(b"a", b"new", FieldExpiry::Keep, &later));
        assert_eq!(hash.as_ref().get(b"a", later.now_ms).unwrap().expire_at_ms, None);
    }
}

#[test]
fn a_big_hash_expires_in_steps() {
    let mut hash = Hash::new();
    for number in 0..20_000i64 {
        let expiry =
            if number % 2 == 0 { FieldExpiry::At(NOW_MS + number) } else { FieldExpiry::Never };
        hash.set(number.to_string().as_bytes(), b"value", expiry, &LIMITS);
    }
    let (now_ms, mut steps, mut removed) = (NOW_MS + 30_000, 0, 0);
    loop {
        let sweep = hash.remove_expired(now_ms, 20, |_| ());
        assert!(sweep.removed <= 20 * 8);
        (steps, removed) = (steps + 1, removed + sweep.removed);
        if sweep.round_finished {
            break;
        }
    }
    assert!(steps > 50);
    assert_eq!(
        (removed, hash.as_ref().len(), hash.as_ref().next_expiry_ms()),
        (10_000, 10_000, None)
    );
    while !hash.drop_step(1) {}
    assert!(hash.as_ref().is_empty());
}

#[test]
fn a_big_hash_takes_little_more_than_its_blocks() {
    let mut hash = Hash::new();
    for number in 0..100_000 {
        let (name, value) = (format!("field:{number:010}"), format!("value:{number:010}"));
        hash.set(name.as_bytes(), value.as_bytes(), FieldExpiry::Never, &LIMITS);
    }
    assert!(hash.memory_bytes() <= 52 * 100_000, "{}", hash.memory_bytes());
}

#[test]
fn fields_and_values_may_be_empty_or_long() {
    let long = vec![b'x'; 100_000];
    let mut hash = of(&[("", ""), ("a", "")]);
    assert_eq!(hash.as_ref().get(b"", NOW_MS).unwrap().value, Element::Str(b""));
    hash.set(&long, &long, FieldExpiry::At(NOW_MS + 1), &LIMITS);
    hash.set(b"", &long, FieldExpiry::Never, &LIMITS);
    let value = hash.as_ref().get(&long, NOW_MS).unwrap().value;
    assert_eq!((value.text_len(), hash.as_ref().len()), (100_000, 3));
}

#[test]
fn damaged_listpacks_are_refused() {
    let Hash::Packed(pairs) = of(&[("a", "1"), ("b", "2"), ("c", "3")]) else { panic!("pairs") };
    assert!(validate_packed(&pairs));
    assert!(!validate_packed_ex(&pairs), "1 is no field");
    assert!(!validate_packed(&pairs[..pairs.len() - 1]));
    let with = |elements: &[&[u8]]| {
        let mut bytes = listpack::new();
        elements.iter().for_each(|element| listpack::append(&mut bytes, *element));
        bytes
    };
    assert!(!validate_packed(&with(&[])));
    assert!(!validate_packed(&with(&[b"a", b"1", b"b"])));
    assert!(!validate_packed(&with(&[b"a", b"1", b"a", b"2"])));
    assert!(validate_packed_ex(&with(&[b"a", b"1", b"5", b"b", b"2", b"0"])));
    assert!(!validate_packed_ex(&with(&[b"a", b"1", b"0", b"b", b"2", b"5"])), "out of order");
    assert!(!validate_packed_ex(&with(&[b"a", b"1", b"x"])));
    assert!(!validate_packed_ex(&with(&[b"a", b"1", b"-5"])));
}
