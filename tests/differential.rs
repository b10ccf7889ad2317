//! P30: random command streams get the same replies from our server as from Redis 7.0, byte for byte.
//!
//! Streams are generated from templates ([`groups`]), sent to both servers at once ([`session`]) and compared reply by
//! reply but for a written allow-list ([`allowed`]); then the keyspaces are compared key by key. A failing stream is
//! shrunk by proptest to the few commands that matter and printed as one would type it.
//!
//! ```text
//! MINI_REDIS_TEST_SERVER      the server to test, instead of the one just built
//! MINI_REDIS_DIFF_REFERENCE   the server to compare with, instead of redis-server (7.0, or the test is skipped)
//! MINI_REDIS_DIFF_CASES       streams to try; a long run is 100000
//! MINI_REDIS_DIFF_SEED        one seed to replay, instead of a fixed and a fresh one
//! MINI_REDIS_DIFF_GROUPS      command groups to draw from, as in `string,generic`
//! ```

// Paths, because the modules of a test's root file are otherwise looked for next to it, where each would be a test.
#[path = "differential/allowed.rs"]
mod allowed;
#[path = "differential/groups.rs"]
mod groups;
#[path = "differential/peer.rs"]
mod peer;
#[path = "differential/reply.rs"]
mod reply;
#[path = "differential/session.rs"]
mod session;
#[path = "differential/step.rs"]
mod step;
#[path = "differential/template.rs"]
mod template;
#[path = "differential/vocabulary.rs"]
mod vocabulary;

use std::cell::RefCell;
use std::env;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use groups::Group;
use peer::Peer;
use session::{Answer, Session};
use step::Step;

/// Streams per run; about 20 seconds of CPU for both servers and the test together.
const CASES_DEFAULT: u32 = 4000;
/// Rows per stream. Long enough that keys collide, short enough to be shrunk in a second.
const ROWS_MAX: usize = 50;
/// Runs spent on shrinking one failure.
const SHRINK_RUNS_MAX: u32 = 4000;
/// The seed every run tries; a second one is new each time.
const SEED_FIXED: u64 = 7015;
/// The databases `<db>` chooses from.
const DATABASES: [&str; 3] = ["0", "1", "2"];

#[test]
fn p30_random_streams_get_the_replies_of_redis_7_0() {
    let reference =
        env::var("MINI_REDIS_DIFF_REFERENCE").unwrap_or_else(|_| "redis-server".to_owned());
    if let Err(why) = check_reference(&reference) {
        println!("skipped: {why}");
        return;
    }
    let ours = env::var("MINI_REDIS_TEST_SERVER")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_server").to_owned());
    let pair = RefCell::new(Pair::start(&reference, &ours));
    let seeds = seeds();
    let cases = number("MINI_REDIS_DIFF_CASES")
        .map_or(CASES_DEFAULT, |cases| cases.try_into().unwrap_or(u32::MAX));
    for &seed in &seeds {
        let cases = cases.div_ceil(seeds.len() as u32);
        println!("{cases} streams from MINI_REDIS_DIFF_SEED={seed}");
        run(seed, cases, &pair);
    }
}

