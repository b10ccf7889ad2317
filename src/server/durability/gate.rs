//! The gate: replies wait until the log has the writes they depend on.
//!
//! The replies of a turn depend on all that was added to the log up to its end, reads included: they may tell of what is
//! not safe yet. Where the log is not as far at the end of the turn, what each client was to be sent is marked with the
//! offset, and leaves when the log has reached it. A client that goes on sending requests gets one mark a turn.

use std::collections::VecDeque;

use crate::net::Token;
use crate::resp::output::Mark;
use crate::server::State;

/// Bytes of one client that wait.
struct Gate {
    offset: u64,
    token: Token,
    client_id: u64,
    /// What was written before it.
    mark: Mark,
}

/// All that waits, in the order of offsets.
#[derive(Default)]
pub struct Gates {
    queue: VecDeque<Gate>,
}

impl Gates {
    /// Whether anybody waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl State {
    /// Holds what was written in this turn back until the log has reached `offset`.
    pub(super) fn hold_replies(&mut self, offset: u64) {
        for &token in &self.actions.write {
            let Some(client) = self.clients.find_mut(token) else { continue };
            if client.is_replica() {
                continue; // the stream has a gate of its own
            }
            let mark = client.output.mark();
            if client.held_to == Some(mark) || client.output.is_empty() {
                continue; // nothing was added since the last gate
            }
            if !client.output.is_held() {
                client.output.hold();
            }
            client.held_to = Some(mark);
            client.gates += 1;
            let client_id = client.id;
            self.durability.gates.queue.push_back(Gate { offset, token, client_id, mark });
        }
    }

    /// The log has reached `offset`: what waited for it leaves with this turn.
    pub(super) fn release_replies(&mut self, offset: u64) {
        while self.durability.gates.queue.front().is_some_and(|gate| gate.offset <= offset) {
            let Some(gate) = self.durability.gates.queue.pop_front() else { return };
            let client = self.clients.find_mut(gate.token);
            let Some(client) = client.filter(|client| client.id == gate.client_id) else {
                continue;
            };
            client.gates -= 1;
            client.output.open((client.gates > 0).then_some(gate.mark));
            self.write_later(gate.token);
        }
    }
}
