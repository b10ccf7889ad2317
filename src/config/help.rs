//! `--help` and `--version`: clap lays out what the directive table says.

use clap::{Arg, Command};

use super::directive::Directive;
use super::{GROUPS, directives};

/// The help page: every directive the server acts on by group, with default and one line of help; the others by name.
pub fn help() -> String {
    command().render_help().to_string()
}

/// Name and version, in one line.
pub fn version() -> String {
    command().render_version()
}

fn command() -> Command {
    let role = Arg::new("role").long("role").value_name("master|slave").help("Master or replica");
    let master =
        Arg::new("master").long("master").value_name("host:port").help("The master of a replica");
    Command::new("server")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A Redis-compatible server. Every directive of redis.conf is also a flag: --port 6380")
        .override_usage("server [redis.conf] [-] [--directive value ...] [--role master|slave --master host:port]")
        .args([role, master])
        .args(GROUPS.iter().flat_map(|(group, rows)| rows.iter().filter_map(|row| flag(group, row))))
        .after_help(kept())
}

fn flag(group: &'static str, row: &Directive) -> Option<Arg> {
    let shown_default =
        if row.default.is_empty() { String::new() } else { format!(" [default: {}]", row.default) };
    let arg = Arg::new(row.name).long(row.name).help_heading(group).value_name("value");
    (!row.help.is_empty()).then(|| arg.help(format!("{}{shown_default}", row.help)))
}

/// The directives that are only kept, wrapped.
fn kept() -> String {
    let mut text = String::from(
        "Flags beat environment variables (MINI_REDIS_PORT=6380), and these beat the file. `-` reads more configuration \
         from\nthe standard input.\n\nAccepted and kept, without effect here:",
    );
    let mut column = usize::MAX;
    for row in directives().filter(|row| row.help.is_empty() && !row.hidden) {
        if column > 100 - row.name.len() {
            text.push_str("\n ");
            column = 1;
        }
        text.push(' ');
        text.push_str(row.name);
        column += row.name.len() + 1;
    }
    text
}
