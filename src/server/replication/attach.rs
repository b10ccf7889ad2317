//! A client becomes a replica: it goes on where it was, or gets all data first. And a replica goes.
//!
//! Whether a replica can go on (PSYNC2): it names a history that this server's history includes up to the byte that it asks
//! for, and the backlog has all bytes from there.

use super::replica::Phase;
use super::{Backlog, History, ReplId};
use crate::log::Level;
use crate::net::Token;
use crate::server::State;

impl State {
    /// What a client has told about itself as a replica, to be added to.
    pub fn replica_mut(&mut self, token: Token) -> &mut super::replica::Replica {
        self.clients.get_mut(token).replica.get_or_insert_with(Box::default)
    }

    /// A client that has the history called `replid` and asks for the byte `next` of it, counted from 1, goes on from
    /// there as a replica, if it can. Returns the name of this server's history, or `None` if it needs all data.
    pub fn continue_replica(&mut self, token: Token, replid: &[u8], next: i64) -> Option<ReplId> {
        let name = self.clients.get(token).replica_name();
        let history = &self.replication.history;
        if !history.includes(replid, next) {
            self.tell_why_not(&name, replid, next);
            return None;
        }
        let (own, end) = (history.replid, history.offset);
        let from = u64::try_from(next).ok().and_then(|next| next.checked_sub(1));
        let kept = |backlog: &Backlog| from.is_some_and(|from| backlog.contains(from));
        let Some(from) = from.filter(|_| self.replication.backlog.as_ref().is_some_and(kept))
        else {
            self.log(Level::Notice, format_args!("Unable to partial resync with replica {name} for lack of backlog (Replica request was: {next})."));
            if from.is_some_and(|from| from >= end) {
                self.log(Level::Warning, format_args!("Warning: replica {name} tried to PSYNC with an offset that is greater than the master replication offset."));
            }
            return None;
        };
        let left = end - from;
        self.log(Level::Notice, format_args!("Partial resynchronization request from {name} accepted. Sending {left} bytes of backlog starting from offset {next}."));
        self.attach(token);
        let now_us = self.now.monotonic_us;
        let replica = self.replica_mut(token);
        (replica.phase, replica.next) = (Phase::Online, from);
        replica.acked_us = now_us;
        (replica.has_snapshot, replica.caught_up) = (true, true);
        Some(own)
    }

    fn tell_why_not(&mut self, name: &str, replid: &[u8], next: i64) {
        if replid.first() == Some(&b'?') {
            let line = format_args!("Full resync requested by replica {name}");
            return self.log(Level::Notice, line);
        }
        let history = self.replication.history.clone();
        if history.replid2.is(replid) {
            let up_to = history.second_offset;
            self.log(Level::Notice, format_args!("Partial resynchronization not accepted: Requested offset for second ID was {next}, but I can reply up to {up_to}"));
        } else {
            let asked = String::from_utf8_lossy(&replid[..replid.len().min(64)]).into_owned();
            let asked = asked.escape_debug();
            let (one, two) = (history.replid, history.replid2);
            self.log(Level::Notice, format_args!("Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{asked}', my replication IDs are '{one}' and '{two}')"));
        }
    }

    /// A client becomes a replica that needs all data: it gets them with the next snapshot for replicas.
    pub fn resync_replica(&mut self, token: Token) {
        self.stats.sync_full += 1;
        self.attach(token);
        let now_us = self.now.monotonic_us;
        let replica = self.replica_mut(token);
        replica.phase = Phase::WaitsForSnapshot;
        (replica.acked_us, replica.took_us, replica.asked_us) = (now_us, now_us, now_us);
        if self.config.repl_disable_tcp_nodelay {
            self.actions.gather_packets.push(token);
        }
        if self.replication.backlog.is_none() {
            // Nobody has counted what was written since the last one: what was known of this history is not its end.
            self.change_replid();
            self.make_backlog();
            let history = &self.replication.history;
            let (one, two) = (history.replid, history.replid2);
            self.log(
                Level::Notice,
                format_args!(
                    "Replication backlog created, my new replication IDs are '{one}' and '{two}'"
                ),
            );
        }
        let text = match &self.replication.full_sync {
            Some(_) => "Current BGSAVE has socket target. Waiting for next BGSAVE for SYNC",
            None if self.durability.snapshot.is_some() => {
                "Can't attach the replica to the current BGSAVE. Waiting for next BGSAVE for SYNC"
            }
            None => "Delay next BGSAVE for diskless SYNC",
        };
        self.log(Level::Notice, format_args!("{text}"));
    }

    fn attach(&mut self, token: Token) {
        if !self.replication.replicas.contains(&token) {
            self.replication.replicas.push(token);
        }
        let client = self.clients.get_mut(token);
        client.write_offset = 0;
        self.replication.alone_since_us = None;
    }

    /// A client has gone: if it was a replica, it is none any more.
    pub(in crate::server) fn replica_gone(&mut self, token: Token) {
        if self.clients.get(token).is_replica() {
            let name = self.clients.get(token).replica_name();
            self.log(Level::Notice, format_args!("Connection with replica {name} lost."));
            self.detach(token);
        }
    }

    pub(super) fn detach(&mut self, token: Token) {
        let now_us = self.now.monotonic_us;
        let replication = &mut self.replication;
        replication.replicas.retain(|&replica| replica != token);
        if replication.replicas.is_empty() {
            replication.alone_since_us = Some(now_us);
        }
    }

    /// Closes all replicas: what they follow is not what this server has any more.
    pub fn disconnect_replicas(&mut self) {
        for token in std::mem::take(&mut self.replication.replicas) {
            self.close_now(token);
        }
        self.replication.alone_since_us = Some(self.now.monotonic_us);
    }

    /// Another history is followed, all of whose data is here: nobody can go on from what was before.
    pub fn adopt_history(&mut self, history: History) {
        let offset = history.offset;
        self.replication.backlog = Some(Backlog::new(offset));
        self.replication.gate.reset(offset);
        self.replication.history = history;
        self.apply_effect_readers();
    }

    /// Makes the backlog, if there is none. From now on the stream is recorded.
    pub fn make_backlog(&mut self) {
        if self.replication.backlog.is_none() {
            self.effects.settle();
            self.add_effects_to_log();
            let offset = self.replication.history.offset;
            self.replication.backlog = Some(Backlog::new(offset));
            self.replication.gate.reset(offset);
            self.effects.forget_selected();
            self.apply_effect_readers();
        }
    }

    /// Frees the backlog. What is written from now on is not counted, so the history ends here.
    pub fn free_backlog(&mut self) {
        self.change_replid();
        self.effects.settle();
        self.add_effects_to_log();
        self.replication.backlog = None;
        self.apply_effect_readers();
    }
}
