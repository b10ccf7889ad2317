//! What holds for files and payloads as a whole: they come back as they were, however they are cut, and damage is found.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::keyspace::Recency;
use crate::types::hash::FieldExpiry;
use crate::types::limits::PackedLimits;
use crate::types::list::End;
use crate::types::listpack;

const NOW_MS: i64 = 1_800_000_000_000;
const FORMATS: [Format; 4] = [Format::Redis10, Format::Redis11, Format::Redis12, Format::Valkey80];

/// Small enough that a handful of elements is too many.
fn limits() -> Limits {
    let packed = PackedLimits { entries: 8, value_bytes: 20 };
    Limits {
        list: NodeLimit::new(5),
        set_intset_entries: 8,
        set: packed,
        sorted_set: packed,
        hash: packed,
        hash_key: (1, 2),
        now_ms: NOW_MS,
    }
}

/// The content of a value, whatever its form.
#[derive(Clone, PartialEq, Debug)]
enum Content {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    SortedSet(Vec<(Vec<u8>, f64)>),
    Hash(BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>),
}

fn content(value: &Value) -> Content {
    match value.as_ref() {
        ValueRef::String(string) => Content::String(string.to_vec()),
        ValueRef::List(list) => Content::List(list.iter().map(|e| e.to_vec()).collect()),
        ValueRef::Set(set) => {
            let members: BTreeSet<_> = set.iter().map(|member| member.to_vec()).collect();
            assert_eq!(members.len(), set.len(), "a member comes twice");
            Content::Set(members)
        }
        ValueRef::SortedSet(set) => {
            Content::SortedSet(set.iter().map(|(member, score)| (member.to_vec(), score)).collect())
        }
        ValueRef::Hash(hash) => {
            let fields: BTreeMap<_, _> = hash
                .iter_all()
                .map(|field| (field.name.to_vec(), (field.value.to_vec(), field.expire_at_ms)))
                .collect();
            assert_eq!(fields.len(), hash.len(), "a field comes twice");
            Content::Hash(fields)
        }
    }
}

fn without_field_expiry(content: Content) -> Content {
    match content {
        Content::Hash(fields) => Content::Hash(
            fields.into_iter().map(|(name, (value, _))| (name, (value, None))).collect(),
        ),
        other => other,
    }
}

/// A value as commands would make it.
fn value(content: &Content) -> Value {
    let limits = limits();
    match content {
        Content::String(bytes) => Value::String(bytes.clone()),
        Content::List(elements) => {
            let mut list = List::default();
            list.push(End::Right, elements.iter().map(Vec::as_slice), limits.list);
            Value::List(list)
        }
        Content::Set(members) => {
            let mut set = Set::new(members.first().unwrap(), 1, &limits.for_sets());
            members.iter().for_each(|member| assert!(set.add(member, &limits.for_sets())));
            Value::Set(set)
        }
        Content::SortedSet(pairs) => {
            let mut set = SortedSet::new(1, 1, limits.sorted_set, limits.hash_key);
            for (member, score) in pairs {
                set.set(member, *score, limits.sorted_set, limits.hash_key);
            }
            Value::SortedSet(set)
        }
        Content::Hash(fields) => {
            let mut hash = Hash::new();
            for (name, (value, expire_at_ms)) in fields {
                let expiry = expire_at_ms.map_or(FieldExpiry::Never, FieldExpiry::At);
                hash.set(name, value, expiry, &limits.for_hashes());
            }
            Value::Hash(hash)
        }
    }
}

/// Integers, short texts, compressible ones, and ones that do not fit into a listpack's limit.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any::<i64>().prop_map(|n| (n >> (n & 63)).to_string().into_bytes()),
        4 => vec(any::<u8>(), 0..12),
        1 => (any::<u8>(), 15_usize..90).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

