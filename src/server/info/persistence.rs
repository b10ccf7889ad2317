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
    let (processed, total) = match durability.snapshot {
        Some(_) => view.keyspace.snapshot_progress(),
        None => (0, 0),
    };
    text.fields(&[
        ("current_fork_perc", &percent(processed as u64, total as u64)),
        ("current_save_keys_processed", &processed),
        ("current_save_keys_total", &total),
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
        text.fields(&[
            ("loading_start_time", &(loading.started.unix_us / 1_000_000)),
            ("loading_total_bytes", &loading.total_bytes),
            ("loading_rdb_used_mem", &loading.rdb_used_bytes()),
            ("loading_loaded_bytes", &loading.loaded_bytes),
            ("loading_loaded_perc", &percent(loading.loaded_bytes, loading.total_bytes)),
            ("loading_eta_seconds", &eta_s),
        ]);
    }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}", part as f64 * 100.0 / whole.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use crate::persistence::testing::MemoryDisk;
    use crate::server::testing::TestServer;

    fn field(info: &str, name: &str) -> u64 {
        let start = info.find(name).map(|at| at + name.len() + 1).expect("the field is there");
        let digits = info[start..].split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).expect("a number")
    }

    #[test]
    fn the_progress_of_a_snapshot_and_of_a_load_is_told() {
        let disk = MemoryDisk::default();
        let start = || {
            TestServer::on_disk(&disk, |config| {
                config.appendonly = false;
                config.dir = "data".into();
            })
        };
        let mut redis = start();
        redis.server.open_files().unwrap();
        let value = "x".repeat(900);
        redis.run("CONFIG SET rdbcompression no").is("+OK");
        (0..1000).for_each(|key| redis.run(&format!("SET k{key} {value}")).is("+OK"));
        redis.run("BGSAVE").starts("+Background");
        redis.advance_ms(1);
        let info = redis.run("INFO persistence").0;
        let processed = field(&info, "current_save_keys_processed");
        assert!((1..1000).contains(&processed), "{info}");
        assert_eq!(field(&info, "current_save_keys_total"), 1000);
        (0..20).for_each(|_| redis.advance_ms(1));
        let info = redis.run("INFO persistence").0;
        assert_eq!(field(&info, "current_save_keys_total"), 0);
        drop(redis);
        let mut redis = start();
        redis.world.borrow_mut().now_step_us = 10_000;
        redis.server.open_files().unwrap();
        redis.advance_ms(1);
        let info = redis.run("INFO persistence").0;
        assert_eq!(field(&info, "loading"), 1);
        let (loaded, total) =
            (field(&info, "loading_loaded_bytes"), field(&info, "loading_total_bytes"));
        assert!(loaded > 0 && loaded < total, "{info}");
        assert!((1..100).contains(&field(&info, "loading_loaded_perc")), "{info}");
    }
}
