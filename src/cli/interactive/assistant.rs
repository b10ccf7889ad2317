//! What the line editor asks while somebody types: completions of commands, subcommands, options and keys, and the hint
//! behind the cursor.

use std::borrow::Cow;
use std::cell::RefCell;

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::lookup::Lookup;
use super::syntax;
use crate::cli::help::{registry, shown_name};
use crate::command_syntax::{Argument, parse, render};
use crate::commands::{Registry, TABLES};
use crate::config::words::{quoted, split_words};

/// Answers the line editor.
pub struct Assistant {
    registry: Registry,
    /// Where names of keys come from, and commands that the registry does not have.
    pub lookup: RefCell<Lookup>,
    colours: bool,
}

impl Assistant {
    /// With colours if the terminal is to have some.
    pub fn new(colours: bool) -> Self {
        Self { registry: registry(), lookup: RefCell::default(), colours }
    }

    /// Looks at the arguments possible after `words`; `None` if these begin no command.
    fn possible<R>(&self, words: &[String], look: impl Fn(&[Argument<'_>]) -> R) -> Option<R> {
        let (name, mut rest) = words.split_first()?;
        let Some(mut id) = self.registry.find(name.as_bytes()) else {
            let mut lookup = self.lookup.borrow_mut();
            let (line, rest) = lookup.syntax(name, rest)?;
            return after_all(name, line, rest).map(|arguments| look(&arguments));
        };
        if let [subcommand, after @ ..] = rest
            && let Some(found) = self.registry.find_subcommand(id, subcommand.as_bytes())
        {
            (id, rest) = (found, after);
        }
        let registered = self.registry.get(id);
        after_all(&registered.full_name, registered.command.syntax, rest)
            .map(|arguments| look(&arguments))
    }

    /// Names that can stand after `words`: commands, subcommands, options.
    fn names(&self, words: &[String]) -> Vec<String> {
        match words {
            [] => {
                let commands = self.registry.iter().map(|(_, registered)| registered);
                let commands = commands.filter(|registered| registered.parent.is_none());
                let names = commands.map(|registered| shown_name(&registered.full_name));
                let own = ["HELP", "CONNECT", "EXIT"].map(str::to_owned);
                names.chain(own).chain(self.lookup.borrow_mut().commands_below(None)).collect()
            }
            [help, topics @ ..] if help.eq_ignore_ascii_case("help") => {
                let groups = TABLES.iter().map(|(group, _)| format!("@{}", group.name()));
                let groups = groups.filter(|_| topics.is_empty());
                groups.chain(self.names(topics)).collect()
            }
            [name, ..] => {
                let tokens = |arguments: &[Argument<'_>]| -> Vec<String> {
                    syntax::next(arguments).tokens.into_iter().map(str::to_owned).collect()
                };
                let mut names = self.possible(words, tokens).unwrap_or_default();
                match (words, self.registry.find(name.as_bytes())) {
                    ([_], Some(id)) => {
                        let subcommands = self.registry.get(id).subcommands.iter();
                        let name = |id| self.registry.get(id).command.name.to_ascii_uppercase();
                        names.extend(subcommands.map(|&id| name(id)));
                    }
                    ([_], None) => {
                        names.extend(self.lookup.borrow_mut().commands_below(Some(name)));
                    }
                    _ => {}
                }
                names
            }
        }
    }

    fn candidates(&self, words: &[String], prefix: &str) -> Vec<String> {
        let lower = prefix.bytes().any(|byte| byte.is_ascii_lowercase());
        let fits = |name: &String| {
            name.len() >= prefix.len()
                && name.as_bytes()[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
        };
        let mut found: Vec<String> = self
            .names(words)
            .into_iter()
            .filter(fits)
            // Whoever types in lower case gets lower case.
            .map(|name| if lower { name.to_ascii_lowercase() } else { name })
            .collect();
        found.sort_unstable();
        found.dedup();
        if self.possible(words, |arguments| syntax::next(arguments).key) == Some(true) {
            let keys = self.lookup.borrow_mut().keys_with(unquoted(prefix).as_bytes());
            found.extend(keys.iter().map(|key| as_word(key)));
        }
        found
    }
}

/// The arguments still possible after all `words`, of a command with that syntax line.
fn after_all<'s>(name: &str, line: &'s str, words: &[String]) -> Option<Vec<Argument<'s>>> {
    let mut arguments = parse(name, line).ok()?;
    for word in words {
        arguments = syntax::after(&arguments, word)?;
    }
    Some(arguments)
}

/// The whole words of `line`, and where the last, unfinished one begins.
fn split_at_last_word(line: &str) -> Option<(Vec<String>, usize)> {
    let mut quote = None;
    let mut start = 0;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c.is_ascii_whitespace() => start = at + 1,
            _ => {}
        }
    }
    let words = split_words(&line.as_bytes()[..start])?;
    Some((words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect(), start))
}

