//! What was typed in earlier sessions: a file in the user's data directory, without the lines that hold a password.

use std::fs;
use std::path::PathBuf;

use crate::config::words::split_words;

/// Lines kept.
pub const LINES_MAX: usize = 1000;

/// The file, in a folder that exists. `REDISCLI_HISTFILE` names another one, and `/dev/null` there means none, as for redis-cli.
pub fn file() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("REDISCLI_HISTFILE").filter(|path| !path.is_empty()) {
        return (path != "/dev/null").then(|| path.into());
    }
    let folder = match std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
    {
        Some(folder) => folder,
        None => PathBuf::from(std::env::var_os("HOME")?).join(".local/share"),
    };
    let folder = folder.join("mini-redis");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join("client_history"))
}

/// Whether the text may be written down: no line of it holds a password. What cannot be read as commands may not, if it looks
/// like one that does.
pub fn may_keep(text: &str) -> bool {
    match split_words(text.as_bytes()) {
        Some(words) => {
            !text.lines().any(|line| holds_password(&words_of(line)))
                && !holds_password(&upper(&words))
        }
        None => {
            !text.to_ascii_uppercase().contains("AUTH")
                && !text.to_ascii_uppercase().contains("PASS")
        }
    }
}

fn words_of(line: &str) -> Vec<String> {
    upper(&split_words(line.as_bytes()).unwrap_or_default())
}

fn upper(words: &[Vec<u8>]) -> Vec<String> {
    words.iter().map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()).collect()
}

/// `words` are in upper case.
fn holds_password(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |name: &str| words.iter().any(|word| word.contains(name));
    // A number in front repeats the command.
    let words = match words.as_slice() {
        [times, rest @ ..] if times.parse::<u64>().is_ok() => rest,
        words => words,
    };
    match words {
        ["AUTH", ..] | ["ACL", "SETUSER", ..] => true,
        ["HELLO" | "MIGRATE", ..] => has("AUTH"),
        ["CONFIG", "SET", ..] | ["SENTINEL", ..] => has("PASS") || has("AUTH"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_password_are_not_kept() {
        for line in [
            "auth secret",
            "3 AUTH secret",
            "ACL setuser bob >secret",
            "HELLO 3 auth bob secret",
            "MIGRATE h 1 k 0 1 AUTH2 bob secret",
            "config set requirepass secret",
            "CONFIG SET masterauth secret",
            "GET k\nAUTH secret",
            "auth 'secret",
        ] {
            assert!(!may_keep(line), "{line}");
        }
        for line in ["GET auth", "SET k v", "CONFIG SET maxmemory 1gb", "HELLO 3", "it's"] {
            assert!(may_keep(line), "{line}");
        }
    }
}
