//! This server becomes a replica, or a master again.

use super::{Link, Phase};
use crate::config::MasterAddress;
use crate::keyspace::Keyspace;
use crate::log::Level;
use crate::net::Token;
use crate::server::replication::{Role, random_replid};
use crate::server::{Blocked, State, Unblock};

/// What clients are told that wait for what will not come.
const UNBLOCKED: &str =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

impl State {
    /// Becomes a replica of `master`. What is here stays until the master has sent something else, and is kept if it is
    /// the master's past. O(clients).
    pub fn follow(&mut self, keyspace: &mut Keyspace, master: MasterAddress) {
        let was_master = self.replication.is_master();
        self.end_own_stream();
        self.drop_connection();
        self.unblock_all();
        if was_master {
            self.log(
                Level::Notice,
                format_args!(
                    "Before turning into a replica, using my own master parameters to synthesize a cached master: I \
                     may be able to synchronize with the new master with just a partial transfer."
                ),
            );
        }
        self.config.replicaof = Some(master.clone());
        self.begin_to_follow(keyspace, master);
    }

    /// Becomes what the configuration says: before anything else, at the start.
    pub(in crate::server) fn follow_configured(&mut self, keyspace: &mut Keyspace) {
        if let Some(master) = self.config.replicaof.clone() {
            self.begin_to_follow(keyspace, master);
        }
    }

    fn begin_to_follow(&mut self, keyspace: &mut Keyspace, master: MasterAddress) {
        let link = Link::new(master, self.now.monotonic_us);
        self.replication.role = Role::Replica(Box::new(link));
        self.apply_role(keyspace);
    }

    /// Becomes a master with the data that is here, under a new name of its history: whoever follows the same master, and
    /// is not further than this server is, can go on from here.
    pub fn follow_nobody(&mut self, keyspace: &mut Keyspace) {
        if self.replication.is_master() {
            return;
        }
        self.end_own_stream();
        self.drop_connection();
        self.config.replicaof = None;
        self.replication.role = Role::Master;
        let replid = random_replid(&mut *self.environment);
        self.replication.history.shift(replid);
        let history = &self.replication.history;
        let (old, until, new) = (history.replid2, history.second_offset, history.replid);
        self.log(
            Level::Warning,
            format_args!("Setting secondary replication ID to {old}, valid up to offset: {until}. New replication ID is {new}"),
        );
        self.disconnect_replicas(); // they have to be told, and go on at once
        self.replication.alone_since_us = Some(self.now.monotonic_us); // the backlog waits for those who will come
        // The stream goes on with this server's own commands: it must say in which database.
        self.effects.forget_selected();
        self.apply_role(keyspace);
    }

    /// What a role means for others. A replica removes nothing that is due, and shows it to nobody.
    pub(in crate::server) fn apply_role(&mut self, keyspace: &mut Keyspace) {
        let is_master = self.replication.is_master();
        keyspace.expiry_frozen = !is_master || self.pause.is_some();
        self.apply_effect_readers();
    }

    /// What this server has done as a master so far is a part of the history that it leaves.
    fn end_own_stream(&mut self) {
        self.effects.cut();
        self.add_effects_to_log();
    }

    /// Ends the connection to the master, if there is one.
    fn drop_connection(&mut self) {
        let token = self.link().and_then(|link| link.phase.token());
        self.set_phase(Phase::Waiting { until_us: u64::MAX });
        if let Some(token) = token {
            self.close_link_client(token);
        }
    }

    fn unblock_all(&mut self) {
        let waiting: Vec<Token> = self
            .clients
            .iter()
            .filter(|client| client.blocked == Some(Blocked::Keys))
            .map(|client| client.token)
            .collect();
        for token in waiting {
            self.unblock_client(token, Unblock::Error(UNBLOCKED));
        }
        self.unblock_all_acks(UNBLOCKED);
    }
}
