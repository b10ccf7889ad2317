//! D03, D04, D05: the power is cut under load. Needs root and a loop device.
//!
//! `MINI_REDIS_CUTS` says how many cuts `always` gets; `scripts/torture.sh` sets it.

use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Count, Journal, Load, Promise, random_ms};
use crate::support::data::with_log;
use crate::support::drive::Drive;
use crate::support::{TestServer, skipped, testing_another_server};

/// Drives that are cut side by side.
const LANES: usize = 2;
/// What `everysec` may lose: the time between two syncs, and as much again for a sync that takes long.
const EVERYSEC_LOSS: Duration = Duration::from_secs(2);

/// Cuts before a lane begins with an empty directory: loading should not take most of the time.
const CUTS_A_DIRECTORY: usize = 3;

fn start(folder: &str, policy: &str) -> TestServer {
    if testing_another_server() {
        std::fs::create_dir_all(folder).expect("the drive is new"); // ours makes it by itself
    }
    let flags = ["--appendfsync", policy];
    TestServer::start(&[&with_log(folder)[..], &flags].concat())
}

/// Cuts the power under load so often, after some milliseconds between `from` and `to`, and checks after each restart.
fn cut_again_and_again(mut drive: Drive, policy: &str, cuts: usize, from: u64, to: u64) -> Count {
    let may_go = if policy == "always" { Duration::ZERO } else { EVERYSEC_LOSS };
    let mut total = Count::default();
    let mut done = 0;
    while done < cuts {
        let folder = format!("{}/{done}", drive.arg());
        let mut journal = Journal::default();
        let mut server = start(&folder, policy);
        for _ in 0..CUTS_A_DIRECTORY.min(cuts - done) {
            let load = Load::start(&server, &journal);
            thread::sleep(random_ms(from, to)); // the moment is what is tested
            // What is answered from here on could not be seen any more if the power of the machine were cut.
            let point = Instant::now().checked_sub(may_go).expect("it runs longer");
            drive.cut();
            server.kill();
            drive.restart();
            server = start(&folder, policy);
            total += journal.check(&server, load, Promise::Before(point));
            done += 1;
        }
    }
    total
}

fn on_drives(test: &str, policy: &'static str, cuts: usize, from: u64, to: u64) -> Option<Count> {
    let drives: Result<Vec<Drive>, String> = (0..LANES).map(|_| Drive::new()).collect();
    let drives = drives.map_err(|why| skipped(test, &why)).ok()?;
    let lane = |drive| cut_again_and_again(drive, policy, cuts.div_ceil(LANES), from, to);
    let mut total = Count::default();
    thread::scope(|scope| {
        let lanes: Vec<_> =
            drives.into_iter().map(|drive| scope.spawn(move || lane(drive))).collect();
        for lane in lanes {
            total += lane.join().expect("the reason is above");
        }
    });
    let Count { acknowledged, lost } = total;
    let when = if policy == "always" { "while the power went" } else { "in the last two seconds" };
    println!(
        "{test}: appendfsync {policy}, {cuts} power cuts, {acknowledged} writes acknowledged, {lost} of those {when} are gone"
    );
    Some(total)
}

#[test]
fn d03_power_cut_under_always_loses_nothing() {
    let cuts = std::env::var("MINI_REDIS_CUTS").ok().and_then(|text| text.parse().ok());
    if let Some(count) = on_drives("D03", "always", cuts.unwrap_or(90), 5, 100) {
        assert!(count.acknowledged > 0, "the load did not get on");
    }
}

#[test]
fn d04_power_cut_under_everysec_loses_the_last_seconds_at_most() {
    // A sync a second: some cuts come before the second one, some after the third.
    on_drives("D04", "everysec", 16, 900, 2_900);
}

#[test]
fn d05_the_first_acknowledged_write_of_a_new_directory_survives_a_power_cut() {
    let mut drive = match Drive::new() {
        Ok(drive) => drive,
        Err(why) => return skipped("D05", &why),
    };
    let mut server = start(drive.arg(), "always");
    server.connect().run("SET first 1").is("+OK");
    drive.cut();
    server.kill();
    drive.restart();
    let server = start(drive.arg(), "always");
    server.connect().run("GET first").is("$1\r\n1");
    drop(server);
}
