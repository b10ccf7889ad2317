//! The reply writer: into a warm buffer, which is sent at once. Bytes only, no server.

mod support;

use std::hint::black_box;

use bytes::Bytes;
use mini_redis::resp::{Protocol, Reply};

/// Writes what `write` says and sends it, so that the buffer stays as large as one round needs.
fn round(reply: &mut Reply, write: impl Fn(&mut Reply)) -> usize {
    write(reply);
    let len = reply.output.len();
    reply.output.consume(len);
    len
}

fn main() {
    let mut criterion = support::criterion();
    let mut group = criterion.benchmark_group("reply");
    let mut reply = Reply::new(Protocol::Resp2);
    reply.output.lend_buffer(Vec::with_capacity(16 << 10));
    let (short, long) = ([b'v'; 8], [b'v'; 1024]);
    let shared = Bytes::from(vec![b'v'; 1 << 20]);
    group.bench_function("ok", |b| b.iter(|| round(&mut reply, Reply::ok)));
    group.bench_function("null", |b| b.iter(|| round(&mut reply, Reply::null)));
    group.bench_function("integer", |b| {
        b.iter(|| round(&mut reply, |reply| reply.integer(black_box(123_456_789))));
    });
    group.bench_function("bulk_8", |b| {
        b.iter(|| round(&mut reply, |reply| reply.bulk(black_box(&short))));
    });
    group.bench_function("bulk_1024", |b| {
        b.iter(|| round(&mut reply, |reply| reply.bulk(black_box(&long))));
    });
    group.bench_function("bulk_shared_1_mib", |b| {
        b.iter(|| round(&mut reply, |reply| reply.bulk_shared(black_box(&shared))));
    });
    group.bench_function("array_of_10_bulks", |b| {
        b.iter(|| {
            round(&mut reply, |reply| {
                reply.array(10);
                (0..10).for_each(|_| reply.bulk(black_box(&short)));
            })
        });
    });
    group.bench_function("deferred_array_of_10_integers", |b| {
        b.iter(|| {
            round(&mut reply, |reply| {
                let deferred = reply.deferred();
                (0..10).for_each(|number| reply.integer(black_box(number)));
                reply.finish_array(deferred, 10);
            })
        });
    });
    group.bench_function("pipeline_of_1000_bulks", |b| {
        b.iter(|| round(&mut reply, |reply| (0..1000).for_each(|_| reply.bulk(black_box(&short)))));
    });
    group.finish();
    criterion.final_summary();
}
