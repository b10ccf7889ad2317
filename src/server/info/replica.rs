//! What `INFO` says of a replica's master and of the link to it. Sentinel reads these lines, in this order, and after the
//! one that says the role.

use super::View;
use super::text::Text;
use crate::server::replication::Link;

/// The lines of a replica.
pub(super) fn of_link(view: &View<'_>, link: &Link, text: &mut Text) {
    let state = view.state;
    let now_us = state.now.monotonic_us;
    let offset = state.replication.history.offset;
    let seconds = |seconds: Option<u64>| seconds.map_or("-1".to_string(), |s| s.to_string());
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
        sync(total, read, link.sync_silent_s(now_us), text);
    }
    if !link.is_up() {
        text.field("master_link_down_since_seconds", seconds(link.down_s(now_us)));
    }
    text.fields(&[
        ("slave_priority", &state.config.replica_priority),
        ("slave_read_only", &u8::from(state.config.replica_read_only)),
        ("replica_announced", &u8::from(state.config.replica_announced)),
    ]);
}

/// How much of all data is here. -1: the master does not know how much it will be.
fn sync(total: Option<u64>, read: u64, silent_s: u64, text: &mut Text) {
    let left = total.map_or(-1, |total| total.saturating_sub(read) as i64);
    let percent = match total {
        None | Some(0) => 0.0,
        Some(total) => read as f64 / total as f64 * 100.0,
    };
    text.fields(&[
        ("master_sync_total_bytes", &total.map_or(-1, |total| total as i64)),
        ("master_sync_read_bytes", &read),
        ("master_sync_left_bytes", &left),
        ("master_sync_perc", &format_args!("{percent:.2}")),
        ("master_sync_last_io_seconds_ago", &silent_s),
    ]);
}
