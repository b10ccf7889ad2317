//! Lists against a `VecDeque` of texts, and the points where one form becomes the other.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::*;
use crate::types::listpack::validate;

type Model = VecDeque<Vec<u8>>;

const DEFAULT: i64 = -2;

fn random_text(random: &mut impl Rng) -> Vec<u8> {
    match random.random_range(0..20) {
        0..8 => random.random_range(-5i64..200).to_string().into_bytes(),
        8..18 => vec![b'a' + random.random_range(0..3u8); random.random_range(0..90)],
        18 => vec![b'x'; random.random_range(0..5000)],
        _ => vec![b'y'; random.random_range(3000..9000)],
    }
}

fn random_end(random: &mut impl Rng) -> End {
    if random.random() { End::Left } else { End::Right }
}

fn one(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    std::iter::once(text)
}

fn of(texts: &[&str], limit: NodeLimit) -> List {
    let mut list = List::default();
    texts.iter().for_each(|text| list.push(End::Right, one(text.as_bytes()), limit));
    list
}

fn texts(list: &List) -> Vec<Vec<u8>> {
    list.view().iter().map(Element::to_vec).collect()
}

fn check(list: &List, model: &Model) {
    let view = list.view();
    assert_eq!((view.len(), view.is_empty()), (model.len(), model.is_empty()));
    assert!(view.iter().map(Element::to_vec).eq(model.iter().cloned()));
    let last = model.len().saturating_sub(1);
    let backward = view.iter_from(last, End::Left);
    assert!(backward.map(Element::to_vec).eq(model.iter().rev().cloned()));
    for block in view.blocks() {
        if let Block::Packed(bytes) = block {
            assert!(validate(bytes));
            assert!(model.is_empty() || !Listpack::new(bytes).is_empty());
        }
    }
    if let List::Chain(chain) = list {
        chain.check();
    }
}

/// What `remove` does.
fn remove_from(model: &mut Model, text: &[u8], from: End, max: usize) -> usize {
    let mut matches: Vec<usize> = (0..model.len()).filter(|&index| model[index] == text).collect();
    if from == End::Right {
        matches.reverse();
    }
    matches.truncate(max);
    matches.sort_unstable();
    matches.iter().rev().for_each(|&index| drop(model.remove(index)));
    matches.len()
}

fn push(list: &mut List, model: &mut Model, limit: NodeLimit, random: &mut impl Rng) {
    let end = random_end(random);
    let texts: Vec<Vec<u8>> = (0..random.random_range(0..8)).map(|_| random_text(random)).collect();
    list.push(end, texts.iter().map(Vec::as_slice), limit);
    texts.into_iter().for_each(|text| match end {
        End::Left => model.push_front(text),
        End::Right => model.push_back(text),
    });
}

fn pop(list: &mut List, model: &mut Model, limit: NodeLimit, random: &mut impl Rng) {
    let (end, count) = (random_end(random), random.random_range(0..6));
    let mut popped = Vec::new();
    let number = list.pop(end, count, limit, |element| popped.push(element.to_vec()));
    let expected: Vec<Vec<u8>> = (0..count)
        .map_while(|_| match end {
            End::Left => model.pop_front(),
            End::Right => model.pop_back(),
        })
        .collect();
    assert_eq!((number, popped), (expected.len(), expected));
}

/// One random change of both that adds and removes little.
fn change(list: &mut List, model: &mut Model, limit: NodeLimit, random: &mut impl Rng) {
    let text = random_text(random);
    let index = random.random_range(0..=model.len());
    match random.random_range(0..4) {
        0 => {
            assert_eq!(list.set(index, &text, limit), index < model.len());
            if index < model.len() {
                model[index] = text;
            }
        }
        1 => {
            let side = random_end(random);
            assert_eq!(list.insert(index, side, &text, limit), index < model.len());
            if index < model.len() {
                model.insert(index + usize::from(side == End::Right), text);
            }
        }
        2 => {
            let side = random_end(random);
            let pivot = model.get(index).cloned().unwrap_or_default();
            let found = model.iter().position(|element| *element == pivot);
            assert_eq!(list.insert_beside(&pivot, side, &text, limit), found.is_some());
            if let Some(found) = found {
                model.insert(found + usize::from(side == End::Right), text);
            }
        }
        _ => {
            let (from, to) = (random_end(random), random_end(random));
            let mut moved = None;
            let done = list.rotate(from, to, limit, |element| moved = Some(element.to_vec()));
            let expected = if from == End::Left { model.pop_front() } else { model.pop_back() };
            assert_eq!((done, &moved), (expected.is_some(), &expected));
            match (expected, to) {
                (Some(text), End::Left) => model.push_front(text),
                (Some(text), End::Right) => model.push_back(text),
                (None, _) => {}
            }
        }
    }
}

