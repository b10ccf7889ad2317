//! The section of what outlives the process.

use super::View;
use super::text::Text;
use crate::server::durability::Purpose;

pub(super) fn persistence(view: &View<'_>, text: &mut Text) {
    let durability = &view.state.durability;
    let facts = &durability.facts;
    let ok = |ok: bool| if ok { "ok" } else { "err" };
    let seconds = |seconds: Option<u64>| seconds.map_or(-1, |seconds| seconds as i64);
    let now_us = view.state.now.monotonic_us;
    let running_s = |purpose: Purpose| {
        let snapshot = durability.snapshot.as_ref().filter(|snapshot| snapshot.purpose == purpose);
        seconds(snapshot.map(|snapshot| now_us.saturating_sub(snapshot.started_us) / 1_000_000))
    };
    text.fields(&[("loading", &u8::from(durability.loading.is_some()))]);
    text.zeros(&["async_loading", "current_cow_peak", "current_cow_size", "current_cow_size_age"]);
    text.field("current_fork_perc", "0.00");
    text.zeros(&["current_save_keys_processed", "current_save_keys_total"]);
    text.fields(&[
        ("rdb_changes_since_last_save", &view.state.dirty),
        ("rdb_bgsave_in_progress", &u8::from(durability.is_saving())),
        ("rdb_last_save_time", &view.state.last_save_s()),
        ("rdb_last_bgsave_status", &ok(facts.save_ok)),
        ("rdb_last_bgsave_time_sec", &seconds(facts.save_s)),
        ("rdb_current_bgsave_time_sec", &running_s(Purpose::Save)),
        ("rdb_saves", &facts.saves),
        ("rdb_last_cow_size", &0),
        ("rdb_last_load_keys_expired", &0),
        ("rdb_last_load_keys_loaded", &facts.keys_loaded),
        ("aof_enabled", &u8::from(view.state.config.appendonly)),
        ("aof_rewrite_in_progress", &u8::from(durability.is_rewriting())),
        ("aof_rewrite_scheduled", &u8::from(facts.rewrite_scheduled)),
        ("aof_last_rewrite_time_sec", &seconds(facts.rewrite_s)),
        ("aof_current_rewrite_time_sec", &running_s(Purpose::Rewrite)),
        ("aof_last_bgrewrite_status", &ok(facts.rewrite_ok)),
        ("aof_rewrites", &facts.rewrites),
        ("aof_rewrites_consecutive_failures", &facts.rewrite_failures),
        ("aof_last_write_status", &ok(durability.refusal.is_none())),
        ("aof_last_cow_size", &0),
    ]);
    text.zeros(&["module_fork_in_progress", "module_fork_last_cow_size"]);
    if let Some(log) = &durability.log {
        let grown = log.added().saturating_sub(facts.base_added);
        text.fields(&[
            ("aof_current_size", &(facts.base_len + grown)),
            ("aof_base_size", &facts.base_len),
            ("aof_pending_rewrite", &0),
            ("aof_buffer_length", &log.unwritten()),
            ("aof_pending_bio_fsync", &u8::from(log.syncing_since_us().is_some())),
            ("aof_delayed_fsync", &durability.delayed_syncs),
        ]);
    }
    if let Some(loading) = &durability.loading {
        let elapsed_us = now_us.saturating_sub(loading.started.monotonic_us).max(1);
        let left = loading.total_bytes.saturating_sub(loading.loaded_bytes);
        let eta_s = left.saturating_mul(elapsed_us) / loading.loaded_bytes.max(1) / 1_000_000;
        let percent = loading.loaded_bytes as f64 * 100.0 / loading.total_bytes.max(1) as f64;
        text.fields(&[
            ("loading_start_time", &(loading.started.unix_us / 1_000_000)),
            ("loading_total_bytes", &loading.total_bytes),
            ("loading_loaded_bytes", &loading.loaded_bytes),
            ("loading_loaded_perc", &format!("{percent:.2}")),
            ("loading_eta_seconds", &eta_s),
        ]);
    }
}
