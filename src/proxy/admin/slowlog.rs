//! `SLOWLOG`: requests whose replies took long, counted from their way to a node until the reply was there. The log itself is the
//! server's.

use crate::commands::commandlog::{SLOWLOG_HELP, slowlog_count, write_entries};
use crate::commands::{CommandResult, write_help};
use crate::proxy::Proxy;
use crate::proxy::routing::Handler;
use crate::resp::{Args, Batch, Limits, Reply, RequestParser};
use crate::server::{CommandLog, LogEntry, LogKind, shortened};

/// The subcommands.
pub(super) const HANDLERS: &[(&str, Handler)] =
    &[("slowlog|get", get), ("slowlog|help", help), ("slowlog|len", len), ("slowlog|reset", reset)];

/// The newest slow requests.
#[derive(Default)]
pub(in crate::proxy) struct SlowLog {
    log: CommandLog,
}

impl SlowLog {
    /// Keeps the newest `max` entries.
    pub fn trim(&mut self, max: u64) {
        self.log.trim(LogKind::Slow, usize::try_from(max).unwrap_or(usize::MAX));
    }
}

/// `SLOWLOG GET [count]` -> the newest entries; -1 means all. O(count).
fn get(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let count = slowlog_count(args)?;
    write_entries(reply, &proxy.slow_log.log, LogKind::Slow, count);
    Ok(())
}

/// `SLOWLOG LEN` -> number of entries. O(1).
fn len(proxy: &mut Proxy, _: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    reply.integer(proxy.slow_log.log.entries(LogKind::Slow).len() as i64);
    Ok(())
}

/// `SLOWLOG RESET` -> `+OK`. O(entries).
fn reset(proxy: &mut Proxy, _: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    proxy.slow_log.log.reset(LogKind::Slow);
    reply.ok();
    Ok(())
}

/// `SLOWLOG HELP` -> the subcommands.
fn help(_: &mut Proxy, _: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    write_help(reply, "SLOWLOG", SLOWLOG_HELP);
    Ok(())
}

impl Proxy {
    /// From how many microseconds on a reply is slow.
    pub(in crate::proxy) fn slow_from_us(&self) -> u32 {
        let threshold = self.options.slowlog_log_slower_than;
        if threshold < 0 { u32::MAX } else { u32::try_from(threshold).unwrap_or(u32::MAX) }
    }

    /// Notes a request, as it was sent to a node, whose reply took so long. `client` is who has sent it, if that is known.
    #[cold]
    pub(in crate::proxy) fn note_slow(
        &mut self,
        client: Option<usize>,
        request: &[u8],
        took_us: u32,
    ) {
        let mut batch = Batch::new();
        RequestParser::new().parse(request, 1, &Limits::default(), &mut batch);
        if batch.is_empty() {
            return;
        }
        let args = batch.args(0, request);
        let Ok(id) = self.commands.registry.find_request(&args) else { return };
        let client = client.and_then(|client| self.clients.get(client));
        let entry = LogEntry {
            id: 0,
            time_s: self.now.unix_us / 1_000_000,
            value: u64::from(took_us),
            args: shortened(&args, self.commands.registry.get(id)),
            client_address: client.map_or(String::new(), |client| client.peer.address.clone()),
            client_name: client.map_or(Vec::new(), |client| client.name.clone()),
        };
        let max = usize::try_from(self.options.slowlog_max_len).unwrap_or(usize::MAX);
        self.slow_log.log.push(LogKind::Slow, entry, max);
    }
}
