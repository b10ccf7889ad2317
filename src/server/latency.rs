//! Spikes: for each event the times at which it took long. What `LATENCY HISTORY`, `LATEST`, `GRAPH` and `DOCTOR` read.

use std::collections::{BTreeMap, VecDeque};

use super::State;

/// Samples kept per event.
const SAMPLES_MAX: usize = 160;

/// One spike: when, in Unix seconds, and how long, in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spike {
    /// Unix seconds.
    pub time_s: u64,
    /// Milliseconds.
    pub latency_ms: u64,
}

/// The spikes of one event, oldest first.
#[derive(Clone, Default, Debug)]
pub struct Spikes {
    /// The newest ones.
    pub samples: VecDeque<Spike>,
    /// The longest ever, in milliseconds.
    pub max_ms: u64,
}

impl Spikes {
    /// The newest one.
    pub fn last(&self) -> Spike {
        *self.samples.back().expect("an event is there because of a spike")
    }
}

/// The spikes of all events.
#[derive(Default)]
pub struct Latency {
    events: BTreeMap<&'static str, Spikes>,
}

impl Latency {
    /// Notes a spike. Of several in one second the longest stays.
    pub fn add(&mut self, event: &'static str, time_s: u64, latency_ms: u64) {
        let spikes = self.events.entry(event).or_default();
        spikes.max_ms = spikes.max_ms.max(latency_ms);
        if let Some(last) = spikes.samples.back_mut()
            && last.time_s == time_s
        {
            last.latency_ms = last.latency_ms.max(latency_ms);
            return;
        }
        spikes.samples.push_back(Spike { time_s, latency_ms });
        if spikes.samples.len() > SAMPLES_MAX {
            spikes.samples.pop_front();
        }
    }

    /// The events that had spikes, by name.
    pub fn events(&self) -> impl Iterator<Item = (&'static str, &Spikes)> {
        self.events.iter().map(|(name, spikes)| (*name, spikes))
    }

    /// The spikes of one event, and its name.
    pub fn event(&self, name: &[u8]) -> Option<(&'static str, &Spikes)> {
        self.events().find(|(event, _)| event.as_bytes() == name)
    }

    /// Forgets one event, its name in any case; returns whether there was something to forget.
    pub fn reset(&mut self, name: &[u8]) -> bool {
        let events = self.events.len();
        self.events.retain(|event, _| !event.as_bytes().eq_ignore_ascii_case(name));
        self.events.len() < events
    }

    /// Forgets everything; returns how many events there were.
    pub fn reset_all(&mut self) -> usize {
        std::mem::take(&mut self.events).len()
    }
}

impl State {
    /// Notes that an event took so long, if the latency monitor wants to know.
    pub(super) fn note_spike(&mut self, event: &'static str, elapsed_ns: u64) {
        let threshold_ms = self.config.latency_monitor_threshold;
        let elapsed_ms = elapsed_ns / 1_000_000;
        if threshold_ms > 0 && elapsed_ms >= threshold_ms {
            self.latency.add(event, self.now.unix_us / 1_000_000, elapsed_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_a_second_stays() {
        let mut latency = Latency::default();
        latency.add("command", 1, 10);
        latency.add("command", 1, 30);
        latency.add("command", 1, 20);
        let (_, spikes) = latency.event(b"command").unwrap();
        assert_eq!(spikes.samples, [Spike { time_s: 1, latency_ms: 30 }]);
    }

    #[test]
    fn the_longest_of_all_outlives_its_sample() {
        let mut latency = Latency::default();
        latency.add("command", 0, 500);
        (1..=SAMPLES_MAX as u64).for_each(|second| latency.add("command", second, 1));
        let (_, spikes) = latency.event(b"command").unwrap();
        assert_eq!((spikes.samples.len(), spikes.max_ms), (SAMPLES_MAX, 500));
        assert_eq!(spikes.samples.front().unwrap().time_s, 1);
        assert_eq!(spikes.last().time_s, SAMPLES_MAX as u64);
    }

    #[test]
    fn events_are_forgotten_one_by_one_or_all() {
        let mut latency = Latency::default();
        latency.add("command", 1, 1);
        latency.add("expire-cycle", 1, 1);
        assert!(!latency.reset(b"fast-command"));
        assert!(latency.reset(b"COMMAND"));
        assert!(latency.event(b"command").is_none());
        assert_eq!(latency.reset_all(), 1);
    }
}
