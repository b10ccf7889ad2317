//! Sections of one line per command, or per kind of error.

use hdrhistogram::Histogram;

use super::View;
use super::text::{Text, safe};

/// `cmdstat_get:calls=1,usec=2,usec_per_call=2.00,rejected_calls=0,failed_calls=0`, of commands that were asked for.
pub(super) fn commandstats(view: &View<'_>, text: &mut Text) {
    for (id, registered) in view.state.registry.iter() {
        let stats = view.state.stats.command_ref(id);
        if stats.calls == 0 && stats.rejected_calls == 0 && stats.failed_calls == 0 {
            continue;
        }
        let usec_per_call = stats.total_ns as f64 / 1000.0 / stats.calls.max(1) as f64;
        text.field(
            &format!("cmdstat_{}", safe(&registered.full_name)),
            format_args!(
                "calls={},usec={},usec_per_call={usec_per_call:.2},rejected_calls={},failed_calls={}",
                stats.calls,
                stats.total_ns / 1000,
                stats.rejected_calls,
                stats.failed_calls,
            ),
        );
    }
}

/// `errorstat_WRONGTYPE:count=1`
pub(super) fn errorstats(view: &View<'_>, text: &mut Text) {
    for (kind, count) in &view.state.stats.errors {
        text.field(&format!("errorstat_{}", safe(kind)), format_args!("count={count}"));
    }
}

/// `latency_percentiles_usec_get:p50=0.001,p99=0.003`, of commands that ran while `latency-tracking` was on.
pub(super) fn latencystats(view: &View<'_>, text: &mut Text) {
    let config = &view.state.config;
    if !config.latency_tracking {
        return;
    }
    for (id, registered) in view.state.registry.iter() {
        let Some(histogram) = &view.state.stats.command_ref(id).latency_ns else { continue };
        let name = format!("latency_percentiles_usec_{}", safe(&registered.full_name));
        text.field(&name, percentiles(histogram, &config.latency_tracking_info_percentiles));
    }
}

fn percentiles(histogram: &Histogram<u64>, wanted: &[f64]) -> String {
    let shown = wanted.iter().map(|percentile| {
        let us = histogram.value_at_percentile(*percentile) as f64 / 1000.0;
        let name = format!("{percentile:.6}");
        format!("p{}={us:.3}", name.trim_end_matches('0').trim_end_matches('.'))
    });
    shown.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn commandstats_count_runs_refusals_and_failures() {
        let mut redis = TestServer::new();
        redis.run("CONFIG SET timeout x");
        redis.run("CONFIG GET timeout");
        redis.run("CONFIG GET");
        let info = redis.run("INFO commandstats").0;
        let line = |name: &str, rest: &str| {
            assert!(info.contains(&format!("cmdstat_{name}:{rest}")), "{name} {info}");
        };
        line("config|set", "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1");
        line("config|get", "calls=1,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0");
    }

    #[test]
    fn latencystats_show_the_percentiles_that_are_asked_for() {
        let mut redis = TestServer::new();
        redis.run("SET k 1");
        redis.run("CONFIG SET latency-tracking-info-percentiles \"\"").is("+OK");
        redis
            .run_bytes(&[b"CONFIG", b"SET", b"latency-tracking-info-percentiles", b"0.0 50.0 99.9"])
            .is("+OK");
        let info = redis.run("INFO latencystats").0;
        assert!(
            info.contains("latency_percentiles_usec_set:p0=0.001,p50=0.001,p99.9=0.001"),
            "{info}"
        );
        redis.run("CONFIG SET latency-tracking no").is("+OK");
        redis.run("INFO latencystats").is("$16 # Latencystats");
    }
}
