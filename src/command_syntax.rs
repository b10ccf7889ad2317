//! The syntax lines of the Redis documentation, read into the tree of arguments that `COMMAND DOCS` reports.
//!
//! A line such as `key value [NX | XX] [GET] [EX seconds | KEEPTTL]` is how people write a command's arguments; clients
//! want them as a tree, for hints and completion. The lines are the only copy we keep:
//!
//! - an upper-case word (or `=`, `~`, `*`, `$`, `""`) is a token to be typed as it is, any other word names a value;
//! - `[...]` is optional, `<...>` only groups, `|` separates alternatives and binds weaker than writing side by side;
//! - `[key ...]` repeats what stands before it, and has to say the same: `field value [field value ...]`;
//! - a token belongs to the required values that follow it: to a single one as its `token`, to several as a block's.
//!
//! Reading has two steps: the words and brackets as they nest, then the meaning of each group. What the line does not say,
//! the kind of a value and the name of a group, is guessed in [`names`]. Follows the shapes of Redis's
//! `addReplyCommandArgList`; writing the reply is left to the command.

mod names;

use std::fmt;

/// Brackets within brackets, at most. Redis's own lines have four; the limit keeps a hostile line from the stack.
const DEPTH_MAX: usize = 16;

/// One argument of a command, and for a group the arguments within.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Argument<'s> {
    /// A value's word as written, a token in lower case, or a name made up for a group.
    pub name: String,
    /// What to type here.
    pub kind: ArgumentKind,
    /// The word that introduces the argument, or that is the argument. Empty for `""`, the empty string.
    pub token: Option<&'s str>,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it may be repeated.
    pub multiple: bool,
    /// Whether each repetition starts with the token again.
    pub multiple_token: bool,
    /// The alternatives of a `OneOf`, the parts of a `Block`; empty for all others.
    pub children: Vec<Argument<'s>>,
}

/// The types of argument `COMMAND DOCS` knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgumentKind {
    /// Any bytes.
    String,
    /// A 64-bit decimal integer.
    Integer,
    /// A floating-point number.
    Double,
    /// The name of a key.
    Key,
    /// A glob pattern.
    Pattern,
    /// A UNIX time, in seconds or milliseconds.
    UnixTime,
    /// Nothing but the token.
    PureToken,
    /// One of the children.
    OneOf,
    /// All of the children, in order.
    Block,
}

impl ArgumentKind {
    /// The word `COMMAND DOCS` uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Key => "key",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::PureToken => "pure-token",
            Self::OneOf => "oneof",
            Self::Block => "block",
        }
    }
}

/// Why a line is no syntax; positions are bytes from its start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyntaxError {
    /// A group is not closed, or closed by the wrong bracket, at this position.
    Unbalanced {
        /// Where reading stopped.
        at: usize,
    },
    /// Nothing stands between two brackets or bars.
    Empty {
        /// Where something was expected.
        at: usize,
    },
    /// `[... ...]` does not repeat what stands before it.
    RepeatsNothing,
    /// More than 16 groups within each other.
    TooDeep,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbalanced { at } => write!(f, "unbalanced brackets at byte {at}"),
            Self::Empty { at } => write!(f, "an empty group or alternative at byte {at}"),
            Self::RepeatsNothing => {
                f.write_str("`[... ...]` does not repeat what stands before it")
            }
            Self::TooDeep => f.write_str("too many brackets within brackets"),
        }
    }
}

impl std::error::Error for SyntaxError {}

/// Reads the syntax of `command` (its full name: it decides some kinds), not including the command itself.
///
/// An empty line has no arguments. Linear in the length of the line, but for repetitions, which are compared.
pub fn parse<'s>(command: &str, syntax: &'s str) -> Result<Vec<Argument<'s>>, SyntaxError> {
    if syntax.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader { syntax, at: 0 };
    let alternatives = reader.alternatives(0)?;
    if reader.at < syntax.len() {
        return Err(SyntaxError::Unbalanced { at: reader.at });
    }
    let meaning = Meaning { command };
    match alternatives.as_slice() {
        [sequence] => meaning.sequence(sequence, false),
        _ => Ok(vec![meaning.group(&alternatives)?]),
    }
}

