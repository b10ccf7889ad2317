//! `LATENCY`: distributions of run times per command, and spikes per event. What is measured is in `server::timing` and
//! `server::latency`; texts for people are in `latency_report`.

use hdrhistogram::Histogram;

use super::container;
use super::latency_report::{doctor_report, graph_report};
use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandId, CommandResult, Ctx, reply_help};
use crate::resp::{Args, Reply};
use Arity::{AtLeast, Exactly};

const LATENCY_FLAGS: Flags = ADMIN.and(NOSCRIPT).and(LOADING).and(STALE);
const REPORT_TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

/// The row of `LATENCY`.
pub const LATENCY: Command = command("latency", AtLeast(2), Flags::NONE, &[], container)
    .docs("2.8.13", "", "Depends on subcommand.", "A container for latency diagnostics commands.")
    .subcommands(&[
        command("doctor", Exactly(2), LATENCY_FLAGS, &[], doctor)
            .docs("2.8.13", "", "O(1)", "Returns a human-readable latency analysis report.")
            .tips(REPORT_TIPS),
        command("graph", Exactly(3), LATENCY_FLAGS, &[], graph)
            .docs("2.8.13", "event", "O(1)", "Returns a latency graph for an event.")
            .tips(REPORT_TIPS),
        command("help", Exactly(2), LOADING.and(STALE), &[], help).docs(
            "2.8.13",
            "",
            "O(1)",
            "Returns helpful text about the different subcommands.",
        ),
        command("histogram", AtLeast(2), LATENCY_FLAGS, &[], histogram)
            .docs(
                "7.0.0",
                "[command [command ...]]",
                "O(N) where N is the number of commands with latency information being retrieved.",
                "Returns the cumulative distribution of latencies of a subset or all commands.",
            )
            .tips(REPORT_TIPS),
        command("history", Exactly(3), LATENCY_FLAGS, &[], history)
            .docs("2.8.13", "event", "O(1)", "Returns timestamp-latency samples for an event.")
            .tips(REPORT_TIPS),
        command("latest", Exactly(2), LATENCY_FLAGS, &[], latest)
            .docs("2.8.13", "", "O(1)", "Returns the latest latency samples for all events.")
            .tips(REPORT_TIPS),
        command("reset", AtLeast(2), LATENCY_FLAGS, &[], reset)
            .docs(
                "2.8.13",
                "[event [event ...]]",
                "O(1)",
                "Resets the latency data for one or more events.",
            )
            .tips(&["request_policy:all_nodes", "response_policy:agg_sum"]),
    ]);

/// `LATENCY DOCTOR` -> what the spikes tell, in words.
fn doctor(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let report = doctor_report(ctx.server);
    ctx.reply.verbatim("txt", report.as_bytes());
    Ok(())
}

/// `LATENCY GRAPH event` -> a sparkline of its spikes.
fn graph(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let name = args.bytes(2);
    let Some((event, spikes)) = ctx.server.latency.event(name) else {
        return Err(CommandError::quoting("ERR No samples available for event '", name, "'"));
    };
    let report = graph_report(event, spikes, ctx.server.now.unix_us / 1_000_000);
    ctx.reply.verbatim("txt", report.as_bytes());
    Ok(())
}

/// `LATENCY HELP` -> the subcommands.
fn help(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let lines = [
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
        "    If no commands are specified then all histograms are replied.",
    ];
    reply_help(ctx, "LATENCY", &lines);
    Ok(())
}

/// `LATENCY HISTORY event` -> time and milliseconds of its spikes, oldest first. O(samples).
fn history(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some((_, spikes)) = ctx.server.latency.event(args.bytes(2)) else {
        ctx.reply.array(0);
        return Ok(());
    };
    ctx.reply.array(spikes.samples.len());
    for spike in &spikes.samples {
        ctx.reply.array(2);
        ctx.reply.integer(spike.time_s as i64);
        ctx.reply.integer(spike.latency_ms as i64);
    }
    Ok(())
}

/// `LATENCY LATEST` -> of each event its name, the time and milliseconds of its last spike, its longest. O(events).
fn latest(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.reply.array(ctx.server.latency.events().count());
    for (event, spikes) in ctx.server.latency.events() {
        let last = spikes.last();
        ctx.reply.array(4);
        ctx.reply.bulk(event.as_bytes());
        ctx.reply.integer(last.time_s as i64);
        ctx.reply.integer(last.latency_ms as i64);
        ctx.reply.integer(spikes.max_ms as i64);
    }
    Ok(())
}

/// `LATENCY RESET [event ...]` -> how many events were forgotten. O(events).
fn reset(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let latency = &mut ctx.server.latency;
    let forgotten = match args.len() {
        2 => latency.reset_all(),
        _ => args.iter().skip(2).filter(|event| latency.reset(event)).count(),
    };
    ctx.reply.integer(forgotten as i64);
    Ok(())
}

/// `LATENCY HISTOGRAM [command ...]` -> a map of commands that ran to their calls and run times. O(commands).
fn histogram(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    ctx.server.stats.settle(ctx.server.config.latency_tracking);
    let registry = &ctx.server.registry;
    let chosen: Vec<CommandId> = if args.len() == 2 {
        registry.iter().map(|(id, _)| id).collect()
    } else {
        let named = args.iter().skip(2).filter_map(|name| registry.find_full_name(name));
        named.flat_map(|id| [&[id], registry.get(id).subcommands.as_slice()].concat()).collect()
    };
    let map = ctx.reply.deferred();
    let mut commands = 0;
    for id in chosen {
        if let Some(histogram) = &ctx.server.stats.command_ref(id).latency_ns {
            ctx.reply.bulk(registry.get(id).full_name.as_bytes());
            reply_histogram(ctx.reply, histogram);
            commands += 1;
        }
    }
    ctx.reply.finish_map(map, commands);
    Ok(())
}

