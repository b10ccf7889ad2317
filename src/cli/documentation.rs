//! `help`, completion and hints with a server at hand: a command that our table does not have may be documented by the server's
//! `COMMAND DOCS`, whose tree of arguments is written as a syntax line here.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::failure::Failure;
use super::format::harmless;
use super::help;
use super::session::Session;
use crate::resp::Value;

/// Shows the help for `topics`. False if nobody knows them.
pub fn show(session: &mut Session, topics: &[Vec<u8>]) -> Result<bool, Failure> {
    let topics: Vec<String> =
        topics.iter().map(|topic| String::from_utf8_lossy(topic).into_owned()).collect();
    let text = help::help(&topics).or_else(|| ask_server(session, &topics));
    match &text {
        Some(text) => io::stdout().write_all(text.as_bytes()).map_err(Failure::output)?,
        None => {
            writeln!(io::stderr(), "No help for {}", topics.join(" ")).map_err(Failure::output)?
        }
    }
    Ok(text.is_some())
}

/// The page of a command that only the server knows. Without a server, or one that does not tell, there is none.
fn ask_server(session: &mut Session, topics: &[String]) -> Option<String> {
    let name = topics.join("|");
    let words = ["COMMAND".as_bytes(), b"DOCS", name.as_bytes()].map(<[u8]>::to_vec);
    let reply = session.run(&words, &mut |_| {}).ok()?;
    let (full_name, docs) = pairs(&reply).into_iter().next()?;
    Some(harmless(page(&text(full_name), docs).as_bytes()).into_owned())
}

/// The syntax lines in an answer to `COMMAND DOCS`, by full name in lower case; subcommands, `xinfo|stream`, among them.
pub fn syntax_lines(reply: &Value) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    for (name, docs) in pairs(reply) {
        let subcommands = member(docs, "subcommands").map(pairs).unwrap_or_default();
        for (name, docs) in subcommands.into_iter().chain([(name, docs)]) {
            lines.insert(text(name).to_ascii_lowercase(), syntax(docs));
        }
    }
    lines
}

fn syntax(docs: &Value) -> String {
    member(docs, "arguments").map(|arguments| line(arguments, " ")).unwrap_or_default()
}

fn page(full_name: &str, docs: &Value) -> String {
    let field = |name| member(docs, name).map(text).unwrap_or_default();
    let syntax = syntax(docs);
    let rows = ["summary", "since", "complexity", "group"].map(|name| (name, field(name)));
    help::page(full_name, &syntax, rows.iter().map(|(name, value)| (*name, value.as_str())))
}

/// The arguments as one line.
fn line(arguments: &Value, separator: &str) -> String {
    elements(arguments).iter().map(argument).collect::<Vec<_>>().join(separator)
}

fn argument(argument: &Value) -> String {
    let field = |name| member(argument, name).map(text);
    let has = |flag: &str| {
        member(argument, "flags")
            .is_some_and(|flags| elements(flags).iter().any(|f| text(f) == flag))
    };
    let kind = field("type").unwrap_or_default();
    let children =
        |separator| member(argument, "arguments").map(|c| line(c, separator)).unwrap_or_default();
    let value = match kind.as_str() {
        "pure-token" => String::new(),
        "oneof" => children(" | "),
        "block" => children(" "),
        _ => field("display_text").or_else(|| field("name")).unwrap_or_default(),
    };
    let optional = has("optional");
    let value = if kind == "oneof" && !optional { format!("<{value}>") } else { value };
    let repeated =
        |unit: String| if has("multiple") { format!("{unit} [{unit} ...]") } else { unit };
    let whole = match field("token") {
        None => repeated(value),
        Some(token) if value.is_empty() => token,
        Some(token) if has("multiple_token") => repeated(format!("{token} {value}")),
        Some(token) => format!("{token} {}", repeated(value)),
    };
    if optional { format!("[{whole}]") } else { whole }
}

/// The pairs of a map; RESP2 sends them as a flat array.
fn pairs(value: &Value) -> Vec<(&Value, &Value)> {
    match value {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (name, value)).collect(),
        Value::Array(elements) => {
            elements.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect()
        }
        _ => Vec::new(),
    }
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    pairs(value)
        .into_iter()
        .find(|(key, _)| key.as_bytes() == Some(name.as_bytes()))
        .map(|(_, value)| value)
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) | Value::Set(elements) => elements,
        _ => &[],
    }
}

/// Text without control characters, which a terminal would obey.
fn text(value: &Value) -> String {
    let bytes = value.as_bytes().unwrap_or_default();
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::ReplyReader;

    #[test]
    fn the_tree_of_arguments_is_written_as_a_line() {
        let flat = "*2 $3 ttl *4 $5 since $5 1.0.0 $9 arguments *2 *4 $4 name $3 key $4 type $3 key \
                    *8 $4 name $1 n $4 type $7 integer $5 token $5 COUNT $5 flags *2 +optional +multiple";
        // Lengths are followed by their string on a line of its own: written with spaces here.
        let wire = flat.split_whitespace().map(|word| format!("{word}\r\n")).collect::<String>();
        let (reply, _) = ReplyReader::default().read(wire.as_bytes()).unwrap().unwrap();
        let docs = member(&reply, "ttl").unwrap();
        assert_eq!(page("x|ttl", docs), "\n  X TTL key [COUNT n [n ...]]\n  since: 1.0.0\n");
        let lines = syntax_lines(&reply);
        assert_eq!(lines["ttl"], "key [COUNT n [n ...]]");
    }
}
