//! `MEMORY`: what takes how many bytes. Figures of the process come from its environment, those of the data from the
//! keyspace; what a program like this one has not (scripts) is 0.

use super::container;
use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx, reply_help};
use crate::resp::number::parse_i64;
use crate::resp::{Args, Reply};
use Arity::{AtLeast, Exactly};

const REPORT_TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

/// The row of `MEMORY`.
pub const MEMORY: Command = command("memory", AtLeast(2), Flags::NONE, &[], container)
    .docs("4.0.0", "", "Depends on subcommand.", "A container for memory diagnostics commands.")
    .subcommands(&[
        command("doctor", Exactly(2), Flags::NONE, &[], doctor)
            .docs("4.0.0", "", "O(1)", "Outputs a memory problems report.")
            .tips(REPORT_TIPS),
        command("help", Exactly(2), LOADING.and(STALE), &[], help).docs(
            "4.0.0",
            "",
            "O(1)",
            "Returns helpful text about the different subcommands.",
        ),
        command("malloc-stats", Exactly(2), LOADING, &[], malloc_stats)
            .docs(
                "4.0.0",
                "",
                "Depends on how much memory is allocated, could be slow",
                "Returns the allocator statistics.",
            )
            .tips(REPORT_TIPS),
        command("purge", Exactly(2), LOADING, &[], purge)
            .docs(
                "4.0.0",
                "",
                "Depends on how much memory is allocated, could be slow",
                "Asks the allocator to release memory.",
            )
            .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
        command("stats", Exactly(2), Flags::NONE, &[], stats)
            .docs("4.0.0", "", "O(1)", "Returns details about memory usage.")
            .tips(REPORT_TIPS),
        command("usage", AtLeast(3), READ, &[at(2, RO)], usage).docs(
            "4.0.0",
            "key [SAMPLES count]",
            "O(N) where N is the number of samples.",
            "Estimates the memory usage of a key.",
        ),
    ]);

/// `MEMORY DOCTOR` -> what is odd about the memory, in words.
fn doctor(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let report = Figures::collect(ctx).diagnose();
    ctx.reply.verbatim("txt", report.as_bytes());
    Ok(())
}

/// `MEMORY HELP` -> the subcommands.
fn help(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let lines = [
        "DOCTOR",
        "    Return memory problems reports.",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
    ];
    reply_help(ctx, "MEMORY", &lines);
    Ok(())
}

/// `MEMORY MALLOC-STATS` -> the allocator has no report of its own; Redis's words for that.
fn malloc_stats(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.reply.bulk(b"Stats not supported for the current allocator");
    Ok(())
}

/// `MEMORY PURGE` -> `+OK`.
fn purge(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.server.environment.purge_memory();
    ctx.reply.ok();
    Ok(())
}

