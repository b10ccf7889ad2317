//! Sections about the process: what it is, its memory, its CPU time.

use super::View;
use super::text::{Text, ratio};
use crate::version::{REDIS_VERSION, VERSION};

/// The allocator that the program is linked with.
const ALLOCATOR: &str = "mimalloc";
/// The access clock of keys has 24 bits and counts seconds.
const LRU_CLOCK_MAX: u64 = (1 << 24) - 1;

pub(super) fn server(view: &View<'_>, text: &mut Text) {
    let (state, process, config) = (view.state, &view.process, &view.state.config);
    let uptime_s = (state.now.monotonic_us - state.started.monotonic_us) / 1_000_000;
    text.fields(&[
        ("redis_version", &REDIS_VERSION),
        ("redis_git_sha1", &"00000000"),
        ("redis_git_dirty", &0),
        ("server_name", &"mini-redis"),
        ("mini_redis_version", &VERSION),
        ("redis_mode", &"standalone"),
        ("server_mode", &"standalone"),
        ("os", &process.os),
        ("arch_bits", &usize::BITS),
        ("monotonic_clock", &"POSIX clock_gettime"),
        ("multiplexing_api", if cfg!(target_os = "linux") { &"epoll" } else { &"kqueue" }),
        ("process_id", &process.pid),
        ("process_supervised", if process.supervised { &"systemd" } else { &"no" }),
        ("run_id", &state.run_id),
        ("tcp_port", &config.port),
        ("server_time_usec", &state.now.unix_us),
        ("uptime_in_seconds", &uptime_s),
        ("uptime_in_days", &(uptime_s / 86_400)),
        ("hz", &config.hz),
        ("configured_hz", &config.hz),
        ("lru_clock", &((state.now.unix_us / 1_000_000) & LRU_CLOCK_MAX)),
        ("executable", &process.executable),
        ("config_file", &process.config_file),
        ("io_threads_active", &0),
        ("availability_zone", &config.availability_zone),
    ]);
    listeners(view, text);
}

/// `listener0:name=tcp,bind=127.0.0.1,bind=-::1,port=6379`
fn listeners(view: &View<'_>, text: &mut Text) {
    let config = &view.state.config;
    let mut listeners = Vec::new();
    if config.port != 0 && !config.bind.is_empty() {
        let addresses: String =
            config.bind.iter().map(|address| format!(",bind={address}")).collect();
        listeners.push(format!("name=tcp{addresses},port={}", config.port));
    }
    if !config.unixsocket.is_empty() {
        listeners.push(format!("name=unix,bind={}", config.unixsocket));
    }
    for (number, listener) in listeners.iter().enumerate() {
        text.field(&format!("listener{number}"), listener);
    }
}

pub(super) fn memory(view: &View<'_>, text: &mut Text) {
    let (process, startup) = (&view.process, view.state.startup_bytes);
    let used = process.allocated_bytes;
    let clients: usize = view.state.clients.iter().map(|client| client.memory_bytes()).sum();
    let indexes: usize = view.keyspace.databases().iter().map(|db| db.index_bytes()).sum();
    let overhead = startup + clients + indexes;
    let dataset = used.saturating_sub(overhead);
    let log_buffer = view.state.durability.log.as_ref().map_or(0, |log| log.unwritten());
    let net = used.saturating_sub(startup).max(1);
    text.bytes("used_memory", used);
    text.bytes("used_memory_rss", process.resident_bytes);
    let backlog = view.state.replication.backlog_bytes();
    text.bytes("used_memory_peak", process.allocated_peak_bytes);
    let peak_percent = 100.0 * ratio(used, process.allocated_peak_bytes);
    text.fields(&[
        ("used_memory_peak_perc", &format_args!("{peak_percent:.2}%")),
        ("used_memory_overhead", &overhead),
        ("used_memory_startup", &startup),
        ("used_memory_dataset", &dataset),
        ("used_memory_dataset_perc", &format_args!("{:.2}%", 100.0 * ratio(dataset, net))),
        ("allocator_allocated", &used),
    ]);
    text.bytes("total_system_memory", process.system_bytes);
    scripting_memory(text);
    text.bytes("maxmemory", usize::try_from(view.state.config.maxmemory).unwrap_or(usize::MAX));
    let fragmentation = process.resident_bytes as i64 - used as i64;
    text.fields(&[
        ("maxmemory_policy", &view.state.config.maxmemory_policy.name()),
        ("mem_fragmentation_ratio", &format_args!("{:.2}", ratio(process.resident_bytes, used))),
        ("mem_fragmentation_bytes", &fragmentation),
        ("mem_not_counted_for_evict", &0),
        ("mem_replication_backlog", &backlog),
        ("mem_total_replication_buffers", &backlog),
        ("mem_clients_slaves", &0),
        ("mem_clients_normal", &clients),
        ("mem_cluster_links", &0),
        ("mem_aof_buffer", &log_buffer),
        ("mem_allocator", &ALLOCATOR),
        ("active_defrag_running", &0),
        ("lazyfree_pending_objects", &view.discarding),
        ("lazyfreed_objects", &view.keyspace.stats.lazy_freed),
    ]);
}

/// There are no scripts.
fn scripting_memory(text: &mut Text) {
    text.zeros(&["used_memory_lua", "used_memory_vm_eval"]);
    text.field("used_memory_lua_human", "0B");
    text.zeros(&[
        "used_memory_scripts_eval",
        "number_of_cached_scripts",
        "number_of_functions",
        "number_of_libraries",
        "used_memory_vm_functions",
    ]);
    text.bytes("used_memory_vm_total", 0);
    text.zeros(&["used_memory_functions"]);
    text.bytes("used_memory_scripts", 0);
}

pub(super) fn cpu(view: &View<'_>, text: &mut Text) {
    let process = &view.process;
    let mut seconds = |name: &str, us: u64| {
        text.field(name, format_args!("{}.{:06}", us / 1_000_000, us % 1_000_000));
    };
    seconds("used_cpu_sys", process.cpu_system_us);
    seconds("used_cpu_user", process.cpu_user_us);
    // There are no child processes.
    seconds("used_cpu_sys_children", 0);
    seconds("used_cpu_user_children", 0);
    seconds("used_cpu_sys_main_thread", process.thread_system_us);
    seconds("used_cpu_user_main_thread", process.thread_user_us);
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn uptime_and_versions_are_told() {
        let mut redis = TestServer::new();
        redis.advance_ms(90_000_500);
        let info = redis.run("INFO server").0;
        for field in
            ["redis_version:7.2.4", "uptime_in_seconds:90000", "uptime_in_days:1", "tcp_port:6379"]
        {
            assert!(info.contains(&format!(" {field} ")), "{field} {info}");
        }
        assert!(info.contains("listener0:name=tcp,bind="), "{info}");
    }

    #[test]
    fn memory_is_told_in_bytes_and_for_people() {
        let mut redis = TestServer::new();
        redis.world.borrow_mut().allocated_bytes = 3 << 20;
        redis.run("CONFIG SET maxmemory 1gb").is("+OK");
        let info = redis.run("INFO memory").0;
        for field in [
            "used_memory:3145728",
            "used_memory_human:3.00M",
            "maxmemory:1073741824",
            "maxmemory_human:1.00G",
            "maxmemory_policy:noeviction",
            "mem_allocator:mimalloc",
        ] {
            assert!(info.contains(&format!(" {field} ")), "{field} {info}");
        }
    }
}
