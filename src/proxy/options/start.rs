//! From the command line and a file to [`Options`]: flags beat the file, later lines beat earlier ones.
//!
//! `proxy --port 7000 --nodes a:6379,b:6379 --config proxy.conf`. Flags are clap's; a file has the form of the server's, so that
//! `include`, quotes and comments work as there.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, Command};

use super::{OPTIONS, Options, Row, lookup};
use crate::config::file::read_lines;
use crate::config::load::{Line, Place};
use crate::proxy::address::Address;

/// What the process is to do.
#[derive(Debug)]
pub enum Start {
    /// Run a proxy.
    Run(Box<Started>),
    /// Print this and exit with 0.
    Print(String),
}

/// Options, and where they came from.
#[derive(Debug)]
pub struct Started {
    /// All of them.
    pub options: Options,
    /// The file, and whether its nodes count: `--nodes` beats them.
    pub file: Option<PathBuf>,
    /// `--nodes` was given.
    pub nodes_are_flags: bool,
}

/// Reads the arguments, the program's name first.
///
/// # Errors
/// What is wrong, for the user; the process should exit with 1.
pub fn start(args: impl IntoIterator<Item = OsString>) -> Result<Start, String> {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() => return Err(error.render().to_string()),
        Err(help) => return Ok(Start::Print(help.render().to_string())),
    };
    let mut options = Options::default();
    let file: Option<PathBuf> = matches.get_one::<OsString>("config").map(PathBuf::from);
    if let Some(path) = &file {
        let lines = read_lines(path).map_err(|error| error.to_string())?;
        lines.iter().try_for_each(|line| set_line(&mut options, line))?;
    }
    OPTIONS.iter().try_for_each(|row| set_flag(&mut options, row, &matches))?;
    if options.nodes.is_empty() {
        return Err(
            "proxy: no nodes: say --nodes host:port,host:port,... (proxy --help lists all options)"
                .to_owned(),
        );
    }
    let nodes_are_flags = matches.get_one::<OsString>("nodes").is_some();
    Ok(Start::Run(Box::new(Started { options, file, nodes_are_flags })))
}

/// The nodes that a file lists now.
///
/// # Errors
/// What is wrong with it, for the log.
pub fn nodes_of_file(path: &std::path::Path) -> Result<Vec<Address>, String> {
    let mut options = Options::default();
    let lines = read_lines(path).map_err(|error| error.to_string())?;
    lines.iter().try_for_each(|line| set_line(&mut options, line))?;
    match options.nodes.is_empty() {
        true => Err("the file lists no nodes".to_owned()),
        false => Ok(options.nodes),
    }
}

fn command() -> Command {
    let config = Arg::new("config").long("config").value_name("FILE");
    Command::new("proxy")
        .version(crate::version::VERSION)
        .about("Many Redis servers, or a cluster, behind one address")
        .override_usage("proxy --nodes host:port,host:port,... [--port 7000] [--config FILE] [--option value ...]")
        .args_override_self(true)
        .arg(of_words(config).help("file with lines `option value`; SIGHUP reads its nodes again"))
        .args(OPTIONS.iter().map(flag))
}

fn flag(row: &Row) -> Arg {
    let default =
        if row.default.is_empty() { String::new() } else { format!(" [default: {}]", row.default) };
    let arg = Arg::new(row.name).long(row.name).value_name(row.value_name());
    of_words(arg).help(format!("{}{default}", row.help))
}

/// A value is any bytes, and the word after a flag is its value whatever it looks like: passwords begin with hyphens, too.
fn of_words(arg: Arg) -> Arg {
    arg.value_parser(ValueParser::os_string()).allow_hyphen_values(true)
}

fn set_flag(options: &mut Options, row: &Row, matches: &ArgMatches) -> Result<(), String> {
    use std::os::unix::ffi::OsStrExt;
    let Some(word) = matches.get_one::<OsString>(row.name) else { return Ok(()) };
    let value =
        row.parse(word.as_bytes()).map_err(|error| format!("proxy: --{}: {error}", row.name))?;
    (row.set)(options, value);
    Ok(())
}