/// Writes a list of arguments as a syntax line: what [`parse`] read, in the spacing of the documentation.
#[must_use]
pub fn render(arguments: &[Argument<'_>]) -> String {
    join(arguments, " ")
}

fn join(arguments: &[Argument<'_>], separator: &str) -> String {
    arguments.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

impl fmt::Display for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repeated = |unit: String| {
            if self.multiple { format!("{unit} [{unit} ...]") } else { unit }
        };
        let unit = match self.kind {
            ArgumentKind::PureToken => String::new(),
            ArgumentKind::OneOf if self.token.is_some() => {
                format!("<{}>", join(&self.children, " | "))
            }
            ArgumentKind::OneOf => join(&self.children, " | "),
            ArgumentKind::Block => join(&self.children, " "),
            _ => self.name.clone(),
        };
        let body = match self.token {
            None => repeated(unit),
            Some("") => "\"\"".to_owned(),
            Some(token) if self.kind == ArgumentKind::PureToken => token.to_owned(),
            Some(token) if self.multiple_token => repeated(format!("{token} {unit}")),
            Some(token) => format!("{token} {}", repeated(unit)),
        };
        match (self.optional, self.kind, self.token) {
            (true, ..) => write!(f, "[{body}]"),
            (false, ArgumentKind::OneOf, None) => write!(f, "<{body}>"),
            _ => f.write_str(&body),
        }
    }
}

/// Words and brackets as they nest.
#[derive(PartialEq, Eq, Debug)]
enum Node<'s> {
    Word(&'s str),
    Group {
        optional: bool,
        alternatives: Vec<Sequence<'s>>,
    },
    /// A bracket that ends in `...`, which is not among its words.
    Repeat(Vec<Sequence<'s>>),
}

type Sequence<'s> = Vec<Node<'s>>;

impl Node<'_> {
    fn is_token(&self) -> bool {
        matches!(self, Self::Word(word) if names::is_token(word))
    }

    /// Whether it is the kind of thing a token before it introduces: a value or a choice that must be there.
    fn is_required_value(&self) -> bool {
        match self {
            Self::Word(word) => !names::is_token(word),
            Self::Group { optional, .. } => !optional,
            Self::Repeat(_) => false,
        }
    }
}

/// First step: reads the line from left to right.
struct Reader<'s> {
    syntax: &'s str,
    at: usize,
}

impl<'s> Reader<'s> {
    fn rest(&mut self) -> &'s str {
        let rest = self.syntax[self.at..].trim_start();
        self.at = self.syntax.len() - rest.len();
        rest
    }

    /// Reads up to a closing bracket or the end of the line, and stays before it.
    fn alternatives(&mut self, depth: usize) -> Result<Vec<Sequence<'s>>, SyntaxError> {
        if depth > DEPTH_MAX {
            return Err(SyntaxError::TooDeep);
        }
        let mut alternatives = Vec::new();
        let mut sequence = Vec::new();
        loop {
            let rest = self.rest();
            match rest.as_bytes().first() {
                Some(b'[') => sequence.push(self.group(depth, ']')?),
                Some(b'<') => sequence.push(self.group(depth, '>')?),
                Some(b'|') if !sequence.is_empty() => {
                    alternatives.push(std::mem::take(&mut sequence));
                    self.at += 1;
                }
                None | Some(b']' | b'>') if !sequence.is_empty() => {
                    alternatives.push(sequence);
                    return Ok(alternatives);
                }
                None | Some(b'|' | b']' | b'>') => return Err(SyntaxError::Empty { at: self.at }),
                Some(_) => sequence.push(Node::Word(self.word(rest))),
            }
        }
    }

    fn word(&mut self, rest: &'s str) -> &'s str {
        let is_end = |character: char| character.is_whitespace() || "[]<>|".contains(character);
        let word = rest.find(is_end).map_or(rest, |end| &rest[..end]);
        self.at += word.len();
        word
    }

    fn group(&mut self, depth: usize, closing: char) -> Result<Node<'s>, SyntaxError> {
        self.at += 1;
        let mut alternatives = self.alternatives(depth + 1)?;
        if !self.syntax[self.at..].starts_with(closing) {
            return Err(SyntaxError::Unbalanced { at: self.at });
        }
        self.at += 1;
        let last = alternatives.last_mut().expect("at least one alternative was read");
        if closing == ']' && last.len() > 1 && last.last() == Some(&Node::Word("...")) {
            last.pop();
            return Ok(Node::Repeat(alternatives));
        }
        Ok(Node::Group { optional: closing == ']', alternatives })
    }
}

/// A part of a sequence: one node, or the nodes that a repetition behind them repeats.
struct Unit<'n, 's> {
    /// Its place in the sequence.
    start: usize,
    nodes: &'n [Node<'s>],
    multiple: bool,
}

