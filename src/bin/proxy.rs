//! The proxy: `proxy --port 7000 --nodes host:port,host:port,...`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mini_redis::proxy::run()
}
