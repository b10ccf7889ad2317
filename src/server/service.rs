//! The server as the event loop drives it.

use std::io::IoSlice;
use std::time::Duration;

use super::{Blocked, Server, Shutdown};
use crate::clock::Now;
use crate::log::Level;
use crate::net::{Actions, Disconnect, LoopStats, OutputBuffer, Peer, Service, Signal, Token};
use crate::resp::Output;

const TOO_MANY_CLIENTS: &[u8] = b"-ERR max number of clients reached\r\n";
/// Redis's words, because clients match on them.
const PROTECTED: &[u8] = b"-DENIED Redis is running in protected mode because protected mode is enabled and no password \
is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to \
connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode \
sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same \
host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG \
REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis \
configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started \
the server manually just for testing, restart it with the '--protected-mode no' option. 4) Set up an authentication \
password for the default user. NOTE: You only need to do one of the above things in order for the server to start \
accepting connections from the outside.\r\n";

impl OutputBuffer for Output {
    fn len(&self) -> usize {
        Output::len(self)
    }

    fn slices<'a>(&'a self, out: &mut [IoSlice<'a>], bytes_max: usize) -> usize {
        Output::slices(self, out, bytes_max.min(self.open_len()))
    }

    fn consume(&mut self, bytes: usize) {
        Output::consume(self, bytes);
    }
}

impl Service for Server {
    type Output = Output;

    fn begin_turn(&mut self, now: Now, stats: &LoopStats) {
        self.state.now = now;
        self.state.note_turn(stats, self.keyspace.stats.expired);
        self.keyspace.set_now_ms(now.unix_ms());
        self.note_finished_jobs();
    }

    fn connected(&mut self, peer: Peer) -> Result<Token, Vec<u8>> {
        let state = &mut self.state;
        state.stats.connections += 1;
        let open = state.config.requirepass.is_empty();
        if state.clients.len() >= state.config.maxclients as usize {
            state.stats.rejected_connections += 1;
            return Err(TOO_MANY_CLIENTS.to_vec());
        }
        if state.config.protected_mode && open && !peer.is_loopback {
            state.stats.rejected_connections += 1;
            return Err(PROTECTED.to_vec());
        }
        let address = peer.address.clone();
        let token = state.clients.connect(peer, state.now.monotonic_us, open);
        state.log(Level::Verbose, format_args!("Accepted {address}"));
        Ok(token)
    }

    fn established(&mut self, token: Token, peer: Peer) {
        if self.state.is_link(token) {
            self.state.master_connected(token, peer);
        } else if self.state.migrations.has(token) {
            self.state.target_connected(token, peer);
        }
    }

    fn received(&mut self, token: Token, bytes: &[u8]) {
        if self.state.is_link(token) {
            return self.receive_from_master(token, bytes);
        }
        if self.state.migrations.has(token) {
            return self.receive_from_target(token, bytes);
        }
        // Whoever has come in after the shutdown is not served any more.
        if self.state.actions.exit.is_none() {
            self.receive(token, bytes);
        }
    }

    fn owes_reply(&mut self, token: Token) -> bool {
        self.state.clients.find_mut(token).is_some_and(|client| {
            // Whoever waits for keys and has closed is most likely gone: it must not be given what others need.
            let held_back = client.blocked.is_some_and(|blocked| !blocked.is_in_command());
            let waits = held_back && !client.query.is_empty();
            !client.closing && (waits || client.input_pending) || !client.output.is_empty()
        })
    }

    fn disconnected(&mut self, token: Token, why: Disconnect) {
        let state = &mut self.state;
        state.stop_waiting(token);
        if state.clients.find_mut(token).is_some() {
            state.end_transaction(token);
            state.disable_tracking(token);
            state.replica_gone(token);
        }
        let Some(mut client) = state.clients.remove(token) else { return };
        if let Some(subscriptions) = client.subscriptions.take() {
            state.end_subscriptions(*subscriptions);
        }
        if client.monitor {
            state.monitors.retain(|&watcher| watcher != token);
        }
        if state.is_link(token) {
            state.master_disconnected(&why);
        } else if state.migrations.has(token) {
            state.target_disconnected(token, &why);
        } else if matches!(why, Disconnect::PeerClosed) {
            state.log(
                Level::Verbose,
                format_args!(
                    "Client closed connection id={} addr={}",
                    client.id, client.peer.address
                ),
            );
        } else if let Disconnect::Failed(error) = why {
            state.log(
                Level::Verbose,
                format_args!("Reading from or writing to client {}: {error}", client.peer.address),
            );
        }
    }

    fn output(&mut self, token: Token) -> Option<&mut Output> {
        self.state.clients.find_mut(token).map(|client| &mut client.output)
    }

    fn written(&mut self, token: Token, bytes: usize) {
        let state = &mut self.state;
        state.stats.net_out += bytes as u64;
        let now_us = state.now.monotonic_us;
        if !state.migrations.is_empty() {
            state.target_was_sent(token);
        }
        let Some(client) = state.clients.find_mut(token) else { return };
        client.net_out += bytes as u64;
        client.last_interaction_us = now_us;
        let is_replica = client.replica.is_some();
        let is_to_read = client.blocked == Some(Blocked::Reading);
        if client.output.is_empty() {
            client.over_soft_limit_since_us = None;
            client.pushes_unsent = 0;
            state.spare_buffers.take_from(&mut client.output);
        }
        if is_replica {
            state.replica_took(token);
        }
        if is_to_read {
            state.client_has_read(token);
        }
    }

    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Terminate => self.terminate("SIGTERM"),
            Signal::Interrupt => self.terminate("SIGINT"),
            _ => {}
        }
    }

    fn listen_result(&mut self, result: Result<(), String>) {
        self.listen_changed(result);
    }

    fn warn(&mut self, text: &str) {
        self.state.log(Level::Warning, format_args!("{text}"));
    }

    fn run_timers(&mut self) -> Option<Duration> {
        self.load_some();
        self.snapshot_some();
        self.full_sync_some();
        self.look_after_link();
        self.look_after_migrations();
        Some(self.cron())
    }

    fn end_turn(&mut self, actions: &mut Actions) {
        self.state.broadcast_invalidations();
        self.state.hand_to_log();
        self.state.send_stream();
        for &token in &self.state.actions.write {
            if let Some(client) = self.state.clients.find_mut(token) {
                client.write_pending = false;
            }
        }
        std::mem::swap(actions, &mut self.state.actions);
    }
}

impl Server {
    fn terminate(&mut self, signal: &str) {
        self.state.log(Level::Warning, format_args!("Received {signal} scheduling shutdown..."));
        let flags = match signal {
            "SIGINT" => self.state.config.shutdown_on_sigint,
            _ => self.state.config.shutdown_on_sigterm,
        };
        let stop = Shutdown::from_flags(flags);
        // If it cannot end, the log says why.
        let _ = self.state.shut_down(&mut self.keyspace, &stop);
    }
}
