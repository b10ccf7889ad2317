//! Lines of directives into a [`Config`], and the message that ends a start when one of them is wrong.
//!
//! Pure: `file` reads the files, `flags` the command line. Later lines win, so callers chain the lines of the file, the
//! environment and the flags in this order.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStringExt;

use super::directive::{Directive, Origin, ValueError};
use super::{Config, lookup, words};

/// Where a line was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a file, or on the standard input.
    File {
        /// Name of the file as the user gave it.
        name: String,
        /// Line, from 1.
        line: usize,
    },
    /// In an environment variable.
    Environment,
    /// On the command line.
    CommandLine,
}

/// One directive as written: its name and the words after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Where it was written.
    pub place: Place,
    /// How it was written, for messages.
    pub text: String,
    /// Name and arguments; never empty.
    pub words: Vec<Vec<u8>>,
}

/// A start that must not go on. Displays as the message for the user.
#[derive(Debug)]
pub struct StartupError {
    /// The line to blame, if it is one line.
    pub line: Option<Box<(Place, String)>>,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a line.
#[derive(Debug)]
pub enum Reason {
    /// The value is refused.
    Value {
        /// Why.
        error: ValueError,
        /// The directive, to say what it accepts.
        row: &'static str,
        /// What it accepts.
        accepted: String,
    },
    /// Quotes do not balance, or text follows a closing quote.
    UnbalancedQuotes,
    /// No such directive.
    UnknownDirective,
    /// A directive that would be dangerous to ignore.
    Unsupported(&'static str),
    /// Files include each other without end.
    IncludeTooDeep,
    /// `--role` and `--master` do not fit together.
    Role(&'static str),
    /// A file cannot be read.
    File {
        /// Its name.
        name: String,
        /// The system's answer.
        error: io::Error,
    },
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\n*** FATAL CONFIG FILE ERROR (Mini-Redis {}) ***\n",
            env!("CARGO_PKG_VERSION")
        )?;
        if let Some((place, text)) = self.line.as_deref() {
            match place {
                Place::File { name, line } => {
                    writeln!(f, "Reading the configuration file, at line {line} of {name}")?;
                }
                Place::Environment => writeln!(f, "Reading the environment")?,
                Place::CommandLine => writeln!(f, "Reading the command line")?,
            }
            writeln!(f, ">>> '{}'", crate::log::clean(format_args!("{text}")))?;
        }
        write!(f, "{}", self.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { error, row, accepted } => write!(f, "{error}\n{row} accepts {accepted}"),
            Self::UnbalancedQuotes => f.write_str("Unbalanced quotes in configuration line"),
            Self::UnknownDirective => f.write_str(
                "Bad directive or wrong number of arguments\nserver --help lists the directives and their values",
            ),
            Self::Unsupported(why) => write!(f, "This directive is not supported: {why}"),
            Self::IncludeTooDeep => f.write_str("Files include each other more than 16 levels deep"),
            Self::Role(why) => f.write_str(why),
            Self::File { name, error } => write!(f, "Fatal error, can't open config file '{name}': {error}"),
        }
    }
}

impl std::error::Error for StartupError {}

/// The lines of a file that are not blank and no comments. O(length).
///
/// # Errors
/// Quotes that do not balance.
pub fn parse_file(name: &str, text: &[u8]) -> Result<Vec<Line>, StartupError> {
    let mut lines = Vec::new();
    for (index, raw) in text.split(|&byte| byte == b'\n').enumerate() {
        let raw = raw.trim_ascii();
        if raw.is_empty() || raw.starts_with(b"#") {
            continue;
        }
        let place = Place::File { name: name.to_owned(), line: index + 1 };
        let text = String::from_utf8_lossy(raw).into_owned();
        let Some(words) = words::split_words(raw) else {
            return Err(StartupError {
                line: Some(Box::new((place, redacted(&text)))),
                reason: Reason::UnbalancedQuotes,
            });
        };
        if !words.is_empty() {
            lines.push(Line { place, text, words });
        }
    }
    Ok(lines)
}

/// The variables `MINI_REDIS_<DIRECTIVE>`, upper case and `_` for `-`, as lines; and sentences about those that name nothing.
pub fn parse_environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> (Vec<Line>, Vec<String>) {
    let (mut lines, mut unknown) = (Vec::new(), Vec::new());
    for (variable, value) in variables {
        let Some(name) = variable.to_str().and_then(|name| name.strip_prefix("MINI_REDIS_")) else {
            continue;
        };
        let same = |own: &&str| own.replace('-', "_").eq_ignore_ascii_case(name);
        match super::directives().flat_map(Directive::names).find(same) {
            Some(own) => {
                let text = format!("{own} {}", value.to_string_lossy());
                let words = vec![own.as_bytes().to_vec(), value.into_vec()];
                lines.push(Line { place: Place::Environment, text, words });
            }
            None => unknown.push(format!(
                "Environment variable MINI_REDIS_{name} names no directive and is ignored."
            )),
        }
    }
    (lines, unknown)
}

/// The configuration that the lines make of the defaults. O(lines x directives).
///
/// # Errors
/// The first line that is wrong.
pub fn load(lines: &[Line]) -> Result<Config, StartupError> {
    let mut config = Config::default();
    let mut seen: Vec<(&'static str, u8)> = Vec::new();
    for line in lines {
        apply(&mut config, line, &mut seen).map_err(|reason| StartupError {
            line: Some(Box::new((line.place.clone(), redacted(&line.text)))),
            reason,
        })?;
    }
    config.clamp();
    Ok(config)
}

/// Accepted and dropped by Redis 7.0 as well.
const DEPRECATED: [&[u8]; 3] =
    [b"list-max-ziplist-entries", b"list-max-ziplist-value", b"lua-replicate-commands"];

fn apply(
    config: &mut Config,
    line: &Line,
    seen: &mut Vec<(&'static str, u8)>,
) -> Result<(), Reason> {
    let (name, args) = line.words.split_first().expect("a line has a name");
    let name = name.to_ascii_lowercase();
    if let Some((row, _)) = lookup(&name) {
        let source = match line.place {
            Place::File { .. } => 0,
            Place::Environment => 1,
            Place::CommandLine => 2,
        };
        let again = seen.contains(&(row.name, source));
        seen.push((row.name, source));
        return set(config, row, args, Origin::Start { again });
    }
    match (name.as_slice(), args) {
        (name, [_]) if DEPRECATED.contains(&name) => Ok(()),
        (b"rename-command", [from, to]) => {
            let utf8 = |word: &[u8]| String::from_utf8_lossy(word).to_ascii_lowercase();
            config.rename_commands.push((utf8(from), utf8(to)));
            Ok(())
        }
        (b"user", _) => {
            Err(Reason::Unsupported("there are no ACL users but the default one, use requirepass"))
        }
        (b"loadmodule", _) => Err(Reason::Unsupported("modules cannot be loaded")),
        (b"sentinel", _) => Err(Reason::Unsupported("this server is no Sentinel")),
        _ => Err(Reason::UnknownDirective),
    }
}

fn set(
    config: &mut Config,
    row: &'static Directive,
    args: &[Vec<u8>],
    origin: Origin,
) -> Result<(), Reason> {
    let refused = |error| Reason::Value { error, row: row.name, accepted: row.accepted() };
    match args {
        // One quoted word holds them all: --save "900 1".
        [words] if row.multi && !words.is_empty() => {
            let words = words::split_words(words).ok_or(Reason::UnbalancedQuotes)?;
            row.set(config, &words, origin).map_err(refused)
        }
        _ if !row.multi && args.len() != 1 => Err(refused(ValueError::WrongNumberOfArguments)),
        _ => row.set(config, args, origin).map_err(refused),
    }
}

/// The text without what follows the name of a secret, because this message may end up in a log.
fn redacted(text: &str) -> String {
    let name = text.split_ascii_whitespace().next().unwrap_or_default();
    let secret = lookup(name.trim_start_matches("--").as_bytes())
        .is_some_and(|(row, _)| row.sensitive)
        || name.eq_ignore_ascii_case("user");
    if secret { format!("{name} (redacted)") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::directive::split_spaces;
    use crate::config::{SavePoint, Written};

    fn config(text: &str) -> Config {
        load(&parse_file("t.conf", text.as_bytes()).unwrap())
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn message(text: &str) -> String {
        match parse_file("t.conf", text.as_bytes()).and_then(|lines| load(&lines)) {
            Ok(_) => panic!("{text} was accepted"),
            Err(error) => error.to_string().split_once("***\n").unwrap().1.to_owned(),
        }
    }

    #[test]
    fn quotes_comments_case_and_units_are_read_as_in_redis_conf() {
        let config = config(
            "# comment\n\n  PORT 1234\r\nrequirepass \"a b\\x41\"\nmaxmemory 1Gb\nunixsocketperm 700\n\
             bind 10.0.0.1 -::1\nlogfile ''\nslave-priority 7\nmaxmemory-clients 5%\n\
             client-output-buffer-limit replica 1gb 2mb 3\nclient-output-buffer-limit \"pubsub 1 2 3\"\n",
        );
        assert_eq!((config.port, config.maxmemory, config.unixsocketperm), (1234, 1 << 30, 0o700));
        assert_eq!(config.requirepass, b"a bA");
        assert_eq!(config.bind, ["10.0.0.1", "-::1"]);
        assert_eq!((config.replica_priority, config.maxmemory_clients), (7, -5));
        let limits = config.client_output_buffer_limit;
        assert_eq!((limits.normal.hard_bytes, limits.replica.soft_bytes), (256 << 20, 2 << 20));
        assert_eq!((limits.pubsub.hard_bytes, limits.pubsub.soft_seconds), (1, 3));
    }

    #[test]
    fn save_lines_of_one_source_add_up_and_replace_those_before() {
        let point = |seconds, changes| SavePoint { seconds, changes };
        assert_eq!(config("").save, [point(3600, 1), point(300, 100), point(60, 10000)]);
        assert_eq!(
            config("save 900 1\nsave 300 10 60 5\n").save,
            [point(900, 1), point(300, 10), point(60, 5)]
        );
        assert_eq!(config("save 900 1\nsave \"\"\nsave 60 1").save, [point(60, 1)]);
        assert_eq!(config("save \"\"").save, []);
    }

    #[test]
    fn a_wrong_line_ends_the_start_with_place_line_reason_and_what_is_accepted() {
        let cases = [
            (
                "hz 10\nport abc",
                "Reading the configuration file, at line 2 of t.conf\n>>> 'port abc'\n\
                 argument couldn't be parsed into an integer\nport accepts an integer from 0 to 65535",
            ),
            ("port 70000", "argument must be between 0 and 65535 inclusive"),
            ("port 1 2", "wrong number of arguments"),
            ("port", "wrong number of arguments"),
            ("appendonly maybe", "argument must be 'yes' or 'no'\nappendonly accepts yes or no"),
            (
                "loglevel loud",
                "must be one of the following: debug, verbose, notice, warning, nothing",
            ),
            ("maxmemory lots", "argument must be a memory value\nmaxmemory accepts bytes from 0"),
            ("nonsense 1", "Bad directive or wrong number of arguments"),
            ("a.b c", "Bad directive or wrong number of arguments"),
            ("rename-command x", "Bad directive or wrong number of arguments"),
            ("logfile \"x", "Unbalanced quotes in configuration line"),
            ("cluster-enabled yes", "this server is no cluster node"),
            ("tls-port 6380", "this server has no TLS"),
            ("tls-replication yes", "this server has no TLS"),
            ("aclfile users.acl", "this server has no ACL users"),
            ("loadmodule x.so", "modules cannot be loaded"),
            ("sentinel monitor a b 1 2", "this server is no Sentinel"),
            ("user bob on >secret", ">>> 'user (redacted)'\n"),
            ("requirepass my secret", ">>> 'requirepass (redacted)'\nwrong number of arguments"),
            ("dbfilename a/b", "dbfilename can't be a path, just a filename"),
        ];
        for (text, part) in cases {
            let message = message(text);
            assert!(message.contains(part), "{text}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn harmless_values_of_refused_directives_and_old_names_are_accepted() {
        let config = config(
            "cluster-enabled no\ntls-port 0\naclfile \"\"\nlist-max-ziplist-entries 512\nactivedefrag yes\n\
             rename-command CONFIG \"\"\nrename-command keys hidden-keys\ncrash-log-enabled no\nlua-time-limit 7\n",
        );
        let renames =
            [("config", ""), ("keys", "hidden-keys")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(config.rename_commands, renames);
        assert_eq!(config.busy_reply_threshold, 7);
        let warnings = config.warnings();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(
            warnings
                .iter()
                .any(|line| line.contains("'crash-log-enabled no' is accepted and kept"))
        );
    }

    #[test]
    fn environment_variables_name_directives_in_upper_case() {
        let variables = [
            ("MINI_REDIS_PORT", "7"),
            ("MINI_REDIS_BIND", "::1 a"),
            ("MINI_REDIS_NO_SUCH", "x"),
            ("HOME", "/"),
        ];
        let owned = variables.map(|(name, value)| (name.into(), value.into()));
        let (lines, unknown) = parse_environment(owned);
        let config = load(&lines).unwrap();
        assert_eq!((config.port, config.bind.len()), (7, 2));
        assert_eq!(
            unknown,
            ["Environment variable MINI_REDIS_NO_SUCH names no directive and is ignored."]
        );
    }

    /// Lines as Debian's `/etc/redis/redis.conf` and Valkey's stock file have them where they differ from the defaults.
    const STOCK: &str = r#"
        bind 127.0.0.1 -::1
        daemonize yes
        pidfile /run/redis/redis-server.pid
        logfile /var/log/redis/redis-server.log
        always-show-logo no
        proc-title-template "{title} {listen-addr} {server-mode}"
        locale-collate ""
        rdb-version-check strict
        dir /var/lib/redis
        dual-channel-replication-enabled no
        oom-score-adj-values 0 200 800
        commandlog-execution-slower-than 10000
        notify-keyspace-events ""
        client-output-buffer-limit normal 0 0 0
        client-output-buffer-limit replica 256mb 64mb 60
    "#;

    #[test]
    fn stock_files_start() {
        let config = config(STOCK);
        assert_eq!(config.client_output_buffer_limit.normal.hard_bytes, 0);
        assert_eq!(config.dir, std::path::Path::new("/var/lib/redis"));
        for path in ["/etc/redis/redis.conf", "/etc/valkey/valkey.conf"] {
            match std::fs::read(path) {
                Ok(text) => {
                    parse_file(path, &text)
                        .and_then(|lines| load(&lines))
                        .unwrap_or_else(|error| panic!("{error}"));
                }
                Err(error) => eprintln!("skipped {path}: {error}"),
            }
        }
    }

    #[test]
    fn no_value_makes_any_directive_panic() {
        let numbers = [
            "-0%",
            "-1",
            "18446744073709551616",
            "9223372036854775807%",
            "99999999999gb",
            "+7",
            "1e3",
            "0x10",
        ];
        let words = [
            "",
            " ",
            "-",
            "%",
            "{",
            "{{",
            "\"",
            "'",
            "no one",
            "1 2 3 4",
            "normal 1 1 1 x",
            "nan",
            "\0",
            "K\u{e9}",
        ];
        for row in super::super::directives() {
            let mut config = Config::default();
            for word in
                numbers.iter().chain(&words).map(|word| word.as_bytes()).chain([&b"\xff\xfe"[..]])
            {
                for args in [
                    vec![word.to_vec()],
                    vec![word.to_vec(); 2],
                    vec![word.to_vec(); 4],
                    Vec::new(),
                ] {
                    let split = split_spaces(word);
                    let started = set(&mut config, row, &args, Origin::Start { again: true });
                    let changed = row.set(&mut config, &split, Origin::Runtime);
                    if args.len() > 1 || (started.is_err() && changed.is_err()) {
                        continue;
                    }
                    let lines =
                        parse_file("new", &crate::config::rewrite(b"", &config, Written::Changed))
                            .unwrap();
                    let again = load(&lines).unwrap_or_else(|error| panic!("{error}"));
                    assert_eq!(row.get(&again), row.get(&config), "{} {args:?}", row.name);
                }
            }
        }
    }
}
