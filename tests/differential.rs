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
//! MINI_REDIS_DIFF_GROUPS      command groups to draw from, as in `string,generic`, or `all`
//! ```

// Paths, because the modules of a test's root file are otherwise looked for next to it, where each would be a test.
#[path = "differential/allowed.rs"]
mod allowed;
#[path = "differential/collections.rs"]
mod collections;
#[path = "differential/groups.rs"]
mod groups;
#[path = "differential/peer.rs"]
mod peer;
#[path = "differential/proxied.rs"]
mod proxied;
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
use std::io::Write as _;
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
const CASES_DEFAULT: u32 = 6000;
/// Rows per stream. Long enough that keys collide, short enough to be shrunk in a second.
const ROWS_MAX: usize = 50;
/// Runs spent on shrinking one failure.
const SHRINK_RUNS_MAX: u32 = 4000;
/// Time spent on it, for failures that make every run wait.
const SHRINK_MS_MAX: u32 = 60_000;
/// The seed every run tries; a second one is new each time.
const SEED_FIXED: u64 = 7015;
/// The databases `<db>` chooses from.
const DATABASES: [&str; 3] = ["0", "1", "2"];

/// A stream: rows of steps. The steps of one row stay together when a failing stream is made smaller.
type Stream = Vec<Vec<Step>>;

#[test]
fn p30_random_streams_get_the_replies_of_redis_7_0() {
    let Some(reference) = reference() else { return };
    let ours = env::var("MINI_REDIS_TEST_SERVER")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_server").to_owned());
    let pair = RefCell::new(Pair {
        reference: session("reference", &reference, &[]),
        ours: session("server under test", &ours, &[]),
        groups: groups::wanted(),
        proxied: false,
    });
    let seeds = seeds();
    let cases = number("MINI_REDIS_DIFF_CASES")
        .map_or(CASES_DEFAULT, |cases| cases.try_into().unwrap_or(u32::MAX));
    for &seed in &seeds {
        let cases = cases.div_ceil(seeds.len() as u32);
        println!("{cases} streams from MINI_REDIS_DIFF_SEED={seed}");
        if let Err(failure) = search(seed, cases, &pair) {
            panic!("{}replay with MINI_REDIS_DIFF_SEED={seed}", failure.report);
        }
    }
}

#[test]
fn p30_a_planted_difference_is_found_and_made_small() {
    let Some(reference) = reference() else { return };
    let pair = RefCell::new(Pair {
        reference: session("reference of the planted one", &reference, &[]),
        ours: session("planted", &reference, &["--rename-command", "APPEND", "APPEND2"]),
        groups: vec![groups::find("string")],
        proxied: false,
    });
    let failure =
        search(SEED_FIXED, CASES_DEFAULT, &pair).expect_err("APPEND is unknown to one of the two");
    let steps: Vec<String> = failure.stream.concat().iter().map(Step::to_string).collect();
    let [step] = &steps[..] else { panic!("not small: {steps:?}") };
    assert!(step.to_ascii_uppercase().starts_with("APPEND"), "{step}");
    assert!(failure.report.contains("unknown command"), "{}", failure.report);
}

/// A stream that gets two different answers.
struct Failure {
    stream: Stream,
    report: String,
}

