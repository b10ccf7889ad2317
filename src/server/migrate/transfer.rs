//! What is sent to the target of `MIGRATE`: `AUTH`, `SELECT` and a `RESTORE` for each key, all at once; and what follows
//! from each answer.

use std::collections::{HashMap, VecDeque};

use crate::commands::CommandError;
use crate::config::KeyspaceEvents;
use crate::keyspace::Keyspace;
use crate::net::Token;
use crate::persistence::rdb::{Encoder, dump};
use crate::resp::{Reply, Value, write_request};
use crate::server::{Blocked, Server, State};

/// How often a key is sent that changes each time.
const ROUNDS_MAX: u32 = 16;
const KEPT_CHANGING: &str = "ERR Some of the keys changed each time they were sent. They are still here, and at the target instance as they were";

/// What an answer will be about.
enum Question {
    Auth,
    Select,
    Key(Vec<u8>),
}

/// Keys on their way.
pub(super) struct Transfer {
    client: (Token, u64),
    source_db: usize,
    target_db: i64,
    pub timeout_us: u64,
    copies: bool,
    replaces: bool,
    auth: Vec<Vec<u8>>,
    /// The keys that have not arrived, and whether they have changed since they were sent.
    keys: HashMap<Vec<u8>, bool>,
    questions: VecDeque<Question>,
    unsent: bool,
    /// How often something was sent.
    rounds: u32,
    answered: bool,
    retried: bool,
    /// `AUTH` or `SELECT` was refused: no other answer means what it says.
    refused: bool,
    /// The first answer that was an error.
    error: Option<Vec<u8>>,
}

impl Transfer {
    pub fn new(
        client: (Token, u64),
        (source_db, target_db): (usize, i64),
        timeout_us: u64,
        (copies, replaces): (bool, bool),
        auth: Vec<Vec<u8>>,
        keys: HashMap<Vec<u8>, bool>,
    ) -> Self {
        Self {
            client,
            source_db,
            target_db,
            timeout_us,
            copies,
            replaces,
            auth,
            keys,
            questions: VecDeque::new(),
            unsent: true,
            rounds: 0,
            answered: false,
            retried: false,
            refused: false,
            error: None,
        }
    }

    /// Whether it waits to be sent.
    pub fn is_unsent(&self) -> bool {
        self.unsent
    }

    /// Whether it may be sent through another connection: once, and not if the target has begun to answer.
    pub fn may_retry(&mut self) -> bool {
        let may = !self.answered && !self.retried;
        self.retried = true;
        self.unsent = true;
        self.questions.clear();
        may
    }

    pub fn key_changed(&mut self, db: usize, key: &[u8]) {
        if db == self.source_db
            && let Some(changed) = self.keys.get_mut(key)
        {
            *changed = true;
        }
    }

    pub fn database_changed(&mut self, db: usize) {
        if db == self.source_db {
            self.keys.values_mut().for_each(|changed| *changed = true);
        }
    }

    /// All that is to be sent now, to a target that is in the database `selected`. O(values).
    fn request(
        &mut self,
        keyspace: &mut Keyspace,
        selected: Option<i64>,
        compresses: bool,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.auth.is_empty() && self.rounds == 0 {
            let words: Vec<&[u8]> =
                std::iter::once(&b"AUTH"[..]).chain(self.auth.iter().map(Vec::as_slice)).collect();
            write_request(&mut out, words.into_iter());
            self.questions.push_back(Question::Auth);
        }
        if selected != Some(self.target_db) {
            let db = self.target_db.to_string();
            write_request(&mut out, [&b"SELECT"[..], db.as_bytes()].into_iter());
            self.questions.push_back(Question::Select);
        }
        // Whatever has arrived in a round before is ours.
        let replaces = self.replaces || self.rounds > 0;
        let mut encoder = Encoder::new(compresses);
        for (key, changed) in &mut self.keys {
            *changed = false;
            match payload(keyspace, self.source_db, key, &mut encoder) {
                Some((ttl_ms, payload)) => {
                    let ttl_ms = ttl_ms.to_string();
                    let words = [&b"RESTORE"[..], key, ttl_ms.as_bytes(), &payload, b"REPLACE"];
                    let count = if replaces { 5 } else { 4 };
                    write_request(&mut out, words[..count].iter().copied());
                }
                // Gone meanwhile. What has arrived of it is not to stay.
                None if self.rounds > 0 => write_request(&mut out, [&b"DEL"[..], key].into_iter()),
                None => continue,
            }
            self.questions.push_back(Question::Key(key.clone()));
        }
        self.rounds += 1;
        self.unsent = false;
        out
    }
}

/// How long a key lives (0: forever), and its value as bytes; `None` if it is not there.
fn payload(
    keyspace: &mut Keyspace,
    db: usize,
    key: &[u8],
    encoder: &mut Encoder,
) -> Option<(i64, Vec<u8>)> {
    let mut db = keyspace.db(db);
    let slot = db.find(key)?;
    let now_ms = db.now_ms();
    let ttl_ms = db.expire_at_ms(slot).map_or(0, |at_ms| at_ms.saturating_sub(now_ms).max(1));
    let database = db.database();
    Some((ttl_ms, dump(database.value(database.entry(slot)), encoder)))
}

