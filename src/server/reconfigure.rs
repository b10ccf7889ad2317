//! Directives that change at run time: handing them to those who act on them, and taking all of it back if one cannot.
//!
//! Only the loop can tell whether an address can be listened on, at the end of the turn. Until then the client that set
//! it waits, and the old values are kept.

use std::path::PathBuf;

use super::{Blocked, LogKind, ReplyMode, Server, State};
use crate::commands::{CommandError, CommandId};
use crate::config::{Access, Config, SetError};
use crate::keyspace::Keyspace;
use crate::log::Level;
use crate::net::{ListenConfig, Token};

/// Directives that say where to listen, and why it may be impossible.
const LISTEN: [(&str, &str); 2] = [
    ("bind", "Failed to bind to specified addresses."),
    ("port", "Unable to listen on this port. Check server logs."),
];

/// Directives that the loop is told: the addresses, and what is asked of the sockets.
const TOLD_TO_LOOP: [&str; 3] = ["bind", "port", "tcp-keepalive"];

/// A `CONFIG SET` that the loop has to confirm.
pub(super) struct PendingListen {
    token: Token,
    client_id: u64,
    command: Option<CommandId>,
    /// `CLIENT REPLY` lets nothing through.
    silent: bool,
    /// The directives that were changed and what they were before.
    before: Vec<(Vec<u8>, Vec<u8>)>,
    refusal: SetError,
}

/// Whether the loop has to confirm a change of this directive, so that the client waits.
pub fn waits_for_loop(directive: &[u8]) -> bool {
    LISTEN.iter().any(|(name, _)| directive.eq_ignore_ascii_case(name.as_bytes()))
}

/// Where the loop is to listen, by the configuration.
pub fn listen_config(config: &Config) -> ListenConfig {
    ListenConfig {
        bind: config.bind.clone(),
        port: (config.port != 0).then_some(config.port),
        backlog: config.tcp_backlog.max(1) as u32,
        unix_socket: (!config.unixsocket.is_empty()).then(|| PathBuf::from(&config.unixsocket)),
        unix_permissions: config.unixsocketperm,
        tcp_keepalive_s: config.tcp_keepalive,
    }
}

impl State {
    /// Makes the directives named in `changed` effective, `before` being the configuration until now. Returns whether
    /// the client has to wait for the loop; then its reply comes with `listen_changed`. On an error, the directive to
    /// blame and the reason, all is as it was.
    pub fn config_changed(
        &mut self,
        keyspace: &mut Keyspace,
        token: Token,
        before: Config,
        changed: &[&'static str],
    ) -> Result<bool, (&'static str, String)> {
        if let Err(failed) = self.environment.apply_config(&self.config, changed) {
            self.config = before;
            // What worked a moment ago is taken back; it cannot be refused now.
            let _ = self.environment.apply_config(&self.config, changed);
            return Err(failed);
        }
        self.follow_config(keyspace, changed);
        if changed.iter().any(|name| TOLD_TO_LOOP.contains(name)) {
            self.actions.listen = Some(listen_config(&self.config));
        }
        let refusal = changed.iter().find_map(|changed| {
            let (name, reason) = LISTEN.into_iter().find(|(name, _)| name == changed)?;
            Some(SetError::Failed { name: name.to_string(), reason: reason.to_string() })
        });
        let Some(refusal) = refusal else { return Ok(false) };
        let names: Vec<&[u8]> = changed.iter().map(|name| name.as_bytes()).collect();
        let client = self.clients.get_mut(token);
        client.blocked = Some(Blocked::Listening);
        self.pending_listens.push(PendingListen {
            token,
            client_id: client.id,
            command: client.last_command,
            silent: client.reply_mode != ReplyMode::On,
            before: before.get(&names, |_, _| false),
            refusal,
        });
        Ok(true)
    }

    /// Tells everybody in the core who acts on directives.
    fn follow_config(&mut self, keyspace: &mut Keyspace, changed: &[&str]) {
        self.apply_config(keyspace);
        let config = &self.config;
        for (kind, max_len) in [
            (LogKind::Slow, config.slowlog_max_len),
            (LogKind::LargeRequest, config.commandlog_large_request_max_len),
            (LogKind::LargeReply, config.commandlog_large_reply_max_len),
        ] {
            self.command_log.trim(kind, usize::try_from(max_len).unwrap_or(usize::MAX));
        }
        if changed.contains(&"maxmemory") && self.config.maxmemory > 0 {
            let (limit, used) = (self.config.maxmemory, self.environment.allocated_bytes());
            if used as u64 > limit {
                self.log(
                    Level::Warning,
                    format_args!(
                        "WARNING: the new maxmemory value set via CONFIG SET ({limit}) is smaller than the current memory \
                         usage ({used}). This will result in key eviction and/or the inability to accept new write commands \
                         depending on the maxmemory-policy."
                    ),
                );
            }
        }
        if changed.contains(&"requirepass") && self.config.requirepass.is_empty() {
            // Nobody has to say who he is any more.
            self.clients.iter_mut().for_each(|client| client.authenticated = true);
        }
    }

    /// Takes back what one `CONFIG SET` did, and nothing that others have changed since.
    fn take_back(&mut self, keyspace: &mut Keyspace, before: &[(Vec<u8>, Vec<u8>)]) {
        let access = Access { protected: true, loading: false };
        let mut changed = Vec::new();
        for (name, value) in before {
            // Refused is only what is accepted at start alone: directives without effect.
            changed.extend(self.config.set_many(&[(name, value)], access).unwrap_or_default());
        }
        // The process had these values before: it cannot refuse them.
        let _ = self.environment.apply_config(&self.config, &changed);
        self.follow_config(keyspace, &changed);
    }
}

impl Server {
    /// The loop listens where it was told to, or says why it cannot: answers the clients that wait for it.
    pub(super) fn listen_changed(&mut self, result: Result<(), String>) {
        let Self { keyspace, state, .. } = self;
        if let Err(reason) = &result {
            state.log(Level::Warning, format_args!("{reason}"));
        }
        // The newest first, so that in the end the oldest values are back.
        for pending in std::mem::take(&mut state.pending_listens).into_iter().rev() {
            if result.is_err() {
                state.take_back(keyspace, &pending.before);
            }
            state.answer_listen(&pending, result.is_ok());
        }
    }
}

impl State {
    fn answer_listen(&mut self, pending: &PendingListen, listens: bool) {
        let error = (!listens).then(|| CommandError::Message(pending.refusal.to_string()));
        if let Some(error) = &error {
            self.stats.count_error(error);
            if let Some(command) = pending.command {
                self.stats.command(command).failed_calls += 1;
            }
        }
        let Some(client) = self.clients.find_mut(pending.token) else { return };
        if client.id != pending.client_id {
            return;
        }
        client.blocked = None;
        if !pending.silent {
            let reply = error.map_or("+OK\r\n".to_string(), |error| format!("-{error}\r\n"));
            client.output.extend(reply.as_bytes());
            self.write_later(pending.token);
        }
        self.continue_input(pending.token);
    }
}
