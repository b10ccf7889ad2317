//! The order of a client's replies: one place per request that waits for its reply. A reply whose turn it is goes straight to
//! the client's output, in whatever pieces it comes; one that is early is kept until its turn.

use std::collections::VecDeque;

use crate::resp::Output;

/// Early replies of so many bytes, or in several pieces, are kept by themselves.
const LONG_BYTES: usize = 16 * 1024;
/// Bytes of early replies that have had their turn, from which on their buffer is tidied up.
const STALE_BYTES: usize = 64 * 1024;

/// Places that a client keeps that waits for nothing.
const PLACES_KEPT: usize = 128;

/// Where one reply is.
#[derive(Debug)]
enum Place {
    /// It has not come.
    Waiting,
    /// It is in the buffer of early replies.
    Early { start: u32, len: u32 },
    /// It came early and is long; whether all of it is there.
    Long(Box<Output>, bool),
}

/// The replies that a client waits for.
#[derive(Debug, Default)]
pub struct Replies {
    places: VecDeque<Place>,
    /// Number of the first place. Numbers go round.
    first: u32,
    /// Short replies that came early, in the order in which they came.
    early: Vec<u8>,
    /// Bytes of `early` that have had their turn.
    stale: usize,
    /// Bytes of early replies that are long.
    long_bytes: usize,
    /// A part of the first reply has been handed out.
    is_begun: bool,
}

impl Replies {
    /// Gives memory back that only many replies at a time need.
    pub fn shrink(&mut self) {
        if self.places.is_empty() && self.places.capacity() > PLACES_KEPT {
            self.places = VecDeque::new();
        }
    }

    /// How many replies are missing, or have not had their turn.
    #[inline]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no reply is missing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether a part of the next reply has been handed out, so that nothing may come in between.
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Bytes of replies that came early.
    pub fn early_bytes(&self) -> usize {
        self.early.len() - self.stale + self.long_bytes
    }

    /// A place for the reply of the next request: its number.
    #[inline]
    pub fn expect(&mut self) -> u32 {
        let number = self.first.wrapping_add(self.places.len() as u32);
        self.places.push_back(Place::Waiting);
        number
    }

    /// The reply of the next request, which is known already.
    #[inline]
    pub fn answer(&mut self, reply: &[u8], output: &mut Output) {
        if self.places.is_empty() {
            return output.extend(reply);
        }
        let number = self.expect();
        self.deliver(number, reply, true, output);
    }

    /// A piece of the reply with that number, the last one if it `ends` there. What has its turn goes to `output`.
    #[inline]
    pub fn deliver(&mut self, number: u32, piece: &[u8], ends: bool, output: &mut Output) {
        if number != self.first {
            return self.keep(number, piece, ends);
        }
        output.extend(piece);
        self.is_begun = !ends;
        if ends {
            self.places.pop_front();
            self.first = self.first.wrapping_add(1);
            self.take_turns(output);
        }
    }

    /// Keeps what came early.
    fn keep(&mut self, number: u32, piece: &[u8], ends: bool) {
        let index = number.wrapping_sub(self.first) as usize;
        let Some(place) = self.places.get_mut(index) else {
            debug_assert!(false, "a reply for a place that is not there");
            return;
        };
        match place {
            Place::Waiting if ends && piece.len() < LONG_BYTES => {
                if let Ok(start) = u32::try_from(self.early.len()) {
                    *place = Place::Early { start, len: piece.len() as u32 };
                    self.early.extend_from_slice(piece);
                    return;
                }
                *place = Place::Long(Box::new(copied(piece)), true);
            }
            Place::Waiting => *place = Place::Long(Box::new(copied(piece)), ends),
            Place::Long(output, is_whole) => {
                debug_assert!(!*is_whole, "a reply goes on after its end");
                output.extend(piece);
                *is_whole = ends;
            }
            Place::Early { .. } => {
                debug_assert!(false, "a second reply for one request");
                return;
            }
        }
        self.long_bytes += piece.len();
    }

    /// Hands out the replies whose turn has come, up to one that is missing.
    fn take_turns(&mut self, output: &mut Output) {
        while let Some(place) = self.places.front_mut() {
            match place {
                Place::Waiting => break,
                Place::Early { start, len } => {
                    let (start, len) = (*start as usize, *len as usize);
                    output.extend(&self.early[start..start + len]);
                    self.stale += len;
                }
                Place::Long(long, is_whole) => {
                    self.long_bytes -= long.len();
                    output.append(long);
                    if !*is_whole {
                        self.is_begun = true;
                        *place = Place::Waiting; // what follows goes straight to the output
                        break;
                    }
                }
            }
            self.places.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        if self.stale == self.early.len() {
            self.early.clear();
            self.early.shrink_to(STALE_BYTES);
            self.stale = 0;
        } else if self.stale >= STALE_BYTES && self.stale > self.early.len() / 2 {
            self.tidy_up();
        }
    }

    /// Closes the gaps that replies have left that had their turn. Amortized O(1) per byte.
    #[cold]
    fn tidy_up(&mut self) {
        let mut kept = Vec::with_capacity(self.early.len() - self.stale);
        for place in &mut self.places {
            if let Place::Early { start, len } = place {
                let from = *start as usize;
                *start = kept.len() as u32;
                kept.extend_from_slice(&self.early[from..from + *len as usize]);
            }
        }
        self.early = kept;
        self.stale = 0;
    }
}

fn copied(piece: &[u8]) -> Output {
    let mut output = Output::new();
    output.extend(piece);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x01_replies_leave_in_the_order_of_their_requests() {
        for seed in 0..8 {
            play(seed);
        }
    }

    fn play(seed: u64) {
        let mut random = seed;
        let mut next = |below: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize % below
        };
        let (mut replies, mut output) =
            (Replies { first: u32::MAX - 5, ..Replies::default() }, Output::new());
        let (mut waiting, mut expected) = (Vec::<(u32, Vec<u8>)>::new(), Vec::new());
        for request in 0..2_000_usize {
            let len = [1, 5, 100, 5_000, 40_000][next(5).min(next(5))];
            let reply = vec![b'a' + (request % 26) as u8; len];
            expected.extend_from_slice(&reply);
            if next(10) == 0 {
                replies.answer(&reply, &mut output);
            } else {
                waiting.push((replies.expect(), reply));
            }
            while !waiting.is_empty() && (next(3) > 0 || request == 1_999) {
                let at = next(waiting.len());
                let (number, rest) = &mut waiting[at];
                let piece: Vec<u8> = if next(3) > 0 {
                    std::mem::take(rest)
                } else {
                    rest.drain(..rest.len() / 2).collect()
                };
                let ends = rest.is_empty();
                replies.deliver(*number, &piece, ends, &mut output);
                if ends {
                    waiting.remove(at);
                }
            }
        }
        assert_eq!(output.to_vec(), expected, "seed {seed}");
        assert!(replies.is_empty());
        assert_eq!(replies.early_bytes(), 0);
        assert!(replies.early.capacity() <= STALE_BYTES);
    }

    #[test]
    fn what_came_early_does_not_pile_up() {
        let (mut replies, mut output) = (Replies::default(), Output::new());
        let mut missing = replies.expect();
        for _ in 0..10_000 {
            let early = replies.expect();
            replies.deliver(early, &[b'x'; 1000], true, &mut output);
            let next = replies.expect();
            let early = replies.expect();
            replies.deliver(early, &[b'x'; 1000], true, &mut output);
            replies.deliver(missing, b"y", true, &mut output);
            missing = next;
            assert!(replies.early.len() < 3 * STALE_BYTES);
            output = Output::new();
        }
    }
}