/// A line of a file. Words after the second belong to the value, as in `bind 127.0.0.1 ::1`.
fn set_line(options: &mut Options, line: &Line) -> Result<(), String> {
    let place = match &line.place {
        Place::File { name, line } => format!("line {line} of {name}"),
        _ => "the configuration".to_owned(),
    };
    let [name, words @ ..] = line.words.as_slice() else { return Ok(()) };
    let shown = String::from_utf8_lossy(name);
    let row = lookup(name)
        .ok_or_else(|| format!("proxy: {place}: there is no option '{}'", shown.escape_debug()))?;
    let value = match words {
        [] => Err("wrong number of arguments".to_owned()),
        words => row.parse(&words.join(&b' ')).map_err(|error| error.to_string()),
    };
    (row.set)(options, value.map_err(|error| format!("proxy: {place}: {}: {error}", row.name))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::options::ReadFrom;

    fn run(words: &[&str]) -> Result<Started, String> {
        let words = std::iter::once(&"proxy").chain(words).map(OsString::from);
        match start(words)? {
            Start::Run(started) => Ok(*started),
            Start::Print(text) => Err(text),
        }
    }

    struct TempFile(PathBuf);

    impl TempFile {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir()
                .join(format!("mini-redis-proxy-{name}-{}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Self(path)
        }
        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for TempFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn flags_are_options() {
        let started = run(&[
            "--nodes",
            "a:1,b:2",
            "--port=7001",
            "--auth",
            "--secret",
            "--read-from",
            "replica",
            "--port",
            "7002",
        ])
        .unwrap();
        let options = started.options;
        assert_eq!((options.nodes.len(), options.port), (2, 7002));
        assert_eq!(
            (options.auth.as_slice(), options.read_from),
            (&b"--secret"[..], ReadFrom::Replica)
        );
        assert!(started.nodes_are_flags);
    }

    #[test]
    fn flags_beat_the_file() {
        let file = TempFile::new(
            "beat",
            "# nodes\nnodes a:1,b:2 c:3\nport 7003\nbind 127.0.0.1 ::1\nrequirepass \"a b\"\n",
        );
        let started = run(&["--config", file.path(), "--port", "7004"]).unwrap();
        let options = started.options;
        assert_eq!((options.nodes.len(), options.port), (3, 7004));
        assert_eq!(options.bind, ["127.0.0.1", "::1"]);
        assert_eq!(options.requirepass, b"a b");
        assert_eq!(
            (started.file.as_deref(), started.nodes_are_flags),
            (Some(file.0.as_path()), false)
        );
        assert_eq!(nodes_of_file(&file.0).unwrap().len(), 3);
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        let file = TempFile::new("wrong", "nodes a:1\n\ntimeout x\n");
        let at = format!(
            "proxy: line 3 of {}: timeout: argument couldn't be parsed into an integer",
            file.path()
        );
        assert_eq!(run(&["--config", file.path()]).unwrap_err(), at);
        let file = TempFile::new("unknown", "nodez a:1\n");
        assert!(
            run(&["--config", file.path()]).unwrap_err().ends_with("there is no option 'nodez'")
        );
        assert_eq!(
            nodes_of_file(&TempFile::new("none", "port 1\n").0).unwrap_err(),
            "the file lists no nodes"
        );
        for (words, text) in [
            (
                &["--nodes", "a"][..],
                "proxy: --nodes: argument must be a list of host:port,host:port,...",
            ),
            (&["--nodes", ""], "proxy: --nodes: argument must not be empty"),
            (&[], "proxy: no nodes"),
            (&["--nodez", "a:1"], "error: unexpected argument '--nodez' found"),
            (&["--port"], "error: a value is required for '--port <N>'"),
            (&["--config", "/does/not/exist"], "\n*** FATAL CONFIG FILE ERROR"),
        ] {
            let error = run(words).unwrap_err();
            assert!(error.starts_with(text), "{error}");
        }
    }

    #[test]
    fn help_lists_every_option() {
        let help = run(&["--help"]).unwrap_err();
        for row in OPTIONS {
            assert!(help.contains(&format!("--{}", row.name)), "{}", row.name);
        }
        assert!(run(&["--version"]).unwrap_err().starts_with("proxy "));
    }
}
