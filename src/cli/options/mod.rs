//! The command line: flags by clap, then an address if the first word is one, then a command.
//!
//! ```text
//! flags     what can be said, and how it is explained
//! refused   what redis-cli has and this client has not, and why
//! ```

mod flags;
mod refused;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::address::{Address, Url};
use super::failure::Failure;
use super::format::Format;
use crate::config::words::split_words;
use crate::resp::Protocol;
use flags::Options;

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Work {
    /// The command in the arguments, or what is typed or piped in.
    Commands,
    /// `--pipe`.
    Pipe {
        /// How long a reply may take when all is sent.
        timeout: Option<Duration>,
    },
    /// `--scan`.
    Scan,
    /// `--bigkeys`.
    BigKeys,
    /// `--memkeys`.
    MemKeys {
        /// How many elements of a key are measured; `None` leaves it to the server.
        samples: Option<u64>,
    },
    /// `--hotkeys`.
    HotKeys,
    /// `--latency`; with a line per interval.
    Latency {
        /// `--latency-history`.
        history: bool,
    },
    /// `--latency-dist`.
    LatencyDist,
    /// `--stat`.
    Stat,
    /// `--rdb`, `--functions-rdb`.
    Rdb {
        /// Where the snapshot goes.
        file: PathBuf,
        /// Whether only functions are asked for.
        only_functions: bool,
    },
    /// `--intrinsic-latency`, for so long.
    IntrinsicLatency(Duration),
    /// `--eval`: the file of the script. Keys and arguments are the words of the command line.
    Eval(PathBuf),
}

/// Which argument comes from standard input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FromStdin {
    /// None.
    No,
    /// One more, behind the others: `-x`.
    Last,
    /// The first that is this word: `-X`.
    Tagged(Vec<u8>),
}

/// Who logs in.
#[derive(Clone, Default)]
pub struct Login {
    /// ACL user; `None` is the default user.
    pub user: Option<String>,
    /// Password; `None` does not log in.
    pub pass: Option<String>,
}

/// Which keys a walk visits.
#[derive(Clone, Default, Debug)]
pub struct KeyFilter {
    /// Glob pattern.
    pub pattern: Option<Vec<u8>>,
    /// `string`, `hash`...
    pub key_type: Option<String>,
    /// `COUNT` of `SCAN`.
    pub count: Option<u64>,
}

/// The command line, understood.
pub struct Settings {
    /// The server.
    pub address: Address,
    /// The user.
    pub login: Login,
    /// Database to select.
    pub db: u32,
    /// Protocol to ask for.
    pub protocol: Protocol,
    /// Whether redirections are followed.
    pub cluster: bool,
    /// How replies are written.
    pub format: Format,
    /// Whether messages that come beside replies are shown.
    pub show_pushes: bool,
    /// How long one address of the server may take to answer; `None` is as long as the system waits.
    pub connect_timeout: Option<Duration>,
    /// What to do.
    pub work: Work,
    /// The command and its arguments.
    pub words: Vec<Vec<u8>>,
    /// Which argument is still to be read from standard input.
    pub from_stdin: FromStdin,
    /// How often the command runs; `None` is without end.
    pub times: Option<u64>,
    /// Time between two runs or two lines; zero if not given.
    pub interval: Duration,
    /// The keys that matter.
    pub keys: KeyFilter,
}

impl Settings {
    /// Reads the command line. clap's errors, help and version come back as `Err`, to be printed by clap.
    pub fn read(
        raw: Vec<OsString>,
        on_terminal: bool,
    ) -> Result<Result<Self, Failure>, clap::Error> {
        let options = Options::try_parse_from(&raw)?;
        let first = options.words.first().and_then(|word| word.to_str()).unwrap_or("");
        let place = match place_in(first) {
            None => return Ok(Self::of(options, Url::default(), on_terminal)),
            Some(Err(error)) => return Ok(Err(Failure::Usage(error.to_owned()))),
            Some(Ok(place)) => place,
        };
        // Flags may follow the address: read all again without it.
        let at = raw.len() - options.words.len();
        let rest: Vec<OsString> = [&raw[..at], &raw[at + 1..]].concat();
        Ok(Self::of(Options::try_parse_from(rest)?, place, on_terminal))
    }

    fn of(options: Options, place: Url, on_terminal: bool) -> Result<Self, Failure> {
        if let Some(word) =
            options.words.first().filter(|word| word.as_encoded_bytes().starts_with(b"-"))
        {
            return Err(Failure::Usage(refused::why(&word.to_string_lossy())));
        }
        let Options { server, output, repeat, modes, words, .. } = options;
        let format = output.format(on_terminal);
        let is_json = matches!(format, Format::Json { .. });
        let wants_resp3 = server.resp3 || (is_json && !server.resp2);
        let words = words.into_iter().map(OsString::into_vec);
        let words: Vec<Vec<u8>> = if repeat.quoted_input {
            words.map(unquoted).collect::<Result<_, _>>()?
        } else {
            words.collect()
        };
        let work = modes.work();
        if !matches!(work, Work::Commands | Work::Eval(_)) && !words.is_empty() {
            return Err(Failure::Usage("a mode takes no command".to_owned()));
        }
        let interval = time("-i", repeat.seconds)?;
        let timeout = time("-t", server.connect_timeout_seconds)?;
        let pattern = match modes.quoted_pattern {
            Some(pattern) => Some(unquoted(pattern.into_vec())?),
            None => modes.pattern.map(OsString::into_vec),
        };
        let cluster = server.cluster;
        let (address, login, db) = server.resolve(place)?;
        Ok(Self {
            address,
            login,
            db,
            protocol: if wants_resp3 { Protocol::Resp3 } else { Protocol::Resp2 },
            cluster,
            format,
            show_pushes: output.show_pushes.unwrap_or(format.is_for_people()),
            connect_timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            work,
            words,
            from_stdin: match repeat.tag {
                Some(tag) => FromStdin::Tagged(tag.into_vec()),
                None if repeat.last_from_stdin => FromStdin::Last,
                None => FromStdin::No,
            },
            times: u64::try_from(repeat.times).ok(),
            interval,
            keys: KeyFilter { pattern, key_type: modes.key_type, count: modes.count },
        })
    }
}

