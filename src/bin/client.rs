//! The client: `client [host:port] [command args...]`; without a command, a prompt.

use std::process::ExitCode;

fn main() -> ExitCode {
    mini_redis::cli::run(std::env::args_os())
}
