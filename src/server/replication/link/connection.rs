//! The connection to the master: made, given up, made again. Nothing here waits, and nothing is tried without a pause but
//! the first time after a link that was stable.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::handshake::{Answer, Greeting, Handshake, Progress};
use super::stream::Stream;
use super::{Link, Phase, RETRY_US, RETRY_US_MAX, STABLE_US, Synced};
use crate::keyspace::Keyspace;
use crate::log::Level;
use crate::net::{Connect, Disconnect, Peer, Token};
use crate::resp::write_request;
use crate::server::replication::{Failover, ReplId};
use crate::server::{Server, State};

/// How often the master is told how far this server is, or that it is there.
const ACK_EVERY_US: u64 = 1_000_000;

impl Server {
    /// Does what is due about the link to the master.
    pub(in crate::server) fn look_after_link(&mut self) {
        let durability = &self.state.durability;
        let is_starting = durability.loading.is_some() && !durability.started;
        if self.state.replication.is_master() || is_starting {
            return;
        }
        self.state.tick_link();
        self.resume_stream();
    }

    /// Bytes came from the master.
    pub(in crate::server) fn receive_from_master(&mut self, token: Token, mut bytes: &[u8]) {
        let now_us = self.state.now.monotonic_us;
        self.state.stats.net_in += bytes.len() as u64;
        if let Some(client) = self.state.clients.find_mut(token) {
            client.net_in += bytes.len() as u64;
            client.last_interaction_us = now_us;
        }
        while !bytes.is_empty() {
            let Some(link) = self.state.link_mut() else { return };
            link.last_io_us = now_us;
            match &link.phase {
                Phase::Handshake { .. } => {
                    self.state.hear_handshake(&mut bytes, &mut self.keyspace);
                }
                Phase::FullSync { .. } => self.take_data(&mut bytes),
                Phase::Streaming { .. } => return self.take_stream(bytes),
                Phase::Waiting { .. } | Phase::Resolving { .. } | Phase::Connecting { .. } => {
                    return;
                }
            }
        }
    }
}

impl State {
    fn tick_link(&mut self) {
        let now_us = self.now.monotonic_us;
        let timeout_us = u64::from(self.config.repl_timeout) * 1_000_000;
        let Some(link) = self.link_mut() else { return };
        let silent = now_us.saturating_sub(link.last_io_us) > timeout_us;
        let ack_due = now_us >= link.next_ack_us;
        let timed_out = match &link.phase {
            Phase::Waiting { until_us } => {
                if *until_us <= now_us {
                    self.connect_to_master();
                }
                return;
            }
            Phase::Resolving { .. } | Phase::Connecting { .. } | Phase::Handshake { .. } => {
                "Timeout connecting to the MASTER..."
            }
            Phase::FullSync { .. } => {
                "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' \
                 parameter in redis.conf to a larger value."
            }
            Phase::Streaming { .. } => "MASTER timeout: no data nor PING received...",
        };
        if silent {
            return self.give_up(Level::Warning, timed_out, RETRY_US);
        }
        if ack_due {
            link.next_ack_us = now_us + ACK_EVERY_US;
            self.tell_master();
        }
    }

    /// Tells the master that this server is there, and how far it is.
    fn tell_master(&mut self) {
        let Some(link) = self.link() else { return };
        match link.phase {
            Phase::Streaming { .. } => self.send_ack(),
            // While data comes in nothing is acknowledged, but a silent replica is taken for dead.
            Phase::FullSync { token, .. } => self.send_to_master(token, b"\n"),
            _ => {}
        }
    }

    /// Tells the master how far this server is, and the device of its log.
    pub(super) fn send_ack(&mut self) {
        let Some(token) = self.link().and_then(|link| link.phase.token()) else { return };
        let synced = self.synced_offset().map(|offset| offset.to_string());
        let offset = self.replication.history.offset.to_string();
        let mut words: Vec<&[u8]> = vec![b"REPLCONF", b"ACK", offset.as_bytes()];
        if let Some(synced) = &synced {
            words.extend([&b"FACK"[..], synced.as_bytes()]);
        }
        let mut ack = Vec::new();
        write_request(&mut ack, words.into_iter());
        self.send_to_master(token, &ack);
    }

    /// Up to which offset of the stream all is on the log's device, as far as is known; `None` without a log.
    fn synced_offset(&mut self) -> Option<u64> {
        self.effects.settle();
        self.add_effects_to_log();
        let log = self.durability.log.as_ref()?;
        let (added, synced) = (log.added(), log.synced());
        let offset = self.replication.history.offset;
        let link = self.link_mut()?;
        link.synced.note(added, offset, synced);
        link.synced.offset
    }

    fn send_to_master(&mut self, token: Token, bytes: &[u8]) {
        if let Some(client) = self.clients.find_mut(token) {
            client.output.extend(bytes);
            self.write_later(token);
        }
    }

