//! `maxmemory`: before a command runs, keys are removed until memory is below the limit. Which ones, `maxmemory-policy`
//! says; like Redis (evict.c) it looks at a few keys drawn at random and remembers the best candidates it has met, which
//! comes close to the exact order at no cost per key.
//!
//! Memory is what the program has allocated, without the room that removed keys have left in their pages, and without what
//! another thread is about to free.

use super::{Server, State};
use crate::config::MaxmemoryPolicy;
use crate::keyspace::{Database, Evictable};

/// Candidates remembered.
const CANDIDATES_MAX: usize = 16;
/// Keys removed between two looks at the clock.
const KEYS_PER_CLOCK_READ: u64 = 16;

/// A key that may go.
struct Candidate {
    /// The highest goes first.
    score: u64,
    db: usize,
    key: Vec<u8>,
}

/// What is known from one eviction to the next.
#[derive(Default)]
pub struct Eviction {
    /// Best last.
    candidates: Vec<Candidate>,
    /// Where the next random key comes from.
    next_db: usize,
    /// Memory is above the limit, and nothing may be removed: commands that need more are refused.
    pub is_short: bool,
    /// Time was up before memory was below the limit.
    pub is_running: bool,
    /// Bytes that another thread has been given to free.
    freeing_bytes: usize,
    /// Since when memory has been above the limit, on the monotonic clock.
    exceeded_since_us: Option<u64>,
}

impl Eviction {
    /// For how long memory has been above the limit by now, in microseconds.
    pub fn exceeded_us(&self, now_us: u64) -> u64 {
        self.exceeded_since_us.map_or(0, |since_us| now_us.saturating_sub(since_us))
    }

    /// The limit or the policy may be another one: what was found out before counts no more.
    pub fn start_afresh(&mut self) {
        self.candidates.clear();
        (self.is_short, self.is_running) = (false, false);
    }

    /// Remembers a key if it is among the best.
    fn consider(&mut self, score: u64, db: usize, key: &[u8]) {
        let place = self.candidates.partition_point(|other| other.score < score);
        let is_full = self.candidates.len() == CANDIDATES_MAX;
        let is_known = |other: &Candidate| other.db == db && other.key == key;
        if is_full && place == 0 || self.candidates.iter().any(is_known) {
            return;
        }
        self.candidates.insert(place, Candidate { score, db, key: key.to_vec() });
        if is_full {
            self.candidates.remove(0);
        }
    }
}

impl Server {
    /// Sees that memory is below `maxmemory`, as far as the policy and the time allow. O(1) while it is.
    pub(super) fn make_room(&mut self) {
        let over_bytes = self.bytes_over_limit();
        let State { eviction, stats, now, durability, replication, config, .. } = &mut self.state;
        (eviction.is_short, eviction.is_running) = (false, false);
        let is_ignored = !replication.is_master() && config.replica_ignore_maxmemory;
        if over_bytes == 0 || is_ignored {
            stats.eviction_exceeded_us += eviction.exceeded_us(now.monotonic_us);
            eviction.exceeded_since_us = None;
        } else if durability.loading.is_none() {
            eviction.exceeded_since_us.get_or_insert(now.monotonic_us);
            self.evict(over_bytes);
        }
    }

    /// How far memory is above the limit.
    fn bytes_over_limit(&mut self) -> u64 {
        let state = &mut self.state;
        let is_exempt = state.config.replica_ignore_maxmemory && !state.replication.is_master();
        if state.config.maxmemory == 0 || is_exempt {
            return 0;
        }
        if state.eviction.freeing_bytes > 0 && state.environment.discarding() == 0 {
            state.eviction.freeing_bytes = 0;
        }
        let log_bytes = state.durability.log.as_ref().map_or(0, |log| log.unwritten());
        let not_counted = self.keyspace.vacant_bytes() + state.eviction.freeing_bytes;
        let used = state.environment.allocated_bytes().saturating_sub(not_counted);
        (used as u64).saturating_sub(log_bytes).saturating_sub(state.config.maxmemory)
    }

