//! `INFO replication`. Sentinel reads it, line by line: the role comes before what depends on it.

use super::View;
use super::text::Text;
use crate::config::Config;
use crate::server::replication::link::Link;
use crate::server::replication::replica::Replica;
use crate::server::replication::{Backlog, Failover};
use crate::server::{Client, State};

pub(super) fn replication(view: &View<'_>, text: &mut Text) {
    let state = view.state;
    match state.link() {
        None => text.field("role", "master"),
        Some(link) => {
            text.field("role", "slave");
            of_replica(state, link, text);
        }
    }
    of_replicas(state, text);
    let replication = &state.replication;
    let (history, backlog) = (&replication.history, replication.backlog.as_ref());
    text.fields(&[
        ("master_failover_state", &Failover::state_name(replication.failover.as_ref())),
        ("master_replid", &history.replid),
        ("master_replid2", &history.replid2),
        ("master_repl_offset", &history.offset),
        ("second_repl_offset", &history.second_offset),
        ("repl_backlog_active", &u8::from(backlog.is_some())),
        ("repl_backlog_size", &state.config.repl_backlog_size),
        ("repl_backlog_first_byte_offset", &backlog.map_or(0, |backlog| backlog.start() + 1)),
        ("repl_backlog_histlen", &backlog.map_or(0, Backlog::len)),
    ]);
}

/// What a replica tells of its master, and of itself as a candidate for its place.
fn of_replica(state: &State, link: &Link, text: &mut Text) {
    let now_us = state.now.monotonic_us;
    let offset = state.replication.history.offset;
    text.fields(&[
        ("master_host", &link.master.host),
        ("master_port", &link.master.port),
        ("master_link_status", &if link.is_up() { "up" } else { "down" }),
        ("master_last_io_seconds_ago", &seconds(link.silent_s(now_us))),
        ("master_sync_in_progress", &u8::from(link.is_syncing())),
        ("slave_read_repl_offset", &(offset + link.unapplied_bytes() as u64)),
        ("slave_repl_offset", &offset),
    ]);
    if let Some((total, read)) = link.sync_progress() {
        let total = total.unwrap_or(0);
        let percent = if total == 0 { 0.0 } else { read as f64 / total as f64 * 100.0 };
        text.fields(&[
            ("master_sync_total_bytes", &total),
            ("master_sync_read_bytes", &read),
            ("master_sync_left_bytes", &(total as i64 - read as i64)),
            ("master_sync_perc", &format_args!("{percent:.2}")),
            ("master_sync_last_io_seconds_ago", &link.quiet_s(now_us)),
        ]);
    }
    if !link.is_up() {
        text.field("master_link_down_since_seconds", seconds(link.down_s(now_us)));
    }
    let Config { replica_priority, replica_read_only, replica_announced, .. } = &state.config;
    text.fields(&[
        ("slave_priority", replica_priority),
        ("slave_read_only", &u8::from(*replica_read_only)),
        ("replica_announced", &u8::from(*replica_announced)),
    ]);
}

fn seconds(seconds: Option<u64>) -> i64 {
    seconds.map_or(-1, |seconds| i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn of_replicas(state: &State, text: &mut Text) {
    text.field("connected_slaves", state.replication.replicas.len());
    if state.config.min_replicas_to_write > 0 && state.config.min_replicas_max_lag > 0 {
        text.field("min_slaves_good_slaves", state.good_replicas());
    }
    for (number, (client, replica)) in state.replicas().enumerate() {
        text.field(&format!("slave{number}"), one_replica(state, client, replica));
    }
}

/// `ip=127.0.0.1,port=6380,state=online,offset=14,lag=0`
fn one_replica(state: &State, client: &Client, replica: &Replica) -> String {
    let lag_us = state.now.monotonic_us.saturating_sub(replica.acked_us);
    let lag_s = if replica.is_online() { lag_us / 1_000_000 } else { 0 };
    format!(
        "ip={},port={},state={},offset={},lag={lag_s}",
        client.replica_host(),
        replica.listening_port,
        replica.state(),
        replica.acked,
    )
}
