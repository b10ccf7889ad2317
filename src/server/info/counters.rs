//! Sections of counters: clients, persistence, statistics, replication, keyspace.

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::View;
use super::text::{Text, safe};
use crate::keyspace::Database;
use crate::server::pubsub::Kind;
use crate::server::{Pause, PauseKind, TurnWork};

/// Keys looked at to tell the mean TTL of a database.
const TTL_SAMPLES: usize = 32;

pub(super) fn clients(view: &View<'_>, text: &mut Text) {
    let state = view.state;
    let clients = &state.clients;
    let largest_input = clients.iter().map(|client| client.query_peak).max().unwrap_or(0);
    let largest_output =
        clients.iter().map(|client| client.output.memory_bytes()).max().unwrap_or(0);
    text.fields(&[
        ("connected_clients", &clients.len()),
        ("cluster_connections", &0),
        ("maxclients", &state.config.maxclients),
        ("client_recent_max_input_buffer", &largest_input),
        ("client_recent_max_output_buffer", &largest_output),
        ("blocked_clients", &clients.iter().filter(|client| client.blocked.is_some()).count()),
        ("tracking_clients", &state.tracking.clients()),
        ("pubsub_clients", &clients.iter().filter(|client| client.subscriptions.is_some()).count()),
        ("watching_clients", &state.watched.clients()),
        ("clients_in_timeout_table", &state.blocked_keys.deadlines_len()),
        ("total_watched_keys", &state.watched.len()),
    ]);
    text.fields(&[("total_blocking_keys", &state.blocked_keys.len())]);
    text.zeros(&["total_blocking_keys_on_nokey"]);
    paused(state.pause, state.now.monotonic_us, text);
}

fn paused(pause: Option<Pause>, now_us: u64, text: &mut Text) {
    let (reason, actions) = match pause.map(|pause| pause.kind) {
        None => ("none", "none"),
        Some(PauseKind::Write) => ("client_pause", "write"),
        Some(PauseKind::All) => ("client_pause", "all"),
    };
    let left_us = pause.map_or(0, |pause| pause.until_us.saturating_sub(now_us));
    text.fields(&[
        ("paused_reason", &reason),
        ("paused_actions", &actions),
        ("paused_timeout_milliseconds", &(left_us / 1000)),
    ]);
}

pub(super) fn stats(view: &View<'_>, text: &mut Text) {
    let (stats, turns) = (&view.state.stats, &view.state.turns);
    let kbps = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    text.fields(&[
        ("total_connections_received", &stats.connections),
        ("total_commands_processed", &stats.commands_processed),
        ("instantaneous_ops_per_sec", &stats.ops_per_second),
        ("total_net_input_bytes", &stats.net_in),
        ("total_net_output_bytes", &stats.net_out),
        ("total_net_repl_input_bytes", &0),
        ("total_net_repl_output_bytes", &0),
        ("instantaneous_input_kbps", &kbps(turns.input_rate.per_second())),
        ("instantaneous_output_kbps", &kbps(turns.output_rate.per_second())),
        ("instantaneous_input_repl_kbps", &"0.00"),
        ("instantaneous_output_repl_kbps", &"0.00"),
        ("rejected_connections", &stats.rejected_connections),
    ]);
    text.fields(&[
        ("sync_full", &stats.sync_full),
        ("sync_partial_ok", &stats.sync_partial_ok),
        ("sync_partial_err", &stats.sync_partial_err),
    ]);
    keys_found_and_gone(view, text);
    for (name, kind) in [
        ("pubsub_channels", Kind::Channel),
        ("pubsub_patterns", Kind::Pattern),
        ("pubsubshard_channels", Kind::ShardChannel),
    ] {
        text.field(name, view.state.pubsub.topics(kind).len());
    }
    text.zeros(&["latest_fork_usec", "total_forks", "migrate_cached_sockets"]);
    text.zeros(&["slave_expires_tracked_keys"]);
    text.zeros(&["active_defrag_hits", "active_defrag_misses"]);
    text.zeros(&["active_defrag_key_hits", "active_defrag_key_misses"]);
    text.zeros(&["total_active_defrag_time", "current_active_defrag_time"]);
    let tracking = &view.state.tracking;
    text.field("tracking_total_keys", tracking.keys());
    text.field("tracking_total_items", tracking.items());
    text.field("tracking_total_prefixes", tracking.prefixes());
    text.field("unexpected_error_replies", stats.unexpected_error_replies);
    text.field("total_error_replies", stats.error_replies);
    text.zeros(&["dump_payload_sanitizations"]);
    work_of_the_loop(view, text);
    text.field("acl_access_denied_auth", stats.auth_failures);
    text.zeros(&["acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel"]);
}