    #[cold]
    fn evict(&mut self, over_bytes: u64) {
        let policy = self.state.config.maxmemory_policy;
        let started_ns = self.state.environment.monotonic_ns();
        let limit_ns = eviction_ns_max(self.state.config.maxmemory_eviction_tenacity);
        let (mut freed_bytes, mut keys) = (0, 0);
        let mut elapsed_ns = 0;
        while freed_bytes < over_bytes {
            let Some((db, key)) = self.next_victim(policy) else {
                self.state.eviction.is_running = self.may_find_more(policy);
                let comes_anyway = self.state.eviction.freeing_bytes > 0;
                self.state.eviction.is_short = !self.state.eviction.is_running && !comes_anyway;
                break;
            };
            freed_bytes += self.evict_key(db, &key) as u64;
            keys += 1;
            if keys % KEYS_PER_CLOCK_READ == 0 {
                elapsed_ns = self.state.environment.monotonic_ns().saturating_sub(started_ns);
                if elapsed_ns > limit_ns {
                    self.state.eviction.is_running = true;
                    break;
                }
            }
        }
        self.state.note_spike("eviction-cycle", elapsed_ns);
    }

    /// The key that goes next, which is there; `None` if there is none that may.
    fn next_victim(&mut self, policy: MaxmemoryPolicy) -> Option<(usize, Vec<u8>)> {
        let evictable = match policy {
            MaxmemoryPolicy::Noeviction => return None,
            MaxmemoryPolicy::AllkeysLru
            | MaxmemoryPolicy::AllkeysLfu
            | MaxmemoryPolicy::AllkeysRandom => Evictable::Any,
            _ => Evictable::Expiring,
        };
        if matches!(policy, MaxmemoryPolicy::AllkeysRandom | MaxmemoryPolicy::VolatileRandom) {
            return self.random_victim(evictable);
        }
        self.look_for_candidates(policy, evictable);
        while let Some(Candidate { db, key, .. }) = self.state.eviction.candidates.pop() {
            // It may have been removed, or lost its expire time, since it was met.
            let database = &self.keyspace.databases()[db];
            let slot = database.find(self.keyspace.name(&key));
            let may_go =
                |slot| evictable == Evictable::Any || database.entry(slot).expire_at_ms().is_some();
            if slot.is_some_and(may_go) {
                return Some((db, key));
            }
        }
        None
    }

    /// Whether the next look may find a key that this one has missed: few have an expire time.
    fn may_find_more(&self, policy: MaxmemoryPolicy) -> bool {
        let has_expiring = |database: &Database| database.keys_with_expiry() > 0;
        policy != MaxmemoryPolicy::Noeviction && self.keyspace.databases().iter().any(has_expiring)
    }

    fn random_victim(&mut self, evictable: Evictable) -> Option<(usize, Vec<u8>)> {
        let databases = self.keyspace.databases_len();
        for _ in 0..databases {
            let db = self.state.eviction.next_db % databases;
            self.state.eviction.next_db = db + 1;
            let mut drawn = None;
            self.keyspace.sample(db, evictable, 1, |entry| drawn = Some(entry.key().to_vec()));
            if let Some(key) = drawn {
                return Some((db, key));
            }
        }
        None
    }

    fn look_for_candidates(&mut self, policy: MaxmemoryPolicy, evictable: Evictable) {
        let count = self.state.config.maxmemory_samples as usize;
        for db in 0..self.keyspace.databases_len() {
            let mut met: Vec<(Vec<u8>, u32, Option<i64>)> = Vec::new();
            self.keyspace.sample(db, evictable, count, |entry| {
                met.push((entry.key().to_vec(), entry.access(), entry.expire_at_ms()));
            });
            for (key, access, expire_at_ms) in met {
                let score = match policy {
                    MaxmemoryPolicy::VolatileTtl => {
                        u64::MAX - expire_at_ms.map_or(u64::MAX, i64::cast_unsigned)
                    }
                    _ => self.keyspace.staleness(access),
                };
                self.state.eviction.consider(score, db, &key);
            }
        }
    }

