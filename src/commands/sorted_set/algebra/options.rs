//! `numkeys key [key ...] [WEIGHTS ...] [AGGREGATE ...] [WITHSCORES] [LIMIT limit]`: the keys, and which option belongs to
//! which command.

use super::Operation;
use super::inputs::Input;
use crate::commands::CommandError;
use crate::resp::Args;
use crate::resp::number::{parse_f64, parse_i64};

const NOT_A_WEIGHT: CommandError = CommandError::Text("ERR weight value is not a float");
const NEGATIVE_LIMIT: CommandError = CommandError::Text("ERR LIMIT can't be negative");

/// What becomes of the scores a member has in several operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(word: &[u8]) -> Option<Self> {
        match word.to_ascii_lowercase().as_slice() {
            b"sum" => Some(Self::Sum),
            b"min" => Some(Self::Min),
            b"max" => Some(Self::Max),
            _ => None,
        }
    }

    /// Both scores as one. Infinities of both signs add up to 0.
    #[inline]
    pub(super) fn join(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum => or_zero(one + other),
            Self::Min if other < one => other,
            Self::Max if other > one => other,
            Self::Min | Self::Max => one,
        }
    }
}

/// Redis's convention for what is no number: 0 times infinity, and infinity minus infinity.
#[inline]
pub(super) fn or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// How the result is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Reply,
    Store,
    Count,
}

/// The keys, and the arguments behind them.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    args: Args<'a>,
    numkeys: usize,
}

impl<'a> Keys<'a> {
    /// Reads what begins with the number of keys. `name` is the command's.
    pub(super) fn parse(args: Args<'a>, name: &str) -> Result<Self, CommandError> {
        let numkeys = parse_i64(args.bytes(0)).ok_or(CommandError::NotAnInteger)?;
        if numkeys < 1 {
            let text = format!("ERR at least 1 input key is needed for '{name}' command");
            return Err(CommandError::Message(text));
        }
        match usize::try_from(numkeys) {
            Ok(numkeys) if numkeys < args.len() => Ok(Self { args, numkeys }),
            _ => Err(CommandError::Syntax),
        }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a [u8]> + Clone {
        (1..=self.numkeys).map(move |index| self.args.key(index))
    }

    pub(super) fn options(self) -> Args<'a> {
        self.args.tail(self.numkeys + 1)
    }
}

/// The options behind the keys, but for the weights, which the inputs get.
pub(super) struct Options {
    pub(super) aggregate: Aggregate,
    pub(super) with_scores: bool,
    /// Members that are counted at most; 0 for all.
    pub(super) limit: usize,
}

impl Options {
    /// Reads the options of a command, and sets the weights of its inputs.
    pub(super) fn parse(
        mut rest: Args<'_>,
        operation: Operation,
        purpose: Use,
        inputs: &mut [Input<'_>],
    ) -> Result<Self, CommandError> {
        let mut options = Self { aggregate: Aggregate::Sum, with_scores: false, limit: 0 };
        let (weighs, counts) =
            (operation != Operation::Difference && purpose != Use::Count, purpose == Use::Count);
        while !rest.is_empty() {
            let taken = match rest.bytes(0).to_ascii_lowercase().as_slice() {
                b"weights" if weighs && rest.len() > inputs.len() => {
                    for (input, weight) in inputs.iter_mut().zip(rest.tail(1).iter()) {
                        input.weight = parse_f64(weight).ok_or(NOT_A_WEIGHT)?;
                    }
                    1 + inputs.len()
                }
                b"aggregate" if weighs && rest.len() > 1 => {
                    options.aggregate =
                        Aggregate::parse(rest.bytes(1)).ok_or(CommandError::Syntax)?;
                    2
                }
                b"withscores" if purpose == Use::Reply => {
                    options.with_scores = true;
                    1
                }
                b"limit" if counts && rest.len() > 1 => {
                    let limit = parse_i64(rest.bytes(1)).ok_or(NEGATIVE_LIMIT)?;
                    options.limit = usize::try_from(limit).map_err(|_| NEGATIVE_LIMIT)?;
                    2
                }
                _ => return Err(CommandError::Syntax),
            };
            rest = rest.tail(taken);
        }
        Ok(options)
    }
}
