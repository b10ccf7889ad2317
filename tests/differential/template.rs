//! Command templates, written like the synopses of the Redis documentation, turned into proptest strategies.
//!
//! ```text
//! SET <key> <value> {NX|XX|EX <seconds>}*     <word> is a random word of the vocabulary
//!                                             {a|b} exactly one, {a|b}? none or one, {a|b}+ one to three, {a|b}* none to three
//! {a|!b}                                      b is rare, as what must be refused should be
//! MULTI ; INCR <key> ; EXEC                   several commands that stay together
//! @SCAN {COUNT <count>}?   @RANDOMKEY         the steps that need more than one request
//! ```
//! Repetition is on purpose blind: `{NX|XX|EX <seconds>}*` also yields `NX XX` and `EX 100 EX 0`, which must be refused
//! alike. A recursive-descent parser over [`Token`]s; what a `<word>` can be is in [`crate::vocabulary`].

use std::iter::Peekable;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

use crate::step::{Arg, Step};
use crate::vocabulary;

/// The most often a `*` or `+` group is repeated.
const REPEATS_MAX: usize = 3;

/// `<list_keys>` and the like: a number of keys and the keys, the one kind of word that is several arguments.
const COUNTED_KEYS: &str =
    "{1 <key>|2 <key> <key>|3 <key> <key> <key>|!2 <key>|!0 <key>|!-1 <key>|!x <key>}";
/// How much rarer a `!` alternative is.
const RARELY: u32 = 12;

/// A strategy for the steps a template describes. Panics on a template that is not well-formed.
pub fn steps(template: &str) -> BoxedStrategy<Vec<Step>> {
    let parts: Vec<&str> = template.split(" ; ").collect();
    if let [single] = parts[..] {
        return step(single).prop_map(|step| vec![step]).boxed();
    }
    // Commands that belong together are sent as written: one left out could make the rest depend on the clock.
    parts
        .into_iter()
        .map(|part| arguments(part).prop_map(Step::Command))
        .collect::<Vec<_>>()
        .boxed()
}

fn step(template: &str) -> BoxedStrategy<Step> {
    match template.strip_prefix('@') {
        Some("RANDOMKEY") => Just(Step::RandomKey).boxed(),
        Some(scan) => {
            let options = scan.strip_prefix("SCAN").expect("@SCAN or @RANDOMKEY");
            arguments(options).prop_map(Step::FullScan).boxed()
        }
        None => (arguments(template), spelling())
            .prop_map(|(args, spelling)| Step::Command(spelling.apply(args)))
            .boxed(),
    }
}

/// What is done to a well-formed command before it is sent.
#[derive(Clone, Copy, Debug)]
enum Spelling {
    AsWritten,
    LowerCase,
    MixedCase,
    LastArgumentMissing,
    OneArgumentMore,
    NameOnly,
}

fn spelling() -> impl Strategy<Value = Spelling> {
    prop_oneof![
        85 => Just(Spelling::AsWritten),
        5 => Just(Spelling::LowerCase),
        4 => Just(Spelling::MixedCase),
        2 => Just(Spelling::LastArgumentMissing),
        3 => Just(Spelling::OneArgumentMore),
        1 => Just(Spelling::NameOnly),
    ]
}

impl Spelling {
    fn apply(self, mut args: Vec<Arg>) -> Vec<Arg> {
        // `COMMAND` and `COMMAND INFO` alone list every command a server has.
        let lists_all_when_cut = args[0] == b"COMMAND";
        match self {
            Self::LowerCase => args
                .iter_mut()
                .filter(|arg| is_capitals(arg))
                .for_each(|arg| arg.make_ascii_lowercase()),
            Self::MixedCase => {
                args.iter_mut().filter(|arg| is_capitals(arg)).for_each(|arg| mix_case(arg))
            }
            Self::OneArgumentMore => args.push(b"x".to_vec()),
            Self::LastArgumentMissing if !lists_all_when_cut => {
                args.truncate((args.len() - 1).max(1))
            }
            Self::NameOnly if !lists_all_when_cut => args.truncate(1),
            Self::AsWritten | Self::LastArgumentMissing | Self::NameOnly => {}
        }
        args
    }
}

fn is_capitals(arg: &[u8]) -> bool {
    arg.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
}

fn mix_case(arg: &mut [u8]) {
    arg.iter_mut().step_by(2).for_each(|byte| byte.make_ascii_lowercase());
}

/// A piece of a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'t> {
    Literal(&'t str),
    Word(&'t str),
    Open,
    Or,
    Rarely,
    Close { least: usize, most: usize },
}

fn tokens(template: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = template.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '{' => (Token::Open, 1),
            '|' => (Token::Or, 1),
            '!' => (Token::Rarely, 1),
            '}' => close(rest),
            '<' => {
                let end =
                    rest.find('>').unwrap_or_else(|| panic!("`<` without `>` in {template:?}"));
                (Token::Word(&rest[1..end]), end + 1)
            }
            _ => {
                let end = rest.find([' ', '{', '|', '}']).unwrap_or(rest.len());
                (Token::Literal(&rest[..end]), end)
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn close(rest: &str) -> (Token<'_>, usize) {
    match rest.as_bytes().get(1) {
        Some(b'?') => (Token::Close { least: 0, most: 1 }, 2),
        Some(b'*') => (Token::Close { least: 0, most: REPEATS_MAX }, 2),
        Some(b'+') => (Token::Close { least: 1, most: REPEATS_MAX }, 2),
        _ => (Token::Close { least: 1, most: 1 }, 1),
    }
}

fn arguments(template: &str) -> BoxedStrategy<Vec<Arg>> {
    let mut tokens = tokens(template).into_iter().peekable();
    let arguments = sequence(&mut tokens);
    assert_eq!(tokens.next(), None, "`|` or `}}` without `{{` in {template:?}");
    arguments
}

/// Everything up to the next `|`, `}` or the end.
fn sequence<'t>(tokens: &mut Peekable<impl Iterator<Item = Token<'t>>>) -> BoxedStrategy<Vec<Arg>> {
    let mut parts: Vec<BoxedStrategy<Vec<Arg>>> = Vec::new();
    while let Some(token) =
        tokens.next_if(|token| !matches!(token, Token::Or | Token::Rarely | Token::Close { .. }))
    {
        parts.push(match token {
            Token::Literal(text) => Just(vec![text.as_bytes().to_vec()]).boxed(),
            // As in `<list_keys>`: counted `<list_key>`s.
            Token::Word(name) if name.ends_with("_keys") => arguments(
                &COUNTED_KEYS.replace("<key>", &format!("<{}>", name.trim_end_matches('s'))),
            ),
            Token::Word(name) => vocabulary::word(name).prop_map(|arg| vec![arg]).boxed(),
            _ => group(tokens),
        });
    }
    parts.prop_map(|parts| parts.concat()).boxed()
}

/// The alternatives after a `{`, with their `}`.
fn group<'t>(tokens: &mut Peekable<impl Iterator<Item = Token<'t>>>) -> BoxedStrategy<Vec<Arg>> {
    let mut alternatives = Vec::new();
    loop {
        let weight = if tokens.next_if_eq(&Token::Rarely).is_some() { 1 } else { RARELY };
        alternatives.push((weight, sequence(tokens)));
        match tokens.next() {
            Some(Token::Or) => {}
            Some(Token::Close { least, most }) => {
                let one = Union::new_weighted(alternatives);
                return vec(one, least..=most).prop_map(|repeats| repeats.concat()).boxed();
            }
            _ => panic!("`{{` without `}}`, or `!` inside an alternative"),
        }
    }
}
