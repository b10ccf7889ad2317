//! What a syntax line does not say: the kind of a value and the name of a group, guessed as Redis's authors chose them.

use super::{Argument, ArgumentKind};

/// Names of integers that do not end in one of `INTEGER_ENDINGS`.
const INTEGERS: &[&str] = &[
    "bits",
    "bit",
    "cursor",
    "database",
    "db",
    "decrement",
    "frequency",
    "increment",
    "len",
    "limit",
    "ms",
    "numfields",
    "numkeys",
    "numlocal",
    "numreplicas",
    "num-matches",
    "port",
    "protover",
    "rank",
    "start",
    "stop",
    "end",
    "timeout",
    "ttl",
    "version",
];

/// `milliseconds`, `destination-db`, `start-slot`, `client-id`, `cluster-bus-port`...
const INTEGER_ENDINGS: &[&str] = &[
    "seconds",
    "count",
    "offset",
    "index",
    "slot",
    "-port",
    "-db",
    "client-id",
    "idle-time",
    "-epoch",
    "entries-read",
    "entries-added",
];

const DOUBLES: &[&str] =
    &["score", "weight", "longitude", "latitude", "radius", "width", "height", "min", "max"];

const KEYS: &[&str] =
    &["key", "newkey", "destkey", "sourcekey", "destination", "source", "dst", "src"];

/// A choice is named after what it decides, as far as its first token tells.
const CHOICES: &[(&str, &str)] = &[
    ("NX", "condition"),
    ("FNX", "condition"),
    ("GT", "comparison"),
    ("EX", "expiration"),
    ("M", "unit"),
    ("BYTE", "unit"),
    ("ASC", "order"),
    ("BEFORE", "where"),
    ("LEFT", "where"),
    ("MIN", "where"),
    ("SUM", "aggregate"),
    ("BYSCORE", "sortby"),
    ("MAXLEN", "strategy"),
    ("=", "operator"),
    ("ASYNC", "async"),
    ("FROMMEMBER", "from"),
    ("BYRADIUS", "by"),
    ("MODULE", "filterby"),
    ("IMPORTING", "subcommand"),
    ("AUTH", "authentication"),
    ("GET", "operation"),
    ("SET", "write_operation"),
    ("RESET", "operation"),
    ("ID", "new-format"),
    ("YES", "mode"),
    ("WRITE", "mode"),
    ("FORCE", "options"),
    ("FLUSH", "policy"),
];

/// Whether a word is typed as it is: it has no lower-case letter.
pub(super) fn is_token(word: &str) -> bool {
    !word.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// A token's name: itself in lower case, or what the sign or the abbreviation means.
pub(super) fn name_of_token(token: &str) -> String {
    match token {
        "=" => "equal".to_owned(),
        "~" => "approximately".to_owned(),
        "*" => "auto_id".to_owned(),
        "$" => "new_id".to_owned(),
        "\"\"" => "empty_string".to_owned(),
        "CH" => "change".to_owned(),
        "INCR" => "increment".to_owned(),
        "ALPHA" => "sorting".to_owned(),
        word => word.to_ascii_lowercase(),
    }
}

/// The kind of a value in a command. The commands matter where one word stands for different things: an `increment` of a
/// `...FLOAT` command, the `timeout` of a blocking one, the `min` of a `...LEX` one, the `start` of a stream.
pub(super) fn kind_of(command: &str, name: &str) -> ArgumentKind {
    let command = command.to_ascii_uppercase();
    // Stream ids look like numbers and are none; a sorted set's range may be given by score or by member.
    let ranges_over_text =
        command.starts_with('X') || command.contains("LEX") || command.starts_with("ZRANGESTORE");
    let is_numbered_key =
        name.strip_prefix("key").is_some_and(|n| n.bytes().all(|byte| byte.is_ascii_digit()));
    match name {
        "pattern" | "by-pattern" | "get-pattern" => ArgumentKind::Pattern,
        _ if is_numbered_key || KEYS.contains(&name) => ArgumentKind::Key,
        _ if name.starts_with("unix-time") => ArgumentKind::UnixTime,
        "increment" if command.ends_with("FLOAT") || command == "ZINCRBY" => ArgumentKind::Double,
        "timeout" if command.starts_with('B') => ArgumentKind::Double,
        "min" | "max" | "start" | "stop" | "end" if ranges_over_text => ArgumentKind::String,
        "start" | "stop" if command == "ZRANGE" => ArgumentKind::String,
        "value" if command.starts_with("BITFIELD") || command == "SETBIT" => ArgumentKind::Integer,
        _ if DOUBLES.contains(&name) => ArgumentKind::Double,
        _ if is_integer(name) => ArgumentKind::Integer,
        _ => ArgumentKind::String,
    }
}

/// Numbered names (`index1`) and names with underscores are taken as their plain form.
fn is_integer(name: &str) -> bool {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit()).replace('_', "-");
    INTEGERS.contains(&plain.as_str())
        || INTEGER_ENDINGS.iter().any(|ending| plain.ends_with(ending))
}

/// The name of a block: its required parts, in order.
pub(super) fn name_of_block(children: &[Argument<'_>]) -> String {
    let required: Vec<_> =
        children.iter().filter(|child| !child.optional).map(|child| child.name.as_str()).collect();
    match required.as_slice() {
        [] => children.iter().map(|child| child.name.as_str()).collect::<Vec<_>>().join("_"),
        required => required.join("_"),
    }
}

/// The name of a choice: what it decides if that is known, or else all it offers.
pub(super) fn name_of_choice(children: &[Argument<'_>]) -> String {
    let first_token = children.iter().find_map(|child| child.token);
    if let Some((_, name)) = CHOICES.iter().find(|(token, _)| Some(*token) == first_token) {
        return (*name).to_owned();
    }
    let only_tokens = children.iter().all(|child| child.kind == ArgumentKind::PureToken);
    let names: Vec<_> = children.iter().map(|child| child.name.as_str()).collect();
    names.join(if only_tokens { "_" } else { "_or_" })
}
