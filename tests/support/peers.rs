//! Other servers, to be compared with or to exchange files with.
//!
//! ```text
//! MINI_REDIS_PEERS    a folder with redis8-server and valkey-server, instead of ~/.cache/redis-peers
//! ```
//! `redis-server` 7.0 is looked for on PATH, the others there, too.

use std::path::PathBuf;
use std::process::Command;

/// Where a program is that says `version` of itself: on PATH, or in the folder of peers.
pub fn find_peer(program: &str, version: &str) -> Option<String> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let folder = std::env::var_os("MINI_REDIS_PEERS")
        .map_or_else(|| home.join(".cache/redis-peers"), PathBuf::from);
    let inside = folder.join(program).to_string_lossy().into_owned();
    let is_it = |path: &String| {
        let output = Command::new(path).arg("--version").output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(version))
    };
    [program.to_string(), inside].into_iter().find(is_it)
}
