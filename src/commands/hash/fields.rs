//! `FIELDS numfields field [field ...]`, the end of the commands that came with expire times of fields.

use crate::commands::CommandError;
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// Valkey's text, whatever of it is wrong.
const BAD_NUMBER: CommandError = CommandError::Text(
    "ERR numfields should be greater than 0 and match the provided number of fields",
);

/// A list of fields, or of fields and values.
pub(super) struct Fields<'a> {
    /// Where the word `FIELDS` is.
    pub at: usize,
    /// What follows the number.
    pub list: Args<'a>,
}

impl<'a> Fields<'a> {
    /// Finds the word at `first` or later. What is between is for `check_options`, which is asked before the number is
    /// looked at. A field takes `width` arguments.
    pub fn find<T>(
        args: &Args<'a>,
        first: usize,
        width: usize,
        check_options: impl FnOnce(Args<'a>) -> Result<T, CommandError>,
    ) -> Result<(Self, T), CommandError> {
        let is_word = |&at: &usize| args.bytes(at).eq_ignore_ascii_case(b"fields");
        let at = (first..args.len() - 1).find(is_word).ok_or(BAD_NUMBER)?;
        let options = check_options(args.head(at).tail(first))?;
        let fields = Self { at, list: args.tail(at + 2) };
        if fields.numbers(args, width)? { Ok((fields, options)) } else { Err(BAD_NUMBER) }
    }

    /// The fields of a command that has the word at 2, without options. `mismatch` says what is wrong with a number
    /// that is not that of the fields.
    pub fn at_2(args: &Args<'a>, mismatch: Mismatch) -> Result<Args<'a>, CommandError> {
        if !args.bytes(2).eq_ignore_ascii_case(b"fields") {
            return Err(CommandError::Syntax);
        }
        let fields = Self { at: 2, list: args.tail(4) };
        match (fields.numbers(args, 1)?, mismatch) {
            (true, _) => Ok(fields.list),
            (false, Mismatch::Explained) => Err(BAD_NUMBER),
            (false, Mismatch::Syntax) => Err(CommandError::Syntax),
        }
    }

    /// Whether the number is that of the fields that follow it.
    fn numbers(&self, args: &Args<'_>, width: usize) -> Result<bool, CommandError> {
        let number = parse_i64(args.bytes(self.at + 1)).ok_or(CommandError::NotAnInteger)?;
        let arguments = usize::try_from(number).ok().and_then(|number| number.checked_mul(width));
        Ok(number > 0 && arguments == Some(self.list.len()))
    }
}

/// How a wrong number of fields is reported: Valkey has two ways.
#[derive(Clone, Copy)]
pub(super) enum Mismatch {
    /// By a text of its own.
    Explained,
    /// As a syntax error.
    Syntax,
}
