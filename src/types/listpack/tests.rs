//! Listpacks against a `Vec` of texts, against bytes of Redis, and against damage.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::*;

pub(super) fn seeded() -> StdRng {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    StdRng::seed_from_u64(seed)
}

/// A text of some encoding, as likely as any other.
pub(super) fn random_text(random: &mut impl Rng) -> Vec<u8> {
    let bits = random.random_range(0..64);
    match random.random_range(0..10) {
        0..5 => (random.random::<i64>() >> bits).to_string().into_bytes(),
        5..9 => vec![random.random(); random.random_range(0..70)],
        _ => vec![random.random(); random.random_range(0..5000)],
    }
}

fn texts(listpack: &[u8]) -> Vec<Vec<u8>> {
    Listpack::new(listpack).iter().map(Element::to_vec).collect()
}

fn of(texts: &[&str]) -> Vec<u8> {
    let mut listpack = new();
    texts.iter().for_each(|text| append(&mut listpack, text.as_bytes()));
    listpack
}

pub(super) fn check(listpack: &[u8], model: &[Vec<u8>]) {
    assert!(validate(listpack));
    let view = Listpack::new(listpack);
    assert_eq!(view.len(), model.len());
    assert_eq!(view.is_empty(), model.is_empty());
    assert_eq!(texts(listpack), model);
    assert!(view.iter().rev().map(Element::to_vec).eq(model.iter().rev().cloned()));
}

/// One random edit of both.
fn edit(listpack: &mut Vec<u8>, model: &mut Vec<Vec<u8>>, random: &mut impl Rng) {
    let (text, view) = (random_text(random), Listpack::new(listpack));
    let index = random.random_range(0..=model.len());
    let position = view.seek(index).unwrap_or(view.end());
    let in_range = index < model.len();
    match random.random_range(0..10) {
        0 => {
            append(listpack, text.as_slice());
            model.push(text);
        }
        1 => {
            prepend(listpack, text.as_slice());
            model.insert(0, text);
        }
        2..5 => {
            insert(listpack, position, text.as_slice());
            model.insert(index, text);
        }
        5 | 6 if in_range => {
            replace(listpack, position, text.as_slice());
            model[index] = text;
        }
        7 if in_range => {
            delete(listpack, position);
            model.remove(index);
        }
        8 => {
            let count = random.random_range(0..4);
            let end = model.len().min(index + count);
            assert_eq!(delete_range(listpack, position, count), end - index);
            model.drain(index..end);
        }
        9 => {
            let tail = split_off(listpack, index);
            check(&tail, &model[index..]);
            check(listpack, &model[..index]);
            concatenate(listpack, Listpack::new(&tail));
        }
        _ => {
            let gone = retain(listpack, |element| element.text_len() % 7 != 0);
            let len = model.len();
            model.retain(|text| text.len() % 7 != 0);
            assert_eq!(gone, len - model.len());
        }
    }
}

#[test]
fn random_edits_do_what_they_do_to_a_vec() {
    let mut random = seeded();
    for _ in 0..20 {
        let (mut listpack, mut model) = (new(), Vec::new());
        for _ in 0..200 {
            edit(&mut listpack, &mut model, &mut random);
            check(&listpack, &model);
        }
    }
}

#[test]
fn elements_are_reached_from_either_end() {
    for len in [0, 1, 2, 3, 10] {
        let mut listpack = new();
        (0..len as i64).for_each(|number| append(&mut listpack, number * 1000));
        let view = Listpack::new(&listpack);
        for index in 0..len {
            let position = view.seek(index).unwrap();
            assert_eq!(view.get(position), Element::Int(index as i64 * 1000));
            assert_eq!(view.seek_from_end(len - 1 - index), Some(position));
            assert_eq!(view.next(position), view.seek(index + 1));
            assert_eq!(view.iter_from(position).count(), len - index);
            assert_eq!(view.iter_before(position).count(), index);
        }
        assert_eq!((view.seek(len), view.seek_from_end(len)), (None, None));
        assert_eq!(view.first(), view.seek(0));
        assert_eq!(view.last(), view.seek_from_end(0));
    }
}

#[test]
fn find_compares_only_what_is_not_skipped() {
    let listpack = of(&["a", "1", "1", "a", "b"]);
    let view = Listpack::new(&listpack);
    assert_eq!(view.find(b"a", 0), view.seek(0));
    assert_eq!(view.find(b"1", 0), view.seek(1));
    assert_eq!(view.find(b"1", 1), view.seek(2));
    assert_eq!(view.find(b"b", 1), view.seek(4));
    assert_eq!(view.find(b"b", 2), None);
    assert_eq!(view.find(b"01", 0), None);
    assert_eq!(view.find_from(view.seek(1).unwrap(), &Needle::new(b"a"), 0), view.seek(3));
    assert_eq!(view.find_from(view.end(), &Needle::new(b"a"), 0), None);
}

