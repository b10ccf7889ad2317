//! D09-D14, S04: the disk is full, drops what it has taken, or the log has reached the largest size a file may have.
//!
//! Full is a small file system in memory, which needs root; the largest size is set with `prlimit`.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use crate::support::connection::encode_line;
use crate::support::data::{Data, log_in, with_log};
use crate::support::drive::{Mount, OverbookedDrive};
use crate::support::strace::{Trace, can_trace};
use crate::support::{Raw, TestServer, skipped, wait_until, works};

const TOO_LARGE: &str = "-MISCONF Errors writing to the AOF file: File too large";
const FULL: &str = "-MISCONF Errors writing to the AOF file: No space left on device";

/// Sets the largest size of a file for a running server; `None`: any.
fn set_file_size_max(server: &TestServer, bytes: Option<u64>) {
    let limit = bytes.map_or("unlimited".to_string(), |bytes| bytes.to_string());
    let status = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string(), &format!("--fsize={limit}:unlimited")])
        .status();
    assert!(status.expect("prlimit is here").success(), "only root may raise a limit again");
}

fn can_limit(test: &str) -> bool {
    let can =
        works("prlimit", &["--fsize=1:unlimited", "true"]) && rustix::process::geteuid().is_root();
    if !can {
        skipped(test, "prlimit of util-linux is missing, or this is not root");
    }
    can
}

/// Writes something and leaves room for 20 bytes more. Returns the length of the log.
fn limit_log(data: &Data, server: &TestServer) -> u64 {
    let mut client = server.connect();
    client.run("SET before 1").is("+OK");
    // The limit is one for all files: the log must be longer than what the server has to say of it.
    client.run(&format!("SET padding {}", "x".repeat(50_000))).is("+OK");
    let len = fs::metadata(data.log()).expect("there is a log").len();
    set_file_size_max(server, Some(len + 20));
    len
}

/// Under `everysec` a log that cannot grow refuses writes, serves reads, and goes on by itself when it can.
fn refuses_and_recovers(server: &TestServer, expected: &str, give_room: impl FnOnce()) {
    let mut stuck = server.connect();
    stuck.send(encode_line("SET stuck 0123456789012345678901234567890123456789"));
    wait_until("a write has failed", || server.log().contains("riting to the AOF file"));
    stuck.expect_silence();
    let mut other = server.connect();
    other.run("SET refused x").is(expected);
    other.run("GET before").is("$1\r\n1");
    other.run("PING").is(expected); // health checks rely on it
    give_room();
    stuck.reply().is("+OK");
    other.run("PING").is("+PONG");
    other.run("SET after 1").is("+OK");
}

/// Everything acknowledged is there, and nothing that was refused.
fn check_after_restart(data: &Data, mut server: TestServer) {
    server.kill();
    let server = data.start(&[]);
    let mut client = server.connect();
    client.run("EXISTS before padding stuck after").is(":4");
    client.run("DBSIZE").is(":4");
    assert!(!server.log().contains("short read"), "{}", server.log());
}

/// Real Redis is killed by SIGXFSZ.
#[test]
fn d12_d14_a_short_write_is_taken_back_and_the_size_limit_does_not_kill() {
    if !can_limit("D12, D14") {
        return;
    }
    let data = Data::new();
    let server = data.start(&["--appendfsync", "everysec"]);
    let len = limit_log(&data, &server);
    refuses_and_recovers(&server, TOO_LARGE, || {
        // Each try leaves half a record, for a moment.
        wait_until("half a record is taken back", || {
            fs::metadata(data.log()).expect("a log").len() == len
        });
        set_file_size_max(&server, None);
    });
    let log = server.log();
    let expected = "Short write while writing to the AOF file: (nwritten=20, expected=";
    assert!(log.contains(expected), "{log}");
    assert!(log.contains("AOF write error looks solved, server can write again."), "{log}");
    check_after_restart(&data, server);
}

#[test]
fn d13_half_a_record_that_cannot_be_taken_back_is_completed_later() {
    if !can_limit("D13") {
        return;
    }
    if !can_trace() {
        return skipped("D13", "strace is missing or may not trace");
    }
    let data = Data::new();
    let faults = ["trace=ftruncate", "inject=ftruncate:error=EIO"];
    let trace = Trace::new(&faults).of_file(&data.log());
    let server = data.start_under(&trace.wrapper(), &["--appendfsync", "everysec"]);
    let len = limit_log(&data, &server);
    refuses_and_recovers(&server, TOO_LARGE, || {
        assert_eq!(fs::metadata(data.log()).expect("a log").len(), len + 20);
        set_file_size_max(&server, None);
    });
    assert!(trace.injected() > 0);
    assert!(server.log().contains("Could not remove short write"), "{}", server.log());
    check_after_restart(&data, server);
}

/// Room that is not there until it is given, on a full file system.
const BALLAST_BYTES: usize = 256 << 10;
const DRIVE_BYTES: u64 = 512 << 10;

