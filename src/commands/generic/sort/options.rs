//! The options of `SORT`.

use std::ops::Range;

use super::pattern::Pattern;
use crate::commands::CommandError;
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// What a call asks for. Of an option that comes twice the last counts, but for `GET`, which may come often.
pub(super) struct Options<'a> {
    pub descending: bool,
    /// Compares texts instead of numbers.
    pub alpha: bool,
    /// What to compare instead of the elements.
    pub by: Option<Pattern<'a>>,
    /// `BY` was given a name that is the same for all elements: they stay in their order.
    pub unsorted: bool,
    /// What to return instead of the elements.
    pub get: Vec<Pattern<'a>>,
    pub store: Option<&'a [u8]>,
    offset: i64,
    count: i64,
}

impl<'a> Options<'a> {
    /// Reads the options; `STORE` is only for the command that may write.
    pub fn parse(mut rest: Args<'a>, may_store: bool) -> Result<Self, CommandError> {
        let mut options = Self {
            descending: false,
            alpha: false,
            by: None,
            unsorted: false,
            get: Vec::new(),
            store: None,
            offset: 0,
            count: -1,
        };
        while let Some(option) = rest.get(0) {
            let taken = match (option.to_ascii_lowercase().as_slice(), rest.get(1), rest.get(2)) {
                (b"asc", ..) => {
                    options.descending = false;
                    1
                }
                (b"desc", ..) => {
                    options.descending = true;
                    1
                }
                (b"alpha", ..) => {
                    options.alpha = true;
                    1
                }
                (b"limit", Some(offset), Some(count)) => {
                    options.offset = parse_i64(offset).ok_or(CommandError::NotAnInteger)?;
                    options.count = parse_i64(count).ok_or(CommandError::NotAnInteger)?;
                    3
                }
                (b"store", Some(key), _) if may_store => {
                    options.store = Some(key);
                    2
                }
                (b"by", Some(pattern), _) => {
                    let pattern = Pattern::new(pattern);
                    options.unsorted |= pattern.is_constant();
                    options.by = Some(pattern);
                    2
                }
                (b"get", Some(pattern), _) => {
                    options.get.push(Pattern::new(pattern));
                    2
                }
                _ => return Err(CommandError::Syntax),
            };
            rest = rest.tail(taken);
        }
        Ok(options)
    }

    /// Which of `len` sorted elements are asked for.
    pub fn window(&self, len: usize) -> Range<usize> {
        let start = usize::try_from(self.offset.max(0)).map_or(len, |offset| offset.min(len));
        let count = usize::try_from(self.count).unwrap_or(usize::MAX); // a negative one means all
        start..start.saturating_add(count).min(len)
    }
}