/// One random removal of any size from both.
fn shorten(list: &mut List, model: &mut Model, limit: NodeLimit, random: &mut impl Rng) {
    let index = random.random_range(0..=model.len());
    if random.random() {
        let text = model.get(index).cloned().unwrap_or_default();
        let (from, max) = (random_end(random), random.random_range(0..5));
        let removed = list.remove(&text, from, max, limit);
        assert_eq!(removed, remove_from(model, &text, from, max));
    } else {
        let end = random.random_range(0..=model.len());
        let end = if random.random_bool(0.9) { model.len() - model.len().min(3) } else { end };
        let start = index.min(random.random_range(0..4));
        let before = list.len();
        let cut = list.trim(start..end, limit);
        model.truncate(end.max(start));
        model.drain(..start);
        assert!(cut.len() <= before - list.len());
        cut.check();
    }
}

#[test]
fn random_edits_do_what_they_do_to_a_vec_deque() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for size in [1, 2, 3, 50, 128, -1, -2, -5, 0] {
        let limit = NodeLimit::new(size);
        let (mut list, mut model) = (List::default(), Model::new());
        for _ in 0..400 {
            match random.random_range(0..10) {
                0..4 => push(&mut list, &mut model, limit, &mut random),
                4 | 5 => pop(&mut list, &mut model, limit, &mut random),
                6..9 => change(&mut list, &mut model, limit, &mut random),
                _ => shorten(&mut list, &mut model, limit, &mut random),
            }
            check(&list, &model);
        }
        let index = random.random_range(0..=model.len());
        assert_eq!(list.view().get(index).map(Element::to_vec), model.get(index).cloned());
    }
}

#[test]
fn a_long_chain_is_reached_and_changed_anywhere() {
    let limit = NodeLimit::new(2);
    let mut list = List::default();
    let mut model = Model::new();
    for number in 0..3000i64 {
        let text = number.to_string().into_bytes();
        list.push(End::Right, one(&text), limit);
        model.push_back(text);
    }
    for index in [0, 1, 255, 256, 257, 1499, 1500, 1501, 2998, 2999] {
        assert_eq!(list.view().get(index), Some(Element::Int(index as i64)));
        let left: Vec<_> = list.view().iter_from(index, End::Left).take(3).collect();
        assert_eq!(left.len(), 3.min(index + 1));
        assert_eq!(left.last(), Some(&Element::Int(index as i64 + 1 - left.len() as i64)));
    }
    assert_eq!(list.view().get(3000), None);
    for step in 0..700 {
        let index = step * 4 + step % 3;
        assert!(list.insert(index, End::Left, b"new", limit));
        model.insert(index, b"new".to_vec());
    }
    check(&list, &model);
    assert_eq!(list.remove(b"new", End::Right, usize::MAX, limit), 700);
    remove_from(&mut model, b"new", End::Right, usize::MAX);
    check(&list, &model);
    let cut = list.trim(1000..1500, limit);
    assert_eq!((list.len(), cut.len()), (500, 2500));
    assert_eq!(list.view().get(0), Some(Element::Int(1000)));
}

#[test]
fn matches_are_removed_from_whole_nodes_too() {
    for size in [1, 2, 3] {
        for from in [End::Left, End::Right] {
            for max in 0..8 {
                let limit = NodeLimit::new(size);
                let all = ["a", "a", "b", "a", "a", "a", "b", "b", "a"];
                let mut list = of(&all, limit);
                let mut model: Model = all.iter().map(|text| text.as_bytes().to_vec()).collect();
                let removed = list.remove(b"a", from, max, limit);
                assert_eq!(removed, remove_from(&mut model, b"a", from, max));
                check(&list, &model);
            }
        }
    }
}