fn contents() -> impl Strategy<Value = Content> {
    let score = prop_oneof![
        (-20_i64..20).prop_map(|n| n as f64),
        any::<f64>().prop_filter("a score", |score| !score.is_nan()),
    ];
    let expiry = prop_oneof![3 => Just(None), 1 => (1..3 * NOW_MS).prop_map(Some)];
    let integers = any::<i16>().prop_map(|n| n.to_string().into_bytes());
    prop_oneof![
        texts().prop_map(Content::String),
        vec(texts(), 1..30).prop_map(Content::List),
        btree_set(texts(), 1..20).prop_map(Content::Set),
        btree_set(integers, 1..20).prop_map(Content::Set),
        btree_map(texts(), score, 1..20)
            .prop_map(|pairs| content(&value(&Content::SortedSet(pairs.into_iter().collect())))),
        btree_map(texts(), (texts(), expiry), 1..20).prop_map(Content::Hash),
        btree_map(texts(), (texts(), Just(None)), 1..20).prop_map(Content::Hash),
    ]
}

/// A file with these values under the keys `0`, `1` and so on, written in steps of `step` bytes.
fn recency(number: usize) -> Recency {
    match number % 3 {
        0 => Recency::Unknown,
        1 => Recency::IdleSeconds(1000),
        _ => Recency::Frequency(5),
    }
}

fn file(format: Format, values: &[Value], step: usize) -> Vec<u8> {
    let (mut writer, mut out) = (Writer::new(format, true, true), Vec::new());
    writer.begin(&mut out);
    writer.aux(&mut out, b"redis-ver", b"7.0.15");
    writer.function(&mut out, b"#!lua name=lib");
    writer.select_db(&mut out, 3, values.len() as u64, 1);
    for (number, value) in values.iter().enumerate() {
        let expire_at_ms = (number % 2 == 1).then_some(NOW_MS + number as i64);
        let (name, value) = (number.to_string(), value.as_ref());
        let mut key =
            writer.begin_key(&mut out, name.as_bytes(), value, expire_at_ms, recency(number));
        while !writer.step(&mut out, &mut key, value, step) {}
    }
    writer.end(&mut out);
    out
}

/// All events of a file that comes in pieces of `piece` bytes, and what is wrong with it, if anything is.
fn read(file: &[u8], piece: usize, checks: bool) -> (Vec<Event>, Result<(), Error>) {
    let (mut reader, mut events) = (Reader::new(limits(), checks), Vec::new());
    for piece in file.chunks(piece) {
        reader.feed(piece);
        loop {
            match reader.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Err(error)),
            }
        }
    }
    (events, reader.finish())
}

/// That all is there which `file` writes beside keys.
fn assert_frame(events: &[Event], format: Format) {
    assert!(matches!(events[0], Event::Header(version) if version.number == format.number()));
    assert!(matches!(&events[1], Event::Aux { name, .. } if name == b"redis-ver"));
    assert!(matches!(&events[2], Event::Function(text) if text == b"#!lua name=lib"));
    assert!(matches!(events[3], Event::SelectDb(3)));
    assert!(matches!(events[4], Event::ResizeDb { expiring: 1, .. }));
    assert!(matches!(events.last(), Some(Event::End { has_checksum: true })));
}

fn keys(events: Vec<Event>) -> Vec<Key> {
    let key = |event| if let Event::Key(key) = event { Some(key) } else { None };
    events.into_iter().filter_map(key).collect()
}

/// A file's header, a key with this type and value, and no checksum.
fn file_of(magic: &[u8], type_number: u8, value: &[u8]) -> Vec<u8> {
    [magic, &[type_number], b"\x01k", value, &[255], &[0; 8]].concat()
}

fn read_one(magic: &[u8], type_number: u8, value: &[u8]) -> Result<Value, Problem> {
    let (events, result) = read(&file_of(magic, type_number, value), 7, true);
    result.map_err(|error| error.problem)?;
    Ok(keys(events).pop().expect("a key").value)
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// A string with its length before it.
fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(false).string(&mut out, bytes);
    out
}

/// A listpack in a string.
fn packed(elements: &[&[u8]]) -> Vec<u8> {
    let mut packed = listpack::new();
    elements.iter().for_each(|&element| listpack::append(&mut packed, element));
    string(&packed)
}

