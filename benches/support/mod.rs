//! What the benchmarks share: a server without a socket, requests as a client would send them, settings of criterion.

// Every benchmark compiles this module for itself and none uses all of it.
#![allow(dead_code)]

pub mod requests;
pub mod server;

use std::time::Duration;

use criterion::Criterion;

/// All benchmarks together are to end in about two minutes: each gets about two seconds.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(400))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(20)
        .without_plots()
        .configure_from_args()
}

/// Numbers that look random, one after the other: as cheap as they come (G. Marsaglia, "Xorshift RNGs", 2003).
pub struct Random(u64);

impl Random {
    /// The same series each time.
    pub fn new() -> Self {
        Self(88_172_645_463_325_252)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
