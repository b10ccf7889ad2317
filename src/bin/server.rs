//! The server: `server [redis.conf] --port 6379 ...`, every directive also as a flag.

use std::process::ExitCode;

fn main() -> ExitCode {
    mini_redis::host::run()
}