proptest! {
    #[test]
    fn payloads_come_back_as_they_were(content_before in contents(), compresses: bool) {
        let before = value(&content_before);
        let payload = dump(before.as_ref(), &mut Encoder::new(compresses));
        let after = restore(&payload, &limits()).unwrap();
        prop_assert_eq!(content(&after), content_before);
        // The form, too, is the one it would have.
        prop_assert_eq!(dump(after.as_ref(), &mut Encoder::new(compresses))[0], payload[0]);
    }

    #[test]
    fn files_come_back_as_they_were_however_they_are_cut(
        contents in vec(contents(), 0..6),
        format in 0_usize..4,
        step in 0_usize..40,
        piece in 1_usize..200,
    ) {
        let format = FORMATS[format];
        let values: Vec<Value> = contents.iter().map(value).collect();
        let bytes = file(format, &values, step);
        prop_assert_eq!(&bytes, &file(format, &values, usize::MAX));
        let (events, result) = read(&bytes, piece, true);
        prop_assert_eq!(result, Ok(()));
        assert_frame(&events, format);
        let keys = keys(events);
        prop_assert_eq!(keys.len(), contents.len());
        for (number, (key, mut expected)) in keys.into_iter().zip(contents).enumerate() {
            if !format.has_field_expiry() {
                expected = without_field_expiry(expected);
            }
            prop_assert_eq!(content(&key.value), expected);
            prop_assert_eq!(key.name, number.to_string().into_bytes());
            prop_assert_eq!(key.expire_at_ms, (number % 2 == 1).then_some(NOW_MS + number as i64));
            prop_assert_eq!(key.recency, recency(number));
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_may_be_a_value(
        type_number in 0_u8..30,
        len in 0_u8..9,
        bytes in vec(prop_oneof![0_u8..6, any::<u8>()], 0..60),
        valkey: bool,
    ) {
        let magic = if valkey { b"VALKEY080" } else { b"REDIS0012" };
        for bytes in [bytes.clone(), string(&bytes), [&[len][..], &bytes].concat()] {
            let file = file_of(magic, type_number, &bytes);
            keys(read(&file, 9, true).0).iter().for_each(|key| drop(content(&key.value)));
        }
    }
}

/// One value of each form.
fn values_of_all_forms() -> Vec<Value> {
    let many = |count: u8| (0..count).map(|n| vec![b'a' + n, b'x']);
    let pairs = |count| many(count).enumerate().map(|(n, member)| (member, n as f64 / 2.0));
    let fields = |count, expire_at_ms| {
        many(count).enumerate().map(move |(n, name)| {
            let expire_at_ms = (n % 2 == 0).then_some(expire_at_ms).flatten();
            (name, (b"v".to_vec(), expire_at_ms))
        })
    };
    [
        Content::String(text("hello")),
        Content::String(text("1234")),
        Content::String(vec![b'a'; 30]),
        Content::List(many(3).collect()),
        Content::List(many(7).chain([vec![b'p'; 8193]]).collect()),
        Content::Set([text("1"), text("500")].into()),
        Content::Set(many(3).collect()),
        Content::Set(many(9).collect()),
        Content::SortedSet(pairs(3).collect()),
        Content::SortedSet(pairs(9).collect()),
        Content::Hash(fields(3, None).collect()),
        Content::Hash(fields(9, None).collect()),
        Content::Hash(fields(3, Some(NOW_MS)).collect()),
        Content::Hash(fields(9, Some(NOW_MS)).collect()),
    ]
    .iter()
    .map(value)
    .collect()
}

#[test]
fn every_cut_of_a_file_is_noticed() {
    for format in FORMATS {
        let bytes = file(format, &values_of_all_forms(), usize::MAX);
        for len in 0..bytes.len() {
            let (events, result) = read(&bytes[..len], 64, true);
            let error = Error { offset: len as u64, problem: Problem::Truncated };
            assert_eq!(result, Err(error), "{len}");
            assert!(!events.iter().any(|event| matches!(event, Event::End { .. })));
        }
    }
}

#[test]
fn every_changed_byte_is_noticed_or_leaves_sound_values() {
    for format in FORMATS {
        let bytes = file(format, &values_of_all_forms(), usize::MAX);
        for at in 0..bytes.len() {
            for change in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff, bytes[at]] {
                let mut damaged = bytes.clone();
                damaged[at] ^= change;
                if change == 0 {
                    continue;
                }
                let (events, result) = read(&damaged, 64, true);
                let is_noticed = result.is_err()
                    || matches!(events.last(), Some(Event::End { has_checksum: false }));
                assert!(is_noticed, "{at}");
                for key in keys(read(&damaged, damaged.len(), false).0) {
                    let payload = dump(key.value.as_ref(), &mut Encoder::new(false));
                    let again = restore(&payload, &limits()).expect("what was read is sound");
                    assert_eq!(content(&again), content(&key.value));
                }
            }
        }
    }
}

#[test]
fn any_change_of_a_payload_is_noticed() {
    for value in values_of_all_forms() {
        let payload = dump(value.as_ref(), &mut Encoder::new(true));
        for at in 0..payload.len() {
            let mut damaged = payload.clone();
            damaged[at] ^= 0x10;
            for damaged in [&damaged[..], &payload[..at]] {
                let problem = restore(damaged, &limits()).expect_err("it is noticed").problem;
                assert!(matches!(problem, Problem::Checksum | Problem::Version(_)));
            }
        }
    }
}

#[test]
fn old_forms_are_read() {
    let small = ziplist::of(&[b"a", b"1", b"b", b"2.5"]);
    let list = Content::List(vec![text("a"), text("1"), text("b"), text("2.5")]);
    let scores = Content::SortedSet(vec![(text("a"), 1.0), (text("b"), 2.5)]);
    let fields =
        Content::Hash([(text("a"), (text("1"), None)), (text("b"), (text("2.5"), None))].into());
    let nodes = [&[2][..], &string(&small), &string(&ziplist::of(&[b"end"]))].concat();
    let chain = Content::List(["a", "1", "b", "2.5", "end"].map(text).to_vec());
    let ascii = b"\x04\x01a\x011\x01b\x032.5\x01c\xfe\x01d\xff";
    let ascii_scores = Content::SortedSet(vec![
        (text("d"), f64::NEG_INFINITY),
        (text("a"), 1.0),
        (text("b"), 2.5),
        (text("c"), f64::INFINITY),
    ]);
    for (type_number, bytes, expected) in [
        (1, b"\x04\x01a\xc0\x01\x01b\x032.5".to_vec(), list.clone()),
        (3, ascii.to_vec(), ascii_scores),
        (9, string(b"\x02\x01a\x01\x001\x01b\x03\x002.5\xff"), fields.clone()),
        (10, string(&small), list),
        (12, string(&small), scores),
        (13, string(&small), fields),
        (14, nodes, chain),
    ] {
        for magic in [b"REDIS0001", b"REDIS0012", b"VALKEY080"] {
            // Before version 5 there was no checksum: the reader stops before the zeros.
            let read = read_one(magic, type_number, &bytes).map(|value| content(&value));
            assert_eq!(read, Ok(expected.clone()), "{type_number}");
        }
    }
}

#[test]
fn a_packed_form_beyond_its_limit_becomes_a_table() {
    let numbers: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let texts: Vec<&[u8]> = numbers.iter().map(|number| number.as_bytes()).collect();
    let triples: Vec<&[u8]> = texts.iter().flat_map(|&text| [text, b"v", b"77"]).collect();
    let ordered: Vec<&[u8]> = texts.iter().flat_map(|&text| [text, text]).collect();
    let mut integers = crate::types::intset::new();
    (0..20).for_each(|n| assert!(crate::types::intset::add(&mut integers, n)));
    let old = ziplist::of(&texts);
    let earliest = 77_i64.to_le_bytes();
    for (type_number, bytes, len) in [
        (10, string(&old), 20),
        (11, string(&integers), 20),
        (12, string(&old), 10),
        (13, string(&old), 10),
        (16, packed(&texts), 10),
        (17, packed(&ordered), 20),
        (20, packed(&texts), 20),
        (23, packed(&triples), 20),
        (25, [&earliest[..], &packed(&triples)].concat(), 20),
    ] {
        let read = read_one(b"REDIS0012", type_number, &bytes).expect("it is sound");
        let (form, found) = match read.as_ref() {
            ValueRef::List(list) => (list.encoding_name(), list.len()),
            ValueRef::Set(set) => (set.encoding(), set.len()),
            ValueRef::SortedSet(set) => (set.encoding(), set.len()),
            ValueRef::Hash(hash) => (hash.encoding(), hash.len()),
            ValueRef::String(_) => ("string", 0),
        };
        assert_eq!(found, len, "{type_number}");
        assert!(matches!(form, "quicklist" | "hashtable" | "skiplist"), "{type_number}: {form}");
        content(&read);
    }
}

#[test]
fn expire_times_of_fields_are_read_in_all_their_forms() {
    let expected = Content::Hash(
        [(text("a"), (text("1"), Some(1000))), (text("b"), (text("2"), None))].into(),
    );
    let triples = packed(&[b"a", b"1", b"1000", b"b", b"2", b"0"]);
    let earliest = 990_i64.to_le_bytes();
    let (at, never) = (1000_i64.to_le_bytes(), (-1_i64).to_le_bytes());
    for (magic, type_number, bytes) in [
        (b"REDIS0012", 22, b"\x02\x43\xe8\x01a\x011\x00\x01b\x012".to_vec()),
        (b"REDIS0012", 23, triples.clone()),
        (b"REDIS0012", 24, [&earliest[..], b"\x02\x0b\x01a\x011\x00\x01b\x012"].concat()),
        (b"REDIS0012", 25, [&earliest[..], &triples].concat()),
        (b"VALKEY080", 22, [b"\x02\x01a\x011", &at[..], b"\x01b\x012", &never].concat()),
    ] {
        let read = read_one(magic, type_number, &bytes).map(|value| content(&value));
        assert_eq!(read, Ok(expected.clone()), "{type_number}");
    }
    for (magic, type_number, bytes) in [
        (b"REDIS0012", 24, [&[0xff; 8][..], b"\x01\x01\x01a\x011"].concat()),
        (b"REDIS0012", 24, [&earliest[..], b"\x01\x81", &[0xff; 8], b"\x01a\x011"].concat()),
        (b"VALKEY080", 22, [&b"\x01\x01a\x011"[..], &0_i64.to_le_bytes()].concat()),
        (b"VALKEY080", 22, [&b"\x01\x01a\x011"[..], &(-2_i64).to_le_bytes()].concat()),
    ] {
        let read = read_one(magic, type_number, &bytes).map(|value| content(&value));
        assert_eq!(read, Err(Problem::FieldExpiry), "{type_number}");
    }
}

#[test]
fn what_is_damaged_or_not_supported_is_named() {
    for (type_number, bytes, problem) in [
        (1, b"\x00".to_vec(), Problem::Empty),
        (2, b"\x02\x01a\x01a".to_vec(), Problem::Duplicate),
        (3, b"\x01\x01a\xfd".to_vec(), Problem::Score),
        (3, b"\x01\x01a\x01x".to_vec(), Problem::Score),
        (4, b"\x02\x01a\x011\x01a\x012".to_vec(), Problem::Duplicate),
        (5, [b"\x01\x01a", &f64::NAN.to_le_bytes()[..]].concat(), Problem::Score),
        (5, [b"\x02\x01a", &[0; 8][..], b"\x01a", &[0; 8]].concat(), Problem::Duplicate),
        (6, vec![], Problem::Module),
        (7, vec![], Problem::Module),
        (8, vec![], Problem::UnknownType(8)),
        (9, string(b"\x02\x01a\x01\x001\x01a\x01\x002\xff"), Problem::Duplicate),
        (9, string(b"\x00\xff"), Problem::Empty),
        (9, string(b"\x01\xff"), Problem::Zipmap),
        (10, string(&ziplist::of(&[])), Problem::Empty),
        (10, string(b"ziplist"), Problem::Ziplist),
        (11, string(b"intset"), Problem::Intset),
        (12, string(&ziplist::of(&[b"a", b"b"])), Problem::Score),
        (12, string(&ziplist::of(&[b"a"])), Problem::Ziplist),
        (13, string(&ziplist::of(&[b"a", b"1", b"a", b"2"])), Problem::Duplicate),
        (14, [&[1][..], &string(&ziplist::of(&[]))].concat(), Problem::Empty),
        (15, vec![], Problem::Stream),
        (16, packed(&[b"a", b"1", b"a", b"2"]), Problem::Listpack),
        (16, packed(&[b"a"]), Problem::Listpack),
        (16, packed(&[]), Problem::Empty),
        (17, packed(&[b"a", b"2", b"b", b"1"]), Problem::Listpack),
        (18, b"\x01\x03\x01a".to_vec(), Problem::Node),
        (18, b"\x01\x01\x00".to_vec(), Problem::Node),
        (18, b"\x01\x02\x01a".to_vec(), Problem::Listpack),
        (20, packed(&[b"a", b"a"]), Problem::Listpack),
        (23, packed(&[b"a", b"1", b"5", b"b", b"1", b"4"]), Problem::Listpack),
        (23, packed(&[b"a", b"1", b"-5"]), Problem::Listpack),
        (26, vec![], Problem::UnknownType(26)),
        (243, vec![], Problem::UnknownType(243)),
        (246, vec![], Problem::FunctionBeforeRelease),
    ] {
        let read = read_one(b"REDIS0012", type_number, &bytes).map(|value| content(&value));
        assert_eq!(read, Err(problem), "{type_number}");
    }
    assert_eq!(read_one(b"VALKEY080", 24, b"").err(), Some(Problem::UnknownType(24)));
    assert_eq!(read_one(b"VALKEY080", 243, b"").err(), Some(Problem::SlotImport));
}

#[test]
fn files_of_other_versions_are_refused() {
    for (magic, problem) in [
        (b"REDIS0013", Problem::Version(13)),
        (b"REDIS0000", Problem::Version(0)),
        (b"REDIS0080", Problem::Version(80)),
        (b"VALKEY011", Problem::Version(11)),
        (b"VALKEY081", Problem::Version(81)),
        (b"REDIS001x", Problem::NotAnRdbFile),
        (b"*1\r\n$4\r\nP", Problem::NotAnRdbFile),
    ] {
        let error = Error { offset: 0, problem };
        assert_eq!(read(magic, 3, true).1, Err(error));
    }
    assert_eq!(
        Error { offset: 17, problem: Problem::Version(13) }.to_string(),
        "version 13 is not supported (1 to 12, and 80 of Valkey), at offset 17"
    );
}

#[test]
fn what_follows_the_end_is_left_alone() {
    let mut reader = Reader::new(limits(), true);
    let bytes = file(Format::Redis10, &values_of_all_forms(), usize::MAX);
    reader.feed(&[&bytes[..], b"*1\r\n"].concat());
    while let Ok(Some(_)) = reader.next_event() {}
    assert_eq!((reader.rest(), reader.offset()), (&b"*1\r\n"[..], bytes.len() as u64));
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn the_data_of_modules_are_passed_over() {
    let aux = b"\xf7\x09\x02\x02\x01\x05\x05\x03abc\x04\0\0\0\0\0\0\0\0\x03\0\0\0\0\x00";
    let (events, result) = read(&[b"REDIS0010", &aux[..], &[255], &[0; 8]].concat(), 5, true);
    assert_eq!(result, Ok(()), "{events:?}");
    assert!(matches!(events[1], Event::ModuleAux { module: 9 }));
    assert!(matches!(events[2], Event::End { has_checksum: false }));
}

#[test]
fn a_payload_ends_with_its_value() {
    for (body, problem) in [
        (&b"\x00\x01ab"[..], Problem::TrailingBytes),
        (b"\x00\x02a", Problem::Truncated),
        (b"\x00", Problem::Truncated),
        (b"", Problem::Truncated),
        (b"\x0f", Problem::Stream),
    ] {
        let mut payload = [body, &[12, 0]].concat();
        payload.extend_from_slice(&checksum::Checksum::of(&payload).to_le_bytes());
        let error = restore(&payload, &limits()).expect_err("it is damaged");
        assert_eq!(error.problem, problem);
    }
}

#[test]
fn seconds_and_hints_of_slots_are_read() {
    let head = b"REDIS0012\xf4\x07\x02\x01\xfd\x0a\0\0\0\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0";
    let (events, result) = read(head, 4, true);
    assert_eq!(result, Ok(()));
    assert!(matches!(events[1], Event::SlotInfo { slot: 7, keys: 2, expiring: 1 }));
    assert_eq!(keys(events)[0].expire_at_ms, Some(10_000));
}
