//! The command line: flags by clap, then an address if the first word is one, then a command.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};

use super::address::{Address, PORT_DEFAULT, Url};
use super::failure::Failure;
use super::format::Format;
use crate::resp::Protocol;

const EXAMPLES: &str = "\
Without a command, commands are typed at a prompt, or read from standard input, one a line.
`client help` lists the commands, `client help SET` and `client help @hash` explain them.

  client SET greeting hello EX 60
  client 10.0.0.5:6379 -n 2 --json HGETALL user:1
  client redis://bob@10.0.0.5/2 monitor --command SET --key 'user:*'
  client 10.0.0.5:6379 top
  client --scan --pattern 'session:*' | head
  client 10.0.0.5:6379 --rdb backup.rdb

The password is better given in the environment variable REDISCLI_AUTH than with --pass, which other users of the
machine can see. Exit status: 0, 1 for an error reply, 2 for a wrong command line, 3 for no connection.";

/// A command-line client for Redis, Valkey and this server.
#[derive(Parser)]
#[command(
    name = "client",
    version,
    disable_help_flag = true,
    override_usage = "client [options] [host:port | redis://...] [options] [command [arg ...]]",
    after_help = EXAMPLES
)]
pub struct Options {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    repeat: Repeat,
    #[command(flatten)]
    modes: ModeFlags,
    /// Show this help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<OsString>,
}

#[derive(Args)]
#[command(next_help_heading = "Server")]
struct Server {
    /// Host, as in redis-cli
    #[arg(short = 'h', value_name = "host")]
    host: Option<String>,
    /// Port, as in redis-cli
    #[arg(short = 'p', value_name = "port")]
    port: Option<u16>,
    /// Unix socket
    #[arg(short = 's', long, value_name = "path")]
    unix: Option<PathBuf>,
    /// URL: redis://user:pass@host:port/db
    #[arg(short = 'u', value_name = "url")]
    url: Option<String>,
    /// ACL user
    #[arg(long, value_name = "name")]
    user: Option<String>,
    /// Password
    #[arg(short = 'a', long, value_name = "secret", env = "REDISCLI_AUTH", hide_env_values = true)]
    pass: Option<String>,
    /// Database
    #[arg(short = 'n', value_name = "db")]
    db: Option<u32>,
    /// Speak RESP2 (the default)
    #[arg(short = '2', conflicts_with = "resp3")]
    resp2: bool,
    /// Speak RESP3: maps, sets, doubles
    #[arg(short = '3')]
    resp3: bool,
    /// Cluster: follow MOVED and ASK
    #[arg(short = 'c')]
    cluster: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Output")]
struct Output {
    /// Values as they are, one a line (the default when standard output is no terminal)
    #[arg(long, group = "format")]
    raw: bool,
    /// Replies with their types, as at a terminal
    #[arg(long, group = "format")]
    no_raw: bool,
    /// One JSON value per reply (asks for RESP3)
    #[arg(long, group = "format")]
    json: bool,
    /// Comma-separated values
    #[arg(long, group = "format")]
    csv: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Command")]
struct Repeat {
    /// Take the last argument from standard input
    #[arg(short = 'x')]
    last_from_stdin: bool,
    /// Run the command so many times; -1: without end
    #[arg(short = 'r', value_name = "times", default_value_t = 1, allow_hyphen_values = true)]
    times: i64,
    /// Wait so long between two runs
    #[arg(short = 'i', value_name = "seconds", default_value_t = 0.0)]
    seconds: f64,
}

#[derive(Args)]
#[command(next_help_heading = "Modes")]
struct ModeFlags {
    /// Send standard input, which is RESP or commands one a line, and count the replies
    #[arg(long, group = "mode")]
    pipe: bool,
    /// List the names of keys
    #[arg(long, group = "mode")]
    scan: bool,
    /// Find the keys with the most elements or bytes of each type
    #[arg(long, group = "mode")]
    bigkeys: bool,
    /// Find the keys that take the most memory
    #[arg(long, group = "mode")]
    memkeys: bool,
    /// Find the keys that are used most often (needs an LFU policy)
    #[arg(long, group = "mode")]
    hotkeys: bool,
    /// Measure the time of a round trip, until Ctrl-C
    #[arg(long, group = "mode")]
    latency: bool,
    /// As --latency, a line every 15 seconds or as -i says
    #[arg(long, group = "mode")]
    latency_history: bool,
    /// How round trips are distributed, a row every second or as -i says
    #[arg(long, group = "mode")]
    latency_dist: bool,
    /// Write a snapshot of all data to a file, - for standard output
    #[arg(long, group = "mode", value_name = "file")]
    rdb: Option<PathBuf>,
    /// As --rdb, of the functions only
    #[arg(long, group = "mode", value_name = "file")]
    functions_rdb: Option<PathBuf>,
    /// Run a Lua script: --eval file key ... , argument ...
    #[arg(long, group = "mode", value_name = "file")]
    eval: Option<PathBuf>,
    /// A line of figures every second or as -i says
    #[arg(long, group = "mode")]
    stat: bool,
    /// Keys that match a glob pattern, for the modes that walk the keys
    #[arg(long, value_name = "glob")]
    pattern: Option<String>,
    /// Keys of a type
    #[arg(long = "type", value_name = "type")]
    key_type: Option<String>,
    /// How many keys to ask for at a time
    #[arg(long, value_name = "keys")]
    count: Option<u64>,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Work {
    /// The command in the arguments, or what is typed or piped in.
    Commands,
    /// `--pipe`.
    Pipe,
    /// `--scan`.
    Scan,
    /// `--bigkeys`.
    BigKeys,
    /// `--memkeys`.
    MemKeys,
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
    /// `--eval`: the file of the script. Keys and arguments are the words of the command line.
    Eval(PathBuf),
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
    pub pattern: Option<String>,
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
    /// What to do.
    pub work: Work,
    /// The command and its arguments.
    pub words: Vec<Vec<u8>>,
    /// Whether the last argument is still to be read from standard input.
    pub last_from_stdin: bool,
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
            let word = word.to_string_lossy();
            return Err(Failure::Usage(format!(
                "unknown option {word}; `client --help` lists them"
            )));
        }
        let format = options.output.format(on_terminal);
        let wants_resp3 = options.server.resp3 || (format == Format::Json && !options.server.resp2);
        let words: Vec<Vec<u8>> = options.words.into_iter().map(OsString::into_vec).collect();
        let work = options.modes.work();
        if !matches!(work, Work::Commands | Work::Eval(_)) && !words.is_empty() {
            return Err(Failure::Usage("a mode takes no command".to_owned()));
        }
        let seconds = options.repeat.seconds;
        let interval = Duration::try_from_secs_f64(seconds)
            .map_err(|_| Failure::Usage(format!("-i {seconds}: no valid time")))?;
        let cluster = options.server.cluster;
        let (address, login, db) = options.server.resolve(place)?;
        Ok(Self {
            address,
            login,
            db,
            protocol: if wants_resp3 { Protocol::Resp3 } else { Protocol::Resp2 },
            cluster,
            format,
            work,
            words,
            last_from_stdin: options.repeat.last_from_stdin,
            times: u64::try_from(options.repeat.times).ok(),
            interval,
            keys: KeyFilter {
                pattern: options.modes.pattern,
                key_type: options.modes.key_type,
                count: options.modes.count,
            },
        })
    }
}

/// The address or URL that the word is, if it is one.
fn place_in(word: &str) -> Option<Result<Url, &'static str>> {
    if Url::is_meant_by(word) {
        return Some(Url::parse(word));
    }
    Address::parse(word).map(|address| Ok(Url { address: Some(address), ..Url::default() }))
}

