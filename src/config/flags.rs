//! The command line: `server [redis.conf] [-] [--directive value ...] [--role master|slave] [--master host:port]`.
//!
//! clap prints `--help` and `--version` (see `help`), but it cannot read the flags. In Redis the word after a flag is its
//! value whatever it looks like (`--requirepass --x`, `--bind -::1`), further words belong to it until one begins with `--`,
//! `--save` alone means `--save ""`, flag and value may be one word (`"--port 6380"`), and `-` is the standard input. To clap
//! a value that begins with a hyphen is either never a value, or swallows the flags that follow.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::help;
use super::load::{Line, Place, Reason, StartupError};
use super::words::split_words;

/// What the command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Start a server.
    Run(CommandLine),
    /// Print this and exit with 0.
    Print(String),
}

/// A command line that starts a server.
#[derive(Default, Debug)]
pub struct CommandLine {
    /// Configuration file.
    pub file: Option<PathBuf>,
    /// More configuration comes from the standard input.
    pub stdin: bool,
    /// The flags, as lines of a file.
    pub lines: Vec<Line>,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// Words that belong to no flag, unbalanced quotes, `--role` and `--master` that contradict each other. Whether a flag is
/// a directive is found out by [`super::load::load`].
pub fn parse(args: &[OsString]) -> Result<Request, StartupError> {
    let mut result = CommandLine::default();
    let mut rest = args;
    if let Some((first, tail)) = args.split_first() {
        match first.as_bytes() {
            b"-h" | b"--help" => return Ok(Request::Print(help::help())),
            b"-v" | b"-V" | b"--version" => return Ok(Request::Print(help::version())),
            [b'-', ..] => {}
            _ => (result.file, rest) = (Some(PathBuf::from(first)), tail),
        }
    }
    let mut flags: Vec<Flag> = Vec::new();
    for (index, arg) in rest.iter().enumerate() {
        let next = rest.get(index + 1);
        let needs_value = flags.last().is_some_and(Flag::needs_value);
        let first_or_last = next.is_none() || (index == 0 && result.file.is_none());
        match arg.as_bytes() {
            b"-" if first_or_last => result.stdin = true,
            b"--help" if !needs_value => return Ok(Request::Print(help::help())),
            b"--version" if !needs_value => return Ok(Request::Print(help::version())),
            word if !needs_value && word.starts_with(b"--") => {
                flags.push(Flag::new(
                    word,
                    next.is_none_or(|next| next.as_bytes().starts_with(b"--")),
                )?);
            }
            word => match flags.last_mut() {
                Some(flag) => flag.words.push(word.to_vec()),
                None => return Err(error(lossy(word), Reason::UnknownDirective)),
            },
        }
    }
    result.lines = lines_of(flags)?;
    Ok(Request::Run(result))
}

/// A flag and the words that belong to it.
struct Flag {
    /// Name without `--`, then the values.
    words: Vec<Vec<u8>>,
}

impl Flag {
    fn new(word: &[u8], nothing_follows: bool) -> Result<Self, StartupError> {
        let Some(mut words) = split_words(&word[2..]).filter(|words| !words.is_empty()) else {
            return Err(error(lossy(word), Reason::UnbalancedQuotes));
        };
        // What a script produces from an empty list of save points.
        if nothing_follows && words.len() == 1 && words[0].eq_ignore_ascii_case(b"save") {
            words.push(Vec::new());
        }
        Ok(Self { words })
    }

    fn needs_value(&self) -> bool {
        self.words.len() == 1
    }

    fn is(&self, name: &str) -> bool {
        self.words[0].eq_ignore_ascii_case(name.as_bytes())
    }

