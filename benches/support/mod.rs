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
