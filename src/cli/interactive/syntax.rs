//! What may follow the words typed so far, from the syntax line of a command.
//!
//! The arguments still possible are a list. Each typed word turns it into the list that is possible after the word, as Brzozowski's
//! derivative does with a regular expression: no state but the list, and what it renders to is the hint.

use crate::command_syntax::{Argument, ArgumentKind};

/// The arguments possible after `word`, given those possible before it. `None`: the word does not fit.
pub fn after<'s>(arguments: &[Argument<'s>], word: &str) -> Option<Vec<Argument<'s>>> {
    let reachable = arguments
        .iter()
        .position(|argument| !argument.optional)
        .map_or(arguments.len(), |at| at + 1);
    let fits = |index: &usize| inside(&arguments[*index], word).is_some();
    // A word that is an option's is meant as one, even where it could also be one more value.
    let option = (0..reachable).filter(|&index| begins_with_token(&arguments[index])).find(fits);
    let index = option.or_else(|| (0..reachable).find(fits))?;
    let mut rest = inside(&arguments[index], word)?;
    // Options come in any order: those left out so far are still possible. Values are not.
    rest.extend(arguments[..index].iter().filter(|argument| begins_with_token(argument)).cloned());
    rest.extend_from_slice(&arguments[index + 1..]);
    Some(rest)
}

/// What is left of one argument after its first word.
fn inside<'s>(argument: &Argument<'s>, word: &str) -> Option<Vec<Argument<'s>>> {
    let mut rest = match argument.token {
        Some(token) if !token.eq_ignore_ascii_case(word) => return None,
        Some(_) if argument.kind == ArgumentKind::PureToken => Vec::new(),
        Some(_) => {
            let multiple = argument.multiple && !argument.multiple_token;
            vec![Argument { token: None, optional: false, multiple, ..argument.clone() }]
        }
        None => match argument.kind {
            ArgumentKind::OneOf => {
                argument.children.iter().find_map(|child| inside(child, word))?
            }
            ArgumentKind::Block => after(&argument.children, word)?,
            _ => Vec::new(),
        },
    };
    if argument.multiple && (argument.token.is_none() || argument.multiple_token) {
        rest.push(Argument { optional: true, ..argument.clone() });
    }
    Some(rest)
}

fn begins_with_token(argument: &Argument<'_>) -> bool {
    argument.token.is_some() || argument.children.first().is_some_and(begins_with_token)
}

/// What the next word can be.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Next<'s> {
    /// Words to be typed as they are.
    pub tokens: Vec<&'s str>,
    /// Whether it can be the name of a key.
    pub key: bool,
}

/// What the next word can be, given the arguments still possible.
pub fn next<'s>(arguments: &[Argument<'s>]) -> Next<'s> {
    let mut next = Next::default();
    collect(arguments, &mut next);
    next
}

fn collect<'s>(arguments: &[Argument<'s>], next: &mut Next<'s>) {
    for argument in arguments {
        match (argument.token, argument.kind) {
            (Some(token), _) => next.tokens.push(token),
            (None, ArgumentKind::OneOf) => {
                argument
                    .children
                    .iter()
                    .for_each(|child| collect(std::slice::from_ref(child), next));
            }
            (None, ArgumentKind::Block) => collect(&argument.children, next),
            (None, kind) => next.key |= kind == ArgumentKind::Key,
        }
        if !argument.optional {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command_syntax::{parse, render};

    const SET: &str = "key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]";

    fn hint(syntax: &str, typed: &str) -> Option<String> {
        let mut arguments = parse("X", syntax).unwrap();
        for word in typed.split_whitespace() {
            arguments = after(&arguments, word)?;
        }
        Some(render(&arguments))
    }

    #[test]
    fn the_hint_is_what_may_still_be_typed() {
        let cases = [
            (SET, "", SET),
            (SET, "k", "value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]"),
            (SET, "k v get", "[NX | XX] [EX seconds | PX milliseconds | KEEPTTL]"),
            (SET, "k v EX", "seconds [NX | XX] [GET]"),
            (SET, "k v EX 5 GET XX", ""),
            ("key [key ...]", "a", "[key [key ...]]"),
            ("key value [key value ...]", "a", "value [key value [key value ...]]"),
            (
                "numkeys key [key ...] [WEIGHTS weight [weight ...]]",
                "1 a WEIGHTS",
                "weight [weight ...]",
            ),
            ("cursor [MATCH pattern] [COUNT count]", "0 COUNT 5", "[MATCH pattern]"),
            ("<* | id> field", "*", "field"),
        ];
        for (syntax, typed, rest) in cases {
            assert_eq!(hint(syntax, typed).as_deref(), Some(rest), "{syntax} after {typed}");
        }
    }

    #[test]
    fn a_word_that_does_not_fit_has_no_hint() {
        assert_eq!(hint(SET, "k v NOSUCH"), None);
        assert_eq!(hint("key", "a b"), None);
    }

    #[test]
    fn completion_knows_options_and_keys() {
        let next_of = |syntax, typed: &str| {
            let mut arguments = parse("X", syntax).unwrap();
            for word in typed.split_whitespace() {
                arguments = after(&arguments, word).unwrap();
            }
            let next = next(&arguments);
            (next.tokens, next.key)
        };
        assert_eq!(next_of(SET, ""), (vec![], true));
        assert_eq!(next_of(SET, "k"), (vec![], false));
        assert_eq!(next_of(SET, "k v NX"), (vec!["GET", "EX", "PX", "KEEPTTL"], false));
        assert_eq!(next_of("key [key ...] [COUNT count]", "a"), (vec!["COUNT"], true));
    }
}
