//! Parts of replies become one reply, in the order of the request. If a part is an error, the reply is that error: never a
//! short array.

use super::Proxy;
use super::link::Recipient;
use super::routing::Gather;
use crate::resp::number::parse_i64;
use crate::resp::{Protocol, Reply, ReplyEnd};

/// A reply of which parts are missing.
#[derive(Debug)]
pub(super) struct Join {
    /// Who gets it.
    pub recipient: Recipient,
    gather: Gather,
    protocol: Protocol,
    missing: usize,
    parts: Vec<Vec<u8>>,
    /// For each element of the reply the part it is in.
    order: Vec<u32>,
    sum: i64,
    error: Option<Vec<u8>>,
    /// A number that chooses between parts.
    chance: u64,
    /// What the request was about, if that matters: the node that a `SCAN` is at.
    pub scan: Option<usize>,
}

impl Join {
    /// Waits for so many parts.
    pub fn new(
        recipient: Recipient,
        gather: Gather,
        parts: usize,
        order: Vec<u32>,
        protocol: Protocol,
    ) -> Join {
        let keeps = !matches!(gather, Gather::Ok | Gather::Sum);
        Join {
            recipient,
            gather,
            protocol,
            missing: parts,
            parts: if keeps { vec![Vec::new(); parts] } else { Vec::new() },
            order,
            sum: 0,
            error: None,
            chance: 0,
            scan: None,
        }
    }

    /// Lets chance decide where it has to.
    pub fn with_chance(mut self, chance: u64) -> Join {
        self.chance = chance;
        self
    }

    /// Takes a part. Whether it was the last one.
    fn take(&mut self, part: usize, reply: &[u8]) -> bool {
        self.missing -= 1;
        if reply.first() == Some(&b'-') {
            self.error.get_or_insert_with(|| reply.to_vec());
        } else if let Some(place) = self.parts.get_mut(part) {
            *place = reply.to_vec();
        } else if self.gather == Gather::Sum {
            match reply.strip_prefix(b":").and_then(|rest| parse_i64(rest.strip_suffix(b"\r\n")?)) {
                Some(number) => self.sum = self.sum.saturating_add(number),
                None => self.error = Some(UNFIT.to_vec()),
            }
        }
        self.missing == 0
    }

    /// The reply.
    fn made(&self) -> Vec<u8> {
        if let Some(error) = &self.error {
            return error.clone();
        }
        let made = match self.gather {
            Gather::Ok => Some(b"+OK\r\n".to_vec()),
            Gather::Sum => Some(format!(":{}\r\n", self.sum).into_bytes()),
            Gather::ByKey => self.by_key(),
            Gather::Concatenated => self.concatenated(),
            Gather::Any => self.parts.first().cloned(),
            Gather::AnyThere => Some(self.any_there()),
            Gather::EachEverywhere => self.each_everywhere(),
        };
        made.unwrap_or_else(|| UNFIT.to_vec())
    }

    fn by_key(&self) -> Option<Vec<u8>> {
        let mut rests: Vec<&[u8]> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            rests.push(array(part)?.1);
        }
        let bytes: usize = rests.iter().map(|rest| rest.len()).sum();
        let mut reply = Vec::with_capacity(bytes + 16);
        reply.extend_from_slice(format!("*{}\r\n", self.order.len()).as_bytes());
        for &part in &self.order {
            let rest = rests.get_mut(part as usize)?;
            let (element, tail) = rest.split_at(element_len(rest)?);
            reply.extend_from_slice(element);
            *rest = tail;
        }
        Some(reply)
    }

    fn concatenated(&self) -> Option<Vec<u8>> {
        let arrays: Option<Vec<_>> = self.parts.iter().map(|part| array(part)).collect();
        let arrays = arrays?;
        let elements: usize = arrays.iter().map(|(len, _)| len).sum();
        let head = format!("*{elements}\r\n").into_bytes();
        Some(arrays.into_iter().fold(head, |mut reply, (_, rest)| {
            reply.extend_from_slice(rest);
            reply
        }))
    }

    fn any_there(&self) -> Vec<u8> {
        let is_null = |part: &[u8]| part == b"$-1\r\n" || part == b"_\r\n";
        let there: Vec<&Vec<u8>> = self.parts.iter().filter(|part| !is_null(part)).collect();
        if there.is_empty() {
            let mut reply = Reply::new(self.protocol);
            reply.null();
            return reply.output.to_vec();
        }
        there[(self.chance % there.len() as u64) as usize].clone()
    }

    /// `SCRIPT EXISTS`: an array of integers, each the least of those at its place.
    fn each_everywhere(&self) -> Option<Vec<u8>> {
        let mut everywhere: Option<Vec<bool>> = None;
        for part in &self.parts {
            let (len, rest) = array(part)?;
            let has: Vec<bool> =
                rest.split(|&byte| byte == b'\n').map(|line| line == b":1\r").collect();
            let has = has.get(..len)?;
            let before = everywhere.get_or_insert_with(|| vec![true; len]);
            before.iter_mut().zip(has).for_each(|(before, has)| *before &= has);
        }
        let everywhere = everywhere?;
        let head = format!("*{}\r\n", everywhere.len()).into_bytes();
        Some(everywhere.into_iter().fold(head, |mut reply, has| {
            reply.extend_from_slice(if has { b":1\r\n" } else { b":0\r\n" });
            reply
        }))
    }
}

