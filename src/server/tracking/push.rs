//! How a client is told that keys are invalid: as a push, or, where its RESP version has none, as a message of a channel
//! on another connection.

use bytes::Bytes;

use super::State;
use crate::net::Token;
use crate::resp::{Protocol, Reply};

/// The channel in which clients that speak RESP2 are told.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// What a client is to drop.
#[derive(Clone, Copy)]
pub(super) enum Invalid<'a> {
    /// One key.
    Key(&'a [u8]),
    /// An array of keys, as RESP.
    Keys(&'a [u8]),
    /// All that it has.
    Everything,
}

impl State {
    /// Tells a client, or the one it has named, what is invalid. One that can be told in no way is not told.
    pub(super) fn tell(&mut self, token: Token, invalid: Invalid<'_>) {
        let client = self.clients.get(token);
        let redirect = client.tracking.as_ref().and_then(|tracking| tracking.redirect);
        let Some(redirect) = redirect else {
            if client.protocol == Protocol::Resp3 {
                self.push(token, &message(Protocol::Resp3, invalid));
            }
            return;
        };
        match self.clients.find_mut(redirect.token).filter(|client| client.id == redirect.id) {
            Some(target)
                if target.protocol == Protocol::Resp3 || target.subscriptions.is_some() =>
            {
                let message = message(target.protocol, invalid);
                self.push(redirect.token, &message);
            }
            Some(_) => {}
            None => self.tell_of_broken_redirect(token, redirect.id),
        }
    }

    fn tell_of_broken_redirect(&mut self, token: Token, id: u64) {
        let client = self.clients.get_mut(token);
        if let Some(tracking) = &mut client.tracking {
            tracking.broken_redirect = true;
        }
        if client.protocol == Protocol::Resp3 {
            let mut reply = Reply::new(Protocol::Resp3);
            reply.push(2);
            reply.bulk(b"tracking-redir-broken");
            reply.integer(i64::try_from(id).unwrap_or(i64::MAX));
            self.push(token, &without_first_byte(&reply));
        }
    }
}

/// What a client is sent, without the first byte, as `State::push` takes it.
fn message(protocol: Protocol, invalid: Invalid<'_>) -> Bytes {
    let mut reply = Reply::new(protocol);
    match protocol {
        Protocol::Resp3 => {
            reply.push(2);
            reply.bulk(b"invalidate");
        }
        Protocol::Resp2 => {
            reply.array(3);
            reply.bulk(b"message");
            reply.bulk(CHANNEL);
        }
    }
    match invalid {
        Invalid::Key(key) => {
            reply.array(1);
            reply.bulk(key);
        }
        Invalid::Keys(array) => reply.output.extend(array),
        Invalid::Everything => reply.null(),
    }
    without_first_byte(&reply)
}

fn without_first_byte(reply: &Reply) -> Bytes {
    Bytes::from(reply.output.to_vec()).slice(1..)
}
