//! `SLOWLOG`: requests whose replies took long, counted from their way to a node until the reply was there. The log itself is the
//! server's.

use crate::commands::commandlog::{SLOWLOG_HELP, slowlog_count, write_entries};
use crate::commands::{CommandResult, write_help};
use crate::proxy::Proxy;
use crate::proxy::link::NO_COMMAND;
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
    /// From how many microseconds on a reply is slow.
    from_us: u32,
}

impl SlowLog {
    /// An empty log, for replies that take `threshold_us` or more; for none, if that is negative.
    pub fn new(threshold_us: i64) -> Self {
        let mut slow_log = Self::default();
        slow_log.set_threshold(threshold_us);
        slow_log
    }

    /// Takes another threshold.
    pub fn set_threshold(&mut self, threshold_us: i64) {
        self.from_us = if threshold_us < 0 {
            u32::MAX
        } else {
            u32::try_from(threshold_us).unwrap_or(u32::MAX)
        };
    }

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
    /// Looks at how long the reply has taken that has come from a link now. Blocking commands take their time.
    #[inline]
    pub(in crate::proxy) fn note_if_slow(&mut self, link: usize) {
        let clock_us = self.clock_us();
        let Some(waiter) = self.links[link].waiting.front() else { return };
        let took_us = clock_us.wrapping_sub(waiter.queued_us);
        if took_us >= self.slow_log.from_us && waiter.traits.command != NO_COMMAND {
            self.note_slow(link, took_us);
        }
    }

    /// Notes the first request of a link, whose reply has come and took so long.
    #[cold]
    fn note_slow(&mut self, link: usize, took_us: u32) {
        let link = &mut self.links[link];
        let Some(waiter) = link.waiting.front().filter(|waiter| !waiter.traits.patient) else {
            return;
        };
        let (recipient, bytes) = (waiter.recipient, waiter.bytes as usize);
        let request = link.outgoing.requests().first(bytes).to_vec();
        let mut batch = Batch::new();
        RequestParser::new().parse(&request, 1, &Limits::default(), &mut batch);
        if batch.is_empty() {
            return;
        }
        let args = batch.args(0, &request);
        let Ok(id) = self.commands.registry.find_request(&args) else { return };
        let client = self.client_behind(recipient).and_then(|(index, id)| {
            self.clients.get(index as usize).filter(|client| client.id as u32 == id)
        });
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