#[test]
fn the_count_is_found_by_walking_where_the_header_cannot_hold_it() {
    let mut listpack = new();
    for number in 0..65_534i64 {
        append(&mut listpack, number % 100);
    }
    assert_eq!(&listpack[4..6], &[0xfe, 0xff]);
    append(&mut listpack, 1);
    append(&mut listpack, 2);
    assert_eq!(&listpack[4..6], &[0xff, 0xff]);
    assert!(validate(&listpack));
    let view = Listpack::new(&listpack);
    assert_eq!(view.len(), 65_536);
    assert_eq!(view.seek(65_535), view.last());
    assert_eq!(view.seek_from_end(65_535), view.first());
    assert_eq!((view.seek(65_536), view.seek_from_end(65_536)), (None, None));

    let tail = split_off(&mut listpack, 65_000);
    assert_eq!((Listpack::new(&listpack).len(), Listpack::new(&tail).len()), (65_000, 536));
    assert_eq!(&listpack[4..6], &65_000u16.to_le_bytes());
    concatenate(&mut listpack, Listpack::new(&tail));
    assert_eq!(&listpack[4..6], &[0xff, 0xff]);
    let first = Listpack::new(&listpack).first().unwrap();
    assert_eq!(delete_range(&mut listpack, first, 10_000), 10_000);
    assert_eq!(&listpack[4..6], &[0xff, 0xff]);
    assert_eq!(Listpack::new(&listpack).len(), 55_536);
    retain(&mut listpack, |_| true);
    assert_eq!(&listpack[4..6], &55_536u16.to_le_bytes());
}

#[test]
fn sizes_can_be_known_before() {
    let mut listpack = new();
    assert_eq!(listpack.len(), EMPTY_BYTES);
    for text in ["1", "-5000", "word", &"x".repeat(70)] {
        let size = Encoded::from(text.as_bytes()).size();
        let before = listpack.len();
        append(&mut listpack, text.as_bytes());
        assert_eq!(listpack.len(), before + size);
    }
    assert_eq!(estimate_bytes(-5000, 3), EMPTY_BYTES + 3 * 4);
    assert!(safe_to_add(7, BYTES_MAX - 7));
    assert!(!safe_to_add(8, BYTES_MAX - 7));
    assert!(!safe_to_add(8, usize::MAX));
}

#[test]
fn strings_that_could_be_integers_are_found_as_they_are() {
    // Redis never writes "12" as a string, but a listpack that does is sound.
    let foreign = [11, 0, 0, 0, 1, 0, 0x82, b'1', b'2', 3, 0xff];
    assert!(validate(&foreign));
    let view = Listpack::new(&foreign);
    assert_eq!(view.find(b"12", 0), view.first());
}

#[test]
fn damaged_bytes_are_refused_and_harm_nobody() {
    let mut random = seeded();
    let sound = of(&["", "5", "-5", "4000", "-70000", "99999999999", "word", &"x".repeat(200)]);
    assert!(validate(&sound));
    for len in 0..sound.len() {
        assert!(!validate(&sound[..len]));
    }
    for _ in 0..20_000 {
        let mut bytes = sound.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
        if validate(&bytes) {
            let view = Listpack::new(&bytes);
            assert_eq!(view.iter().count(), view.iter().rev().count());
            assert_eq!(view.iter().count(), view.len());
        }
    }
    for bytes in [&[][..], &[0xff], &[7, 0, 0, 0, 0, 0, 0], &[7, 0, 0, 0, 1, 0, 0xff]] {
        assert!(!validate(bytes));
    }
}

#[test]
fn the_bytes_are_those_of_redis() {
    // What DUMP of Redis 7.0.15 has of a hash with these fields and values.
    let long = "y".repeat(64);
    let texts = [
        "f1",
        "v1",
        "n",
        "5",
        "neg",
        "-1",
        "big",
        "4000",
        "m",
        "-70000",
        "i",
        "-5000",
        "l",
        "3000000000",
        "j",
        "100000000",
        "e",
        "",
        "s",
        &long,
    ];
    let dump = [
        &b"\x94\0\0\0\x14\0\x82f1\x03\x82v1\x03\x81n\x02\x05\x01\x83neg\x04\xdf\xff\x02\x83big\x04\xcf\xa0\x02"[..],
        b"\x81m\x02\xf2\x90\xee\xfe\x04\x81i\x02\xf1x\xec\x03\x81l\x02\xf4\0^\xd0\xb2\0\0\0\0\t",
        b"\x81j\x02\xf3\0\xe1\xf5\x05\x05\x81e\x02\x80\x01\x81s\x02\xe0\x40",
        long.as_bytes(),
        b"B\xff",
    ];
    assert_eq!(of(&texts), dump.concat());
    assert!(validate(&dump.concat()));
}

#[test]
fn elements_with_the_same_text_have_one_form_and_an_order_as_bytes() {
    assert_eq!(Element::Str(b"12").canonical(), Element::Int(12));
    assert_eq!(Element::Str(b"012").canonical(), Element::Str(b"012"));
    assert_eq!(Element::Int(-3).canonical(), Element::Int(-3));
    let mut elements = [Element::Str(b"a"), Element::Int(9), Element::Int(10), Element::Str(b"")];
    elements.sort_by(|one, other| one.compare(*other));
    assert_eq!(
        elements,
        [Element::Str(b""), Element::Int(10), Element::Int(9), Element::Str(b"a")]
    );
}
