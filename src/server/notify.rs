//! Keyspace notifications: what happens to keys, published to channels that are named after the key and after the event.
//!
//! Commands name their events; the keyspace notes which keys are new, overwritten or missed, and which have expired.
//! Names and order are those of Redis 7.0.15; `overwritten` and `type_changed` those of Redis 8.2.

use super::State;
use super::pubsub::Kind;
use crate::config::KeyspaceEvents;
use crate::keyspace::{ExpiredFields, ExpiredKey, Happening, Keyspace, Notice};
use crate::net::Token;

/// The class and the name of what the keyspace notes.
const NOTICES: [(Happening, u16, &str); 4] = [
    (Happening::New, KeyspaceEvents::NEW, "new"),
    (Happening::Missed, KeyspaceEvents::KEY_MISS, "keymiss"),
    (Happening::Overwritten, KeyspaceEvents::OVERWRITTEN, "overwritten"),
    (Happening::TypeChanged, KeyspaceEvents::TYPE_CHANGED, "type_changed"),
];

impl State {
    /// Something has happened to a key: `class` is a letter's bit of `notify-keyspace-events`. Costs a glance while nobody
    /// asked for the class.
    #[inline]
    pub fn notify(&mut self, class: u16, event: &str, db: usize, key: &[u8]) {
        if self.config.notify_keyspace_events.has(class) {
            self.keyspace_event(event, db, key);
        }
    }

    #[cold]
    fn keyspace_event(&mut self, event: &str, db: usize, key: &[u8]) {
        let channels = self.pubsub.topics(Kind::Channel);
        if channels.is_empty() && self.pubsub.topics(Kind::Pattern).is_empty() {
            return;
        }
        let events = self.config.notify_keyspace_events;
        if events.has(KeyspaceEvents::KEYSPACE) {
            let channel = [format!("__keyspace@{db}__:").as_bytes(), key].concat();
            self.publish(Kind::Channel, &channel, event.as_bytes());
        }
        if events.has(KeyspaceEvents::KEYEVENT) {
            let channel = format!("__keyevent@{db}__:{event}");
            self.publish(Kind::Channel, channel.as_bytes(), key);
        }
    }

    /// Has the keyspace note what somebody may be told of.
    pub(super) fn apply_notice_config(&self, keyspace: &mut Keyspace) {
        let events = self.config.notify_keyspace_events;
        let asked_for = NOTICES.iter().filter(|(_, class, _)| events.has(*class));
        keyspace.notices.want(asked_for.map(|(happening, ..)| *happening));
    }

    /// Tells what the keyspace has noted.
    pub(crate) fn tell_notices(&mut self, notices: Vec<Notice>) {
        for Notice { happening, db, key } in notices {
            let (_, class, event) = NOTICES[happening as usize];
            self.notify(class, event, db, &key);
        }
    }

    /// Keys or fields were removed because they were due: all that follows from a change follows from this one, too.
    #[cold]
    pub(crate) fn keys_expired(&mut self, expired: Vec<ExpiredKey>) {
        for ExpiredKey { db, key, fields } in expired {
            match fields {
                None => {
                    self.key_expired(db, &key);
                    self.notify(KeyspaceEvents::EXPIRED, "expired", db, &key);
                    self.effects.add(db, [&b"DEL"[..], &key].into_iter());
                }
                Some(fields) => self.fields_expired(db, &key, &fields),
            }
        }
    }

    /// A key was removed to make room.
    pub(super) fn key_evicted(&mut self, db: usize, key: &[u8]) {
        self.key_changed_by(None, db, key);
        self.notify(KeyspaceEvents::EVICTED, "evicted", db, key);
        let name: &[u8] = if self.config.lazyfree_lazy_eviction { b"UNLINK" } else { b"DEL" };
        self.effects.add(db, [name, key].into_iter());
    }

    /// HDEL of the last field removes the key wherever it is repeated: no DEL has to follow.
    fn fields_expired(&mut self, db: usize, key: &[u8], fields: &ExpiredFields) {
        self.key_changed_by(None, db, key);
        self.notify(KeyspaceEvents::HASH, "hexpired", db, key);
        if fields.emptied {
            self.notify(KeyspaceEvents::GENERIC, "del", db, key);
        }
        let names = fields.names.iter().map(Vec::as_slice);
        let hdel: Vec<&[u8]> = [&b"HDEL"[..], key].into_iter().chain(names).collect();
        self.effects.add(db, hdel.into_iter());
    }

    /// A key has another value than before, or none: whoever watches it or has it in a cache is told.
    #[inline]
    pub(crate) fn key_changed(&mut self, db: usize, key: &[u8]) {
        self.key_changed_by(self.current, db, key);
    }

