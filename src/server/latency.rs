//! Spikes: for each event the times at which it took long. What `LATENCY HISTORY`, `LATEST`, `GRAPH` and `DOCTOR` read.

use std::collections::{BTreeMap, VecDeque};

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

    /// The spikes of one event.
    pub fn event(&self, name: &str) -> Option<&Spikes> {
        self.events.get(name)
    }

    /// Forgets one event; returns whether there was something to forget.
    pub fn reset(&mut self, name: &str) -> bool {
        self.events.remove(name).is_some()
    }

    /// Forgets everything; returns how many events there were.
    pub fn reset_all(&mut self) -> usize {
        std::mem::take(&mut self.events).len()
    }
}