    /// Begins to connect.
    fn connect_to_master(&mut self) {
        let number = self.environment.random();
        let now_us = self.now.monotonic_us;
        let Some(link) = self.link_mut() else { return };
        link.last_io_us = now_us;
        let (address, master) = (link.to_string(), link.master.clone());
        self.log(Level::Notice, format_args!("Connecting to MASTER {address}"));
        if let Ok(ip) = master.host.parse::<IpAddr>() {
            return self.try_address(vec![SocketAddr::new(ip, master.port)]);
        }
        self.set_phase(Phase::Resolving { number });
        self.environment.resolve(number, &master.host, master.port);
    }

    /// The addresses of a host are known, or it is known that there are none.
    pub(in crate::server) fn master_resolved(
        &mut self,
        number: u64,
        addresses: io::Result<Vec<SocketAddr>>,
    ) {
        let asked =
            |link: &Link| matches!(link.phase, Phase::Resolving { number: n } if n == number);
        if !self.link().is_some_and(asked) {
            return;
        }
        match addresses {
            Ok(mut addresses) if !addresses.is_empty() => {
                addresses.reverse(); // the last is tried first
                self.try_address(addresses);
            }
            Ok(_) => {
                self.give_up(Level::Warning, "Unable to connect to MASTER: no address", RETRY_US)
            }
            Err(error) => {
                let message = format!("Unable to connect to MASTER: {error}");
                self.give_up(Level::Warning, &message, RETRY_US);
            }
        }
    }

    /// Tries the last of these addresses.
    fn try_address(&mut self, mut others: Vec<SocketAddr>) {
        let Some(address) = others.pop() else { return };
        let token = self.clients.connect(Peer::none(), self.now.monotonic_us, true);
        let client = self.clients.get_mut(token);
        client.is_master = true;
        client.internal = true;
        self.actions.connect.push(Connect { token, address, source: None });
        self.set_phase(Phase::Connecting { token, others });
        self.log(Level::Notice, format_args!("MASTER <-> REPLICA sync started"));
    }

    /// The connection is made: the handshake begins.
    pub(in crate::server) fn master_connected(&mut self, token: Token, peer: Peer) {
        if let Some(client) = self.clients.find_mut(token) {
            client.peer = peer;
        }
        let now_us = self.now.monotonic_us;
        let history = (self.replication.history.replid, self.replication.history.offset);
        let config = &self.config;
        let mut greeting = Greeting {
            user: config.masteruser.clone(),
            password: config.masterauth.clone(),
            port: if config.replica_announce_port > 0 {
                config.replica_announce_port
            } else {
                config.port
            },
            ip: config.replica_announce_ip.clone(),
            resume: None,
            fails_over: self.fails_over(),
        };
        let Some(link) = self.link_mut() else { return };
        link.last_io_us = now_us;
        // One that is known to both may be empty: that of a master that has written nothing yet, or hands over.
        let was_up = link.down_since_us.is_some();
        let has_history = history.1 > 0 || was_up || greeting.fails_over;
        greeting.resume = (link.resumes && has_history).then_some(history);
        let (handshake, ping) = Handshake::begin(greeting);
        self.set_phase(Phase::Handshake { token, handshake: Box::new(handshake) });
        self.log(Level::Notice, format_args!("Non blocking connect for SYNC fired the event."));
        self.send_to_master(token, &ping);
    }

    /// The connection is gone, or could not be made.
    pub(in crate::server) fn master_disconnected(&mut self, why: &Disconnect) {
        let now_us = self.now.monotonic_us;
        let Some(link) = self.link_mut() else { return };
        let reason = match why {
            Disconnect::PeerClosed => "connection lost".to_string(),
            Disconnect::Failed(error) => crate::net::os_text(error),
            Disconnect::Requested => "closed by this server".to_string(),
        };
        match &mut link.phase {
            Phase::Waiting { .. } | Phase::Resolving { .. } => {}
            Phase::Connecting { others, .. } => {
                let others = std::mem::take(others);
                let message = format!("Error condition on socket for SYNC: {reason}");
                self.give_up(Level::Warning, &message, RETRY_US);
                self.try_address(others);
            }
            Phase::Handshake { .. } => {
                let message =
                    format!("Master did not respond to command during SYNC handshake: {reason}");
                self.give_up(Level::Warning, &message, RETRY_US);
            }
            Phase::FullSync { .. } => {
                let message = format!("I/O error trying to sync with MASTER: {reason}");
                self.give_up(Level::Warning, &message, RETRY_US);
            }
            Phase::Streaming { stream, .. } => {
                let stable = now_us.saturating_sub(stream.since_us) >= STABLE_US;
                let delay_us = if stable { 0 } else { RETRY_US };
                let message = format!("Connection with master lost: {reason}");
                self.give_up(Level::Warning, &message, delay_us);
                self.log(Level::Notice, format_args!("Caching the disconnected master state."));
            }
        }
    }

