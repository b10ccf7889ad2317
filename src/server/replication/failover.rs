//! `FAILOVER`: a master hands its role over to one of its replicas, and nothing is lost.
//!
//! Writes wait until the replica has all that was written. Then this server becomes a replica of it, and its first PSYNC
//! says that the other is to be the master now. (Redis 6.2.)

use super::replica::Phase;
use crate::config::MasterAddress;
use crate::keyspace::Keyspace;
use crate::log::Level;
use crate::server::pause::{PauseKind, PausePurpose};
use crate::server::{Server, State};

/// A failover that is going on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failover {
    /// The replica that is to become the master; `None`: whichever has everything first.
    target: Option<MasterAddress>,
    /// When it is given up, or with `force` done in any case, on the monotonic clock.
    deadline_us: Option<u64>,
    force: bool,
    /// This server is a replica already, and asks the other to be its master.
    in_progress: bool,
}

impl Failover {
    /// The word for how far it is.
    pub fn state_name(failover: Option<&Self>) -> &'static str {
        match failover {
            None => "no-failover",
            Some(failover) if failover.in_progress => "failover-in-progress",
            Some(_) => "waiting-for-sync",
        }
    }

    /// Whether this server asks the replica to become its master.
    pub fn is_in_progress(&self) -> bool {
        self.in_progress
    }
}

impl State {
    /// Begins a failover. Whether it is possible was checked.
    pub fn begin_failover(
        &mut self,
        keyspace: &mut Keyspace,
        target: Option<MasterAddress>,
        deadline_us: Option<u64>,
        force: bool,
    ) {
        match &target {
            Some(target) => self.log(
                Level::Notice,
                format_args!("FAILOVER requested to {}:{}.", target.host, target.port),
            ),
            None => self.log(Level::Notice, format_args!("FAILOVER requested to any replica.")),
        }
        self.replication.failover =
            Some(Failover { target, deadline_us, force, in_progress: false });
        self.pause_for(PausePurpose::Failover, keyspace, PauseKind::Write, u64::MAX);
        self.ask_for_acks();
    }

    /// Gives a failover up: this server is the master, or is again.
    pub fn abort_failover(&mut self, keyspace: &mut Keyspace, why: &str) {
        let Some(failover) = self.replication.failover.take() else { return };
        match &failover.target {
            Some(target) => self.log(
                Level::Notice,
                format_args!("FAILOVER to {}:{} aborted: {why}", target.host, target.port),
            ),
            None => self.log(Level::Notice, format_args!("FAILOVER to any replica aborted: {why}")),
        }
        if failover.in_progress {
            self.follow_nobody(keyspace);
        }
        self.unpause_for(PausePurpose::Failover, keyspace);
    }

    /// The other server is the master now: writes go on, and are refused here.
    pub fn end_failover(&mut self, keyspace: &mut Keyspace) {
        if self.replication.failover.take().is_some() {
            self.unpause_for(PausePurpose::Failover, keyspace);
        }
    }

    /// The replica that is reached at an address, as it has said itself.
    pub fn find_replica(&self, host: &str, port: i64) -> Option<&super::replica::Replica> {
        let is_it = |(client, replica): &(&crate::server::Client, &super::replica::Replica)| {
            client.replica_host().eq_ignore_ascii_case(host) && replica.listening_port == port
        };
        self.replicas().find(is_it).map(|(_, replica)| replica)
    }

    /// The address of a replica that has everything, if it is the one that is wanted.
    fn replica_in_sync(&self, failover: &Failover) -> Option<MasterAddress> {
        let end = self.replication.history.offset;
        self.replicas().find_map(|(client, replica)| {
            let host = client.replica_host();
            let port = u16::try_from(replica.listening_port).ok()?;
            let is_wanted = failover
                .target
                .as_ref()
                .is_none_or(|target| target.host.eq_ignore_ascii_case(host) && target.port == port);
            let is_synced = replica.phase == Phase::Online && replica.acked == end;
            (is_wanted && is_synced).then(|| MasterAddress { host: host.to_string(), port })
        })
    }
}

impl Server {
    /// Goes on with a failover.
    pub(in crate::server) fn failover_some(&mut self) {
        let Self { state, keyspace, .. } = self;
        let Some(failover) = state.replication.failover.as_ref().filter(|it| !it.in_progress)
        else {
            return;
        };
        let is_over = failover.deadline_us.is_some_and(|at_us| at_us <= state.now.monotonic_us);
        let forced = failover.target.clone().filter(|_| failover.force && is_over);
        let synced = state.replica_in_sync(failover);
        let target = match (forced, synced) {
            (Some(target), _) => {
                state.log(
                    Level::Notice,
                    format_args!(
                        "FAILOVER to {}:{} time out exceeded, failing over.",
                        target.host, target.port
                    ),
                );
                target
            }
            (None, _) if is_over => {
                return state.abort_failover(keyspace, "Replica never caught up before timeout");
            }
            (None, Some(target)) => {
                state.log(
                    Level::Notice,
                    format_args!(
                        "Failover target {}:{} is synced, failing over.",
                        target.host, target.port
                    ),
                );
                target
            }
            (None, None) => return,
        };
        if let Some(failover) = &mut state.replication.failover {
            failover.in_progress = true;
            failover.target = Some(target.clone());
        }
        state.follow(keyspace, target);
    }
}