#[test]
fn a_list_becomes_a_chain_when_the_limit_would_be_exceeded() {
    let limit = NodeLimit::new(DEFAULT);
    let text = [b'x'; 1000];
    let mut list = List::default();
    for _ in 0..8 {
        list.push(End::Right, one(&text), limit);
        assert_eq!(list.view().encoding_name(), "listpack");
    }
    assert_eq!(list.view().memory_bytes(), 7 + 8 * 1004);
    // What counts is the listpack as it is, and the text to come: 8039 + 153 is the limit.
    let mut other = list.clone();
    other.push(End::Right, one(&[b'x'; 153]), limit);
    assert_eq!(other.view().encoding_name(), "listpack");
    list.push(End::Right, one(&[b'x'; 154]), limit);
    assert_eq!(list.view().encoding_name(), "quicklist");

    // By number, the elements of one push count together.
    let limit = NodeLimit::new(3);
    let mut list = of(&["a", "b"], limit);
    let two: [&[u8]; 2] = [b"c", b"d"];
    list.push(End::Right, two.into_iter(), limit);
    assert_eq!(list.view().encoding_name(), "quicklist");
    let blocks: Vec<usize> = list.view().blocks().map(elements_of).collect();
    assert_eq!(blocks, [3, 1]);
}

fn elements_of(block: Block<'_>) -> usize {
    match block {
        Block::Packed(bytes) => Listpack::new(bytes).len(),
        Block::Plain(_) => 1,
    }
}

#[test]
fn a_chain_becomes_a_listpack_at_half_the_limit() {
    let limit = NodeLimit::new(4);
    let mut list = of(&["a", "b", "c", "d", "e"], limit);
    list.pop(End::Right, 1, limit, |_| ());
    list.pop(End::Right, 1, limit, |_| ());
    assert_eq!(list.view().encoding_name(), "quicklist");
    list.pop(End::Left, 1, limit, |_| ());
    assert_eq!(list.view().encoding_name(), "listpack");
    assert_eq!(texts(&list), [b"b", b"c"]);

    let mut loaded = List::default();
    loaded.append_packed(listpack::new());
    ["a", "b", "c", "d"].iter().for_each(|text| {
        let mut bytes = listpack::new();
        listpack::append(&mut bytes, text.as_bytes());
        loaded.append_packed(bytes);
    });
    loaded.settle(limit);
    assert_eq!(loaded.view().encoding_name(), "quicklist"); // several nodes stay several
    assert_eq!(loaded.len(), 4);
    let mut whole = List::default();
    let mut bytes = listpack::new();
    (0..4i64).for_each(|number| listpack::append(&mut bytes, number));
    whole.append_packed(bytes);
    whole.settle(limit);
    assert_eq!(whole.view().encoding_name(), "listpack"); // no removal: the whole limit counts
}

#[test]
fn the_nodes_are_those_of_redis() {
    // What DUMP of Valkey 9.1.2 has of this list.
    let limit = NodeLimit::new(2);
    let mut list = of(&["a", "b", "17", "c"], limit);
    assert!(list.insert_beside(b"a", End::Right, b"new", limit));
    assert!(list.set(4, &[b'x'; 70], limit));
    let last = [&b"\x52\0\0\0\x02\0\x11\x01\xe0\x46"[..], &[b'x'; 70], b"\x48\xff"].concat();
    let nodes: Vec<Block<'_>> = list.view().blocks().collect();
    let dump = [
        Block::Packed(b"\x0a\0\0\0\x01\0\x81a\x02\xff"),
        Block::Packed(b"\x0f\0\0\0\x02\0\x83new\x04\x81b\x02\xff"),
        Block::Packed(&last),
    ];
    assert_eq!(nodes, dump);
}

