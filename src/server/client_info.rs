//! The line that tells about one client: `CLIENT LIST`, `CLIENT INFO`, log lines.

use std::fmt::Write as _;

use super::{Client, State};
use crate::resp::Protocol;

/// What `CLIENT LIST` says of a client, without a line end. Fields and order as in Valkey 9.
pub fn describe(state: &State, client: &Client) -> String {
    let now_us = state.now.monotonic_us;
    let age_s = now_us.saturating_sub(client.created_us) / 1_000_000;
    let idle_s = now_us.saturating_sub(client.last_interaction_us) / 1_000_000;
    let command = client.last_command.map_or("NULL", |id| &state.registry.get(id).full_name);
    let mut line = String::with_capacity(400);
    let text = String::from_utf8_lossy;
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={age_s} idle={idle_s} flags={} db={} sub=0 psub=0 ssub=0 multi=-1 ",
        client.id,
        client.peer.address,
        client.peer.local_address,
        client.peer.fd,
        text(&client.name),
        flags(client),
        client.db,
    );
    let query_len = client.query.len() + client.in_flight;
    let _ = write!(
        line,
        "watch=0 qbuf={query_len} qbuf-free={} argv-mem={} multi-mem=0 rbs={} rbp={} obl=0 oll={} omem={} tot-mem={} ",
        client.query.capacity() - client.query.len(),
        client.in_flight,
        client.output.memory_bytes(),
        client.query_peak,
        usize::from(!client.output.is_empty()),
        client.output.len(),
        client.memory_bytes(),
    );
    let _ = write!(
        line,
        "events={} cmd={command} user=default redir=-1 resp={} lib-name={} lib-ver={} tot-net-in={} tot-net-out={} tot-cmds={}",
        if client.output.is_empty() { "r" } else { "rw" },
        if client.protocol == Protocol::Resp3 { 3 } else { 2 },
        text(&client.lib_name),
        text(&client.lib_ver),
        client.net_in,
        client.net_out,
        client.commands,
    );
    line
}

/// Redis's letters for what a client is and does.
fn flags(client: &Client) -> String {
    let letters = [
        (client.monitor, 'O'),
        (client.blocked.is_some(), 'b'),
        (client.closing, 'c'),
        (client.peer.is_unix, 'U'),
        (client.no_evict, 'e'),
        (client.no_touch, 'T'),
    ];
    let flags: String =
        letters.into_iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect();
    if flags.is_empty() { "N".to_string() } else { flags }
}