/// Tries `cases` streams and panics with the smallest one found that fails.
fn run(seed: u64, cases: u32, pair: &RefCell<Pair>) {
    let groups = groups::groups();
    let config = Config {
        cases,
        max_shrink_iters: SHRINK_RUNS_MAX,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let result = runner.run(&stream(&groups), |stream| {
        pair.borrow_mut().compare(&stream, &groups).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(difference, _)) => {
            panic!("{difference}replay with MINI_REDIS_DIFF_SEED={seed}")
        }
        Err(TestError::Abort(why)) => panic!("no streams: {why}"),
    }
}

/// A strategy for one stream, in RESP2 or RESP3.
fn stream(groups: &[&Group]) -> impl Strategy<Value = Vec<Step>> {
    let protocol = prop_oneof![3 => Just(vec![]), 1 => Just(vec![Step::command(&["HELLO", "3"])])];
    (protocol, vec(groups::next_steps(groups), 1..=ROWS_MAX))
        .prop_map(|(protocol, rows)| [protocol, rows.concat()].concat())
}

/// The two servers.
struct Pair {
    reference: Session,
    ours: Session,
}

impl Pair {
    fn start(reference: &str, ours: &str) -> Self {
        let start = |name, program| {
            Session::new(Peer::start(name, program).unwrap_or_else(|error| panic!("{error}")))
        };
        Self { reference: start("reference", reference), ours: start("server under test", ours) }
    }

    /// Plays a stream on both servers. An error is a report of the first answer that differs.
    fn compare(&mut self, stream: &[Step], groups: &[&Group]) -> Result<(), String> {
        let flush = vec![Step::command(&["FLUSHALL"])];
        let steps = [flush, stream.to_vec(), inspection(groups)].concat();
        let (reference, ours) = std::thread::scope(|scope| {
            let reference = scope.spawn(|| self.reference.play(&steps));
            let ours = self.ours.play(&steps);
            (reference.join().expect("the session reports its failures"), ours)
        });
        let answers = reference.iter().zip(&ours);
        let differs = steps
            .iter()
            .zip(answers)
            .position(|(step, (reference, ours))| !allowed::same(step, reference, ours));
        match differs {
            None => Ok(()),
            Some(at) => Err(report(stream, &steps[at], at, &reference[at], &ours[at])),
        }
    }
}

/// The steps after a stream: client state reset, then every key of every database.
fn inspection(groups: &[&Group]) -> Vec<Step> {
    let mut steps = vec![Step::command(&["CLIENT", "REPLY", "ON"]), Step::command(&["RESET"])];
    for db in DATABASES {
        steps.extend([&["SELECT", db][..], &["DBSIZE"], &["KEYS", "*"]].map(Step::command));
        for key in vocabulary::KEYS.iter().chain([&vocabulary::HUGE_KEY]) {
            for reader in groups.iter().flat_map(|group| group.readers) {
                let mut args: Vec<step::Arg> =
                    reader.iter().map(|word| word.as_bytes().to_vec()).collect();
                args.push(key.to_vec());
                steps.push(Step::Command(args));
            }
        }
    }
    steps.extend([&["RESET"][..], &["ECHO", "end of the stream"]].map(Step::command));
    steps
}

/// The stream, one command a line, and the two answers. `at` counts the FLUSHALL before the stream.
fn report(stream: &[Step], step: &Step, at: usize, reference: &Answer, ours: &Answer) -> String {
    let mut text = String::from("the servers answer differently\n");
    for (i, step) in stream.iter().enumerate() {
        let mark = if i + 1 == at { '>' } else { ' ' };
        writeln!(text, "{mark} {step}").expect("a String takes everything");
    }
    if at == 0 || at > stream.len() {
        writeln!(text, "> {step}   (around the stream)").expect("a String takes everything");
    }
    writeln!(text, "reference:         {reference}").expect("a String takes everything");
    writeln!(text, "server under test: {ours}").expect("a String takes everything");
    text
}

/// Whether `program` can be run and is a Redis 7.0; otherwise why the test cannot be done.
fn check_reference(program: &str) -> Result<(), String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(|_| format!("{program} not found"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    // Another reference on purpose is the caller's business.
    if version.contains("v=7.0.") || env::var_os("MINI_REDIS_DIFF_REFERENCE").is_some() {
        println!("reference: {version}");
        return Ok(());
    }
    Err(format!("the reference is Redis 7.0, and {program} says {version:?}"))
}

fn seeds() -> Vec<u64> {
    match number("MINI_REDIS_DIFF_SEED") {
        Some(seed) => vec![seed],
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
            vec![SEED_FIXED, now.as_micros() as u64]
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