    /// Removes a key; all that follows from that does. Returns how many bytes it took.
    fn evict_key(&mut self, db: usize, key: &[u8]) -> usize {
        let mut database = self.keyspace.db(db);
        let Some(slot) = database.find(key) else {
            self.state.keys_expired(self.keyspace.take_expired());
            return 0;
        };
        let bytes = database.database().key_memory_bytes(slot);
        database.remove(slot);
        if self.keyspace.has_garbage() {
            self.state.eviction.freeing_bytes += bytes;
            for garbage in self.keyspace.take_garbage() {
                self.state.environment.discard(Box::new(garbage));
            }
        }
        self.state.stats.evicted_keys += 1;
        self.state.key_evicted(db, key);
        self.state.effects.settle(); // no part of what comes next
        bytes
    }
}

/// How long one round may take, by `maxmemory-eviction-tenacity`: 0.5 ms at 10, the default, growing by 15 % a step
/// beyond it, and without a limit at 100. The scale is Redis's.
fn eviction_ns_max(tenacity: u32) -> u64 {
    match tenacity {
        0..=10 => 50_000 * u64::from(tenacity),
        11..=99 => (500_000.0 * 1.15_f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::TestServer;

    /// A server with keys `k0`.. of about a kilobyte each, of which the even ones expire, later the higher the number.
    fn with_keys(policy: &str, count: usize) -> TestServer {
        let mut redis = TestServer::new();
        redis.run(&format!("CONFIG SET maxmemory-policy {policy} maxmemory-samples 64")).is("+OK");
        let value = "x".repeat(900);
        for number in 0..count {
            let expiry =
                if number % 2 == 0 { format!(" EX {}", 1000 + number) } else { String::new() };
            redis.run(&format!("SET k{number} {value}{expiry}")).is("+OK");
        }
        redis
    }

    /// The program says that it has allocated so much more than the limit.
    fn allocate(redis: &mut TestServer, over_bytes: usize) {
        redis.server.state.config.maxmemory = 1_000_000;
        let vacant = redis.server.keyspace.vacant_bytes();
        redis.world.borrow_mut().allocated_bytes = 1_000_000 + vacant + over_bytes;
    }

    fn keys(redis: &mut TestServer) -> Vec<String> {
        let database = &redis.server.keyspace.databases()[0];
        let mut keys: Vec<String> = database
            .entries()
            .map(|entry| String::from_utf8_lossy(entry.key()).into_owned())
            .collect();
        keys.sort();
        keys
    }

    #[test]
    fn the_least_recently_used_key_goes_and_all_are_told() {
        let mut redis = with_keys("allkeys-lru", 4);
        redis.run("CONFIG SET notify-keyspace-events Ee");
        let listener = redis.connect();
        redis.run_as(listener, "SUBSCRIBE __keyevent@0__:evicted");
        redis.take(listener);
        let watcher = redis.connect();
        redis.run_as(watcher, "WATCH k2");
        redis.advance_ms(5_000);
        for key in ["k0", "k1", "k3"] {
            redis.run(&format!("GET {key}"));
        }
        allocate(&mut redis, 1);
        redis.run("PING").is("+PONG");
        redis.world.borrow_mut().allocated_bytes = 0;
        assert_eq!(keys(&mut redis), ["k0", "k1", "k3"]);
        redis.take(listener).is("*3 $7 message $22 __keyevent@0__:evicted $2 k2");
        redis.run_as(watcher, "MULTI");
        redis.run_as(watcher, "PING");
        redis.run_as(watcher, "EXEC").is("*-1");
        assert_eq!(redis.server.state.stats.evicted_keys, 1);
    }

    #[test]
    fn the_least_frequently_used_key_goes() {
        let mut redis = with_keys("allkeys-lfu", 4);
        for _ in 0..200 {
            for key in ["k0", "k2", "k3"] {
                redis.run(&format!("GET {key}"));
            }
        }
        allocate(&mut redis, 1);
        redis.run("PING");
        assert_eq!(keys(&mut redis), ["k0", "k2", "k3"]);
    }

    #[test]
    fn volatile_policies_leave_what_does_not_expire() {
        for policy in ["volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random"] {
            let mut redis = with_keys(policy, 8);
            allocate(&mut redis, 100_000);
            redis
                .run("SET new value")
                .is("-OOM command not allowed when used memory > 'maxmemory'.");
            redis.run("GET new").is("$-1");
            assert_eq!(keys(&mut redis), ["k1", "k3", "k5", "k7"], "{policy}");
        }
    }

    #[test]
    fn the_key_that_expires_soonest_goes() {
        let mut redis = with_keys("volatile-ttl", 8);
        allocate(&mut redis, 1);
        redis.run("PING");
        allocate(&mut redis, 1);
        redis.run("PING");
        redis.world.borrow_mut().allocated_bytes = 0;
        assert_eq!(keys(&mut redis), ["k1", "k3", "k4", "k5", "k6", "k7"]);
    }

    #[test]
    fn random_policies_take_from_all_databases() {
        let mut redis = with_keys("allkeys-random", 8);
        redis.run("SELECT 3");
        redis.run("SET other value");
        allocate(&mut redis, 100_000);
        redis.run("SET new value").is("-OOM command not allowed when used memory > 'maxmemory'.");
        assert!(keys(&mut redis).is_empty());
        redis.run("DBSIZE").is(":0");
    }

    #[test]
    fn as_many_go_as_are_needed_and_their_removal_is_repeated_by_others() {
        let mut redis = with_keys("allkeys-lru", 20);
        redis.server.state.effects.on = true;
        allocate(&mut redis, 3_000);
        redis.run("SET last value").is("+OK");
        let stream = String::from_utf8(redis.server.state.effects.take()).unwrap();
        let evicted = redis.server.state.stats.evicted_keys as usize;
        assert!((3..=4).contains(&evicted), "{evicted}");
        assert_eq!(stream.matches("DEL").count(), evicted);
        assert!(!stream.contains("MULTI"), "{stream}");
    }

    #[test]
    fn a_round_ends_when_its_time_is_up_and_the_next_turn_goes_on() {
        let mut redis = with_keys("allkeys-lru", 100);
        redis.world.borrow_mut().now_step_us = 1_000;
        allocate(&mut redis, 90_000);
        redis.run("SET last value").is("+OK");
        // Once for the command, once in the turn's timers.
        assert_eq!(redis.server.state.stats.evicted_keys, 2 * KEYS_PER_CLOCK_READ);
        assert!(redis.server.state.eviction.is_running);
        redis.world.borrow_mut().allocated_bytes -= 32_000;
        redis.advance_ms(0);
        assert_eq!(redis.server.state.stats.evicted_keys, 3 * KEYS_PER_CLOCK_READ);
    }

    #[test]
    fn a_limit_that_is_taken_away_is_gone_at_once() {
        let mut redis = with_keys("noeviction", 1);
        allocate(&mut redis, 1);
        redis.run("SET k v").is("-OOM command not allowed when used memory > 'maxmemory'.");
        redis.run("CONFIG SET maxmemory 0").is("+OK");
        redis.run("SET k v").is("+OK");
    }

    #[test]
    fn what_another_thread_frees_is_not_evicted_twice() {
        let mut redis = TestServer::new();
        redis.run("CONFIG SET maxmemory-policy allkeys-random lazyfree-lazy-eviction yes");
        let value = "x".repeat(2 << 20);
        for number in 0..4 {
            redis.run(&format!("SET k{number} {value}"));
        }
        redis.world.borrow_mut().discarding = 1;
        allocate(&mut redis, 1_000);
        for _ in 0..5 {
            redis.run("PING");
        }
        assert_eq!(redis.server.state.stats.evicted_keys, 1);
    }
}