    /// The same, by a request of some client or by itself.
    #[inline]
    fn key_changed_by(&mut self, client: Option<Token>, db: usize, key: &[u8]) {
        if !self.blocked_keys.is_empty() {
            self.blocked_keys.key_changed(db, key);
        }
        if !self.watched.is_empty() {
            self.watched_key_changed(db, key);
        }
        if !self.migrations.is_empty() {
            self.migrations.key_changed(db, key);
        }
        if self.tracking.is_on() {
            self.tracked_key_changed(key, client);
        }
    }

    /// A key was removed because it was due: no change for whoever has not seen it.
    fn key_expired(&mut self, db: usize, key: &[u8]) {
        if !self.watched.is_empty() {
            self.watched_key_expired(db, key);
        }
        if !self.migrations.is_empty() {
            self.migrations.key_changed(db, key);
        }
        if self.tracking.is_on() {
            self.tracked_key_changed(key, None);
        }
    }

    /// These databases were emptied.
    pub fn databases_flushed(&mut self, databases: impl Iterator<Item = usize>) {
        for db in databases {
            self.effects.database_flushed(db);
            if !self.watched.is_empty() {
                self.watched_database_flushed(db);
            }
            self.migrations.database_changed(db);
        }
        if self.tracking.is_on() {
            self.tracked_keys_flushed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Token;
    use crate::server::testing::TestServer;

    /// A server and a client that is sent all events of the classes in `letters`.
    fn listening(letters: &str) -> (TestServer, Token) {
        let mut redis = TestServer::new();
        redis.run(&format!("CONFIG SET notify-keyspace-events {letters}")).is("+OK");
        let listener = redis.connect();
        redis.run_as(listener, "PSUBSCRIBE __key*");
        (redis, listener)
    }

    /// The events since the last look, as `event key`.
    fn events(redis: &mut TestServer, listener: Token) -> String {
        let received = redis.take(listener).0;
        let words: Vec<&str> = received.split(' ').collect();
        let event = |message: &[&str]| {
            let (_, event) = message[6].split_once("@0__:").unwrap_or((message[6], ""));
            let other_db = message[6].split_once("@1__:").map(|(_, event)| format!("1:{event}"));
            format!("{} {}", other_db.unwrap_or(event.to_string()), message[8])
        };
        words.chunks_exact(9).map(event).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_classes_are_in_the_order_of_what_is_noted() {
        for (number, (happening, ..)) in NOTICES.into_iter().enumerate() {
            assert_eq!(happening as usize, number);
        }
    }

    #[test]
    fn an_event_goes_to_the_channel_of_the_key_and_to_its_own() {
        let mut redis = TestServer::new();
        let listener = redis.connect();
        redis.run_as(listener, "PSUBSCRIBE *");
        redis.take(listener);
        redis.run("SET k v");
        redis.run("CONFIG SET notify-keyspace-events $").is("+OK");
        redis.run("SET k v");
        redis.take(listener).is("");
        redis.run("CONFIG SET notify-keyspace-events KE$").is("+OK");
        redis.run("SELECT 3");
        redis.run("SET k v");
        redis.take(listener).is(
            "*4 $8 pmessage $1 * $16 __keyspace@3__:k $3 set *4 $8 pmessage $1 * $18 __keyevent@3__:set $1 k",
        );
        redis.run("DEL k");
        redis.take(listener).is("");
    }

    /// What Redis 7.0.15 sends with `EAnm`, and for the commands it does not have, what Valkey 9.1 and Redis 8 send.
    #[test]
    fn each_command_sends_the_events_of_redis_in_its_order() {
        let (mut redis, listener) = listening("EAnm");
        for (line, expected) in [
            ("SET k v", "new k, set k"),
            ("SET k v EX 100", "set k, expire k"),
            ("SET k v KEEPTTL", "set k"),
            ("SET k v NX", ""),
            ("SET new v GET", "keymiss new, new new, set new"),
            ("SETEX k 100 v", "set k, expire k"),
            ("PSETEX k 100000 v", "set k, expire k"),
            ("PERSIST k", "persist k"),
            ("PERSIST k", ""),
            ("SETNX k v", ""),
            ("SETNX nx v", "new nx, set nx"),
            ("GETSET k w", "set k"),
            ("GETSET gs w", "keymiss gs, new gs, set gs"),
            ("APPEND k x", "append k"),
            ("APPEND a x", "new a, append a"),
            ("SETRANGE k 1 xx", "setrange k"),
            ("SETRANGE sr 1 xx", "new sr, setrange sr"),
            ("SETRANGE empty 1 \"\"", ""),
            ("INCR n", "new n, incrby n"),
            ("DECRBY n 5", "incrby n"),
            ("INCRBYFLOAT n 0.5", "incrbyfloat n"),
            ("INCRBYFLOAT f 0.5", "new f, incrbyfloat f"),
            ("MSET k 1 m 2", "set k, new m, set m"),
            ("MSETNX k 1 o 2", ""),
            ("MSETNX p 1 o 2", "new p, set p, new o, set o"),
            ("MSETEX 2 k 1 m 2 EX 10", "set k, expire k, set m, expire m"),
            ("GETEX k PERSIST", "persist k"),
            ("GETEX k EX 10", "expire k"),
            ("GETEX k PXAT 1", "del k"),
            ("GETEX k", "keymiss k"),
            ("GETDEL m", "del m"),
            ("GETDEL m", "keymiss m"),
            ("EXPIRE p 10", "expire p"),
            ("EXPIRE p 10 NX", ""),
            ("PEXPIREAT p 1", "del p"),
            ("EXPIRE p 10", ""),
            ("DEL o p n", "del o, del n"),
            ("UNLINK f", "del f"),
            ("DELIFEQ a x", "del a"),
            ("SET b 1", "new b, set b"),
            ("DELEX b IFEQ 1", "del b"),
            ("EXISTS a nx a", "keymiss a, keymiss a"),
            ("TYPE a", "keymiss a"),
            ("TTL a", "keymiss a"),
            ("STRLEN a", "keymiss a"),
            ("MGET nx a gs", "keymiss a"),
            ("OBJECT ENCODING a", ""),
            ("RENAME gs r", "new r, rename_from gs, rename_to r"),
            ("RENAME r nx", "new nx, rename_from r, rename_to nx"),
            ("RENAME nx nx", ""),
            ("RENAMENX nx new", ""),
            ("RENAMENX nx r", "new r, rename_from nx, rename_to r"),
            ("COPY r c", "new c, copy_to c"),
            ("COPY r c REPLACE", "new c, copy_to c"),
            ("COPY r c", ""),
            ("COPY a c", "keymiss a"),
            ("COPY r c DB 1", "1:new c, 1:copy_to c"),
            ("MOVE r 1", "1:new r, move_from r, 1:move_to r"),
            ("MOVE c 1", ""),
            ("FLUSHALL", ""),
        ] {
            redis.run(line);
            assert_eq!(events(&mut redis, listener), expected, "{line}");
        }
    }

    #[test]
    fn a_key_that_expires_is_told_of_when_it_is_removed() {
        let (mut redis, listener) = listening("EAnm");
        redis.run("SET k v PX 100");
        redis.run("SET other v PX 100");
        redis.server.state.active_expire = false;
        events(&mut redis, listener);
        redis.advance_ms(200);
        assert_eq!(events(&mut redis, listener), "");
        redis.run("GET k");
        assert_eq!(events(&mut redis, listener), "expired k, keymiss k");
        redis.run("SET other v");
        assert_eq!(events(&mut redis, listener), "expired other, new other, set other");
        redis.server.state.active_expire = true;
        redis.run("PEXPIRE other 10");
        events(&mut redis, listener);
        redis.advance_ms(200);
        redis.advance_ms(200);
        assert_eq!(events(&mut redis, listener), "expired other");
    }

    #[test]
    fn a_value_that_is_replaced_is_told_of_when_asked_for() {
        let (mut redis, listener) = listening("E$goc");
        redis.run("SET k v");
        redis.run("SET k w");
        assert_eq!(events(&mut redis, listener), "set k, overwritten k, set k");
        redis.run("INCR n");
        redis.run("INCR n");
        redis.run("INCRBYFLOAT n 1");
        redis.run("APPEND n 1");
        assert_eq!(events(&mut redis, listener), "incrby n, incrby n, incrbyfloat n, append n");
        redis.run("RENAME n k");
        redis.run("COPY k k2");
        redis.run("COPY k k2 REPLACE");
        assert_eq!(
            events(&mut redis, listener),
            "rename_from n, rename_to k, overwritten k, copy_to k2, copy_to k2, overwritten k2"
        );
    }

    #[test]
    fn the_client_whose_command_it_was_is_told_after_the_reply() {
        let mut redis = TestServer::new();
        redis.run("HELLO 3");
        redis.run("CONFIG SET notify-keyspace-events KA");
        redis.run("SUBSCRIBE __keyspace@0__:k");
        redis.run("SET k v").is("+OK >3 $7 message $16 __keyspace@0__:k $3 set");
    }
}
