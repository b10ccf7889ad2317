//! A command from received bytes to sent reply through the whole core, without a socket: what one turn of the loop does
//! between `read` and `write`.

mod support;

use criterion::{BenchmarkId, Throughput};
use support::requests::{KEYS, pipeline};
use support::server::BenchServer;

/// Different requests of each kind, so that neither the branches nor the keys are always the same.
const TURNS: u64 = 1000;

fn main() {
    let mut criterion = support::criterion();
    let mut group = criterion.benchmark_group("dispatch");
    let lines = [
        ("get_hit", "GET KEY"),
        ("get_miss", "GET NEW"),
        ("set", "SET KEY value:01"),
        ("set_ex", "SET KEY value:01 EX 1000"),
    ];
    for (name, line) in lines {
        for depth in [1, 16, 64] {
            let mut server = BenchServer::with_keys("SET KEY value:00");
            let turns: Vec<Vec<u8>> =
                (0..TURNS).map(|turn| pipeline(line, turn * depth % KEYS, depth)).collect();
            if server.ask(&turns[0]).starts_with(b"-") {
                println!("dispatch/{name}: not measured, the server refuses {line}");
                break;
            }
            let mut next = turns.iter().cycle();
            group.throughput(Throughput::Elements(depth));
            group.bench_function(BenchmarkId::new(name, depth), |b| {
                b.iter(|| server.turn(next.next().expect("a cycle does not end")));
            });
        }
    }
    group.finish();
    criterion.final_summary();
}
