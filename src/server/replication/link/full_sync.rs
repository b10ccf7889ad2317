//! All data of the master, read as it comes in, into a keyspace of its own. Clients are served from the old one until the
//! new one is whole and its checksum right; then the two change places at once, and the old one is dropped elsewhere. So
//! there is never half a dataset, whatever becomes of the master meanwhile (`repl-diskless-load swapdb`).
//!
//! What was received with one `read` is stored before the next one: a replica that is slower than its master makes the
//! master wait.

use std::fmt;

use super::payload::{Announcement, Frame};
use super::{Phase, State};
use crate::keyspace::Keyspace;
use crate::log::Level;
use crate::net::Token;
use crate::persistence::rdb::Reader;
use crate::server::Server;
use crate::server::durability::{Target, store_events};
use crate::server::replication::{History, ReplId};

/// Data that is coming in.
pub struct Transfer {
    /// The history that the data is of.
    replid: ReplId,
    /// How many bytes of it are in the data.
    offset: u64,
    announcement: Announcement,
    frame: Option<Frame>,
    reader: Reader,
    /// What has come in so far.
    keyspace: Keyspace,
    target: Target,
    /// The snapshot is read, the mark behind it is not.
    read_to_end: bool,
    mark: Vec<u8>,
    total_bytes: Option<u64>,
    read_bytes: u64,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("replid", &self.replid)
            .field("offset", &self.offset)
            .field("read_bytes", &self.read_bytes)
            .finish_non_exhaustive()
    }
}

impl Transfer {
    /// Bytes in all, if that is known, and bytes that are here.
    pub fn progress(&self) -> (Option<u64>, u64) {
        (self.total_bytes, self.read_bytes)
    }

    /// Takes bytes off the front of `bytes`. Returns whether the data is whole; what is left then is the master's stream.
    /// The error is for the log: this transfer leads to nothing.
    fn feed(&mut self, bytes: &mut &[u8]) -> Result<bool, String> {
        if self.frame.is_none() {
            self.frame = self.announcement.feed(bytes)?;
            if let Some(Frame::Left(total)) = self.frame {
                self.total_bytes = Some(total);
            }
        }
        match self.frame {
            None => Ok(false),
            Some(Frame::Left(left)) => self.feed_counted(left, bytes),
            Some(Frame::Mark(mark)) => self.feed_marked(&mark, bytes),
        }
    }

    fn feed_counted(&mut self, left: u64, bytes: &mut &[u8]) -> Result<bool, String> {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (piece, rest) = bytes.split_at(len);
        *bytes = rest;
        let left = left - len as u64;
        self.frame = Some(Frame::Left(left));
        self.read_to_end = self.read_to_end || self.store(piece)?;
        if !self.read_to_end {
            return match left {
                0 => self.reader.finish().map(|()| true).map_err(|error| error.to_string()),
                _ => Ok(false),
            };
        }
        match left + self.reader.rest().len() as u64 {
            0 => Ok(true),
            more => Err(format!("{more} bytes follow the end of the snapshot")),
        }
    }

    fn feed_marked(&mut self, mark: &[u8], bytes: &mut &[u8]) -> Result<bool, String> {
        if !self.read_to_end {
            self.read_to_end = self.store(bytes)?;
            // Its end was not there before these bytes were: what is left of them follows it.
            let rest = if self.read_to_end { self.reader.rest().len() } else { 0 };
            *bytes = &bytes[bytes.len() - rest..];
        }
        let (piece, rest) = bytes.split_at(bytes.len().min(mark.len() - self.mark.len()));
        self.mark.extend_from_slice(piece);
        *bytes = rest;
        if !mark.starts_with(&self.mark) {
            return Err("Replication stream EOF marker is broken".to_string());
        }
        Ok(self.read_to_end && self.mark.len() == mark.len())
    }