/// The error where nodes answer what is no such reply.
const UNFIT: &[u8] = b"-ERR the replies of the nodes do not fit together\r\n";

/// The number of elements of an array or set, and their bytes.
fn array(reply: &[u8]) -> Option<(usize, &[u8])> {
    let end = memchr::memchr(b'\n', reply)?;
    let line = reply[..end].strip_suffix(b"\r")?;
    let number = line.strip_prefix(b"*").or_else(|| line.strip_prefix(b"~"))?;
    Some((usize::try_from(parse_i64(number)?).ok()?, &reply[end + 1..]))
}

/// Length of the first element.
fn element_len(rest: &[u8]) -> Option<usize> {
    ReplyEnd::new().advance(rest).ok()?
}

impl Proxy {
    /// A part of a reply is there; if it was the last one, so is the reply.
    pub(super) fn part_came(&mut self, join: usize, part: usize, reply: &[u8]) {
        let Some(state) = self.joins.get_mut(join) else { return };
        if !state.take(part, reply) {
            return;
        }
        let join = self.joins.remove(join);
        let reply = match join.scan {
            Some(position) if join.error.is_none() => self.scanned(position, &join.parts[0]),
            _ => join.made(),
        };
        self.hand_over(join.recipient, &reply);
    }
}

/// The two words of a page of a scan: the cursor, and what follows it.
pub(super) fn page(reply: &[u8]) -> Option<(u64, &[u8])> {
    let rest = reply.strip_prefix(b"*2\r\n")?;
    let (cursor, tail) = rest.split_at(element_len(rest)?);
    let start = memchr::memchr(b'\n', cursor)? + 1;
    let digits = std::str::from_utf8(cursor[start..].strip_suffix(b"\r\n")?).ok()?;
    Some((digits.parse().ok()?, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(gather: Gather, order: &[u32], parts: &[&str]) -> String {
        let mut join =
            Join::new(Recipient::Nobody, gather, parts.len(), order.to_vec(), Protocol::Resp2);
        for (part, reply) in parts.iter().enumerate().rev() {
            assert_eq!(join.take(part, reply.as_bytes()), part == 0);
        }
        String::from_utf8(join.made()).unwrap()
    }

    #[test]
    fn parts_become_one_reply() {
        assert_eq!(joined(Gather::Ok, &[], &["+OK\r\n", "+OK\r\n"]), "+OK\r\n");
        assert_eq!(joined(Gather::Sum, &[], &[":2\r\n", ":40\r\n"]), ":42\r\n");
        let parts = ["*2\r\n$1\r\na\r\n$-1\r\n", "*1\r\n$2\r\n\r\n\r\n"];
        assert_eq!(
            joined(Gather::ByKey, &[0, 1, 0], &parts),
            "*3\r\n$1\r\na\r\n$2\r\n\r\n\r\n$-1\r\n"
        );
        assert_eq!(
            joined(Gather::Concatenated, &[], &parts),
            "*3\r\n$1\r\na\r\n$-1\r\n$2\r\n\r\n\r\n"
        );
        assert_eq!(joined(Gather::AnyThere, &[], &["$-1\r\n", "$1\r\nk\r\n"]), "$1\r\nk\r\n");
        assert_eq!(joined(Gather::AnyThere, &[], &["$-1\r\n", "$-1\r\n"]), "$-1\r\n");
        let parts = ["*2\r\n:1\r\n:1\r\n", "*2\r\n:0\r\n:1\r\n"];
        assert_eq!(joined(Gather::EachEverywhere, &[], &parts), "*2\r\n:0\r\n:1\r\n");
    }

    #[test]
    fn x09_a_part_that_is_an_error_makes_the_reply_one() {
        for (gather, other) in [
            (Gather::Ok, "+OK\r\n"),
            (Gather::Sum, ":1\r\n"),
            (Gather::ByKey, "*1\r\n:1\r\n"),
            (Gather::Concatenated, "*0\r\n"),
        ] {
            let parts = ["-ERR no\r\n", other];
            assert_eq!(joined(gather, &[0, 1], &parts), "-ERR no\r\n");
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_an_error() {
        let unfit = String::from_utf8(UNFIT.to_vec()).unwrap();
        assert_eq!(joined(Gather::ByKey, &[0, 1, 0], &["*1\r\n:1\r\n", "*1\r\n:1\r\n"]), unfit);
        assert_eq!(joined(Gather::ByKey, &[0, 0], &["*2\r\n:1\r\n"]), unfit);
        assert_eq!(joined(Gather::Sum, &[], &["+OK\r\n"]), unfit);
        assert_eq!(joined(Gather::EachEverywhere, &[], &["*9\r\n:1\r\n"]), unfit);
    }
}