/// Run times below this, in nanoseconds, are the first row; each further row goes twice as far.
const FIRST_ROW_NS: u64 = 1024;
/// The last row takes all the rest, up to what the histogram can tell.
const LAST_ROW_NS: u64 = (1 << 30) - 1;

/// The total of calls, and for each bound, in microseconds, how many calls took no longer. Rows that add nothing are
/// left out.
fn reply_histogram(reply: &mut Reply, histogram: &Histogram<u64>) {
    reply.map(2);
    reply.bulk(b"calls");
    reply.integer(histogram.len() as i64);
    reply.bulk(b"histogram_usec");
    let map = reply.deferred();
    let (mut rows, mut calls) = (0, 0);
    let powers = std::iter::successors(Some(FIRST_ROW_NS), |bound_ns| Some(bound_ns * 2));
    // The bucket that a bound falls into counts as below it, as in hdr_histogram's logarithmic walk.
    let bounds = powers.take_while(|&bound_ns| bound_ns < LAST_ROW_NS);
    for bound_ns in
        bounds.map(|bound_ns| histogram.highest_equivalent(bound_ns)).chain([LAST_ROW_NS])
    {
        let calls_below = histogram.count_between(0, bound_ns);
        if calls_below > calls {
            reply.integer((bound_ns / 1000) as i64);
            reply.integer(calls_below as i64);
            rows += 1;
            calls = calls_below;
        }
    }
    reply.finish_map(map, rows);
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// A server that may be slept, with a threshold for spikes in milliseconds.
    fn sleepy(threshold_ms: u64) -> TestServer {
        TestServer::with(|config| {
            config.latency_monitor_threshold = threshold_ms;
            config.enable_debug_command = crate::config::value::ProtectedAction::Yes;
        })
    }

    #[test]
    fn history_and_latest_tell_of_spikes() {
        let mut redis = sleepy(100);
        redis.run("DEBUG SLEEP 0.05").is("+OK");
        redis.run("LATENCY HISTORY command").is("*0");
        redis.run("DEBUG SLEEP 0.3").is("+OK");
        redis.advance_ms(1000);
        redis.run("DEBUG SLEEP 0.2").is("+OK");
        redis.run("LATENCY HISTORY command").is("*2 *2 :1700000000 :300 *2 :1700000001 :200");
        redis.run("LATENCY LATEST").is("*1 *4 $7 command :1700000001 :200 :300");
    }

    #[test]
    fn reset_forgets_named_events_or_all() {
        let mut redis = sleepy(1);
        redis.run("DEBUG SLEEP 0.01").is("+OK");
        redis.run("LATENCY RESET nothing").is(":0");
        redis.run("LATENCY RESET nothing COMMAND").is(":1");
        redis.run("LATENCY LATEST").is("*0");
        redis.run("DEBUG SLEEP 0.01").is("+OK");
        redis.run("LATENCY RESET").is(":1");
        redis.run("LATENCY RESET").is(":0");
    }

    #[test]
    fn histogram_counts_calls_by_run_time() {
        let mut redis = sleepy(0);
        redis.run("LATENCY HISTOGRAM").is("*0");
        redis.run("DEBUG SLEEP 0.0001").is("+OK");
        redis.run("DEBUG SLEEP 0.4").is("+OK");
        redis.run("DEBUG SLEEP 30").is("+OK");
        redis
            .run("LATENCY HISTOGRAM debug")
            .is("*2 $5 debug *4 $5 calls :3 $14 histogram_usec *6 :132 :1 :541065 :2 :1073741 :3");
    }

    #[test]
    fn histogram_takes_containers_and_subcommands_and_skips_the_unknown() {
        let mut redis = sleepy(0);
        redis.run("SLOWLOG LEN").is(":0");
        redis.run("SLOWLOG RESET").is("+OK");
        redis.run("LATENCY HISTOGRAM slowlog").starts("*4 $11 slowlog|len *4 $5 calls :1 ");
        redis.run("LATENCY HISTOGRAM SLOWLOG|RESET").starts("*2 $13 slowlog|reset ");
        redis.run("LATENCY HISTOGRAM foo slowlog|foo a|b|c").is("*0");
        redis.run("LATENCY HISTOGRAM").starts("*6 $17 latency|histogram ");
    }

    #[test]
    fn graph_needs_samples() {
        let mut redis = sleepy(1);
        redis.run("LATENCY GRAPH command").is("-ERR No samples available for event 'command'");
        redis.run("DEBUG SLEEP 0.01").is("+OK");
        redis.run("LATENCY GRAPH command").starts("$");
        redis.run("LATENCY GRAPH").is("-ERR wrong number of arguments for 'latency|graph' command");
    }

    #[test]
    fn help_takes_no_argument() {
        let mut redis = TestServer::new();
        redis.run("LATENCY HELP").starts("*17 +LATENCY <subcommand>");
        redis.run("LATENCY HELP x").is("-ERR wrong number of arguments for 'latency|help' command");
    }
}