/// Tries `cases` streams; a failure is the smallest stream found that fails.
fn search(seed: u64, cases: u32, pair: &RefCell<Pair>) -> Result<(), Failure> {
    let config = Config {
        cases,
        max_shrink_iters: SHRINK_RUNS_MAX,
        max_shrink_time: SHRINK_MS_MAX,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let streams = streams(&pair.borrow().groups);
    let result = runner
        .run(&streams, |stream| pair.borrow_mut().compare(&stream).map_err(TestCaseError::fail));
    match result {
        Ok(()) => Ok(()),
        Err(TestError::Fail(report, stream)) => {
            let failure = Failure { stream, report: report.message().to_owned() };
            Err(without_needless_rows(failure, &mut pair.borrow_mut()))
        }
        Err(TestError::Abort(why)) => panic!("no streams: {why}"),
    }
}

/// Proptest tries once to leave out a row, before it makes the other rows simpler: this tries until all are needed.
fn without_needless_rows(mut failure: Failure, pair: &mut Pair) -> Failure {
    let mut row = 0;
    while row < failure.stream.len() {
        let mut stream = failure.stream.clone();
        stream.remove(row);
        match pair.compare(&stream) {
            Ok(()) => row += 1,
            Err(report) => {
                failure = Failure { stream, report };
                row = 0;
            }
        }
    }
    failure
}

/// A strategy for streams, some of them in RESP3.
fn streams(groups: &[&Group]) -> impl Strategy<Value = Stream> + use<> {
    let protocol =
        prop_oneof![3 => Just(vec![]), 1 => Just(vec![vec![Step::command(&["HELLO", "3"])]])];
    (protocol, vec(groups::row(groups), 0..=ROWS_MAX))
        .prop_map(|(protocol, rows)| [protocol, rows].concat())
}

fn session(name: &'static str, program: &str, flags: &[&str]) -> Session {
    Session::new(Peer::start(name, program, flags).unwrap_or_else(|error| panic!("{error}")))
}

/// The two servers, and the groups whose values are compared after a stream.
struct Pair {
    reference: Session,
    ours: Session,
    groups: Vec<&'static Group>,
    /// The one under test is behind the proxy, in front of a cluster.
    proxied: bool,
}

impl Pair {
    /// Plays a stream on both servers. An error is a report of the first answer that differs.
    fn compare(&mut self, stream: &Stream) -> Result<(), String> {
        let (mut stream, mut inspection) = (stream.concat(), inspection(&self.groups));
        if self.proxied {
            (stream, inspection) = (proxied::changed(stream), proxied::changed(inspection));
        }
        let steps = [vec![Step::command(&["FLUSHALL"])], stream.clone(), inspection].concat();
        let (reference, ours) = std::thread::scope(|scope| {
            let reference = scope.spawn(|| self.reference.play(&steps));
            let ours = self.ours.play(&steps);
            (reference.join().expect("a session reports its failures"), ours)
        });
        let answers = reference.iter().zip(&ours);
        let differs = steps.iter().zip(answers).position(|(step, (reference, ours))| {
            let refused = self.proxied && proxied::both_refuse(reference, ours);
            !refused && !allowed::same(step, reference, ours)
        });
        match differs {
            None => Ok(()),
            Some(at) => Err(report(&stream, &steps, at, &reference[at], &ours[at])),
        }
    }
}

/// The steps after a stream: client state reset, then every key of every database.
fn inspection(groups: &[&Group]) -> Vec<Step> {
    let mut steps = vec![Step::command(&["CLIENT", "REPLY", "ON"]), Step::command(&["RESET"])];
    for db in DATABASES {
        steps.extend([&["SELECT", db][..], &["DBSIZE"], &["KEYS", "*"]].map(Step::command));
        for key in vocabulary::KEYS.iter().chain([&vocabulary::HUGE_KEY]) {
            let readers = groups.iter().flat_map(|group| group.readers);
            steps.extend(readers.map(|reader| read_command(reader, key)));
        }
    }
    steps.extend([&["RESET"][..], &["ECHO", "end of the stream"]].map(Step::command));
    steps
}

fn read_command(reader: &str, key: &[u8]) -> Step {
    let argument = |word: &str| if word == "%" { key.to_vec() } else { word.as_bytes().to_vec() };
    Step::Command(reader.split(' ').map(argument).collect())
}

/// The stream, one command a line, and the two answers to step `at` of `steps`: FLUSHALL, stream, inspection.
fn report(stream: &[Step], steps: &[Step], at: usize, reference: &Answer, ours: &Answer) -> String {
    let lost = [reference, ours].iter().any(|answer| matches!(answer, Answer::Lost(_)));
    let mut lines = vec![match lost {
        // Replies that were under way die with a server, so the culprit may come later.
        true => "a server was lost at the marked step, or at one sent together with it".to_owned(),
        false => "the servers answer differently".to_owned(),
    }];
    for (i, step) in stream.iter().enumerate() {
        let mark = if i + 1 == at { '>' } else { ' ' };
        lines.push(format!("{mark} {step}"));
    }
    if at == 0 {
        lines.push(format!("> before the stream: {}", steps[at]));
    } else if at > stream.len() {
        let select = steps[stream.len()..=at]
            .iter()
            .rev()
            .find(|step| step.to_string().starts_with("SELECT"));
        let place = select.map(|select| format!(" and {select}")).unwrap_or_default();
        lines.push(format!("> after the stream{place}: {}", steps[at]));
    }
    lines.push(format!("reference:         {reference}"));
    lines.push(format!("server under test: {ours}"));
    lines.join("\n") + "\n"
}

/// The reference server; none, with a line that says why, when there is no Redis 7.0 to compare with.
fn reference() -> Option<String> {
    let chosen = env::var("MINI_REDIS_DIFF_REFERENCE").ok();
    // Another version is fine when it was asked for.
    let any_version = chosen.is_some();
    let program = chosen.unwrap_or_else(|| "redis-server".to_owned());
    let Ok(output) = Command::new(&program).arg("--version").output() else {
        say(&format!("skipped: {program} not found"));
        return None;
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !any_version && !version.contains("v=7.0.") {
        say(&format!("skipped: the test compares with Redis 7.0, and {program} is {version:?}"));
        return None;
    }
    println!("reference: {version}");
    Some(program)
}

/// Prints a line that also shows when the output of passing tests is captured.
fn say(line: &str) {
    // Unlike println!, a write to the handle is not captured. It fails only when nobody can read it.
    let _ = writeln!(std::io::stderr(), "{line}");
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