/// `MEMORY USAGE key [SAMPLES count]` -> bytes of key, value and their share of the index, or null. O(1).
fn usage(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    check_samples(&args.tail(3))?;
    match ctx.db.find(args.key(2)) {
        Some(slot) => ctx.reply.integer(ctx.db.database().key_memory_bytes(slot) as i64),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// All values know their size, so that nothing is sampled; the option is checked all the same.
fn check_samples(options: &Args<'_>) -> CommandResult {
    for index in (0..options.len()).step_by(2) {
        let is_samples = options.bytes(index).eq_ignore_ascii_case(b"samples");
        let count = options.get(index + 1).filter(|_| is_samples).ok_or(CommandError::Syntax)?;
        if parse_i64(count).ok_or(CommandError::NotAnInteger)? < 0 {
            return Err(CommandError::Syntax);
        }
    }
    Ok(())
}

/// `MEMORY STATS` -> a map of figures: bytes, unless their names say otherwise. O(clients + databases).
fn stats(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    Figures::collect(ctx).reply(ctx.reply);
    Ok(())
}

/// What the report and the statistics are made of, in bytes.
struct Figures {
    allocated: usize,
    peak: usize,
    startup: usize,
    resident: usize,
    backlog: usize,
    clients: usize,
    clients_len: usize,
    keys: usize,
    /// Of the databases that have keys: number, bytes of the index.
    databases: Vec<(usize, usize)>,
}

impl Figures {
    fn collect(ctx: &mut Ctx<'_>) -> Self {
        let process = ctx.server.environment.process();
        let databases = ctx.db.keyspace.databases();
        let used = databases.iter().enumerate().filter(|(_, database)| !database.is_empty());
        Self {
            allocated: process.allocated_bytes,
            peak: process.allocated_peak_bytes.max(process.allocated_bytes),
            startup: ctx.server.startup_bytes.min(process.allocated_bytes),
            resident: process.resident_bytes,
            backlog: ctx.server.replication.backlog_bytes(),
            clients: ctx.server.clients.iter().map(|client| client.memory_bytes()).sum(),
            clients_len: ctx.server.clients.len(),
            keys: databases.iter().map(|database| database.len()).sum(),
            databases: used.map(|(index, database)| (index, database.index_bytes())).collect(),
        }
    }

    /// Bytes that are no data.
    fn overhead(&self) -> usize {
        let index: usize = self.databases.iter().map(|(_, bytes)| bytes).sum();
        self.startup + self.backlog + self.clients + index
    }

    /// Bytes allocated since the start.
    fn net(&self) -> usize {
        self.allocated - self.startup
    }

    fn dataset(&self) -> usize {
        self.allocated.saturating_sub(self.overhead())
    }

    fn reply(&self, reply: &mut Reply) {
        reply.map(27 + self.databases.len());
        integer(reply, "peak.allocated", self.peak);
        integer(reply, "total.allocated", self.allocated);
        integer(reply, "startup.allocated", self.startup);
        integer(reply, "replication.backlog", self.backlog);
        integer(reply, "clients.slaves", 0);
        integer(reply, "clients.normal", self.clients);
        for absent in ["cluster.links", "aof.buffer", "lua.caches", "functions.caches"] {
            integer(reply, absent, 0);
        }
        for &(index, bytes) in &self.databases {
            reply.bulk(format!("db.{index}").as_bytes());
            reply.map(3);
            integer(reply, "overhead.hashtable.main", bytes);
            integer(reply, "overhead.hashtable.expires", 0); // expire times are in the entries
            integer(reply, "overhead.hashtable.slot-to-keys", 0);
        }
        integer(reply, "overhead.total", self.overhead());
        integer(reply, "keys.count", self.keys);
        integer(reply, "keys.bytes-per-key", self.net().checked_div(self.keys).unwrap_or(0));
        integer(reply, "dataset.bytes", self.dataset());
        double(reply, "dataset.percentage", ratio(self.dataset(), self.net()) * 100.0);
        double(reply, "peak.percentage", ratio(self.allocated, self.peak) * 100.0);
        self.reply_allocator(reply);
    }

    /// The allocator does not tell what it holds beyond what is allocated: as in Redis without jemalloc, all that is
    /// resident counts as its own.
    fn reply_allocator(&self, reply: &mut Reply) {
        let fragmentation = ratio(self.resident, self.allocated);
        let fragmentation_bytes = self.resident as i64 - self.allocated as i64;
        integer(reply, "allocator.allocated", self.allocated);
        integer(reply, "allocator.active", self.resident);
        integer(reply, "allocator.resident", self.resident);
        double(reply, "allocator-fragmentation.ratio", fragmentation);
        signed(reply, "allocator-fragmentation.bytes", fragmentation_bytes);
        double(reply, "allocator-rss.ratio", 1.0);
        integer(reply, "allocator-rss.bytes", 0);
        double(reply, "rss-overhead.ratio", 1.0);
        integer(reply, "rss-overhead.bytes", 0);
        double(reply, "fragmentation", fragmentation);
        signed(reply, "fragmentation.bytes", fragmentation_bytes);
    }

    /// The thresholds are Redis's.
    fn diagnose(&self) -> String {
        if self.allocated < 5 << 20 {
            return "This instance is empty or uses very little memory: there is nothing to say about it yet.\n".into();
        }
        let fragmented = ratio(self.resident, self.allocated) > 1.4
            && self.resident.saturating_sub(self.allocated) > 10 << 20;
        let problems = [
            (
                ratio(self.peak, self.allocated) > 1.5,
                "Peak memory: at its peak this instance used more than 150% of what it uses now. Memory that was used \
              once is given back to the system late, or not at all; it is used again when the data grows.",
            ),
            (
                fragmented,
                "Resident memory: the process holds more than 140% of what it has allocated. After a peak that is \
              harmless; otherwise values of very different sizes come and go.",
            ),
            (
                self.clients / self.clients_len.max(1) > 200 << 10,
                "Client buffers: clients take more than 200 KiB each. CLIENT LIST shows which of them read slowly or send \
              very large requests.",
            ),
        ];
        let found: Vec<_> =
            problems.iter().filter(|(found, _)| *found).map(|(_, text)| *text).collect();
        if found.is_empty() {
            return "No memory problem found in this instance.\n".to_string();
        }
        found.iter().map(|text| format!("* {text}\n")).collect()
    }
}

fn integer(reply: &mut Reply, name: &str, value: usize) {
    signed(reply, name, value as i64);
}

fn signed(reply: &mut Reply, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(value);
}

fn double(reply: &mut Reply, name: &str, value: f64) {
    reply.bulk(name.as_bytes());
    reply.double(value);
}

/// 0 when there is nothing to compare with.
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{Expiry, NewString};
    use crate::server::testing::TestServer;

    #[test]
    fn usage_grows_with_the_value_and_is_null_without_a_key() {
        let mut redis = TestServer::new();
        redis.run("MEMORY USAGE k").is("$-1");
        let mut usage = |value: &[u8]| {
            redis.run_bytes(&[b"SET", b"k", value]).is("+OK");
            redis.run("MEMORY USAGE k SAMPLES 0").0[1..].parse::<usize>().unwrap()
        };
        let (small, long) = (usage(b"v"), usage(&[b'v'; 100_000]));
        assert!((10..64).contains(&small), "{small}");
        assert!((100_000..100_200).contains(&long), "{long}");
    }

    #[test]
    fn usage_of_a_key_that_is_due_is_null() {
        let mut redis = TestServer::new();
        let at = Expiry::At(1_700_000_000_100);
        redis.server.keyspace.db(0).set_string(b"k", NewString::Int(1), at);
        redis.run("MEMORY USAGE k").starts(":");
        redis.advance_ms(101);
        redis.run("MEMORY USAGE k").is("$-1");
    }

    #[test]
    fn usage_checks_its_option() {
        let mut redis = TestServer::new();
        for options in ["SAMPLES", "SAMPLES -1", "FOO", "FOO 1", "SAMPLES 1 SAMPLES"] {
            redis.run(&format!("MEMORY USAGE k {options}")).is("-ERR syntax error");
        }
        redis.run("MEMORY USAGE k SAMPLES x").is("-ERR value is not an integer or out of range");
        redis.run("MEMORY USAGE").is("-ERR wrong number of arguments for 'memory|usage' command");
    }

    #[test]
    fn stats_tells_of_the_process_and_of_databases_with_keys() {
        let mut redis = TestServer::new();
        redis.world.borrow_mut().allocated_bytes = 1000;
        let stats = redis.run("MEMORY STATS");
        stats.starts("*54 $14 peak.allocated :1000 $15 total.allocated :1000 ");
        redis.run("SET k v").is("+OK");
        let stats = redis.run("MEMORY STATS");
        stats.starts("*56 ");
        assert!(stats.0.contains(" $4 db.0 *6 $23 overhead.hashtable.main :"), "{}", stats.0);
        assert!(
            stats.0.contains(" $10 keys.count :1 $18 keys.bytes-per-key :1000 "),
            "{}",
            stats.0
        );
    }

    fn figures(allocated: usize, peak: usize, resident: usize) -> Figures {
        let databases = Vec::new();
        Figures {
            allocated,
            peak,
            startup: 0,
            resident,
            backlog: 0,
            clients: 0,
            clients_len: 0,
            keys: 0,
            databases,
        }
    }

    #[test]
    fn the_doctor_needs_data_and_names_what_is_odd() {
        let mib = 1 << 20;
        assert!(figures(mib, mib, mib).diagnose().contains("very little memory"));
        assert!(figures(50 * mib, 50 * mib, 55 * mib).diagnose().contains("No memory problem"));
        let report = figures(50 * mib, 90 * mib, 90 * mib).diagnose();
        assert!(
            report.contains("* Peak memory") && report.contains("* Resident memory"),
            "{report}"
        );
        let clients =
            Figures { clients: 1 << 20, clients_len: 2, ..figures(50 * mib, 50 * mib, 0) };
        assert!(clients.diagnose().contains("* Client buffers"));
    }

    #[test]
    fn purge_and_malloc_stats_answer() {
        let mut redis = TestServer::new();
        redis.run("MEMORY PURGE").is("+OK");
        redis.run("MEMORY MALLOC-STATS").is("$45 Stats not supported for the current allocator");
        redis.run("MEMORY DOCTOR").starts("$");
        redis.run("MEMORY HELP").starts("*14 +MEMORY <subcommand>");
    }
}
