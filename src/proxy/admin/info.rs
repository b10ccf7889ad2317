//! `INFO`: what the proxy tells about itself and its nodes, in the form of the server's.

use crate::commands::CommandResult;
use crate::net::OutputBuffer;
use crate::proxy::Proxy;
use crate::proxy::client::Hold;
use crate::proxy::command_stats::percentile_us;
use crate::proxy::nodes::Node;
use crate::proxy::refresh::Kind;
use crate::proxy::routing::Handler;
use crate::resp::{Args, Reply};
use crate::server::ProcessFacts;
use crate::server::section::Section;
use crate::server::text::{Text, safe};
use crate::version::{REDIS_VERSION, VERSION};

/// The command.
pub(super) const HANDLERS: &[(&str, Handler)] = &[("info", info)];

/// What the sections are written from.
struct View<'a> {
    proxy: &'a Proxy,
    process: ProcessFacts,
}

type Write = fn(&View<'_>, &mut Text);

const fn section(title: &'static str, name: &'static str, write: Write) -> Section<Write> {
    Section { name, title, default: true, write }
}

/// All sections, in the order they are shown in.
const SECTIONS: [Section<Write>; 10] = [
    section("Server", "server", server),
    section("Clients", "clients", clients),
    section("Memory", "memory", memory),
    section("Stats", "stats", stats),
    section("Replication", "replication", |_, text| text.field("role", "master")),
    section("CPU", "cpu", cpu),
    section("Nodes", "nodes", nodes),
    Section { default: false, ..section("Commandstats", "commandstats", commandstats) },
    Section { default: false, ..section("Latencystats", "latencystats", latencystats) },
    // Clients that know of clusters must not look for one here.
    section("Cluster", "cluster", |_, text| text.zeros(&["cluster_enabled"])),
];

/// `INFO [section [section ...]]` -> lines of `field:value`. O(clients + nodes + commands).
fn info(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let wanted: Vec<&[u8]> = args.iter().skip(1).collect();
    let process = proxy.environment.process();
    let view = View { proxy, process };
    let mut text = Text::default();
    for section in SECTIONS.iter().filter(|section| section.is_wanted(&wanted)) {
        text.title(section.title);
        (section.write)(&view, &mut text);
    }
    reply.verbatim("txt", text.into_string().as_bytes());
    Ok(())
}

fn server(view: &View<'_>, text: &mut Text) {
    let (proxy, process) = (view.proxy, &view.process);
    let uptime_s = proxy.now.unix_us.saturating_sub(proxy.started_unix_us) / 1_000_000;
    text.fields(&[
        ("redis_version", &REDIS_VERSION),
        ("server_name", &"mini-redis-proxy"),
        ("proxy_version", &VERSION),
        ("redis_mode", &"standalone"),
        ("os", &process.os),
        ("arch_bits", &usize::BITS),
        ("process_id", &process.pid),
        ("tcp_port", &proxy.options.port),
        ("server_time_usec", &proxy.now.unix_us),
        ("uptime_in_seconds", &uptime_s),
        ("uptime_in_days", &(uptime_s / 86_400)),
        ("executable", &process.executable),
        ("config_file", &process.config_file),
    ]);
}

fn clients(view: &View<'_>, text: &mut Text) {
    let clients = &view.proxy.clients;
    let blocked = clients.iter().filter(|(_, client)| client.hold == Hold::Blocked).count();
    let sessions = || clients.iter().filter_map(|(_, client)| client.session.as_deref());
    let subscribed = sessions().filter(|session| session.subscriptions.is_some()).count();
    let in_multi = sessions().filter(|session| session.transaction.is_some()).count();
    let unread = clients.iter().map(|(_, client)| client.unread_bytes()).max().unwrap_or(0);
    text.fields(&[
        ("connected_clients", &clients.len()),
        ("maxclients", &view.proxy.options.maxclients),
        ("client_recent_max_output_buffer", &unread),
        ("blocked_clients", &blocked),
        ("pubsub_clients", &subscribed),
        ("clients_in_transactions", &in_multi),
    ]);
}

fn memory(view: &View<'_>, text: &mut Text) {
    let process = &view.process;
    text.bytes("used_memory", process.allocated_bytes);
    text.bytes("used_memory_rss", process.resident_bytes);
    text.bytes("used_memory_peak", process.allocated_peak_bytes);
    text.bytes("total_system_memory", process.system_bytes);
}

fn stats(view: &View<'_>, text: &mut Text) {
    let stats = &view.proxy.stats;
    text.fields(&[
        ("total_connections_received", &stats.connections),
        ("rejected_connections", &stats.rejected_connections),
        ("total_commands_processed", &stats.requests),
        ("total_net_input_bytes", &stats.net_in),
        ("total_net_output_bytes", &stats.net_out),
        ("total_error_replies", &stats.errors),
        ("acl_access_denied_auth", &stats.auth_failures),
        ("client_output_buffer_limit_disconnections", &stats.output_limit_disconnections),
        ("retried_reads", &stats.retries),
        ("longest_turn_us", &stats.longest_turn_us),
    ]);
}

fn cpu(view: &View<'_>, text: &mut Text) {
    let mut seconds = |name: &str, us: u64| {
        text.field(name, format_args!("{}.{:06}", us / 1_000_000, us % 1_000_000));
    };
    seconds("used_cpu_sys", view.process.cpu_system_us);
    seconds("used_cpu_user", view.process.cpu_user_us);
    seconds("used_cpu_sys_main_thread", view.process.thread_system_us);
    seconds("used_cpu_user_main_thread", view.process.thread_user_us);
}

/// What the nodes are, and a line for each: `node0:addr=127.0.0.1:6379,role=master,state=connected,...`.
fn nodes(view: &View<'_>, text: &mut Text) {
    let proxy = view.proxy;
    let kind = match proxy.refresh.kind() {
        None => "unknown",
        Some(Kind::Plain) => "plain",
        Some(Kind::Cluster) => "cluster",
    };
    let members = || proxy.nodes.iter().filter(|node| node.is_member);
    text.field("nodes_kind", kind);
    text.field("nodes_known", members().count());
    text.field("nodes_down", members().filter(|node| node.health.down.is_some()).count());
    text.field("slots_served", proxy.slots.served());
    for (number, node) in members().enumerate() {
        text.field(&format!("node{number}"), node_line(proxy, node));
    }
}

fn node_line(proxy: &Proxy, node: &Node) -> String {
    let links = || proxy.links.iter().map(|(_, link)| link).filter(|link| link.node == node.id);
    let queue: usize = links().map(|link| link.waiting.len()).sum();
    let unsent: usize = links().map(|link| link.outgoing.len()).sum();
    let state = match (&node.health.down, links().count()) {
        (Some(_), _) => "down",
        (None, 0) => "unconnected",
        (None, _) => "connected",
    };
    let role = if node.is_replica { "replica" } else { "master" };
    let stats = &node.stats;
    let mean_us = stats.latency_sum_us.checked_div(stats.replies).unwrap_or(0);
    format!(
        "addr={},role={role},state={state},slots={},connections={},requests={},replies={},errors={},failed={},timeouts={},\
         redirections={},connects={},connect_failures={},queue={queue},unsent_bytes={unsent},latency_us={mean_us},\
         latency_p50_us={},latency_p99_us={}",
        node.address,
        proxy.slots.count_of(node.id),
        links().count(),
        stats.requests,
        stats.replies,
        stats.error_replies + stats.failed_requests,
        stats.failed_requests,
        stats.timeouts,
        stats.redirections,
        stats.connections,
        stats.failed_connections,
        percentile_us(&stats.latency_us, 50),
        percentile_us(&stats.latency_us, 99),
    )
}

/// `cmdstat_get:calls=1,usec=200,usec_per_call=200.00,rejected_calls=0,failed_calls=0`; the time is that of the replies.
fn commandstats(view: &View<'_>, text: &mut Text) {
    for (id, registered) in view.proxy.commands.registry.iter() {
        let calls = view.proxy.commands.calls[usize::from(id.0)];
        let stats = &view.proxy.commands.stats[usize::from(id.0)];
        if calls == 0 && stats.replies == 0 {
            continue;
        }
        let usec_per_call = stats.total_us as f64 / stats.replies.max(1) as f64;
        text.field(
            &format!("cmdstat_{}", safe(&registered.full_name)),
            format_args!(
                "calls={calls},usec={},usec_per_call={usec_per_call:.2},rejected_calls=0,failed_calls={}",
                stats.total_us, stats.errors,
            ),
        );
    }
}

/// `latency_percentiles_usec_get:p50=127,p99=511`, as far as buckets of powers of two tell.
fn latencystats(view: &View<'_>, text: &mut Text) {
    for (id, registered) in view.proxy.commands.registry.iter() {
        let stats = &view.proxy.commands.stats[usize::from(id.0)];
        if stats.replies == 0 {
            continue;
        }
        let (p50, p99) =
            (percentile_us(&stats.latency_us, 50), percentile_us(&stats.latency_us, 99));
        let name = format!("latency_percentiles_usec_{}", safe(&registered.full_name));
        text.field(&name, format_args!("p50={p50},p99={p99}"));
    }
}
