//! Commands and comments in the bytes of a log, one at a time. Stricter than what clients may send.

use std::ops::Range;

/// Longest line of a comment, and of a count or a length. Redis reads comments of up to 1,024 bytes.
const LINE_BYTES_MAX: usize = 1024;
/// Most arguments of a command, as for clients.
const ARGUMENTS_MAX: u64 = 1 << 31;
/// Longest argument, as for clients at most.
const ARGUMENT_BYTES_MAX: u64 = 1 << 40;

/// What stands at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// A whole command.
    Command {
        /// Where it ends.
        end: usize,
        /// Where its name is.
        name: Range<usize>,
    },
    /// A line that begins with `#`.
    Comment {
        /// Where it ends, its line end included.
        end: usize,
    },
    /// The bytes end within it.
    Partial,
    /// Neither a command nor a comment: what is wrong begins here.
    Bad(usize),
}

/// What stands at `at`. O(arguments).
pub fn item(bytes: &[u8], at: usize) -> Item {
    match bytes.get(at) {
        None => Item::Partial,
        Some(b'#') => match line(bytes, at) {
            Ok(Some(end)) => Item::Comment { end: end + 2 },
            Ok(None) => Item::Partial,
            Err(at) => Item::Bad(at),
        },
        Some(b'*') => match command(bytes, at) {
            Ok(Some((end, name))) => Item::Command { end, name },
            Ok(None) => Item::Partial,
            Err(at) => Item::Bad(at),
        },
        Some(_) => Item::Bad(at),
    }
}

/// `Ok(None)`: the bytes end too early. `Err`: where it is wrong.
type Found<T> = Result<Option<T>, usize>;

fn command(bytes: &[u8], at: usize) -> Found<(usize, Range<usize>)> {
    let Some((count, mut next)) = number(bytes, at, ARGUMENTS_MAX)? else { return Ok(None) };
    if count == 0 {
        return Err(at);
    }
    let mut name = None;
    for _ in 0..count {
        match bytes.get(next) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(_) => return Err(next),
        }
        let Some((len, start)) = number(bytes, next, ARGUMENT_BYTES_MAX)? else { return Ok(None) };
        let Some(end) = usize::try_from(len).ok().and_then(|len| start.checked_add(len)) else {
            return Err(next);
        };
        match bytes.get(end..) {
            Some([b'\r', b'\n', ..]) => {}
            None | Some([] | [b'\r']) => return Ok(None),
            Some(_) => return Err(end),
        }
        name = name.or(Some(start..end));
        next = end + 2;
    }
    Ok(name.map(|name| (next, name)))
}

/// The number in the line at `at`, behind its first byte, and where the next line begins.
fn number(bytes: &[u8], at: usize, max: u64) -> Found<(u64, usize)> {
    let Some(end) = line(bytes, at)? else { return Ok(None) };
    let digits = &bytes[at + 1..end];
    let is_number = !digits.is_empty()
        && digits.len() <= 20
        && digits.iter().all(u8::is_ascii_digit)
        && (digits.len() == 1 || digits[0] != b'0');
    let text = str::from_utf8(digits).ok().filter(|_| is_number);
    match text.and_then(|text| text.parse().ok()).filter(|&number| number <= max) {
        Some(number) => Ok(Some((number, end + 2))),
        None => Err(at),
    }
}

/// Where the line at `at` ends; two bytes of line end follow.
fn line(bytes: &[u8], at: usize) -> Found<usize> {
    let rest = &bytes[at..];
    let rest = &rest[..rest.len().min(LINE_BYTES_MAX)];
    match memchr::memchr(b'\n', rest) {
        Some(newline) if newline > 0 && rest[newline - 1] == b'\r' => Ok(Some(at + newline - 1)),
        Some(newline) => Err(at + newline),
        None if rest.len() == LINE_BYTES_MAX => Err(at),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n";

    #[test]
    fn a_command_is_found_whole_or_not() {
        assert_eq!(item(SET, 0), Item::Command { end: SET.len(), name: 8..11 });
        for len in 0..SET.len() {
            assert_eq!(item(&SET[..len], 0), Item::Partial, "{len}");
        }
        assert_eq!(item(b"#TS:1\r\n*1", 0), Item::Comment { end: 7 });
        assert_eq!(item(b"#TS:1", 0), Item::Partial);
    }

    #[test]
    fn nothing_else_is_accepted_and_no_memory_is_needed_to_say_so() {
        for (bytes, at) in [
            (&b"SET k v\r\n"[..], 0),
            (b"\0\0\0", 0),
            (b"*0\r\n", 0),
            (b"*-1\r\n", 0),
            (b"*01\r\n", 0),
            (b"*1\n", 2),
            (b"*2147483649\r\n", 0),
            (b"*9223372036854775808\r\n", 0),
            (b"*1\r\n$-1\r\n", 4),
            (b"*1\r\n:1\r\n", 4),
            (b"*1\r\n$9223372036854775807\r\n", 4),
            (b"*1\r\n$1\r\nxy\r\n", 9),
        ] {
            assert_eq!(item(bytes, 0), Item::Bad(at), "{:?}", bytes.escape_ascii().to_string());
        }
        assert_eq!(item(b"*2147483647\r\n$1\r\na\r\n", 0), Item::Partial);
    }
}
