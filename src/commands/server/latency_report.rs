//! What spikes look like (`LATENCY GRAPH`), and what they mean (`LATENCY DOCTOR`).

use std::fmt::Write as _;

use crate::server::{Spikes, State};

/// Samples drawn side by side.
const GRAPH_COLUMNS: usize = 80;
/// Lines of the drawing, each with three heights of its own.
const GRAPH_ROWS: usize = 4;
const HEIGHTS: [char; 3] = ['_', 'o', '#'];

/// A sparkline of an event's spikes, with the age of each written below it, downwards. The form is Redis's.
pub fn graph_report(event: &str, spikes: &Spikes, now_s: u64) -> String {
    let latencies = || spikes.samples.iter().map(|spike| spike.latency_ms);
    let (low, high) = (latencies().min().unwrap_or(0), latencies().max().unwrap_or(0));
    let mut text = format!(
        "{event} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        spikes.max_ms,
        "-".repeat(GRAPH_COLUMNS)
    );
    let columns: Vec<(usize, String)> = spikes
        .samples
        .iter()
        .map(|spike| (height(spike.latency_ms, low, high), age(now_s.saturating_sub(spike.time_s))))
        .collect();
    for (number, range) in columns.chunks(GRAPH_COLUMNS).enumerate() {
        if number > 0 {
            text.push('\n');
        }
        draw(range, &mut text);
    }
    text
}

/// How high a column is: from 0 for the lowest of all to the top for the highest.
fn height(latency_ms: u64, low: u64, high: u64) -> usize {
    let steps = (HEIGHTS.len() * GRAPH_ROWS) as u64;
    let share = u128::from(latency_ms - low) * u128::from(steps) / u128::from((high - low).max(1));
    (share as u64).min(steps - 1) as usize
}

fn draw(columns: &[(usize, String)], text: &mut String) {
    for row in (0..GRAPH_ROWS).rev() {
        text.extend(columns.iter().map(
            |&(height, _)| match height.checked_sub(row * HEIGHTS.len()) {
                None => ' ',
                Some(above) => HEIGHTS.get(above).copied().unwrap_or('|'),
            },
        ));
        text.push('\n');
    }
    text.push_str(&" ".repeat(columns.len()));
    text.push('\n');
    let label_rows = columns.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
    for row in 0..label_rows {
        text.extend(columns.iter().map(|(_, label)| label.chars().nth(row).unwrap_or(' ')));
        text.push('\n');
    }
}

/// Seconds in the largest unit that is not zero.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// What the spikes of all events tell, and what can be done about them.
pub fn doctor_report(state: &State) -> String {
    let threshold_ms = state.config.latency_monitor_threshold;
    let events: Vec<_> = state.latency.events().collect();
    if events.is_empty() && threshold_ms == 0 {
        return "Latency monitoring is disabled. \"CONFIG SET latency-monitor-threshold <milliseconds>\" enables it.\n"
            .to_string();
    }
    if events.is_empty() {
        return format!("No event has taken {threshold_ms} milliseconds or more so far.\n");
    }
    let now_s = state.now.unix_us / 1_000_000;
    let mut text = String::from("These events took longer than they should:\n\n");
    for (number, (event, spikes)) in events.iter().enumerate() {
        let _ = writeln!(text, "{}. {event}: {}", number + 1, describe(spikes, now_s));
    }
    text.push_str("\nWhat can be done:\n\n");
    for (event, _) in events {
        advise(state, event, &mut text);
    }
    text
}

fn describe(spikes: &Spikes, now_s: u64) -> String {
    let samples = spikes.samples.len().max(1) as u64;
    let mean = spikes.samples.iter().map(|spike| spike.latency_ms).sum::<u64>() / samples;
    let deviations = spikes.samples.iter().map(|spike| spike.latency_ms.abs_diff(mean));
    let oldest_s = spikes.samples.front().map_or(now_s, |spike| spike.time_s);
    format!(
        "{samples} latency spikes (average {mean}ms, mean deviation {}ms, period {:.2} sec). Worst all time event {}ms.",
        deviations.sum::<u64>() / samples,
        now_s.saturating_sub(oldest_s).max(1) as f64 / samples as f64,
        spikes.max_ms
    )
}

