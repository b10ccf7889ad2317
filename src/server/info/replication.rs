//! `INFO replication`. Sentinel reads it, line by line: the role comes before what depends on it.

use super::View;
use super::text::Text;
use crate::server::replication::replica::Replica;
use crate::server::replication::{Backlog, Failover};
use crate::server::{Client, State};

pub(super) fn replication(view: &View<'_>, text: &mut Text) {
    let state = view.state;
    match state.link() {
        None => text.field("role", "master"),
        Some(link) => {
            text.field("role", "slave");
            super::replica::of_link(view, link, text);
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