impl Unit<'_, '_> {
    fn is_required_value(&self) -> bool {
        self.nodes[0].is_required_value()
    }

    fn is_optional_group(&self) -> bool {
        !self.multiple && matches!(self.nodes[0], Node::Group { optional: true, .. })
    }
}

fn units<'n, 's>(sequence: &'n [Node<'s>]) -> Result<Vec<Unit<'n, 's>>, SyntaxError> {
    let mut units: Vec<Unit<'n, 's>> = Vec::new();
    for (index, node) in sequence.iter().enumerate() {
        match node {
            Node::Word("...") => return Err(SyntaxError::RepeatsNothing),
            Node::Repeat(body) => {
                let [body] = body.as_slice() else { return Err(SyntaxError::RepeatsNothing) };
                let start = index.checked_sub(body.len()).ok_or(SyntaxError::RepeatsNothing)?;
                let nodes = &sequence[start..index];
                if nodes != body.as_slice() {
                    return Err(SyntaxError::RepeatsNothing);
                }
                units.retain(|unit| unit.start < start);
                units.push(Unit { start, nodes, multiple: true });
            }
            _ => {
                units.push(Unit { start: index, nodes: &sequence[index..=index], multiple: false })
            }
        }
    }
    Ok(units)
}

/// Second step: what the groups of one command mean.
struct Meaning<'c> {
    command: &'c str,
}

impl Meaning<'_> {
    /// `in_group`: the sequence is all of a bracket or an alternative, so that a token in front may own all of it.
    fn sequence<'s>(
        &self,
        nodes: &[Node<'s>],
        in_group: bool,
    ) -> Result<Vec<Argument<'s>>, SyntaxError> {
        let units = units(nodes)?;
        let mut arguments = Vec::new();
        let mut rest = units.as_slice();
        while let [unit, after @ ..] = rest {
            rest = after;
            arguments.push(match unit.nodes {
                [Node::Word(word)] if !unit.multiple && names::is_token(word) => {
                    let at_front = in_group && arguments.is_empty();
                    let (owned, after) = after.split_at(owned_by_token(after, at_front));
                    rest = after;
                    with_token(word, self.units(owned)?)
                }
                _ => self.unit(unit)?,
            });
        }
        Ok(arguments)
    }

    fn units<'s>(&self, units: &[Unit<'_, 's>]) -> Result<Vec<Argument<'s>>, SyntaxError> {
        units.iter().map(|unit| self.unit(unit)).collect()
    }

    fn unit<'s>(&self, unit: &Unit<'_, 's>) -> Result<Argument<'s>, SyntaxError> {
        let mut argument = match unit.nodes {
            [Node::Word(word)] if names::is_token(word) => pure_token(word),
            [Node::Word(word)] => leaf(word, names::kind_of(self.command, word)),
            [Node::Group { optional, alternatives }] => {
                let group = self.group(alternatives)?;
                Argument { optional: group.optional || *optional, ..group }
            }
            nodes => into_one(self.sequence(nodes, true)?),
        };
        if unit.multiple {
            argument.multiple = true;
            argument.multiple_token = unit.nodes.len() > 1 && unit.nodes[0].is_token();
        }
        Ok(argument)
    }

    fn group<'s>(&self, alternatives: &[Sequence<'s>]) -> Result<Argument<'s>, SyntaxError> {
        if let [sequence] = alternatives {
            return Ok(into_one(self.sequence(sequence, true)?));
        }
        let (last, others) = alternatives.split_last().expect("a group has an alternative");
        // `A | B [A | B ...]`: the repetition stands in the last alternative, but repeats the whole choice.
        let (last, multiple) = match last.as_slice() {
            [last @ .., Node::Repeat(body)]
                if body.split_last().is_some_and(|(b, bs)| b == last && bs == others) =>
            {
                (last, true)
            }
            last => (last, false),
        };
        let sequences = others.iter().map(Vec::as_slice).chain([last]);
        let children = sequences
            .map(|nodes| Ok(into_one(self.sequence(nodes, true)?)))
            .collect::<Result<Vec<_>, _>>()?;
        let name = names::name_of_choice(&children);
        Ok(Argument { multiple, children, ..leaf(&name, ArgumentKind::OneOf) })
    }
}

