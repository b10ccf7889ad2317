//! `--askpass`: a password that is typed and not shown.

use std::borrow::Cow;
use std::io::{self, BufRead, IsTerminal};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{ColorMode, Config, Editor, Helper};

use super::failure::Failure;

/// Shows a star for each character.
struct Mask;

impl Highlighter for Mask {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Owned("*".repeat(line.chars().count()))
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        true // else what is typed is written as it is
    }
}

impl Completer for Mask {
    type Candidate = String;
}
impl Hinter for Mask {
    type Hint = String;
}
impl Validator for Mask {}
impl Helper for Mask {}

/// Asks at the terminal, or reads the first line of what is no terminal.
pub fn ask() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(Failure::Input)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let failed = |error| match error {
        ReadlineError::Interrupted | ReadlineError::Eof => Failure::Interrupted,
        error => Failure::Input(io::Error::other(error)),
    };
    // The mask is a colour to the editor: it is not to be left out where there are none.
    let config = Config::builder()
        .color_mode(ColorMode::Forced)
        .behavior(rustyline::Behavior::PreferTerm)
        .build();
    let mut editor = Editor::<Mask, _>::with_config(config).map_err(failed)?;
    editor.set_helper(Some(Mask));
    editor.readline("Password: ").map_err(failed)
}
