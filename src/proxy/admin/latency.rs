//! `LATENCY`: how long replies to each command took. Times are counted in buckets of powers of two, which is what
//! `LATENCY HISTOGRAM` shows; the proxy has no events to watch for spikes.

use crate::commands::{CommandId, CommandResult, write_help};
use crate::proxy::Proxy;
use crate::proxy::command_stats::{CommandStats, bound_us};
use crate::proxy::routing::Handler;
use crate::resp::{Args, Reply};

/// The subcommands.
pub(super) const HANDLERS: &[(&str, Handler)] =
    &[("latency|help", help), ("latency|histogram", histogram), ("latency|reset", reset)];

/// `LATENCY HISTOGRAM [command [command ...]]` -> for each command how many replies took how long at most. O(commands).
fn histogram(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let registry = &proxy.commands.registry;
    let chosen: Vec<CommandId> = if args.len() == 2 {
        registry.iter().map(|(id, _)| id).collect()
    } else {
        let named = args.iter().skip(2).filter_map(|name| registry.find_full_name(name));
        named.flat_map(|id| [&[id], registry.get(id).subcommands.as_slice()].concat()).collect()
    };
    let map = reply.deferred();
    let mut commands = 0;
    for id in chosen {
        let stats = &proxy.commands.stats[usize::from(id.0)];
        if stats.replies > 0 {
            reply.bulk(registry.get(id).full_name.as_bytes());
            write_histogram(reply, stats);
            commands += 1;
        }
    }
    reply.finish_map(map, commands);
    Ok(())
}

/// The total, and for each bound, in microseconds, how many replies took no longer. Rows that add nothing are left out.
fn write_histogram(reply: &mut Reply, stats: &CommandStats) {
    reply.map(2);
    reply.bulk(b"calls");
    reply.integer(stats.replies as i64);
    reply.bulk(b"histogram_usec");
    let filled = || stats.latency_us.iter().enumerate().filter(|(_, count)| **count > 0);
    reply.map(filled().count());
    let mut below = 0;
    for (bucket, count) in filled() {
        below += count;
        reply.integer(bound_us(bucket) as i64);
        reply.integer(below as i64);
    }
}

/// `LATENCY RESET` -> how many commands had times that are forgotten. O(commands).
fn reset(proxy: &mut Proxy, _: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    reply.integer(proxy.commands.reset_stats() as i64);
    Ok(())
}

/// `LATENCY HELP` -> the subcommands.
fn help(_: &mut Proxy, _: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let lines = [
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
        "    If no commands are specified then all histograms are replied.",
        "RESET",
        "    Reset the latencies of all commands.",
    ];
    write_help(reply, "LATENCY", &lines);
    Ok(())
}
