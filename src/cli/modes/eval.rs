//! `--eval FILE keys , arguments`: runs a Lua script from a file.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::failure::Failure;
use crate::cli::one_shot::show;
use crate::cli::options::Settings;
use crate::cli::session::Session;

/// Runs the script of the file, `-` for standard input. Whether its reply is no error.
pub fn run(settings: &Settings, session: &mut Session, file: &Path) -> Result<bool, Failure> {
    let words = words(script(file)?, &settings.words);
    let reply = session.run(&words, &mut |_| {})?;
    match reply.as_error() {
        Some(error) if error.starts_with(b"ERR unknown command") => Err(Failure::Refused {
            command: "EVAL",
            error: "this server has no scripting".to_owned(),
        }),
        _ => show(settings.format, &words, &reply),
    }
}

fn script(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut script = Vec::new();
    if file.as_os_str() == OsStr::new("-") {
        io::stdin().read_to_end(&mut script).map_err(Failure::Input)?;
    } else {
        script = fs::read(file).map_err(|error| Failure::file(file, error))?;
    }
    Ok(script)
}

/// `EVAL script numkeys key ... argument ...`; a comma that stands alone ends the keys.
fn words(script: Vec<u8>, arguments: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let keys = arguments.iter().position(|word| word == b",").unwrap_or(arguments.len());
    let mut words = vec![b"EVAL".to_vec(), script, keys.to_string().into_bytes()];
    words.extend_from_slice(&arguments[..keys]);
    words.extend(arguments.iter().skip(keys + 1).cloned());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_ends_the_keys() {
        let cases: &[(&str, &str)] = &[
            ("k1 k2 , a1 a2", "EVAL s 2 k1 k2 a1 a2"),
            ("k1", "EVAL s 1 k1"),
            (", a , b", "EVAL s 0 a , b"),
        ];
        for (arguments, command) in cases {
            let arguments: Vec<_> =
                arguments.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(words(b"s".to_vec(), &arguments).join(&b' '), command.as_bytes());
        }
        assert_eq!(words(b"s".to_vec(), &[]).join(&b' '), b"EVAL s 0");
    }
}
