//! `monitor` with filters: all of the server's commands, of which only some are shown.

use clap::Parser;

use crate::cli::failure::Failure;
use crate::cli::format::Format;
use crate::cli::help::registry;
use crate::cli::session::Session;
use crate::cli::stream;
use crate::commands::Registry;
use crate::config::words::split_words;
use crate::glob;
use crate::resp::{OwnedArgs, Value};

/// Which commands are shown: those that all given options fit.
#[derive(Parser, Default)]
#[command(name = "monitor", disable_version_flag = true)]
pub struct Filter {
    /// Only this command; may be given several times
    #[arg(long, value_name = "name")]
    command: Vec<String>,
    /// Only commands with a key that matches
    #[arg(long, value_name = "glob")]
    key: Option<String>,
    /// Only this database
    #[arg(long, value_name = "number")]
    db: Option<u32>,
    /// Only clients whose address matches
    #[arg(long, value_name = "glob")]
    client: Option<String>,
}

/// Whether the words are a `monitor` with options of ours.
pub fn is_filtered(words: &[Vec<u8>]) -> bool {
    matches!(words, [name, option, ..] if name.eq_ignore_ascii_case(b"monitor") && option.starts_with(b"--"))
}

/// Runs `monitor` with the options in `words` until Ctrl-C.
pub fn run(session: &mut Session, format: Format, words: &[Vec<u8>]) -> Result<bool, Failure> {
    let arguments = words.iter().map(|word| String::from_utf8_lossy(word).into_owned());
    let filter = Filter::try_parse_from(arguments)
        .map_err(|error| Failure::Usage(error.render().to_string().trim_end().to_owned()))?;
    let registry = registry();
    let mut wanted = |value: &Value| match value {
        Value::Simple(line) => line == b"OK" || filter.fits(&registry, line),
        _ => true,
    };
    stream::run(session, format, &[b"MONITOR".to_vec()], &mut wanted)
}

impl Filter {
    /// `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`. What does not look like this is shown.
    fn fits(&self, registry: &Registry, line: &[u8]) -> bool {
        let Some((db, address, words)) = read_line(line) else { return true };
        let Some(name) = words.first() else { return true };
        let fits_name = self.command.is_empty()
            || self.command.iter().any(|command| name.eq_ignore_ascii_case(command.as_bytes()));
        let fits_key = self.key.as_ref().is_none_or(|pattern| {
            keys(registry, &words).iter().any(|key| glob::matches(pattern.as_bytes(), key))
        });
        let fits_client = self
            .client
            .as_ref()
            .is_none_or(|pattern| glob::matches(pattern.as_bytes(), address.as_bytes()));
        fits_name && fits_key && fits_client && self.db.is_none_or(|wanted| wanted == db)
    }
}

/// Database, address of the client, command.
fn read_line(line: &[u8]) -> Option<(u32, &str, Vec<Vec<u8>>)> {
    let open = line.iter().position(|&byte| byte == b'[')?;
    // Not the first bracket: an IPv6 address has some of its own.
    let close = open + line[open..].windows(3).position(|bytes| bytes == b"] \"")?;
    let (db, address) = std::str::from_utf8(&line[open + 1..close]).ok()?.split_once(' ')?;
    Some((db.parse().ok()?, address, split_words(&line[close + 1..])?))
}

/// The keys of a command; of one that the table does not have, all arguments could be some.
fn keys<'w>(registry: &Registry, words: &'w [Vec<u8>]) -> Vec<&'w [u8]> {
    let arguments = || words[1..].iter().map(Vec::as_slice).collect();
    let Some(mut id) = registry.find(&words[0]) else { return arguments() };
    if let Some(subcommand) = words.get(1).and_then(|word| registry.find_subcommand(id, word)) {
        id = subcommand;
    }
    let args: OwnedArgs = words.iter().map(Vec::as_slice).collect();
    match registry.get(id).command.key_positions(&args.args()) {
        Some(positions) => {
            positions.into_iter().map(|(position, _)| words[position].as_slice()).collect()
        }
        None => arguments(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(options: &str, line: &str) -> bool {
        let words = std::iter::once("monitor").chain(options.split_whitespace());
        Filter::try_parse_from(words).unwrap().fits(&registry(), line.as_bytes())
    }

    const SET: &str = r#"1339518083.107412 [2 127.0.0.1:60866] "set" "user:1" "a] \"b""#;

    #[test]
    fn a_command_is_shown_if_all_filters_fit() {
        for options in [
            "",
            "--command SET",
            "--command get --command set",
            "--key user:*",
            "--db 2",
            "--client 127.0.0.1:*",
        ] {
            assert!(fits(options, SET), "{options}");
        }
        for options in [
            "--command GET",
            "--key a*",
            "--key item:*",
            "--db 0",
            "--client 10.*",
            "--command SET --db 1",
        ] {
            assert!(!fits(options, SET), "{options}");
        }
    }

    #[test]
    fn keys_are_where_the_table_says() {
        assert!(fits("--key b", r#"1.0 [0 [::1]:5] "MSET" "a" "1" "b" "2""#));
        assert!(!fits("--key 2", r#"1.0 [0 [::1]:5] "MSET" "a" "1" "b" "2""#));
        assert!(fits("--key 2", r#"1.0 [0 unix:/run/r.sock] "NOSUCH" "a" "2""#));
    }
}