    /// Stores what is in a piece of the snapshot. Returns whether that has come to its end.
    fn store(&mut self, piece: &[u8]) -> Result<bool, String> {
        self.read_bytes += piece.len() as u64;
        self.reader.feed(piece);
        store_events(&mut self.keyspace, &mut self.reader, &mut self.target)
    }
}

impl State {
    /// The master will send all its data: `offset` bytes of the history `replid` are in it.
    pub(super) fn begin_full_sync(
        &mut self,
        token: Token,
        keyspace: &Keyspace,
        replid: ReplId,
        offset: u64,
    ) {
        self.log(Level::Notice, format_args!("Full resync from master: {replid}:{offset}"));
        let transfer = Transfer {
            replid,
            offset,
            announcement: Announcement::default(),
            frame: None,
            reader: Reader::new(self.rdb_limits(keyspace), self.config.rdbchecksum),
            keyspace: keyspace.empty_twin(),
            target: Target::default(),
            read_to_end: false,
            mark: Vec::new(),
            total_bytes: None,
            read_bytes: 0,
        };
        self.set_phase(Phase::FullSync { token, transfer: Box::new(transfer) });
    }
}

impl Server {
    /// More of the master's data has come in.
    pub(super) fn take_data(&mut self, bytes: &mut &[u8]) {
        let Some(link) = self.state.link_mut() else { return };
        let Phase::FullSync { transfer, .. } = &mut link.phase else { return };
        let was_announced = transfer.frame.is_some();
        let fed = transfer.feed(bytes);
        if !was_announced && let Some(frame) = transfer.frame {
            self.state.tell_frame(frame);
        }
        match fed {
            Ok(false) => {}
            Ok(true) => self.all_data_is_here(),
            Err(error) => {
                let message = format!(
                    "Failed trying to load the MASTER synchronization DB from socket: {error}"
                );
                self.state.give_up_sync(&message);
                *bytes = &[];
            }
        }
    }

    /// The master's data takes the place of what was here.
    fn all_data_is_here(&mut self) {
        let Some(link) = self.state.link_mut() else { return };
        let Some(token) = link.phase.token() else { return };
        let nothing = Phase::Waiting { until_us: u64::MAX };
        let Phase::FullSync { transfer, .. } = std::mem::replace(&mut link.phase, nothing) else {
            return;
        };
        let Transfer { replid, offset, keyspace, target, .. } = *transfer;
        let Self { keyspace: served, state, .. } = self;
        state.log(
            Level::Notice,
            format_args!("MASTER <-> REPLICA sync: Swapping active DB with loaded DB"),
        );
        state.abort_full_sync(served);
        state.disconnect_replicas();
        served.adopt(keyspace);
        state.all_keys_changed(served);
        for garbage in served.take_garbage() {
            state.environment.discard(Box::new(garbage));
        }
        state.replication.stream_db = 0;
        state.adopt_history(History { offset, ..History::new(replid) });
        state.dirty += 1; // the last snapshot is of other data
        state.durability.facts.keys_loaded = target.keys;
        state.replace_log();
        state.log(
            Level::Notice,
            format_args!("MASTER <-> REPLICA sync: Finished with success: {} keys", target.keys),
        );
        state.begin_stream(token);
    }
}

impl State {
    fn tell_frame(&mut self, frame: Frame) {
        match frame {
            Frame::Left(bytes) => self.log(
                Level::Notice,
                format_args!(
                    "MASTER <-> REPLICA sync: receiving {bytes} bytes from master to parser"
                ),
            ),
            Frame::Mark(_) => self.log(
                Level::Notice,
                format_args!(
                    "MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF to parser"
                ),
            ),
        }
        self.log(Level::Notice, format_args!("MASTER <-> REPLICA sync: Loading DB in memory"));
    }

    /// Any key may have another value than before.
    fn all_keys_changed(&mut self, keyspace: &Keyspace) {
        self.databases_flushed(0..keyspace.databases_len());
        for db in 0..keyspace.databases_len() {
            self.databases_swapped(keyspace, db, db);
            self.blocked_keys.database_changed(db);
        }
    }
}