fn time(flag: &str, seconds: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| Failure::Usage(format!("{flag} {seconds}: no valid time")))
}

/// A word that begins with a quote, read as at the prompt; any other as it is.
fn unquoted(word: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if !word.starts_with(b"\"") && !word.starts_with(b"'") {
        return Ok(word);
    }
    match split_words(&word).map(<[Vec<u8>; 1]>::try_from) {
        Some(Ok([word])) => Ok(word),
        _ => Err(Failure::Usage("Invalid quoted string".to_owned())),
    }
}

/// The address or URL that the word is, if it is one.
fn place_in(word: &str) -> Option<Result<Url, &'static str>> {
    if Url::is_meant_by(word) {
        return Some(Url::parse(word));
    }
    Address::parse(word).map(|address| Ok(Url { address: Some(address), ..Url::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::format::Delimiters;

    fn read(line: &str) -> Settings {
        let words = std::iter::once("client").chain(line.split(' ')).map(OsString::from).collect();
        Settings::read(words, false)
            .unwrap_or_else(|e| panic!("{e}"))
            .unwrap_or_else(|e| panic!("{e}"))
    }

    fn words(settings: &Settings) -> Vec<&str> {
        settings.words.iter().map(|word| std::str::from_utf8(word).unwrap()).collect()
    }

    #[test]
    fn flags_stand_before_and_after_the_address_and_never_within_a_command() {
        let settings = read("-3 :7000 -n 2 --csv SET k -1 --json -n 5");
        assert_eq!(settings.address.to_string(), "127.0.0.1:7000");
        assert_eq!((settings.db, settings.format), (2, Format::Csv));
        assert_eq!(settings.protocol, Protocol::Resp3);
        assert_eq!(words(&settings), ["SET", "k", "-1", "--json", "-n", "5"]);
    }

    #[test]
    fn a_url_gives_all_that_flags_give() {
        let settings = read("redis://bob:secret@h:1/3 PING");
        assert_eq!(settings.address, Address::Tcp("h".into(), 1));
        assert_eq!(settings.login.user.as_deref(), Some("bob"));
        assert_eq!(settings.login.pass.as_deref(), Some("secret"));
        assert_eq!(settings.db, 3);
        assert_eq!(words(&settings), ["PING"]);
    }

    #[test]
    fn redis_clis_own_flags_work() {
        let settings = read("-h example.org -p 7000 -a secret -r -1 -i 0.5 PING");
        assert_eq!(settings.address.to_string(), "example.org:7000");
        assert_eq!(settings.times, None);
        assert_eq!(settings.interval, Duration::from_millis(500));
    }

    #[test]
    fn words_in_quotes_are_read_where_that_is_wanted() {
        let settings = read(r#"--quoted-input SET "a\x00b" c" 'd'"#);
        assert_eq!(settings.words, [&b"SET"[..], b"a\0b", b"c\"", b"d"]);
        assert_eq!(words(&read("SET 'k'")), ["SET", "'k'"]);
        assert_eq!(read(r#"--scan --quoted-pattern "\x41*""#).keys.pattern.unwrap(), b"A*");
    }

    #[test]
    fn raw_values_have_the_delimiters_that_are_given() {
        let delimiters = |line: &str| match read(line).format {
            Format::Raw(Delimiters { between, behind }) => (between, behind),
            format => panic!("{format:?}"),
        };
        assert_eq!(delimiters("PING"), (&b"\n"[..], &b"\n"[..]));
        assert_eq!(delimiters("-d , -D -- PING"), (&b","[..], &b"--"[..]));
    }

    #[test]
    fn what_redis_cli_has_and_this_client_has_not_is_refused_with_a_reason() {
        let refused = |line: &str| {
            let words =
                std::iter::once("client").chain(line.split(' ')).map(OsString::from).collect();
            match Settings::read(words, false) {
                Ok(Err(Failure::Usage(text))) => text,
                _ => panic!("{line}"),
            }
        };
        assert!(refused("--tls PING").contains("a tunnel"));
        assert!(refused("--cacert=f PING").starts_with("--cacert: "));
        assert!(refused("-h h --cluster create a:1 b:1").contains("redis-cli --cluster"));
        assert!(refused("--nonsense").contains("unknown option"));
    }

    #[test]
    fn json_asks_for_resp3_unless_told_otherwise() {
        assert_eq!(read("--json PING").protocol, Protocol::Resp3);
        assert_eq!(read("--json -2 PING").protocol, Protocol::Resp2);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for line in
            ["--raw --json PING", "-n x PING", "-2 -3 PING", "--pipe --scan", "-x -X t PING"]
        {
            let words =
                std::iter::once("client").chain(line.split(' ')).map(OsString::from).collect();
            assert!(Settings::read(words, false).is_err(), "{line}");
        }
        for line in
            ["--nonsense PING", "redis://h/x PING", "--scan PING", "-i -1 PING", "-t x PING"]
        {
            let words =
                std::iter::once("client").chain(line.split(' ')).map(OsString::from).collect();
            let read = Settings::read(words, false);
            assert!(read.is_err() || read.is_ok_and(|settings| settings.is_err()), "{line}");
        }
    }
}
