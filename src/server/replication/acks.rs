//! What replicas have acknowledged, and who waits for it: `WAIT` and `WAITAOF`.
//!
//! A replica says once a second how far it is, and at once when it is asked (`REPLCONF GETACK *` in the stream). Whoever
//! waits is answered at the end of the turn in which enough of them have said so, or when the time is over: then with what
//! there is.

use super::replica::Phase;
use crate::commands::{CommandError, CommandId};
use crate::net::Token;
use crate::resp::Reply;
use crate::server::{Blocked, Server, State, Unblock};

/// What a client waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// `WAIT`: so many replicas.
    Replicas(i64),
    /// `WAITAOF`: the log of this server, if it has got to that offset, and those of so many replicas.
    Logs {
        /// How many logs of this server: 0 or 1.
        local: i64,
        /// Where this server's log is to be.
        log_offset: u64,
        /// How many replicas.
        replicas: i64,
    },
}

/// A client that waits.
#[derive(Debug)]
pub struct AckWaiter {
    token: Token,
    client_id: u64,
    command: CommandId,
    /// Offset of the stream that replicas are to reach.
    offset: u64,
    wanted: Wanted,
    deadline_us: Option<u64>,
}

/// What there is of what is wanted.
struct Found {
    local: i64,
    replicas: i64,
    is_enough: bool,
}

impl State {
    fn found(&self, offset: u64, wanted: Wanted) -> Found {
        match wanted {
            Wanted::Replicas(needed) => {
                let replicas = self.count_acks(offset) as i64;
                Found { local: 0, replicas, is_enough: replicas >= needed }
            }
            Wanted::Logs { local: needed, log_offset, replicas: replicas_needed } => {
                let log = self.durability.log.as_ref();
                let local = i64::from(log.is_some_and(|log| log.synced() >= log_offset));
                let replicas = self.count_log_acks(offset) as i64;
                let is_enough = local >= needed && replicas >= replicas_needed;
                Found { local, replicas, is_enough }
            }
        }
    }

    /// Answers a client if what it wants is there, or `may_wait` says that it must be answered; else the client waits
    /// until the deadline (monotonic).
    pub fn wait_for_acks(
        &mut self,
        token: Token,
        wanted: Wanted,
        deadline_us: Option<u64>,
        may_wait: bool,
        reply: &mut Reply,
    ) {
        let client = self.clients.get(token);
        let (client_id, offset) = (client.id, client.write_offset);
        let command = client.last_command;
        let found = self.found(offset, wanted);
        let Some(command) = command.filter(|_| may_wait && !found.is_enough) else {
            return write_found(reply, wanted, &found);
        };
        self.replication.waiters.push(AckWaiter {
            token,
            client_id,
            command,
            offset,
            wanted,
            deadline_us,
        });
        self.clients.get_mut(token).blocked = Some(Blocked::Acks);
        self.ask_for_acks();
    }

    /// A replica has run the first `offset` bytes of the stream; of these it has `log_offset` in a log that is synced.
    pub fn acknowledged(&mut self, token: Token, offset: u64, log_offset: Option<u64>) {
        let now_us = self.now.monotonic_us;
        let is_sent = self.clients.get(token).output.is_empty();
        let replica = self.replica_mut(token);
        replica.acked = replica.acked.max(offset);
        replica.log_acked = replica.log_acked.max(log_offset.unwrap_or(0));
        replica.acked_us = now_us;
        if replica.phase == Phase::WaitsForAck && is_sent {
            replica.phase = Phase::Online;
        }
    }

    /// When the next wait is over at the latest.
    pub(in crate::server) fn first_ack_deadline_us(&self) -> Option<u64> {
        self.replication.waiters.iter().filter_map(|waiter| waiter.deadline_us).min()
    }

    /// Ends a client's wait for acknowledgements. Returns whether it waited for any.
    pub(in crate::server) fn unblock_acks(&mut self, token: Token, how: Unblock) -> bool {
        let is_it = |waiter: &AckWaiter| waiter.token == token;
        let Some(index) = self.replication.waiters.iter().position(is_it) else { return false };
        let waiter = self.replication.waiters.swap_remove(index);
        match how {
            Unblock::Timeout => self.answer_waiter(&waiter),
            Unblock::Error(text) => {
                self.end_wait(token, waiter.command, 0, Err(CommandError::Text(text)));
            }
        }
        true
    }

    fn answer_waiter(&mut self, waiter: &AckWaiter) {
        let found = self.found(waiter.offset, waiter.wanted);
        let wanted = waiter.wanted;
        self.end_wait(
            waiter.token,
            waiter.command,
            0,
            Ok(&|reply: &mut Reply| {
                write_found(reply, wanted, &found);
            }),
        );
    }

    /// This server has become a replica: nobody acknowledges anything to it.
    pub fn unblock_all_acks(&mut self, error: &'static str) {
        while let Some(waiter) = self.replication.waiters.first() {
            let token = waiter.token;
            self.unblock_acks(token, Unblock::Error(error));
        }
    }
}

impl Server {
    /// Answers those who have what they wait for, and those whose time is over.
    pub(in crate::server) fn serve_ack_waiters(&mut self) {
        let state = &mut self.state;
        if state.replication.waiters.is_empty() {
            return;
        }
        let now_us = state.now.monotonic_us;
        for waiter in std::mem::take(&mut state.replication.waiters) {
            let client = state.clients.find_mut(waiter.token);
            let waits = client.is_some_and(|client| {
                client.id == waiter.client_id && client.blocked == Some(Blocked::Acks)
            });
            if !waits {
                continue; // it has gone
            }
            let is_over = waiter.deadline_us.is_some_and(|deadline_us| deadline_us <= now_us);
            if is_over || state.found(waiter.offset, waiter.wanted).is_enough {
                state.answer_waiter(&waiter);
            } else {
                state.replication.waiters.push(waiter);
            }
        }
    }
}

fn write_found(reply: &mut Reply, wanted: Wanted, found: &Found) {
    if let Wanted::Logs { .. } = wanted {
        reply.array(2);
        reply.integer(found.local);
    }
    reply.integer(found.replicas);
}
