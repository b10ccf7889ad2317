//! The proxy. It is not built yet.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!(
        "proxy: not built yet in version {}; see README.md for what there is",
        mini_redis::version::VERSION
    );
    ExitCode::FAILURE
}