/// Starts a server on a small drive and fills it with acknowledged writes until one does not fit.
/// Returns how many there are.
fn fill(client: &mut Raw) -> usize {
    let value = "x".repeat(1_000);
    let mut count = 0;
    loop {
        client.send(encode_line(&format!("SET key:{count} {value}")));
        // What does not fit is not answered, or, under `always`, is the end.
        let Some(reply) = client.reply_within_ms(300) else { return count };
        reply.is("+OK");
        count += 1;
    }
}

fn small_drive(test: &str) -> Option<Mount> {
    let drive = Mount::small(DRIVE_BYTES).map_err(|why| skipped(test, &why)).ok()?;
    fs::write(drive.path().join("ballast"), vec![b'x'; BALLAST_BYTES]).expect("there is room");
    Some(drive)
}

fn start_on(folder: &str, policy: &str) -> TestServer {
    TestServer::start(&[&with_log(folder)[..], &["--appendfsync", policy]].concat())
}

/// Real Redis fails: it goes on in the file of which the kernel has dropped a part.
#[test]
fn d09_what_a_disk_has_dropped_is_written_again_from_memory() {
    let drive = match OverbookedDrive::new() {
        Ok(drive) => drive,
        Err(why) => return skipped("D09", &why),
    };
    let mut server = start_on(drive.arg(), "everysec");
    let mut client = server.connect();
    client.run("SET before 1").is("+OK");
    let witness_path = drive.path().join("witness");
    let mut witness = fs::File::create(&witness_path).expect("there is room for a name");
    drive.run_out();
    let value = "x".repeat(1 << 20);
    client.run(&format!("SET dropped {value}")).is("+OK");
    witness.write_all(value.as_bytes()).expect("a write goes to the page cache");
    wait_until("a sync has failed", || server.log().contains("Fail to fsync the AOF file"));
    client.run("SET refused x").starts("-MISCONF Errors writing to the AOF file: ");
    client.run("STRLEN dropped").is(":1048576");
    witness.sync_data().expect_err("there is no room");
    drive.give_room();
    witness.sync_data().expect("this disk says so");
    drop(witness);
    wait_until("all data is in a new file", || client.run("SET after 1").wire() == "+OK");
    server.kill();

    drive.restart();
    let kept = fs::read(&witness_path).expect("it has a name");
    assert_ne!(kept, value.as_bytes(), "the disk has dropped nothing: this shows nothing");
    let server = start_on(drive.arg(), "everysec");
    let mut client = server.connect();
    client.run("EXISTS before dropped after").is(":3");
    client.run("GET dropped").is(&format!("$1048576\r\n{value}"));
    client.run("DBSIZE").is(":3");
    drop(server);
}

#[test]
fn d10_a_full_disk_under_everysec_refuses_writes_until_there_is_room() {
    let Some(drive) = small_drive("D10") else { return };
    let mut server = start_on(drive.arg(), "everysec");
    let mut client = server.connect();
    let count = fill(&mut client);
    let mut other = server.connect();
    other.run("SET refused x").is(FULL);
    other.run("PING").is(FULL);
    other.run("GET key:0").starts("$1000");
    fs::remove_file(drive.path().join("ballast")).expect("it is there");
    client.reply().is("+OK"); // the one that did not fit
    other.run("SET after 1").is("+OK");
    server.kill();

    let server = start_on(drive.arg(), "everysec");
    server.connect().run("DBSIZE").is(&format!(":{}", count + 2));
    assert!(!server.log().contains("short read"), "{}", server.log());
    drop(server);
}

#[test]
fn d11_a_full_disk_under_always_ends_the_server_and_all_acknowledged_is_kept() {
    let Some(drive) = small_drive("D11") else { return };
    let mut server = start_on(drive.arg(), "always");
    let count = fill(&mut server.connect());
    assert_eq!(server.wait_exit().code(), Some(1));
    let expected =
        "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...";
    assert!(server.log().contains(expected), "{}", server.log());
    assert!(log_in(drive.path()).exists());

    fs::remove_file(drive.path().join("ballast")).expect("it is there");
    let server = start_on(drive.arg(), "always");
    server.connect().run("DBSIZE").is(&format!(":{count}"));
    drop(server);
}

#[test]
fn s04_a_shutdown_that_cannot_write_the_log_is_refused() {
    let Some(drive) = small_drive("S04") else { return };
    let mut server = start_on(drive.arg(), "everysec");
    fill(&mut server.connect());
    let mut client = server.connect();
    client.run("SHUTDOWN").is("-ERR Errors trying to SHUTDOWN. Check logs.");
    server.signal(rustix::process::Signal::TERM);
    client.run("GET key:0").starts("$1000");
    client.send(encode_line("SHUTDOWN NOSAVE FORCE"));
    client.expect_closed();
    assert_eq!(server.wait_exit().code(), Some(0));
}