impl Server {
    pub(super) fn send_transfer(&mut self, token: Token) {
        let Self { keyspace, state, .. } = self;
        let Some(place) = state.migrations.place_of(token) else { return };
        let link = &mut state.migrations.links[place];
        let Some(transfer) = &mut link.transfer else { return };
        let request = transfer.request(keyspace, link.selected, state.config.rdbcompression);
        let has_questions = !transfer.questions.is_empty();
        link.active_us = state.now.monotonic_us;
        state.clients.get_mut(token).output.extend(&request);
        state.write_later(token);
        if !has_questions {
            self.transfer_ended(token);
        }
    }

    /// Answers of a target have come in.
    pub(in crate::server) fn receive_from_target(&mut self, token: Token, bytes: &[u8]) {
        let Some(place) = self.state.migrations.place_of(token) else { return };
        let link = &mut self.state.migrations.links[place];
        link.active_us = self.state.now.monotonic_us;
        let mut received = std::mem::take(&mut link.received);
        received.extend_from_slice(bytes);
        let mut done = 0;
        while let Some(place) = self.state.migrations.place_of(token) {
            match self.state.migrations.links[place].reader.read(&received[done..]) {
                Ok(Some((value, len))) => {
                    done += len;
                    self.answer_came(token, &value);
                }
                Ok(None) => {
                    received.drain(..done);
                    self.state.migrations.links[place].received = received;
                    return;
                }
                Err(_) => return self.state.close_now(token), // it is told as disconnected
            }
        }
    }

    fn answer_came(&mut self, token: Token, answer: &Value) {
        let Some(place) = self.state.migrations.place_of(token) else { return };
        let Some(transfer) = &mut self.state.migrations.links[place].transfer else { return };
        let Some(question) = transfer.questions.pop_front() else { return };
        transfer.answered = true;
        let error = answer.as_error();
        if let Some(text) = error {
            transfer.refused |= !matches!(question, Question::Key(_));
            transfer.error.get_or_insert_with(|| text.to_vec());
        }
        let is_last = transfer.questions.is_empty();
        if let (Question::Key(key), None, false) = (question, error, transfer.refused) {
            let changed = transfer.keys.get(&key).is_some_and(|&changed| changed);
            let (db, copies) = (transfer.source_db, transfer.copies);
            if copies || !changed {
                transfer.keys.remove(&key);
            }
            if !copies && !changed {
                self.remove_moved(db, &key);
            }
        }
        if is_last {
            self.transfer_ended(token);
        }
    }

    /// A key has arrived: it is there and not here.
    fn remove_moved(&mut self, db: usize, key: &[u8]) {
        let Self { keyspace, state, .. } = self;
        if !keyspace.db(db).delete(key) {
            return;
        }
        state.dirty += 1;
        state.key_changed(db, key);
        state.notify(KeyspaceEvents::GENERIC, "del", db, key);
        state.effects.add(db, [&b"DEL"[..], key].into_iter());
    }

    /// All that was sent is answered.
    fn transfer_ended(&mut self, token: Token) {
        let state = &mut self.state;
        let Some(place) = state.migrations.place_of(token) else { return };
        let link = &mut state.migrations.links[place];
        let Some(mut transfer) = link.transfer.take() else { return };
        if let Some(text) = &transfer.error {
            link.selected = None;
            let text = String::from_utf8_lossy(text);
            let text = format!("ERR Target instance replied with error: {text}");
            return state.answer_migrate(&transfer, Some(text));
        }
        link.selected = Some(transfer.target_db);
        let has_changed = transfer.keys.values().any(|&changed| changed);
        if !has_changed {
            state.answer_migrate(&transfer, None);
        } else if transfer.rounds < ROUNDS_MAX {
            transfer.keys.retain(|_, changed| *changed);
            transfer.unsent = true;
            link.transfer = Some(transfer);
        } else {
            state.answer_migrate(&transfer, Some(KEPT_CHANGING.to_string()));
        }
    }
}

impl State {
    pub(super) fn transfer_failed(&mut self, transfer: Option<Box<Transfer>>, what: &str) {
        if let Some(transfer) = transfer {
            self.answer_migrate(&transfer, Some(format!("IOERR error or timeout {what}")));
        }
    }

    /// Answers the client that has asked, if it is still there: `+OK`, or this error.
    fn answer_migrate(&mut self, transfer: &Transfer, error: Option<String>) {
        let (token, id) = transfer.client;
        let is_it = self.clients.find_mut(token).is_some_and(|client| client.id == id);
        if !is_it || self.clients.get(token).blocked != Some(Blocked::Migrating) {
            return;
        }
        let mut reply = Reply::new(self.clients.get(token).protocol);
        match error.map(CommandError::Message) {
            None => reply.ok(),
            Some(error) => {
                self.stats.count_error(&error);
                error.reply(&mut reply);
            }
        }
        self.answer_blocked(token, reply);
    }
}