#[test]
fn big_elements_are_nodes_of_their_own() {
    let limit = NodeLimit::new(DEFAULT);
    let big = vec![b'x'; 8193];
    let mut list = of(&["a", "b", "c"], limit);
    list.insert(1, End::Left, &big, limit);
    let blocks: Vec<Block<'_>> = list.view().blocks().collect();
    assert!(matches!(blocks[..], [Block::Packed(_), Block::Plain(_), Block::Packed(_)]));
    assert_eq!(list.view().get(1), Some(Element::Str(&big)));
    assert!(list.set(2, &big, limit));
    assert_eq!(list.view().blocks().count(), 4);
    assert!(list.set(1, b"small", limit)); // between two nodes that have no room: one of its own
    assert_eq!(list.view().blocks().count(), 4);
    assert_eq!(list.remove(&big, End::Left, 1, limit), 1);
    assert_eq!(texts(&list), [&b"a"[..], b"small", b"c"]);

    let mut loaded = List::default();
    loaded.append_plain(big.clone());
    loaded.settle(limit);
    assert_eq!(loaded.view().encoding_name(), "quicklist");
    assert_eq!(loaded.pop(End::Left, 5, limit, |element| assert_eq!(element.text_len(), 8193)), 1);
    assert!(loaded.is_empty());
}

#[test]
fn replacing_elements_does_not_make_a_node_grow_without_end() {
    let limit = NodeLimit::new(DEFAULT);
    let mut list = List::default();
    (0..2000).for_each(|_| list.push(End::Right, one(b"word"), limit));
    for index in 0..200 {
        assert!(list.set(index, &[b'x'; 4000], limit));
    }
    let largest = list.view().blocks().map(|block| match block {
        Block::Packed(bytes) | Block::Plain(bytes) => bytes.len(),
    });
    assert!(largest.max().unwrap() <= 16_384);
    assert_eq!(list.len(), 2000);
}

#[test]
fn indices_and_ranges_are_what_users_mean() {
    let list = of(&["a", "b", "c"], NodeLimit::new(DEFAULT));
    let view = list.view();
    let indices = [0, 2, 3, -1, -3, -4, i64::MIN, i64::MAX].map(|index| view.resolve_index(index));
    assert_eq!(indices, [Some(0), Some(2), None, Some(2), Some(0), None, None, None]);
    let cases = [
        (0, -1, 0..3),
        (-100, 100, 0..3),
        (1, 1, 1..2),
        (-2, -1, 1..3),
        (2, 1, 2..2),
        (5, 9, 3..3),
        (0, -4, 0..0),
        (i64::MIN, i64::MAX, 0..3),
        (i64::MAX, i64::MIN, 3..3),
    ];
    for (start, stop, range) in cases {
        assert_eq!(view.resolve_range(start, stop), range, "{start} {stop}");
    }
}

#[test]
fn positions_count_from_the_left_whatever_the_direction() {
    for size in [2, 100] {
        let list = of(&["1", "a", "1", "b", "1"], NodeLimit::new(size));
        let view = list.view();
        assert!(view.positions(b"1", End::Left).eq([0, 2, 4]));
        assert!(view.positions(b"1", End::Right).eq([4, 2, 0]));
        assert!(view.positions_within(b"1", End::Left, 3).eq([0, 2]));
        assert!(view.positions_within(b"1", End::Right, 1).eq([4]));
        assert!(view.positions_within(b"1", End::Right, 0).next().is_none());
        assert!(view.positions(b"01", End::Left).next().is_none());
    }
    let empty = List::default();
    assert!(empty.view().positions(b"1", End::Right).next().is_none());
    assert!(!empty.clone().rotate(End::Left, End::Right, NodeLimit::new(1), |_| ()));
}

#[test]
fn a_chain_is_freed_in_steps() {
    let limit = NodeLimit::new(1);
    let numbers: Vec<String> = (0..300).map(|number: i32| number.to_string()).collect();
    let mut list = of(&numbers.iter().map(String::as_str).collect::<Vec<_>>(), limit);
    let copy = list.view().to_list();
    assert!(!list.drop_step(100));
    assert_eq!(list.len(), 200);
    assert!(!list.drop_step(100));
    assert!(list.drop_step(100));
    assert!(list.is_empty());
    assert_eq!(copy.len(), 300);
    assert!(List::default().drop_step(1));
}

#[test]
fn short_elements_take_little_more_than_their_bytes() {
    let limit = NodeLimit::new(DEFAULT);
    let mut list = List::default();
    for number in 0..100_000 {
        list.push(End::Right, one(format!("element:{number:010}").as_bytes()), limit);
    }
    assert!(list.view().memory_bytes() < 2_080_000, "{}", list.view().memory_bytes());
}
