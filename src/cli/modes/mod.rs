//! What the client does beside running commands: walks over the keys, measurements, mass insertion, snapshots, scripts, a filtered `MONITOR`.
//! All of them end with Ctrl-C, and say then what they have found so far.

mod eval;
mod info;
mod intrinsic_latency;
mod latency;
mod latency_dist;
mod measure;
pub mod monitor;
mod pipe;
mod rdb;
mod scan;
mod stat;
pub mod top;
mod walk;

use indicatif::{ProgressBar, ProgressStyle};

use super::failure::Failure;
use super::options::{Settings, Work};
use super::session::Session;
use measure::Measure;

/// Runs the mode of `settings`. Whether all went well.
pub fn run(settings: &Settings, session: &mut Session) -> Result<bool, Failure> {
    match &settings.work {
        Work::Commands => Ok(true),
        Work::Pipe { timeout } => pipe::run(session, *timeout),
        Work::Scan => scan::run(settings, session),
        Work::BigKeys => measure::run(settings, session, Measure::Elements),
        Work::MemKeys { samples } => {
            measure::run(settings, session, Measure::Memory { samples: *samples })
        }
        Work::HotKeys => measure::run(settings, session, Measure::Frequency),
        Work::Latency { history } => latency::run(settings, session, *history),
        Work::LatencyDist => latency_dist::run(settings, session),
        Work::Rdb { file, only_functions } => rdb::run(session, file, *only_functions),
        Work::Eval(file) => eval::run(settings, session, file),
        Work::IntrinsicLatency(time) => intrinsic_latency::run(session.interrupt(), *time),
        Work::Stat => stat::run(settings, session),
    }
}

/// A bar on standard error, and nothing at all if that is no terminal. `len` 0 is not known.
fn progress_bar(len: u64, template: &str) -> ProgressBar {
    let bar = if len == 0 { ProgressBar::no_length() } else { ProgressBar::new(len) };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
