//! What a replica and its master say to each other before data flows: lines in, requests out. No socket and no state but
//! its own.
//!
//! ```text
//! PING                          +PONG, or an error that a password will mend
//! AUTH [user] password          +OK
//! REPLCONF listening-port 6379  +OK     these may be refused: older masters do not know all of them
//! REPLCONF ip-address host      +OK
//! REPLCONF capa eof capa psync2 +OK
//! REPLCONF version 9.1.2        +OK
//! PSYNC replid offset           +FULLRESYNC replid offset, +CONTINUE [replid], or an error
//! ```
//! The master may send empty lines at any time, to say that it is there. The words are those of `syncWithMaster` in
//! Redis's replication.c.

use std::collections::VecDeque;

use super::super::ReplId;
use crate::log::Level;
use crate::resp::write_request;

/// No line of a master is longer.
const LINE_LEN_MAX: usize = 64 << 10;
/// A master of Valkey sends its newest format only to those who can read it: a replica of this version can.
const READS_LIKE: &str = "9.1.2";

/// What the replica tells of itself.
#[derive(Clone, Default, Debug)]
pub struct Greeting {
    /// `masteruser`, empty for none.
    pub user: String,
    /// `masterauth`, empty for none.
    pub password: Vec<u8>,
    /// Where clients reach the replica.
    pub port: u16,
    /// The same, if the master sees another address; empty for none.
    pub ip: String,
    /// The history that it has, and how many bytes of it; `None` if all data is to be sent.
    pub resume: Option<(ReplId, u64)>,
    /// The other server is a replica of this one, and is to become the master (`FAILOVER`).
    pub fails_over: bool,
}

/// What the master answered to `PSYNC`.
#[derive(PartialEq, Eq, Debug)]
pub enum Answer {
    /// All data follows, and then the history from an offset on.
    FullSync {
        /// The history.
        replid: ReplId,
        /// How many bytes of it are in the data.
        offset: u64,
    },
    /// The history goes on where the replica is, maybe under another name.
    Continue(Option<ReplId>),
}

/// Why the handshake has ended without an answer: a line for the log.
#[derive(PartialEq, Eq, Debug)]
pub struct Failed {
    /// How serious it is.
    pub level: Level,
    /// What happened.
    pub message: String,
}

/// What a line of the master's leads to.
#[derive(PartialEq, Eq, Debug)]
pub enum Progress {
    /// Nothing yet.
    Wait,
    /// This is to be sent.
    Send(Vec<u8>),
    /// `PSYNC` was answered.
    Answered(Answer),
}

/// Which request is answered next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Ping,
    Auth,
    /// `REPLCONF` with this option.
    Option(&'static str),
    Psync,
}

/// A handshake that is going on.
#[derive(Debug)]
pub struct Handshake {
    greeting: Greeting,
    /// Requests that were sent and not answered.
    sent: VecDeque<Step>,
    line: Vec<u8>,
    /// Lines for the log.
    notes: Vec<String>,
}

impl Handshake {
    /// Begins; returns the first request, too.
    pub fn begin(greeting: Greeting) -> (Self, Vec<u8>) {
        let sent = VecDeque::from([Step::Ping]);
        (Self { greeting, sent, line: Vec::new(), notes: Vec::new() }, request(&[b"PING"]))
    }

    /// What is to be noted in the log since this was last asked.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Takes bytes of the master's off the front of `bytes`, up to the end of a line.
    pub fn feed(&mut self, bytes: &mut &[u8]) -> Result<Progress, Failed> {
        let end = memchr::memchr(b'\n', bytes);
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.line.extend_from_slice(part);
        *bytes = rest;
        if self.line.len() > LINE_LEN_MAX {
            return warning("The master sends no line end in the replication handshake".into());
        }
        if end.is_none() {
            return Ok(Progress::Wait);
        }
        let line = std::mem::take(&mut self.line);
        match line.trim_ascii_end() {
            b"" => Ok(Progress::Wait),
            line => self.answered(line),
        }
    }

    fn answered(&mut self, line: &[u8]) -> Result<Progress, Failed> {
        let refused = line.starts_with(b"-");
        let text = String::from_utf8_lossy(line).escape_debug().to_string();
        match self.sent.pop_front() {
            Some(Step::Ping) => return self.greet(line, &text),
            Some(Step::Auth) if refused => {
                return warning(format!("Unable to AUTH to MASTER: {text}"));
            }
            Some(Step::Option(option)) if refused => self.notes.push(format!(
                "(Non critical) Master does not understand REPLCONF {option}: {text}"
            )),
            Some(Step::Psync) => return answer(line, &text).map(Progress::Answered),
            Some(Step::Auth | Step::Option(_)) => {}
            None => return warning(format!("Unexpected line from master: '{text}'")),
        }
        Ok(if self.sent.is_empty() { Progress::Send(self.psync()) } else { Progress::Wait })
    }