fn advise(state: &State, event: &str, text: &mut String) {
    let slow_us = state.config.slowlog_log_slower_than;
    let threshold_us = state.config.latency_monitor_threshold.saturating_mul(1000);
    match event {
        "command" => {
            if u64::try_from(slow_us).is_ok_and(|slow_us| slow_us <= threshold_us) {
                text.push_str("- SLOWLOG GET shows which commands were slow.\n");
            } else {
                let _ = writeln!(
                    text,
                    "- The slow log does not note these commands. \"CONFIG SET slowlog-log-slower-than {threshold_us}\" \
                     makes it."
                );
            }
            text.push_str("- Commands that walk a whole keyspace or a big value take as long as it is big: \
                           prefer SCAN and its kin, and smaller values.\n");
        }
        "fast-command" => text.push_str(
            "- Commands that take a microsecond took milliseconds: the process did not get the CPU. Look for other \
             programs on this machine, for noisy neighbours if it is virtual, and for swapping.\n",
        ),
        "expire-cycle" => text.push_str(
            "- Removing expired keys took long: big values expired, or the process did not get the CPU.\n",
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Latency;
    use crate::server::testing::TestServer;

    fn spikes(samples: &[(u64, u64)]) -> Spikes {
        let mut latency = Latency::default();
        for &(time_s, latency_ms) in samples {
            latency.add("command", time_s, latency_ms);
        }
        latency.event(b"command").unwrap().1.clone()
    }

    #[test]
    fn a_graph_is_drawn_as_redis_draws_it() {
        let graph = graph_report("command", &spikes(&[(97, 60), (98, 44), (100, 300)]), 100);
        let expected = "command - high 300 ms, low 44 ms (all time high 300 ms)\n".to_string()
            + &"-".repeat(80)
            + "\n  #\n  |\n  |\n__|\n   \n320\nsss\n";
        assert_eq!(graph, expected);
    }

    #[test]
    fn many_samples_are_drawn_in_several_lines() {
        let samples: Vec<_> = (1..=100).map(|second| (second, 5)).collect();
        let graph = graph_report("command", &spikes(&samples), 100);
        assert_eq!(
            graph.matches(&"_".repeat(80)).count(),
            1 + graph.matches(&"-".repeat(80)).count() - 1
        );
        assert!(graph.contains(&format!("\n{}\n", "_".repeat(20))), "{graph}");
    }

    #[test]
    fn ages_are_in_the_largest_unit() {
        let ages = [0, 59, 60, 3599, 3600, 86_399, 86_400].map(age);
        assert_eq!(ages, ["0s", "59s", "1m", "59m", "1h", "23h", "1d"]);
    }

    #[test]
    fn the_doctor_describes_each_event() {
        let mut redis = TestServer::with(|config| config.latency_monitor_threshold = 20);
        assert!(doctor_report(&redis.server.state).contains("No event has taken 20 milliseconds"));
        let latency = &mut redis.server.state.latency;
        latency.add("command", 1_699_999_997, 100);
        latency.add("command", 1_699_999_998, 300);
        let report = doctor_report(&redis.server.state);
        assert!(report.contains(
            "1. command: 2 latency spikes (average 200ms, mean deviation 100ms, period 1.50 sec). Worst all time event \
             300ms.\n"
        ), "{report}");
        assert!(report.contains("SLOWLOG GET"), "{report}");
    }

    #[test]
    fn the_doctor_says_how_to_enable_what_is_off() {
        let mut redis = TestServer::new();
        assert!(doctor_report(&redis.server.state).contains("latency-monitor-threshold"));
        redis.server.state.config.slowlog_log_slower_than = -1;
        redis.server.state.latency.add("command", 1, 100);
        assert!(doctor_report(&redis.server.state).contains("slowlog-log-slower-than"));
    }
}
