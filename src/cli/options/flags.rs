//! The flags, as clap reads them and as its help shows them.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};

use super::{Login, Work};
use crate::cli::address::{Address, PORT_DEFAULT, Url};
use crate::cli::failure::Failure;
use crate::cli::format::{Delimiters, Format};
use crate::cli::password;

/// How long one address of a host may take to answer, if `-t` does not say otherwise.
const CONNECT_TIMEOUT_SECONDS: f64 = 10.0;

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
    disable_version_flag = true,
    override_usage = "client [options] [host:port | redis://...] [options] [command [arg ...]]",
    after_help = EXAMPLES
)]
pub(super) struct Options {
    #[command(flatten)]
    pub server: Server,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub repeat: Repeat,
    #[command(flatten)]
    pub modes: ModeFlags,
    /// Show this help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// Show the version
    #[arg(short = 'v', short_alias = 'V', long, action = clap::ArgAction::Version)]
    pub version: Option<bool>,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<OsString>,
}

#[derive(Args)]
#[command(next_help_heading = "Server")]
pub(super) struct Server {
    /// Host, as in redis-cli
    #[arg(short = 'h', value_name = "host")]
    pub host: Option<String>,
    /// Port, as in redis-cli
    #[arg(short = 'p', value_name = "port")]
    pub port: Option<u16>,
    /// Unix socket
    #[arg(short = 's', long, value_name = "path")]
    pub unix: Option<PathBuf>,
    /// URL: redis://user:pass@host:port/db
    #[arg(short = 'u', value_name = "url")]
    pub url: Option<String>,
    /// ACL user
    #[arg(long, value_name = "name")]
    pub user: Option<String>,
    /// Password
    #[arg(short = 'a', long, value_name = "secret", env = "REDISCLI_AUTH", hide_env_values = true)]
    pub pass: Option<String>,
    /// Ask for the password, which is not shown
    #[arg(long)]
    pub askpass: bool,
    /// For scripts of redis-cli: there is no warning
    #[arg(long, hide = true)]
    pub no_auth_warning: bool,
    /// How long to wait for a connection, 0: as long as the system does
    #[arg(short = 't', value_name = "seconds", default_value_t = CONNECT_TIMEOUT_SECONDS)]
    pub connect_timeout_seconds: f64,
    /// Database
    #[arg(short = 'n', value_name = "db")]
    pub db: Option<u32>,
    /// Speak RESP2 (the default)
    #[arg(short = '2', conflicts_with = "resp3")]
    pub resp2: bool,
    /// Speak RESP3: maps, sets, doubles
    #[arg(short = '3')]
    pub resp3: bool,
    /// Cluster: follow MOVED and ASK
    #[arg(short = 'c')]
    pub cluster: bool,
}

#[derive(Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Values as they are, one a line (the default when standard output is no terminal)
    #[arg(long, group = "format")]
    pub raw: bool,
    /// Replies with their types, as at a terminal
    #[arg(long, group = "format")]
    pub no_raw: bool,
    /// One JSON value per reply (asks for RESP3)
    #[arg(long, group = "format")]
    pub json: bool,
    /// The same in ASCII: other characters are escaped
    #[arg(long, group = "format")]
    pub quoted_json: bool,
    /// Comma-separated values
    #[arg(long, group = "format")]
    pub csv: bool,
    /// Between two raw values of a reply, instead of a line end
    #[arg(short = 'd', value_name = "delimiter", allow_hyphen_values = true)]
    pub between: Option<OsString>,
    /// Behind each raw reply, instead of a line end
    #[arg(short = 'D', value_name = "delimiter", allow_hyphen_values = true)]
    pub behind: Option<OsString>,
    /// Whether messages that come beside replies are shown, y or n (the default is y at a terminal)
    #[arg(long, value_name = "yn", value_parser = yes_or_no)]
    pub show_pushes: Option<bool>,
}

#[derive(Args)]
#[command(next_help_heading = "Command")]
pub(super) struct Repeat {
    /// Take the last argument from standard input
    #[arg(short = 'x', conflicts_with = "tag")]
    pub last_from_stdin: bool,
    /// Take the argument that is this word from standard input
    #[arg(short = 'X', value_name = "tag")]
    pub tag: Option<OsString>,
    /// Arguments in quotes are read as at the prompt: '"a\x00b"' has three bytes
    #[arg(long)]
    pub quoted_input: bool,
    /// For scripts of redis-cli: the exit status always tells of errors
    #[arg(short = 'e', hide = true)]
    pub exit_status: bool,
    /// Run the command so many times; -1: without end
    #[arg(short = 'r', value_name = "times", default_value_t = 1, allow_hyphen_values = true)]
    pub times: i64,
    /// Wait so long between two runs
    #[arg(short = 'i', value_name = "seconds", default_value_t = 0.0)]
    pub seconds: f64,
}