fn keys_found_and_gone(view: &View<'_>, text: &mut Text) {
    let (stats, keys) = (&view.state.stats, &view.keyspace.stats);
    text.fields(&[
        ("expired_keys", &keys.expired),
        ("expired_fields", &keys.expired_fields),
        ("expired_subkeys", &keys.expired_fields), // Redis 8's name
        // The sweep looks for keys that are due, not at samples: there is no guess of how many it has left.
        ("expired_stale_perc", &"0.00"),
        ("expired_time_cap_reached_count", &stats.expire_cap_reached),
        ("expire_cycle_cpu_milliseconds", &(stats.expire_ns / 1_000_000)),
    ]);
    let current_us = view.state.eviction.exceeded_us(view.state.now.monotonic_us);
    text.fields(&[("evicted_keys", &stats.evicted_keys)]);
    text.zeros(&["evicted_clients", "evicted_scripts"]);
    text.fields(&[
        ("total_eviction_exceeded_time", &((stats.eviction_exceeded_us + current_us) / 1000)),
        ("current_eviction_exceeded_time", &(current_us / 1000)),
    ]);
    text.fields(&[("keyspace_hits", &keys.hits), ("keyspace_misses", &keys.misses)]);
}

fn work_of_the_loop(view: &View<'_>, text: &mut Text) {
    let (state, turns, counts) = (view.state, &view.state.turns, view.state.loop_counts());
    let commands_us = state.registry.iter().map(|(id, _)| state.stats.command_ref(id).total_ns);
    let turns_per_second = turns.turn_rate.per_second();
    let turn_us = turns.busy_rate.per_second().checked_div(turns_per_second).unwrap_or(0);
    text.fields(&[
        ("total_reads_processed", &counts.reads),
        ("total_writes_processed", &counts.writes),
        ("io_threaded_reads_processed", &0),
        ("io_threaded_writes_processed", &0),
        (
            "client_query_buffer_limit_disconnections",
            &state.stats.query_buffer_limit_disconnections,
        ),
        (
            "client_output_buffer_limit_disconnections",
            &state.stats.output_buffer_limit_disconnections,
        ),
        ("reply_buffer_shrinks", &0),
        ("reply_buffer_expands", &0),
        ("eventloop_cycles", &counts.turns),
        ("eventloop_duration_sum", &turns.total_us),
        ("eventloop_duration_cmd_sum", &(commands_us.sum::<u64>() / 1000)),
        ("instantaneous_eventloop_cycles_per_sec", &turns_per_second),
        ("instantaneous_eventloop_duration_usec", &turn_us),
        // No command waited longer than this for those of others.
        ("longest_turn_us", &turns.longest_turn_us),
    ]);
    text.field("longest_turn", turn_work(view, &turns.longest_turn));
    let [over_1ms, over_5ms, over_20ms] = &turns.turns_over;
    text.fields(&[
        ("turns_over_1ms", over_1ms),
        ("turns_over_5ms", over_5ms),
        ("turns_over_20ms", over_20ms),
    ]);
}

/// `accepted=0,reads=1,bytes_read=14,commands=1,slowest=keys,slowest_us=12,...`
fn turn_work(view: &View<'_>, work: &TurnWork) -> String {
    let slowest = work.slowest.map(|(id, ns)| (&*view.state.registry.get(id).full_name, ns));
    let (slowest, slowest_ns) = slowest.unwrap_or(("", 0));
    format!(
        "accepted={},reads={},bytes_read={},commands={},slowest={},slowest_us={},expired={},expire_us={},writes={},bytes_written={}",
        work.accepted,
        work.reads,
        work.bytes_read,
        work.commands,
        safe(slowest),
        slowest_ns / 1000,
        work.expired,
        work.expire_ns / 1000,
        work.writes,
        work.bytes_written,
    )
}