    /// Ends the connection, if there is one, says why, and tries again after a while.
    pub(super) fn give_up(&mut self, level: Level, message: &str, delay_us: u64) {
        let until_us = self.now.monotonic_us.saturating_add(delay_us);
        self.log(level, format_args!("{message}"));
        let token = self.link().and_then(|link| link.phase.token());
        self.set_phase(Phase::Waiting { until_us });
        if let Some(token) = token {
            self.close_link_client(token);
        }
    }

    /// The data that came was of no use: the next try is later each time.
    pub(super) fn give_up_sync(&mut self, message: &str) {
        let Some(link) = self.link_mut() else { return };
        let delay_us = (RETRY_US << link.useless_syncs.min(16)).min(RETRY_US_MAX);
        link.useless_syncs = link.useless_syncs.saturating_add(1);
        self.give_up(Level::Warning, message, delay_us);
    }

    /// The link enters another phase. What the old one held is dropped where it stops nobody.
    pub(super) fn set_phase(&mut self, phase: Phase) {
        let now_us = self.now.monotonic_us;
        let Some(link) = self.link_mut() else { return };
        if link.is_up() {
            link.down_since_us = Some(now_us);
        }
        if let Phase::FullSync { transfer, .. } = std::mem::replace(&mut link.phase, phase) {
            self.log(
                Level::Notice,
                format_args!("MASTER <-> REPLICA sync: Discarding temporary DB in background"),
            );
            self.environment.discard(transfer);
        }
    }

    /// Closes what was the connection to the master.
    pub(super) fn close_link_client(&mut self, token: Token) {
        if let Some(client) = self.clients.find_mut(token) {
            client.internal = true;
            self.close_now(token);
        }
    }

    /// Whether the other server is asked to become the master.
    fn fails_over(&self) -> bool {
        self.replication.failover.as_ref().is_some_and(Failover::is_in_progress)
    }

    fn hear_handshake(&mut self, bytes: &mut &[u8], keyspace: &mut Keyspace) {
        let Some(link) = self.link_mut() else { return };
        let Phase::Handshake { token, handshake } = &mut link.phase else { return };
        let (token, progress, notes) = (*token, handshake.feed(bytes), handshake.take_notes());
        for note in notes {
            self.log(Level::Notice, format_args!("{note}"));
        }
        match progress {
            Ok(Progress::Wait) => {}
            Ok(Progress::Send(requests)) => self.send_to_master(token, &requests),
            Ok(Progress::Answered(answer)) => {
                if self.fails_over() {
                    self.end_failover(keyspace);
                }
                match answer {
                    Answer::FullSync { replid, offset } => {
                        self.begin_full_sync(token, keyspace, replid, offset);
                    }
                    Answer::Continue(replid) => self.go_on(token, replid),
                }
            }
            Err(failed) => {
                self.give_up(failed.level, &failed.message, RETRY_US);
                if self.fails_over() {
                    self.abort_failover(keyspace, "Failover target rejected psync request");
                }
            }
        }
    }

    /// The master goes on where this server is, maybe under another name of the history.
    fn go_on(&mut self, token: Token, replid: Option<ReplId>) {
        if self.link().is_none_or(|link| !link.resumes) {
            let message = "Master accepted a partial resynchronization that nobody asked for";
            return self.give_up(Level::Warning, message, RETRY_US);
        }
        self.log(Level::Notice, format_args!("Successful partial resynchronization with master."));
        if let Some(replid) = replid.filter(|&replid| replid != self.replication.history.replid) {
            self.log(Level::Warning, format_args!("Master replication ID changed to {replid}"));
            self.replication.history.shift(replid);
            self.disconnect_replicas(); // they have to be told
        }
        self.make_backlog();
        self.begin_stream(token);
        self.log(
            Level::Notice,
            format_args!("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization."),
        );
    }

    /// The data of this server is that of the master at the offset of the history: commands follow.
    pub(super) fn begin_stream(&mut self, token: Token) {
        let now_us = self.now.monotonic_us;
        self.set_phase(Phase::Streaming { token, stream: Box::new(Stream::new(now_us)) });
        let Some(link) = self.link_mut() else { return };
        link.resumes = true;
        link.useless_syncs = 0;
        link.down_since_us = None;
        link.synced = Synced::default(); // the log may be another one
        link.next_ack_us = now_us + ACK_EVERY_US;
        let db = self.replication.stream_db;
        if let Some(client) = self.clients.find_mut(token) {
            client.internal = false;
            client.db = db;
        }
        // Some masters begin to send only when they have heard that all data has arrived.
        self.send_ack();
    }
}