/// How many of the units behind a token belong to it.
///
/// The required values do. If they are several and the token stands in front of its group, so do the optional ones that
/// end the group: all of `TO host port [FORCE]`, but not the `ANY` of `COUNT count [ANY]`, nor any `[NOACK]` behind a
/// token that is on its own.
fn owned_by_token(units: &[Unit<'_, '_>], at_front: bool) -> usize {
    let required = units.iter().take_while(|unit| unit.is_required_value()).count();
    let takes_all =
        at_front && required > 1 && units[required..].iter().all(Unit::is_optional_group);
    if takes_all { units.len() } else { required }
}

fn with_token<'s>(token: &'s str, arguments: Vec<Argument<'s>>) -> Argument<'s> {
    match <[Argument<'s>; 1]>::try_from(arguments) {
        Ok([only]) if only.token.is_none() => Argument { token: Some(token), ..only },
        Ok(only) => Argument { token: Some(token), ..block(only.into()) },
        Err(arguments) if arguments.is_empty() => pure_token(token),
        Err(arguments) => Argument { token: Some(token), ..block(arguments) },
    }
}

fn into_one(arguments: Vec<Argument<'_>>) -> Argument<'_> {
    match <[Argument<'_>; 1]>::try_from(arguments) {
        Ok([only]) => only,
        Err(arguments) => block(arguments),
    }
}

fn block(children: Vec<Argument<'_>>) -> Argument<'_> {
    let name = names::name_of_block(&children);
    Argument { children, ..leaf(&name, ArgumentKind::Block) }
}

fn pure_token(word: &str) -> Argument<'_> {
    let token = Some(word.trim_matches('"'));
    Argument { token, ..leaf(&names::name_of_token(word), ArgumentKind::PureToken) }
}

fn leaf<'s>(name: &str, kind: ArgumentKind) -> Argument<'s> {
    Argument {
        name: name.to_owned(),
        kind,
        token: None,
        optional: false,
        multiple: false,
        multiple_token: false,
        children: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree on one line: `name:kind(token)flags{children}`, with `?` optional, `*` multiple, `**` with its token.
    fn shown(arguments: &[Argument<'_>]) -> String {
        let one = |argument: &Argument<'_>| {
            let mut text = format!("{}:{}", argument.name, argument.kind.as_str());
            if let Some(token) = argument.token {
                text += &format!("({token})");
            }
            text += if argument.optional { "?" } else { "" };
            text += match (argument.multiple, argument.multiple_token) {
                (true, true) => "**",
                (true, false) => "*",
                _ => "",
            };
            if !argument.children.is_empty() {
                text += &format!("{{{}}}", shown(&argument.children));
            }
            text
        };
        arguments.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// Command, its line on redis.io, and the tree Redis 7.0.15 reports for it.
    const LINES: &[(&str, &str, &str)] = &[
        ("DBSIZE", "", ""),
        ("GET", "key", "key:key"),
        ("DEL", "key [key ...]", "key:key*"),
        ("KEYS", "pattern", "pattern:pattern"),
        ("MSET", "key value [key value ...]", "key_value:block*{key:key value:string}"),
        ("EXPIREAT", "key unix-time-seconds", "key:key unix-time-seconds:unix-time"),
        ("INCRBY", "key increment", "key:key increment:integer"),
        ("INCRBYFLOAT", "key increment", "key:key increment:double"),
        ("BLPOP", "key [key ...] timeout", "key:key* timeout:double"),
        ("WAIT", "numreplicas timeout", "numreplicas:integer timeout:integer"),
        ("AUTH", "[username] password", "username:string? password:string"),
        ("INFO", "[section [section ...]]", "section:string?*"),
        (
            "FLUSHALL",
            "[ASYNC | SYNC]",
            "async:oneof?{async:pure-token(ASYNC) sync:pure-token(SYNC)}",
        ),
        (
            "SCAN",
            "cursor [MATCH pattern] [COUNT count] [TYPE type]",
            "cursor:integer pattern:pattern(MATCH)? count:integer(COUNT)? type:string(TYPE)?",
        ),
        (
            "GETEX",
            "key [EX seconds | PXAT unix-time-milliseconds | PERSIST]",
            "key:key expiration:oneof?{seconds:integer(EX) unix-time-milliseconds:unix-time(PXAT) \
             persist:pure-token(PERSIST)}",
        ),
        (
            "SORT",
            "key [LIMIT offset count] [GET pattern [GET pattern ...]] [ALPHA] [STORE destination]",
            "key:key offset_count:block(LIMIT)?{offset:integer count:integer} pattern:pattern(GET)?** \
             sorting:pure-token(ALPHA)? destination:key(STORE)?",
        ),
        (
            "MIGRATE",
            "host port <key | \"\"> destination-db [KEYS key [key ...]]",
            "host:string port:integer key_or_empty_string:oneof{key:key empty_string:pure-token()} \
             destination-db:integer key:key(KEYS)?*",
        ),
        (
            "XREADGROUP",
            "GROUP group consumer [COUNT count] [NOACK] STREAMS key [key ...] id [id ...]",
            "group_consumer:block(GROUP){group:string consumer:string} count:integer(COUNT)? noack:pure-token(NOACK)? \
             key_id:block(STREAMS){key:key* id:string*}", // Redis: "streams"
        ),
        (
            "GEORADIUS",
            "key <M | KM> [COUNT count [ANY]]",
            "key:key unit:oneof{m:pure-token(M) km:pure-token(KM)} \
             count:block?{count:integer(COUNT) any:pure-token(ANY)?}",
        ),
        (
            "FAILOVER",
            "[TO host port [FORCE]] [ABORT]",
            "host_port:block(TO)?{host:string port:integer force:pure-token(FORCE)?} abort:pure-token(ABORT)?",
        ), // Redis: "target"
        (
            "BITFIELD",
            "key [GET encoding offset | [OVERFLOW <WRAP | SAT>] <SET encoding value | INCRBY encoding increment> \
             [GET encoding offset | [OVERFLOW <WRAP | SAT>] <SET encoding value | INCRBY encoding increment> ...]]",
            "key:key operation:oneof?*{encoding_offset:block(GET){encoding:string offset:integer} \
             write_operation:block{wrap_sat:oneof(OVERFLOW)?{wrap:pure-token(WRAP) sat:pure-token(SAT)} \
             write_operation:oneof{encoding_value:block(SET){encoding:string value:integer} \
             encoding_increment:block(INCRBY){encoding:string increment:integer}}}}",
        ),
        ("XADD", "<* | id>", "auto_id_or_id:oneof{auto_id:pure-token(*) id:string}"),
        ("HSETEX", "[FNX | FXX]", "condition:oneof?{fnx:pure-token(FNX) fxx:pure-token(FXX)}"),
    ];

    #[test]
    fn lines_become_the_trees_redis_reports() {
        for (command, line, tree) in LINES {
            let arguments =
                parse(command, line).unwrap_or_else(|error| panic!("{command}: {error}"));
            assert_eq!(shown(&arguments), *tree, "{command} {line}");
        }
    }

    #[test]
    fn a_tree_is_written_as_the_line_it_came_from() {
        for (command, line, _) in LINES {
            assert_eq!(render(&parse(command, line).unwrap()), *line, "{command}");
        }
        let cramped = parse("SET", " key  value [NX|XX][GET]").unwrap();
        assert_eq!(render(&cramped), "key value [NX | XX] [GET]");
    }

    #[test]
    fn repetitions_may_stand_within_repetitions() {
        let arguments = parse("X", "a [a ...] b [a [a ...] b ...] c").unwrap();
        assert_eq!(shown(&arguments), "a_b:block*{a:string* b:string} c:string");
    }

    #[test]
    fn what_is_no_syntax_is_refused_with_its_place() {
        let deep = "[".repeat(100_000);
        let cases = [
            ("[NX", SyntaxError::Unbalanced { at: 3 }),
            ("key]", SyntaxError::Unbalanced { at: 3 }),
            ("<key]", SyntaxError::Unbalanced { at: 4 }),
            ("key []", SyntaxError::Empty { at: 5 }),
            ("NX | | XX", SyntaxError::Empty { at: 5 }),
            ("| NX", SyntaxError::Empty { at: 0 }),
            ("[NX |]", SyntaxError::Empty { at: 5 }),
            ("]", SyntaxError::Empty { at: 0 }),
            ("key [value ...]", SyntaxError::RepeatsNothing),
            ("[key ...]", SyntaxError::RepeatsNothing),
            ("key [...]", SyntaxError::RepeatsNothing),
            ("key <key ...>", SyntaxError::RepeatsNothing),
            ("key | id [key | id | x ...]", SyntaxError::RepeatsNothing),
            (deep.as_str(), SyntaxError::TooDeep),
        ];
        for (line, error) in cases {
            assert_eq!(parse("X", line), Err(error), "{line:.40}");
        }
    }
}
