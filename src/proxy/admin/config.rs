//! `CONFIG`: the options at run time. What they mean for a running proxy is made effective here.

use crate::commands::{CommandError, CommandResult, write_help};
use crate::proxy::routing::Handler;
use crate::proxy::{Proxy, Stats};
use crate::resp::{Args, Reply};

/// The subcommands.
pub(super) const HANDLERS: &[(&str, Handler)] = &[
    ("config|get", get),
    ("config|help", help),
    ("config|resetstat", resetstat),
    ("config|rewrite", rewrite),
    ("config|set", set),
];

/// `CONFIG GET pattern [pattern ...]` -> names and values, as a map. O(patterns x options).
fn get(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let patterns: Vec<&[u8]> = args.iter().skip(2).collect();
    let found = proxy.options.get(&patterns);
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(name.as_bytes());
        reply.bulk(&value);
    }
    Ok(())
}

/// `CONFIG SET parameter value [parameter value ...]` -> `+OK`, and all of it is in effect; or nothing has changed.
fn set(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let pairs = args.pairs(2).ok_or(CommandError::Syntax)?;
    let changed = proxy.options.set_many(&pairs)?;
    proxy.options_changed(&changed);
    reply.ok();
    Ok(())
}

/// `CONFIG RESETSTAT` -> `+OK`. The counters of `INFO` begin again at zero. O(commands + nodes).
fn resetstat(proxy: &mut Proxy, _: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    proxy.stats = Stats::default();
    proxy.commands.reset_stats();
    proxy.nodes.iter_mut().for_each(|node| node.stats = Default::default());
    reply.ok();
    Ok(())
}

/// `CONFIG REWRITE`: the file is the operator's, and SIGHUP reads it.
fn rewrite(_: &mut Proxy, _: usize, _: &Args<'_>, _: &mut Reply) -> CommandResult {
    Err(CommandError::Text("ERR The proxy does not write its config file"))
}

/// `CONFIG HELP` -> what the subcommands do. O(1).
fn help(_: &mut Proxy, _: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let lines = [
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
    ];
    write_help(reply, "CONFIG", &lines);
    Ok(())
}

impl Proxy {
    /// Makes options effective that have another value now. Most are looked at where they matter.
    fn options_changed(&mut self, changed: &[&str]) {
        for name in changed {
            match *name {
                "nodes" => self.set_nodes(self.options.nodes.clone()),
                "loglevel" => self.environment.set_log_level(self.options.loglevel),
                "timeout" | "refresh-interval" => self.refresh.set_times(
                    u64::from(self.options.refresh_interval_ms),
                    u64::from(self.options.timeout_ms),
                ),
                "read-from" => self.choose_readers(),
                "slowlog-log-slower-than" => {
                    self.slow_log.set_threshold(self.options.slowlog_log_slower_than);
                }
                "slowlog-max-len" => self.slow_log.trim(self.options.slowlog_max_len),
                _ => {}
            }
        }
    }
}
