//! D01, D02: `kill -9` at any moment loses no acknowledged write, whatever the policy.
//!
//! `MINI_REDIS_KILLS` says how many kills a policy gets; `scripts/torture.sh` sets it.

use std::thread;

use crate::load::{Count, Journal, Load, Promise, random_ms};
use crate::support::data::Data;

/// Servers that are killed side by side.
const LANES: usize = 2;
/// Of `always` and `everysec`, one kill in five of which is of a server that is starting: 200 are under load.
const KILLS: usize = 130;
/// Kills before a lane begins with an empty directory: loading should not take most of the time.
const KILLS_A_DIRECTORY: usize = 10;

fn kills_wanted(default: usize) -> usize {
    std::env::var("MINI_REDIS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Kills a server under load so often, and checks after each restart.
fn kill_again_and_again(policy: &str, kills: usize) -> Count {
    let mut total = Count::default();
    let mut done = 0;
    while done < kills {
        let data = Data::new();
        let directives = ["--appendfsync", policy];
        let mut journal = Journal::default();
        let mut server = data.start(&directives);
        for _ in 0..KILLS_A_DIRECTORY.min(kills - done) {
            let load = Load::start(&server, &journal);
            thread::sleep(random_ms(5, 150)); // the moment is what is tested
            server.kill();
            done += 1;
            if done % 4 == 0 {
                let mut starting = data.spawn(&[], &directives);
                thread::sleep(random_ms(0, 40));
                starting.kill();
                done += 1;
            }
            server = data.start(&directives);
            total += journal.check(&server, load, Promise::All);
        }
    }
    total
}

fn nothing_acknowledged_is_lost(test: &str, policy: &str, default: usize) {
    let kills = kills_wanted(default);
    let mut total = Count::default();
    thread::scope(|scope| {
        let lane = || kill_again_and_again(policy, kills.div_ceil(LANES));
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        for lane in lanes {
            total += lane.join().expect("the reason is above");
        }
    });
    let Count { acknowledged, lost } = total;
    println!(
        "{test}: appendfsync {policy}, {kills} kills, {acknowledged} writes acknowledged, {lost} lost"
    );
    assert_eq!(lost, 0);
    assert!(acknowledged > kills, "the load did not get on");
}

/// Real Redis passes.
#[test]
fn d01_kill_9_under_always() {
    nothing_acknowledged_is_lost("D01", "always", KILLS);
}

/// Real Redis may fail: while an fsync runs it answers before it has written.
#[test]
fn d02_kill_9_under_everysec() {
    nothing_acknowledged_is_lost("D02", "everysec", KILLS);
}

#[test]
fn d02_kill_9_under_no() {
    nothing_acknowledged_is_lost("D02", "no", 40);
}