    /// The answer to `PING` is there: everything up to `PSYNC` goes out at once.
    fn greet(&mut self, line: &[u8], text: &str) -> Result<Progress, Failed> {
        const MENDABLE: [&[u8]; 4] =
            [b"+", b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted"];
        if !MENDABLE.iter().any(|start| line.starts_with(start)) {
            return warning(format!("Error reply to PING from master: '{text}'"));
        }
        self.notes.push("Master replied to PING, replication can continue...".to_string());
        let Greeting { user, password, port, ip, .. } = &self.greeting;
        let mut requests = Vec::new();
        if !password.is_empty() {
            let mut auth: Vec<&[u8]> = vec![b"AUTH", user.as_bytes(), password];
            auth.retain(|word| !word.is_empty());
            requests.extend(request(&auth));
            self.sent.push_back(Step::Auth);
        }
        let port = port.to_string();
        let mut options: Vec<(&'static str, Vec<&str>)> =
            vec![("listening-port", vec!["listening-port", &port])];
        if !ip.is_empty() {
            options.push(("ip-address", vec!["ip-address", ip]));
        }
        options.push(("capa", vec!["capa", "eof", "capa", "psync2"]));
        options.push(("version", vec!["version", READS_LIKE]));
        for (option, words) in options {
            let words = std::iter::once("REPLCONF").chain(words).map(str::as_bytes);
            requests.extend(request(&words.collect::<Vec<_>>()));
            self.sent.push_back(Step::Option(option));
        }
        Ok(Progress::Send(requests))
    }

    fn psync(&mut self) -> Vec<u8> {
        self.sent.push_back(Step::Psync);
        let Some((replid, offset)) = self.greeting.resume else {
            self.notes.push("Partial resynchronization not possible (no cached master)".into());
            return request(&[b"PSYNC", b"?", b"-1"]);
        };
        let next = (offset + 1).to_string();
        self.notes.push(format!("Trying a partial resynchronization (request {replid}:{next})."));
        let mut psync: Vec<&[u8]> = vec![b"PSYNC", replid.as_bytes(), next.as_bytes()];
        psync.extend(self.greeting.fails_over.then_some(&b"FAILOVER"[..]));
        request(&psync)
    }
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_request(&mut bytes, words.iter().copied());
    bytes
}

fn warning<T>(message: String) -> Result<T, Failed> {
    Err(Failed { level: Level::Warning, message })
}

/// What `PSYNC` was answered with.
fn answer(line: &[u8], text: &str) -> Result<Answer, Failed> {
    let notice = |message| Err(Failed { level: Level::Notice, message });
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    match words.next() {
        Some(b"+FULLRESYNC") => {
            let replid = words.next().and_then(ReplId::parse);
            let offset = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
            match (replid, offset) {
                (Some(replid), Some(offset)) => Ok(Answer::FullSync { replid, offset }),
                _ => warning("Master replied with wrong +FULLRESYNC syntax.".to_string()),
            }
        }
        // Whatever is no name of a history is left out, as in Redis.
        Some(b"+CONTINUE") => Ok(Answer::Continue(words.next().and_then(ReplId::parse))),
        Some(b"-NOMASTERLINK" | b"-LOADING") => notice(format!(
            "Master is currently unable to PSYNC but should be in the future: {text}"
        )),
        Some(word) if word.starts_with(b"-ERR") => {
            notice(format!("Master does not support PSYNC or is in error state (reply: {text})"))
        }
        _ => warning(format!("Unexpected reply to PSYNC from master: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the replica sends and notes, and the answer, when the master says `lines`, cut into pieces of `size` bytes.
    fn talk(
        greeting: Greeting,
        lines: &str,
        size: usize,
    ) -> (String, String, Result<Answer, String>) {
        let (mut handshake, mut sent) = Handshake::begin(greeting);
        let mut notes = Vec::new();
        for mut piece in lines.as_bytes().chunks(size) {
            while !piece.is_empty() {
                let progress = handshake.feed(&mut piece);
                notes.extend(handshake.take_notes());
                let answer = match progress {
                    Ok(Progress::Wait) => continue,
                    Ok(Progress::Send(bytes)) => {
                        sent.extend(bytes);
                        continue;
                    }
                    Ok(Progress::Answered(answer)) => Ok(answer),
                    Err(failed) => Err(failed.message),
                };
                return (words(&sent), notes.join("\n"), answer);
            }
        }
        (words(&sent), notes.join("\n"), Err("no answer".to_string()))
    }

    /// The requests, one a line.
    fn words(sent: &[u8]) -> String {
        let text = String::from_utf8(sent.to_vec()).unwrap();
        let requests = text.split('*').skip(1).map(|request| {
            let is_word = |line: &&str| !line.is_empty() && !line.starts_with('$');
            request.split("\r\n").skip(1).filter(is_word).collect::<Vec<_>>().join(" ")
        });
        requests.collect::<Vec<_>>().join("\n")
    }

    fn id(digit: u8) -> ReplId {
        ReplId::parse(&[digit; 40]).unwrap()
    }

    fn plain() -> Greeting {
        Greeting { port: 6380, ..Greeting::default() }
    }

    #[test]
    fn a_first_handshake_asks_for_everything() {
        let full = format!("+FULLRESYNC {} 714\r\n", id(b'a'));
        let lines = format!("\n\n+PONG\r\n+OK\r\n+OK\r\n+OK\r\n\n\n{full}");
        for size in [1, 2, 3, 7, 1000] {
            let (sent, notes, answer) = talk(plain(), &lines, size);
            let version = format!("REPLCONF version {READS_LIKE}");
            assert_eq!(
                sent.lines().collect::<Vec<_>>(),
                [
                    "PING",
                    "REPLCONF listening-port 6380",
                    "REPLCONF capa eof capa psync2",
                    &version,
                    "PSYNC ? -1"
                ]
            );
            assert!(notes.ends_with("Partial resynchronization not possible (no cached master)"));
            assert_eq!(answer, Ok(Answer::FullSync { replid: id(b'a'), offset: 714 }));
        }
    }

    #[test]
    fn whoever_has_a_history_asks_for_the_next_byte_of_it() {
        let greeting = Greeting {
            user: "u".into(),
            password: b"p".to_vec(),
            ip: "replica.example".into(),
            resume: Some((id(b'b'), 99)),
            ..plain()
        };
        let lines = "-NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n-ERR Unrecognized REPLCONF option: version\r\n";
        let (sent, notes, answer) = talk(greeting.clone(), &format!("{lines}+CONTINUE\r\n"), 5);
        assert!(
            sent.contains("AUTH u p\n") && sent.contains("REPLCONF ip-address replica.example")
        );
        assert!(sent.ends_with(&format!("PSYNC {} 100", id(b'b'))));
        assert!(notes.contains("Master does not understand REPLCONF version: -ERR Unrecognized"));
        assert_eq!(answer, Ok(Answer::Continue(None)));
        let (.., answer) = talk(greeting, &format!("{lines}+CONTINUE {}\r\n", id(b'c')), 1000);
        assert_eq!(answer, Ok(Answer::Continue(Some(id(b'c')))));
    }

    #[test]
    fn r25_a_wrong_password_is_told_with_the_masters_words() {
        let greeting = Greeting { password: b"wrong".to_vec(), ..plain() };
        let (_, _, answer) = talk(greeting, "-NOAUTH x\r\n-WRONGPASS invalid\r\n", 100);
        assert_eq!(answer, Err("Unable to AUTH to MASTER: -WRONGPASS invalid".to_string()));
    }

    #[test]
    fn what_a_master_may_answer_wrongly_ends_the_handshake() {
        let id = id(b'a');
        for (last, message) in [
            ("-NOMASTERLINK Can't SYNC\r\n", "Master is currently unable to PSYNC"),
            ("-LOADING Redis\r\n", "Master is currently unable to PSYNC"),
            ("-ERR unknown command\r\n", "Master does not support PSYNC"),
            ("-WRONGTYPE x\r\n", "Unexpected reply to PSYNC"),
            ("+HELLO\r\n", "Unexpected reply to PSYNC"),
            ("+FULLRESYNC abc 1\r\n", "Master replied with wrong +FULLRESYNC syntax."),
            (&format!("+FULLRESYNC {id} -1\r\n"), "Master replied with wrong +FULLRESYNC syntax."),
            (&format!("+FULLRESYNC {id}\r\n"), "Master replied with wrong +FULLRESYNC syntax."),
        ] {
            let (.., answer) = talk(plain(), &format!("+PONG\r\n+OK\r\n+OK\r\n+OK\r\n{last}"), 9);
            let error = answer.unwrap_err();
            assert!(error.starts_with(message), "{last:?}: {error}");
        }
        let (.., answer) = talk(plain(), "-ERR max number of clients reached\r\n", 9);
        assert!(answer.unwrap_err().starts_with("Error reply to PING from master: '-ERR max"));
        let (.., answer) = talk(plain(), &"x".repeat(LINE_LEN_MAX + 1), 1000);
        assert!(answer.is_err());
    }
}
