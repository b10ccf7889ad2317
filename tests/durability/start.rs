//! D06, D33-D35: a directory in use, one that cannot be written, files that vanish, and a crash at any step of a start.

use std::fs;

use crate::support::data::{Data, with_log};
use crate::support::drive::Mount;
use crate::support::server::free_port;
use crate::support::strace::{Trace, can_trace};
use crate::support::{TestServer, skipped, wait_until};

#[test]
fn d33_a_second_server_on_the_same_directory_refuses_to_start() {
    let data = Data::new();
    let mut first = data.start(&["--appendfsync", "always"]);
    let mut client = first.connect();
    client.run("SET a 1").is("+OK");
    let mut second = data.spawn(&[], &[]);
    assert_eq!(second.wait_exit().code(), Some(1));
    assert!(second.log().contains("is in use by another server"), "{}", second.log());
    client.run("SET b 1").is("+OK");
    first.kill();
    data.start(&[]).connect().run("EXISTS a b").is(":2");
}

/// Starts a server with this data directory, which must refuse and name it.
fn refuses(folder: &str) {
    let mut server = TestServer::spawn(&[], &with_log(folder), free_port());
    assert_eq!(server.wait_exit().code(), Some(1), "{}", server.log());
    assert!(server.log().contains(folder), "{}", server.log());
    assert!(!server.log().contains("Ready to accept"), "{}", server.log());
}

#[test]
fn d34_a_data_directory_that_is_a_file_is_refused() {
    let data = Data::new();
    let file = data.path().join("file");
    fs::write(&file, "not a directory").expect("it is ours");
    refuses(file.to_str().expect("a name of ours"));
    assert_eq!(fs::read(&file).expect("it is there"), b"not a directory");
}

#[test]
fn d34_a_data_directory_that_cannot_be_written_is_refused() {
    match Mount::small(1 << 20) {
        Ok(drive) => {
            drive.protect();
            refuses(drive.arg());
        }
        Err(why) => skipped("D34", &why),
    }
}

#[test]
fn d35_a_log_that_was_unlinked_is_noticed_and_written_again() {
    let data = Data::new();
    let mut server = data.start(&[]);
    let mut client = server.connect();
    client.run("SET a 1").is("+OK");
    fs::remove_file(data.log()).expect("it is there");
    wait_until("the server has noticed", || {
        client.run("SET b 1").is("+OK");
        server.log().contains("was removed")
    });
    let manifest = data.path().join("appendonlydir/appendonly.aof.manifest");
    wait_until("the data is in new files", || {
        let text = fs::read_to_string(&manifest).expect("it is there");
        !text.contains("appendonly.aof.1.incr.aof")
    });
    server.kill();
    data.start(&[]).connect().run("EXISTS a b").is(":2");
}

/// Kills the server before each call by which a first start changes the directory; the next start works, and what an
/// interrupted one has left is no data.
#[test]
fn d06_a_start_that_is_killed_at_any_step_leaves_a_directory_that_works() {
    if !can_trace() {
        return skipped("D06", "strace is missing or may not trace");
    }
    let mut steps = 0;
    for call in ["mkdir", "openat", "write", "fdatasync", "fsync", "rename"] {
        for when in 1.. {
            let data = Data::new();
            let trace = Trace::new(&[
                &format!("trace={call}"),
                &format!("inject={call}:signal=KILL:when={when}"),
            ]);
            // Only calls about the data: a library that is loaded is none of it.
            let trace = ["", "appendonlydir", "appendonlydir/appendonly.aof.1.incr.aof"]
                .iter()
                .chain(&["appendonlydir/temp-appendonly.aof.manifest"])
                .fold(trace, |trace, name| trace.of_file(&data.path().join(name)));
            let mut server = data.spawn(&trace.wrapper(), &["--appendfsync", "always"]);
            let died = server.dies_before_it_is_ready();
            server.kill();
            if !died {
                break; // there are fewer such calls
            }
            steps += 1;
            let mut server = data.start(&["--appendfsync", "always"]);
            server.connect().run("SET a 1").is("+OK");
            server.kill();
            data.start(&[]).connect().run("GET a").is("$1\r\n1");
        }
    }
    assert!(steps >= 6, "only {steps} steps were seen");
}
