//! The command-line client as a process.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The client program.
pub const CLIENT: &str = env!("CARGO_BIN_EXE_client");

/// The client at `address` with arguments that hold no spaces, all of its streams piped.
pub fn command(address: SocketAddr, line: &str) -> Command {
    let mut command = Command::new(CLIENT);
    command.arg(address.to_string()).args(line.split_whitespace());
    command.env_remove("REDISCLI_AUTH").env("HOME", "/nonexistent");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts it.
pub fn start(address: SocketAddr, line: &str) -> Child {
    command(address, line).spawn().expect("the client starts")
}

/// Runs it to its end with something on its standard input.
pub fn run(address: SocketAddr, line: &str, input: &[u8]) -> Output {
    let mut child = start(address, line);
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    let _ = writer.join(); // the client need not read all
    output
}

/// What it has printed.
pub fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

/// What it has complained of.
pub fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("text")
}

/// Ctrl-C.
pub fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).expect("it runs");
}
