//! The request parser: small and large requests, whole and in pieces. Bytes only, no server.

mod support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use mini_redis::resp::{Batch, Limits, RequestParser};
use support::requests::{pipeline, request};

/// As many requests as the server parses before it runs them.
const BATCH_REQUESTS: usize = 32;
const MSET_10: &str = "MSET KEY v KEY v KEY v KEY v KEY v KEY v KEY v KEY v KEY v KEY v";

/// What arrives piece by piece, as the server keeps it: what was not consumed stays in front of the next piece.
fn parse(pieces: &[&[u8]], query: &mut Vec<u8>, batch: &mut Batch) -> usize {
    let mut parser = RequestParser::new();
    let mut requests = 0;
    query.clear();
    for piece in pieces {
        query.extend_from_slice(piece);
        let mut consumed = 0;
        loop {
            let parsed =
                parser.parse(&query[consumed..], BATCH_REQUESTS, &Limits::default(), batch);
            consumed += parsed.consumed;
            requests += batch.len();
            if batch.len() < BATCH_REQUESTS {
                break;
            }
        }
        query.drain(..consumed);
    }
    requests
}

fn main() {
    let mut criterion: Criterion = support::criterion();
    let inputs = [
        ("get", 1, request("GET KEY", 0)),
        ("set", 1, request("SET KEY value:00", 0)),
        ("mset_10", 1, request(MSET_10, 0)),
        ("get_pipeline_1000", 1000, pipeline("GET KEY", 0, 1000)),
        ("set_pipeline_1000", 1000, pipeline("SET KEY value:00", 0, 1000)),
    ];
    let mut group = criterion.benchmark_group("parser");
    let (mut query, mut batch) = (Vec::new(), Batch::new());
    for (name, requests, input) in &inputs {
        group.throughput(Throughput::Bytes(input.len() as u64));
        // 7 bytes: every line and every argument is cut somewhere. 1,448: a segment of TCP over Ethernet.
        for (how, piece) in [("whole", input.len()), ("pieces_of_7", 7), ("pieces_of_1448", 1448)] {
            if how != "whole" && piece >= input.len() || how == "pieces_of_7" && *requests > 1 {
                continue;
            }
            let pieces: Vec<&[u8]> = input.chunks(piece).collect();
            assert_eq!(parse(&pieces, &mut query, &mut batch), *requests);
            group.bench_function(BenchmarkId::new(*name, how), |bencher| {
                bencher.iter(|| parse(black_box(&pieces), &mut query, &mut batch));
            });
        }
    }
    group.finish();
    criterion.final_summary();
}