/// An unfinished word without its quote.
fn unquoted(prefix: &str) -> &str {
    prefix.trim_start_matches(['"', '\''])
}

/// A key as it is typed: in quotes if it has to be.
fn as_word(key: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\".contains(byte);
    match std::str::from_utf8(key) {
        Ok(text) if !key.is_empty() && key.iter().all(plain) => text.to_owned(),
        _ => quoted(key),
    }
}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let line = &line[..position];
        let Some((words, start)) = split_at_last_word(line) else {
            return Ok((position, Vec::new()));
        };
        let candidates = self.candidates(&words, &line[start..]);
        // A space behind what is certain: the next word can follow.
        Ok((
            start,
            if let [only] = candidates.as_slice() { vec![format!("{only} ")] } else { candidates },
        ))
    }
}

impl Hinter for Assistant {
    type Hint = String;

    fn hint(&self, line: &str, position: usize, _: &Context<'_>) -> Option<String> {
        if position < line.len() {
            return None;
        }
        let (mut words, start) = split_at_last_word(line)?;
        let last = &line[start..];
        if !last.is_empty() {
            words.push(last.to_owned());
        }
        let hint = self.possible(&words, render)?;
        let space = if last.is_empty() { "" } else { " " };
        (!hint.is_empty()).then(|| format!("{space}{hint}"))
    }
}

impl Highlighter for Assistant {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.colours {
            Cow::Owned(format!("\x1b[90m{hint}\x1b[0m"))
        } else {
            Cow::Borrowed(hint)
        }
    }
}

impl Validator for Assistant {}
impl Helper for Assistant {}

#[cfg(test)]
mod tests {
    use super::*;
    use rustyline::history::MemHistory;

    fn complete(line: &str) -> Vec<String> {
        let history = MemHistory::new();
        Assistant::new(false).complete(line, line.len(), &Context::new(&history)).unwrap().1
    }

    fn hint(line: &str) -> Option<String> {
        let history = MemHistory::new();
        Assistant::new(false).hint(line, line.len(), &Context::new(&history))
    }

    #[test]
    fn commands_subcommands_and_options_are_completed_in_the_case_typed() {
        assert_eq!(complete("getd"), ["getdel "]);
        assert_eq!(complete("GETR"), ["GETRANGE "]);
        assert_eq!(complete("client getn"), ["client getname ".trim_start_matches("client ")]);
        assert_eq!(complete("SET k v KEE"), ["KEEPTTL "]);
        assert_eq!(complete("help getd"), ["getdel "]);
        assert_eq!(complete("help @ha"), ["@hash "]);
        assert!(complete("SET k 'it").is_empty());
    }

    #[test]
    fn hints_follow_what_is_typed() {
        assert_eq!(hint("append").as_deref(), Some(" key value"));
        assert_eq!(hint("append k ").as_deref(), Some("value"));
        assert_eq!(hint("append 'a b'").as_deref(), Some(" value"));
        assert_eq!(hint("nosuch"), None);
    }

    #[test]
    fn keys_are_typed_so_that_they_are_read_back() {
        assert_eq!(as_word(b"user:1"), "user:1");
        assert_eq!(as_word(b"a b\xff"), "\"a b\\xff\"");
        assert_eq!(as_word(b""), "\"\"");
    }
}
