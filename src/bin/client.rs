//! The client. It is not built yet.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!(
        "client: not built yet in version {}; see README.md for what there is",
        mini_redis::version::VERSION
    );
    ExitCode::FAILURE
}