#[derive(Args)]
#[command(next_help_heading = "Modes")]
pub(super) struct ModeFlags {
    /// Send standard input, which is RESP or commands one a line, and count the replies
    #[arg(long, group = "mode")]
    pub pipe: bool,
    /// How long --pipe waits for a reply when all is sent, 0: without end
    #[arg(long, value_name = "seconds", default_value_t = 30)]
    pub pipe_timeout: u64,
    /// List the names of keys
    #[arg(long, group = "mode")]
    pub scan: bool,
    /// Find the keys with the most elements or bytes of each type
    #[arg(long, group = "mode")]
    pub bigkeys: bool,
    /// Find the keys that take the most memory
    #[arg(long, group = "mode")]
    pub memkeys: bool,
    /// How many elements of a key --memkeys measures, 0: all (the server's default is 5)
    #[arg(long, value_name = "elements")]
    pub memkeys_samples: Option<u64>,
    /// Find the keys that are used most often (needs an LFU policy)
    #[arg(long, group = "mode")]
    pub hotkeys: bool,
    /// Measure the time of a round trip, until Ctrl-C
    #[arg(long, group = "mode")]
    pub latency: bool,
    /// As --latency, a line every 15 seconds or as -i says
    #[arg(long, group = "mode")]
    pub latency_history: bool,
    /// How round trips are distributed, a row every second or as -i says
    #[arg(long, group = "mode")]
    pub latency_dist: bool,
    /// For so many seconds, how long this machine keeps a busy process waiting; needs no server
    #[arg(long, group = "mode", value_name = "seconds")]
    pub intrinsic_latency: Option<u64>,
    /// Write a snapshot of all data to a file, - for standard output
    #[arg(long, group = "mode", value_name = "file")]
    pub rdb: Option<PathBuf>,
    /// As --rdb, of the functions only
    #[arg(long, group = "mode", value_name = "file")]
    pub functions_rdb: Option<PathBuf>,
    /// Run a Lua script: --eval file key ... , argument ...
    #[arg(long, group = "mode", value_name = "file")]
    pub eval: Option<PathBuf>,
    /// A line of figures every second or as -i says
    #[arg(long, group = "mode")]
    pub stat: bool,
    /// Keys that match a glob pattern, for the modes that walk the keys
    #[arg(long, value_name = "glob")]
    pub pattern: Option<OsString>,
    /// The same, read as at the prompt if it is in quotes
    #[arg(long, value_name = "glob", conflicts_with = "pattern")]
    pub quoted_pattern: Option<OsString>,
    /// Keys of a type
    #[arg(long = "type", value_name = "type")]
    pub key_type: Option<String>,
    /// How many keys to ask for at a time
    #[arg(long, value_name = "keys")]
    pub count: Option<u64>,
}

impl Server {
    /// What is said nearer to the command wins: the word in front of it, then `-u`, then single flags for what is left.
    pub fn resolve(self, place: Url) -> Result<(Address, Login, u32), Failure> {
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
            pass: if self.askpass {
                Some(password::ask()?)
            } else {
                place.pass.or(url.pass).or(self.pass)
            },
        };
        Ok((address, login, self.db.or(place.db).or(url.db).unwrap_or(0)))
    }
}

impl Output {
    pub fn format(&self, on_terminal: bool) -> Format {
        match self {
            Self { json: true, .. } => Format::Json { ascii: false },
            Self { quoted_json: true, .. } => Format::Json { ascii: true },
            Self { csv: true, .. } => Format::Csv,
            Self { no_raw: true, .. } => {
                Format::Typed { colours: on_terminal && colours_welcome() }
            }
            Self { raw: false, .. } if on_terminal => Format::Typed { colours: colours_welcome() },
            _ => Format::Raw(self.delimiters()),
        }
    }

    fn delimiters(&self) -> Delimiters {
        // Needed to the end of the process, and given once.
        let kept = |word: &OsString| &*Box::leak(word.clone().into_vec().into_boxed_slice());
        let line_ends = Delimiters::default();
        Delimiters {
            between: self.between.as_ref().map_or(line_ends.between, kept),
            behind: self.behind.as_ref().map_or(line_ends.behind, kept),
        }
    }
}

/// Colours are for terminals that have them and people who have not refused them (no-color.org).
fn colours_welcome() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl ModeFlags {
    pub fn work(&self) -> Work {
        let timeout = (self.pipe_timeout > 0).then(|| Duration::from_secs(self.pipe_timeout));
        let flags = [
            (self.pipe, Work::Pipe { timeout }),
            (self.scan, Work::Scan),
            (self.bigkeys, Work::BigKeys),
            (self.memkeys, Work::MemKeys { samples: self.memkeys_samples }),
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
            .or_else(|| {
                self.intrinsic_latency.map(|s| Work::IntrinsicLatency(Duration::from_secs(s)))
            })
            .unwrap_or(Work::Commands)
    }
}

fn yes_or_no(word: &str) -> Result<bool, &'static str> {
    match word.as_bytes().first() {
        Some(b'y' | b'Y') => Ok(true),
        Some(b'n' | b'N') => Ok(false),
        _ => Err("it is yes or no"),
    }
}
