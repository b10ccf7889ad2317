//! Directives that change at run time: handing them to those who act on them, and taking all of it back if one cannot.
//!
//! Only the loop can tell whether an address can be listened on, at the end of the turn. Until then the client that set
//! it waits, and the old configuration is kept.

use std::path::PathBuf;

use super::{Blocked, Server, State};
use crate::config::Config;
use crate::keyspace::Keyspace;
use crate::log::Level;
use crate::net::{ListenConfig, Token};

/// Directives that say where to listen.
const LISTEN: [&str; 5] = ["bind", "port", "tcp-backlog", "unixsocket", "unixsocketperm"];

/// A change that the loop has to confirm.
pub(super) struct PendingListen {
    token: Token,
    client_id: u64,
    before: Box<Config>,
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
    /// the client has to wait for the loop; then its reply comes with `listen_changed`.
    pub fn config_changed(
        &mut self,
        keyspace: &mut Keyspace,
        token: Token,
        before: Config,
        changed: &[&str],
    ) -> Result<bool, (&'static str, String)> {
        let applied = self.environment.apply_config(&self.config);
        if let Err(reason) = applied {
            self.config = before;
            return Err(("logfile", reason));
        }
        self.apply_config(keyspace);
        let listens = changed.iter().any(|name| LISTEN.contains(name));
        if listens || changed.contains(&"tcp-keepalive") {
            self.actions.listen = Some(listen_config(&self.config));
        }
        if listens {
            let client = self.clients.get_mut(token);
            client.blocked = Some(Blocked::Listening);
            self.pending_listen =
                Some(PendingListen { token, client_id: client.id, before: Box::new(before) });
        }
        Ok(listens)
    }
}

impl Server {
    /// The loop listens where it was told to, or says why it cannot: answers the client that waits for it.
    pub(super) fn listen_changed(&mut self, result: Result<(), String>) {
        let state = &mut self.state;
        let Some(pending) = state.pending_listen.take() else {
            if let Err(reason) = result {
                state.log(Level::Warning, format_args!("{reason}"));
            }
            return;
        };
        let reply = match result {
            Ok(()) => "+OK\r\n".to_string(),
            Err(reason) => {
                state.log(Level::Warning, format_args!("{reason}"));
                state.config = *pending.before;
                state.apply_config(&mut self.keyspace);
                let name = "port";
                format!(
                    "-ERR CONFIG SET failed (possibly related to argument '{name}') - \
                     Unable to listen on this port. Check server logs.\r\n"
                )
            }
        };
        let Some(client) = state.clients.find_mut(pending.token) else { return };
        if client.id == pending.client_id {
            client.blocked = None;
            client.output.extend(reply.as_bytes());
            state.write_later(pending.token);
            state.continue_input(pending.token);
        }
    }
}