impl Server {
    /// What is said nearer to the command wins: the word in front of it, then `-u`, then single flags for what is left.
    fn resolve(self, place: Url) -> Result<(Address, Login, u32), Failure> {
        let url = match &self.url {
            None => Url::default(),
            Some(url) => Url::parse(url).map_err(|error| Failure::Usage(error.to_owned()))?,
        };
        let by_flags = match (self.unix, self.host, self.port) {
            (Some(path), ..) => Address::Unix(path),
            (None, host, port) => Address::Tcp(
                host.unwrap_or_else(|| "127.0.0.1".to_owned()),
                port.unwrap_or(PORT_DEFAULT),
            ),
        };
        let address = place.address.or(url.address).unwrap_or(by_flags);
        let login = Login {
            user: place.user.or(url.user).or(self.user),
            pass: place.pass.or(url.pass).or(self.pass),
        };
        Ok((address, login, self.db.or(place.db).or(url.db).unwrap_or(0)))
    }
}

impl Output {
    fn format(&self, on_terminal: bool) -> Format {
        match self {
            Self { json: true, .. } => Format::Json,
            Self { csv: true, .. } => Format::Csv,
            Self { no_raw: true, .. } => {
                Format::Typed { colours: on_terminal && colours_welcome() }
            }
            Self { raw: true, .. } => Format::Raw,
            _ if on_terminal => Format::Typed { colours: colours_welcome() },
            _ => Format::Raw,
        }
    }
}

/// Colours are for terminals that have them and people who have not refused them (no-color.org).
fn colours_welcome() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl ModeFlags {
    fn work(&self) -> Work {
        let flags = [
            (self.pipe, Work::Pipe),
            (self.scan, Work::Scan),
            (self.bigkeys, Work::BigKeys),
            (self.memkeys, Work::MemKeys),
            (self.hotkeys, Work::HotKeys),
            (self.latency, Work::Latency { history: false }),
            (self.latency_history, Work::Latency { history: true }),
            (self.latency_dist, Work::LatencyDist),
            (self.stat, Work::Stat),
        ];
        let snapshot =
            |only_functions| move |file: &PathBuf| Work::Rdb { file: file.clone(), only_functions };
        let of_flags = flags.into_iter().find(|(set, _)| *set).map(|(_, work)| work);
        of_flags
            .or_else(|| self.rdb.as_ref().map(snapshot(false)))
            .or_else(|| self.functions_rdb.as_ref().map(snapshot(true)))
            .or_else(|| self.eval.clone().map(Work::Eval))
            .unwrap_or(Work::Commands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn json_asks_for_resp3_unless_told_otherwise() {
        assert_eq!(read("--json PING").protocol, Protocol::Resp3);
        assert_eq!(read("--json -2 PING").protocol, Protocol::Resp2);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for line in ["--raw --json PING", "-n x PING", "-2 -3 PING", "--pipe --scan"] {
            let words =
                std::iter::once("client").chain(line.split(' ')).map(OsString::from).collect();
            assert!(Settings::read(words, false).is_err(), "{line}");
        }
        for line in ["--nonsense PING", "redis://h/x PING", "--scan PING", "-i -1 PING"] {
            let words =
                std::iter::once("client").chain(line.split(' ')).map(OsString::from).collect();
            let read = Settings::read(words, false);
            assert!(read.is_err() || read.is_ok_and(|settings| settings.is_err()), "{line}");
        }
    }
}
