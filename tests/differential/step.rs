//! One step of a stream: what is sent, whether a reply is due for it, and how it is printed.
//!
//! Leaves sending to [`crate::session`] and the choice of steps to [`crate::groups`].

use std::fmt;

use crate::reply::quoted;

/// One argument of a command, binary-safe.
pub type Arg = Vec<u8>;

/// What the test does next on the connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A command, sent as an array of bulk strings.
    Command(Vec<Arg>),
    /// Bytes sent as they are: inline requests, requests without arguments, protocol errors.
    Raw(RawLine),
    /// `SCAN` from cursor 0 until it returns to 0, with these options; the answer is the set of all keys returned.
    FullScan(Vec<Arg>),
    /// `RANDOMKEY`, then `EXISTS` of the key it named; the answer is the second reply.
    RandomKey,
}

/// Bytes that are no array of bulk strings, and what they lead to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawLine {
    /// Sent as they are.
    pub bytes: &'static [u8],
    /// What the server answers with.
    pub effect: RawEffect,
}

/// What a [`RawLine`] leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RawEffect {
    /// One reply.
    Reply,
    /// No reply at all.
    Nothing,
    /// One error reply, then the connection ends.
    Closes,
}

impl Step {
    /// A command from words, for the steps the test adds itself.
    pub fn command(words: &[&str]) -> Self {
        Self::Command(words.iter().map(|word| word.as_bytes().to_vec()).collect())
    }

    /// Whether the server ends the connection after this step.
    pub fn closes(&self) -> bool {
        match self {
            Self::Command(args) => is_word(args, 0, "QUIT"),
            Self::Raw(line) => line.effect == RawEffect::Closes,
            Self::FullScan(_) | Self::RandomKey => false,
        }
    }

    /// Whether it can be sent before the replies of the steps before it were read.
    pub fn can_be_pipelined(&self) -> bool {
        matches!(self, Self::Command(_) | Self::Raw(_)) && !self.closes()
    }

    /// The bytes to send. A full scan and a random key are sent by the session, which needs their replies.
    pub fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Command(args) => encode_command(args, into),
            Self::Raw(line) => into.extend_from_slice(line.bytes),
            Self::FullScan(_) | Self::RandomKey => {}
        }
    }
}

/// Appends a request of `args` as an array of bulk strings.
pub fn encode_command(args: &[Arg], into: &mut Vec<u8>) {
    into.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        into.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        into.extend_from_slice(arg);
        into.extend_from_slice(b"\r\n");
    }
}

/// Whether argument `index` is `word`, in any case.
pub fn is_word(args: &[Arg], index: usize, word: &str) -> bool {
    args.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
}

/// Prints a stream the way one would type it at redis-cli.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(args) => f.write_str(&words(args)),
            Self::Raw(line) => write!(f, "raw bytes: {}", quoted(line.bytes)),
            Self::FullScan(options) => write!(f, "SCAN (all of it) {}", words(options)),
            Self::RandomKey => f.write_str("RANDOMKEY (then EXISTS of it)"),
        }
    }
}

fn words(args: &[Arg]) -> String {
    args.iter().map(|arg| word(arg)).collect::<Vec<_>>().join(" ")
}

/// A number or a word in capitals (a name or an option) as it is, everything else in quotes.
fn word(arg: &[u8]) -> String {
    let is_plain =
        |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-._".contains(byte);
    if !arg.is_empty() && arg.len() < 40 && arg.iter().all(is_plain) {
        String::from_utf8_lossy(arg).into_owned()
    } else {
        quoted(arg)
    }
}

/// The part of a connection's state that decides whether a request is answered: `CLIENT REPLY`.
/// (Redis: `CLIENT_REPLY_OFF`, `CLIENT_REPLY_SKIP` and `CLIENT_REPLY_SKIP_NEXT` of `client.flags`.)
#[derive(Clone, Copy, Default, Debug)]
pub struct ReplyMode {
    off: bool,
    skip_next: bool,
}

impl ReplyMode {
    /// Whether the next ordinary request is not answered.
    pub fn is_silent(self) -> bool {
        self.off || self.skip_next
    }

    /// Takes note of a step about to be sent; true when it will be answered.
    pub fn expects_reply(&mut self, step: &Step) -> bool {
        let silent = self.is_silent();
        let skipped = std::mem::take(&mut self.skip_next);
        match step {
            Step::Raw(line) => !silent && line.effect != RawEffect::Nothing,
            Step::Command(args) if is_word(args, 0, "RESET") && args.len() == 1 => {
                self.off = false;
                !skipped
            }
            Step::Command(args)
                if args.len() == 3 && is_word(args, 0, "CLIENT") && is_word(args, 1, "REPLY") =>
            {
                self.client_reply(args, silent)
            }
            _ => !silent,
        }
    }

    fn client_reply(&mut self, args: &[Arg], silent: bool) -> bool {
        if is_word(args, 2, "ON") {
            self.off = false;
            true
        } else if is_word(args, 2, "OFF") {
            self.off = true;
            false
        } else if is_word(args, 2, "SKIP") {
            self.skip_next = !self.off;
            false
        } else {
            !silent
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_reply_decides_what_is_answered() {
        let mut mode = ReplyMode::default();
        let expected = [
            ("GET a", true),
            ("client reply skip", false),
            ("GET a", false),
            ("GET a", true),
            ("CLIENT REPLY SKIP", false),
            ("CLIENT REPLY ON", true),
            ("CLIENT REPLY OFF", false),
            ("CLIENT REPLY SKIP", false),
            ("CLIENT REPLY BAD", false),
            ("RESET", true),
            ("CLIENT REPLY BAD", true),
        ];
        for (words, answered) in expected {
            let step = Step::command(&words.split(' ').collect::<Vec<_>>());
            assert_eq!(mode.expects_reply(&step), answered, "{words}");
        }
    }

    #[test]
    fn a_stream_is_printed_as_one_would_type_it() {
        assert_eq!(
            Step::command(&["SET", "k", "a b", "XX", "EX", "100"]).to_string(),
            "SET \"k\" \"a b\" XX EX 100"
        );
    }
}