    fn text(&self) -> String {
        let words = self
            .words
            .iter()
            .map(|word| if word.is_empty() { "\"\"".to_owned() } else { lossy(word) });
        format!("--{}", words.collect::<Vec<_>>().join(" "))
    }
}

/// Flags as lines; `--role` and `--master` become one `replicaof` at their end.
fn lines_of(flags: Vec<Flag>) -> Result<Vec<Line>, StartupError> {
    let (mut lines, mut role, mut master) = (Vec::new(), None, None);
    for flag in flags {
        if flag.is("role") {
            role = Some(flag);
        } else if flag.is("master") {
            master = Some(flag);
        } else {
            lines.push(Line { place: Place::CommandLine, text: flag.text(), words: flag.words });
        }
    }
    let replicaof_given = lines.iter().any(|line: &Line| {
        [&b"replicaof"[..], b"slaveof"].iter().any(|name| line.words[0].eq_ignore_ascii_case(name))
    });
    lines.extend(replicaof_line(role, master, replicaof_given)?);
    Ok(lines)
}

fn replicaof_line(
    role: Option<Flag>,
    master: Option<Flag>,
    replicaof_given: bool,
) -> Result<Option<Line>, StartupError> {
    let is_master = match &role {
        None => None,
        Some(flag) => match flag.words.get(1).map(Vec::as_slice) {
            Some(word) if flag.words.len() == 2 && word.eq_ignore_ascii_case(b"master") => {
                Some(true)
            }
            Some(word) if flag.words.len() == 2 && word.eq_ignore_ascii_case(b"slave") => {
                Some(false)
            }
            _ => return Err(error(flag.text(), Reason::Role("--role accepts master or slave"))),
        },
    };
    let (text, words) = match (is_master, &role, &master) {
        (Some(true), _, Some(master)) => {
            return Err(error(master.text(), Reason::Role("--master is for --role slave only")));
        }
        (Some(true), Some(role), None) => (role.text(), vec![b"no".to_vec(), b"one".to_vec()]),
        (_, _, Some(master)) => (master.text(), host_and_port(master)?),
        (Some(false), Some(role), None) if !replicaof_given => {
            return Err(error(role.text(), Reason::Role("--role slave needs --master host:port")));
        }
        _ => return Ok(None),
    };
    let words = std::iter::once(b"replicaof".to_vec()).chain(words).collect();
    Ok(Some(Line { place: Place::CommandLine, text, words }))
}

/// `host:port`; an IPv6 address may stand in brackets. `host port` as two words is fine too.
fn host_and_port(master: &Flag) -> Result<Vec<Vec<u8>>, StartupError> {
    let bad = || error(master.text(), Reason::Role("--master accepts host:port"));
    let [_, address] = master.words.as_slice() else {
        return if master.words.len() == 3 { Ok(master.words[1..].to_vec()) } else { Err(bad()) };
    };
    let colon = address.iter().rposition(|&byte| byte == b':').ok_or_else(bad)?;
    let (host, port) = (&address[..colon], &address[colon + 1..]);
    let host = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
    if host.is_empty() || port.is_empty() {
        Err(bad())
    } else {
        Ok(vec![host.to_vec(), port.to_vec()])
    }
}

fn lossy(word: &[u8]) -> String {
    OsString::from_vec(word.to_vec()).to_string_lossy().into_owned()
}

fn error(text: String, reason: Reason) -> StartupError {
    StartupError { line: Some(Box::new((Place::CommandLine, text))), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::{load, parse_file};
    use crate::config::{Config, MasterAddress};

    fn run(args: &[&str]) -> Result<(CommandLine, Config), String> {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        match parse(&args).map_err(|error| error.to_string())? {
            Request::Run(line) => {
                let config = load(&line.lines).map_err(|error| error.to_string())?;
                Ok((line, config))
            }
            Request::Print(text) => Err(text),
        }
    }

    fn config(args: &[&str]) -> Config {
        run(args).unwrap_or_else(|error| panic!("{args:?}: {error}")).1
    }

    #[test]
    fn values_follow_the_rules_of_redis_server() {
        assert_eq!(config(&["--save", "900", "1", "--save", "300", "10"]).save.len(), 2);
        assert_eq!(config(&["--save", "900 1"]).save.len(), 1);
        assert_eq!(config(&["--save", ""]).save.len(), 0);
        assert_eq!(config(&["--save"]).save.len(), 0);
        let both = config(&["--save", "--port", "1"]);
        assert_eq!((both.save.len(), both.port), (0, 1));
        let bound = config(&["--bind", "127.0.0.1", "-::1", "--port", "2"]);
        assert_eq!((bound.bind.len(), bound.port), (2, 2));
        assert_eq!(config(&["--list-max-listpack-size", "-5"]).list_max_listpack_size, -5);
        assert_eq!(config(&["--port 3", "--hz", "20"]).port, 3);
        assert_eq!(config(&["--requirepass", "--port", "--port", "4"]).requirepass, b"--port");
        assert_eq!(config(&["--requirepass", "a b"]).requirepass, b"a b");
        assert_eq!(config(&["--PORT", "5"]).port, 5);
    }

    #[test]
    fn the_file_comes_first_and_a_hyphen_is_the_standard_input() {
        let (line, _) = run(&["my.conf", "--port", "1", "-"]).unwrap();
        assert_eq!((line.file, line.stdin), (Some(PathBuf::from("my.conf")), true));
        let (line, config) = run(&["-", "--port", "1"]).unwrap();
        assert_eq!((line.file, line.stdin, config.port), (None, true, 1));
        assert!(run(&["my.conf", "stray"]).unwrap_err().contains(">>> 'stray'\nBad directive"));
    }

    #[test]
    fn role_and_master_are_replicaof() {
        let master = |host: &str, port| Some(MasterAddress { host: host.to_owned(), port });
        assert_eq!(config(&["--role", "slave", "--master", "h:1"]).replicaof, master("h", 1));
        assert_eq!(config(&["--master", "[::1]:6379"]).replicaof, master("::1", 6379));
        assert_eq!(config(&["--role", "master"]).replicaof, None);
        assert_eq!(config(&["--role", "slave", "--replicaof", "h", "2"]).replicaof, master("h", 2));
        let errors: [(&[&str], &str); 5] = [
            (&["--role", "slave"], "--role slave needs --master host:port"),
            (&["--role", "king"], "--role accepts master or slave"),
            (&["--role", "master", "--master", "h:1"], "--master is for --role slave only"),
            (&["--master", "h"], "--master accepts host:port"),
            (&["--master", "h:x"], "Invalid master port"),
        ];
        for (args, part) in errors {
            assert!(run(args).unwrap_err().contains(part), "{args:?}");
        }
    }

    #[test]
    fn a_flag_beats_the_environment_and_that_beats_the_file() {
        let file = parse_file("f", b"port 1\nhz 11\ntimeout 1\nsave 1 1").unwrap();
        let variable =
            |name: &str, value: &str| (format!("MINI_REDIS_{name}").into(), value.into());
        let (env, _) =
            super::super::load::parse_environment([variable("PORT", "2"), variable("HZ", "22")]);
        let flags = run(&["--port", "3", "--save", "3", "3"]).unwrap().0.lines;
        let config = load(&[file, env, flags].concat()).unwrap();
        assert_eq!((config.port, config.hz, config.timeout), (3, 22, 1));
        assert_eq!(
            config.save.len(),
            1,
            "save points of a stronger source replace those of a weaker one"
        );
    }

    #[test]
    fn errors_quote_the_flag_and_hide_secrets() {
        let error = run(&["--port", "abc"]).unwrap_err();
        assert!(
            error.contains(
                "Reading the command line\n>>> '--port abc'\nargument couldn't be parsed"
            ),
            "{error}"
        );
        let error = run(&["--requirepass", "hush", "hush"]).unwrap_err();
        assert!(error.contains("--requirepass (redacted)") && !error.contains("hush"), "{error}");
    }

    #[test]
    fn help_lists_the_directives_by_group_and_version_is_the_package() {
        let help = run(&["--help"]).unwrap_err();
        for part in [
            "Network:",
            "--port <",
            "TCP port to listen on",
            "[default: 6379]",
            "Snapshots:",
            "tls-port",
            "--role",
        ] {
            assert!(help.contains(part), "{part} is missing in {help}");
        }
        assert!(!help.contains("watchdog-period"), "hidden directives stay hidden");
        assert_eq!(run(&["--port", "1", "--version"]).unwrap_err(), help::version());
        assert!(help::version().contains(env!("CARGO_PKG_VERSION")));
    }
}