/// `db0:keys=1,expires=0,avg_ttl=0`
pub(super) fn keyspace(view: &View<'_>, text: &mut Text) {
    let now_ms = view.state.now.unix_ms();
    let databases = view.keyspace.databases().iter().enumerate();
    for (number, database) in databases.filter(|(_, database)| !database.is_empty()) {
        let (keys, expires) = (database.len(), database.keys_with_expiry());
        let avg_ttl_ms = average_ttl_ms(database, now_ms);
        text.field(
            &format!("db{number}"),
            format_args!("keys={keys},expires={expires},avg_ttl={avg_ttl_ms}"),
        );
    }
}

/// The mean TTL of the keys that have one: of all of them in a small database, else of those among some random keys.
fn average_ttl_ms(database: &Database, now_ms: i64) -> i64 {
    if database.keys_with_expiry() == 0 {
        return 0;
    }
    let ttl = |expire_at_ms: i64| expire_at_ms.saturating_sub(now_ms).max(0) as i128;
    let ttls: Vec<i128> = if database.len() <= TTL_SAMPLES {
        database.entries().filter_map(|entry| entry.expire_at_ms()).map(ttl).collect()
    } else {
        // Which keys it looks at must not depend on anything but the run, so that a run can be repeated.
        let mut random = SmallRng::seed_from_u64(now_ms as u64);
        (0..TTL_SAMPLES)
            .filter_map(|_| database.random_entry(|| random.random())?.expire_at_ms())
            .map(ttl)
            .collect()
    };
    let count = ttls.len().max(1) as i128;
    i64::try_from(ttls.iter().sum::<i128>() / count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    fn has(redis: &mut TestServer, section: &str, field: &str) {
        let info = redis.run(&format!("INFO {section}")).0;
        assert!(info.split(' ').any(|word| word == field), "{field} is not in {info}");
    }

    #[test]
    fn keyspace_tells_keys_expires_and_mean_ttl_of_databases_in_use() {
        let mut redis = TestServer::new();
        redis.run("INFO keyspace").is("$12 # Keyspace");
        redis.run("SET a 1 PX 3000");
        redis.run("SET b 1 PX 5000");
        redis.run("SET c 1");
        has(&mut redis, "keyspace", "db0:keys=3,expires=2,avg_ttl=4000");
        for number in 0..100 {
            redis.run(&format!("SET k{number} 1 PX 8000"));
        }
        redis.run("DEL a b c");
        has(&mut redis, "keyspace", "db0:keys=100,expires=100,avg_ttl=8000");
        redis.advance_ms(8001);
        redis.run("INFO keyspace").is("$12 # Keyspace");
        has(&mut redis, "stats", "expired_keys:100");
    }

    #[test]
    fn stats_count_what_happens() {
        let mut redis = TestServer::new();
        redis.run("SET k 1");
        redis.run("GET k");
        redis.run("GET nosuch");
        redis.run("NOSUCH");
        redis.connect();
        for field in [
            "keyspace_hits:1",
            "keyspace_misses:1",
            "total_error_replies:1",
            "total_connections_received:2",
        ] {
            has(&mut redis, "stats", field);
        }
        has(&mut redis, "errorstats", "errorstat_ERR:count=1");
        has(&mut redis, "clients", "connected_clients:2");
        has(&mut redis, "persistence", "rdb_changes_since_last_save:1");
    }

    #[test]
    fn a_pause_is_told_with_the_time_that_is_left() {
        let mut redis = TestServer::new();
        has(&mut redis, "clients", "paused_actions:none");
        let until_us = redis.server.state.now.monotonic_us + 5_000_000;
        let server = &mut redis.server;
        server.state.pause_clients(&mut server.keyspace, super::PauseKind::Write, until_us);
        redis.advance_ms(2000);
        has(&mut redis, "clients", "paused_actions:write");
        has(&mut redis, "clients", "paused_timeout_milliseconds:3000");
        let other = redis.connect();
        redis.run_as(other, "SET k 1").is("");
        has(&mut redis, "clients", "blocked_clients:1");
    }

    #[test]
    fn a_replid_has_40_digits() {
        let mut redis = TestServer::new();
        let replid = redis.server.state.replication.history.replid.to_string();
        assert!(replid.len() == 40 && replid.bytes().all(|byte| byte.is_ascii_hexdigit()));
        has(&mut redis, "replication", "role:master");
        has(&mut redis, "replication", &format!("master_replid:{replid}"));
    }
}
