//! `HSETEX` and `HGETEX`: values and expire times of fields in one command.

use super::expire::{NewExpiry, expire_at_ms, fields_changed};
use super::fields::Fields;
use super::{change, find_to_change, reply_value};
use crate::commands::string::condition::Condition;
use crate::commands::string::options::{Clock, HGETEX, HSETEX, Lifetime, Options};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::dict::Slot;
use crate::resp::Args;
use crate::types::hash::{FieldExpiry, Hash};

/// `HSETEX key [NX | XX] [FNX | FXX] [option] FIELDS numfields field value [field value ...]` -> 1, or 0 if a condition
/// forbids it. An expire time that is past deletes the fields. O(1) for each.
pub(super) fn hsetex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let (fields, options) = Fields::find(args, 2, 2, |rest| Options::parse(rest, HSETEX))?;
    let pairs = fields.list;
    let found = find_to_change(ctx, key, pairs.iter().step_by(2))?;
    if !holds(options.condition, found.is_some()) {
        ctx.reply.integer(0);
        return Ok(());
    }
    let expiry = new_expiry(ctx, options.lifetime)?;
    if !fields_allow(ctx, found, options.fields, &pairs) {
        ctx.reply.integer(0);
        return Ok(());
    }
    match expiry {
        Some(NewExpiry::Past) => delete(ctx, key, found, &pairs),
        Some(NewExpiry::At(at_ms)) => set(ctx, key, found, &pairs, FieldExpiry::At(at_ms)),
        _ if matches!(options.lifetime, Lifetime::Keep) => {
            set(ctx, key, found, &pairs, FieldExpiry::Keep);
        }
        _ => set(ctx, key, found, &pairs, FieldExpiry::Never),
    }
    ctx.reply.integer(1);
    Ok(())
}

/// What is said of expire times, if anything is.
fn new_expiry(ctx: &Ctx<'_>, lifetime: Lifetime<'_>) -> Result<Option<NewExpiry>, CommandError> {
    let (clock, amount) = match lifetime {
        Lifetime::Unsaid | Lifetime::Keep => return Ok(None),
        Lifetime::Persist => return Ok(Some(NewExpiry::Never)),
        Lifetime::Until(clock, amount) => (clock, amount),
    };
    let now_ms = ctx.now_ms();
    let (unit_ms, base_ms) = match clock {
        Clock::InSeconds => (1000, now_ms),
        Clock::InMilliseconds => (1, now_ms),
        Clock::AtSecond => (1000, 0),
        Clock::AtMillisecond => (1, 0),
    };
    let at_ms = expire_at_ms(ctx, amount, unit_ms, base_ms)?;
    Ok(Some(NewExpiry::at(at_ms, now_ms)))
}

/// Whether what must be there is there, and what must not is not.
fn holds(condition: Option<Condition<'_>>, is_there: bool) -> bool {
    match condition {
        Some(Condition::Missing) => !is_there,
        Some(Condition::Present) => is_there,
        _ => true,
    }
}

/// Whether the condition holds of all fields.
fn fields_allow(
    ctx: &Ctx<'_>,
    found: Option<Slot>,
    condition: Option<Condition<'_>>,
    pairs: &Args<'_>,
) -> bool {
    let now_ms = ctx.now_ms();
    let hash = found.map(|slot| ctx.db.collection::<Hash>(slot).expect("the type was checked"));
    let is_there = |name: &[u8]| hash.is_some_and(|hash| hash.contains(name, now_ms));
    condition.is_none() || pairs.iter().step_by(2).all(|name| holds(condition, is_there(name)))
}

fn set(ctx: &mut Ctx<'_>, key: &[u8], found: Option<Slot>, pairs: &Args<'_>, expiry: FieldExpiry) {
    let limits = ctx.hash_limits();
    change(ctx, key, found, |hash| {
        for at in (0..pairs.len()).step_by(2) {
            hash.set(pairs.bytes(at), pairs.bytes(at + 1), expiry, &limits);
        }
    });
    ctx.modified(key);
    let (mut time, mut number) = (itoa::Buffer::new(), itoa::Buffer::new());
    let number = number.format(pairs.len() / 2).as_bytes();
    let mut command: Vec<&[u8]> = vec![b"HSETEX", key];
    match expiry {
        FieldExpiry::At(at_ms) => {
            // A new key has noted it when it was stored.
            if let Some(slot) = found {
                ctx.db.note_field_expiry(slot, at_ms);
            }
            command.extend([&b"PXAT"[..], time.format(at_ms).as_bytes(), b"FIELDS", number]);
        }
        FieldExpiry::Keep => command.extend([&b"KEEPTTL"[..], b"FIELDS", number]),
        FieldExpiry::Never => command[0] = b"HSET", // the same, and everybody knows it
    }
    command.extend(pairs.iter());
    ctx.propagate(&command);
    ctx.notify(KeyspaceEvents::HASH, "hset", key);
    if let FieldExpiry::At(_) = expiry {
        ctx.notify(KeyspaceEvents::HASH, "hexpire", key);
    }
}

/// The fields have expired already: those that are there are deleted. The events are Valkey's, which sets them first.
fn delete(ctx: &mut Ctx<'_>, key: &[u8], found: Option<Slot>, pairs: &Args<'_>) {
    let now_ms = ctx.now_ms();
    let names = pairs.iter().step_by(2);
    let mut emptied = true;
    let mut removed: Vec<&[u8]> = Vec::new();
    if let Some(slot) = found {
        let remove =
            |hash: &mut Hash| removed.extend(names.filter(|name| hash.remove(name, now_ms)));
        emptied = ctx.db.change_at(slot, remove).emptied;
    }
    if !removed.is_empty() {
        ctx.db.keyspace.stats.expired_fields += removed.len() as u64;
        ctx.modified(key);
        ctx.propagate(&[&[&b"HDEL"[..], key], &removed[..]].concat());
    }
    for event in ["hset", "hexpire", "hexpired"] {
        ctx.notify(KeyspaceEvents::HASH, event, key);
    }
    if emptied {
        ctx.notify(KeyspaceEvents::GENERIC, "del", key);
    }
}

/// `HGETEX key [option] FIELDS numfields field [field ...]` -> the values, null where there is none; the expire times of
/// the fields are changed. O(1) for each.
pub(super) fn hgetex(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let key = args.key(1);
    let (fields, options) = Fields::find(args, 2, 1, |rest| Options::parse(rest, HGETEX))?;
    let names = fields.list;
    let found = ctx.db.find_read(key);
    if let Some(slot) = found {
        ctx.db.collection::<Hash>(slot)?;
    }
    let expiry = new_expiry(ctx, options.lifetime)?;
    let found = found.and_then(|slot| ctx.db.expire_fields(slot, names.iter()));
    ctx.reply.array(names.len());
    let Some(slot) = found else {
        names.iter().for_each(|_| ctx.reply.null());
        return Ok(());
    };
    let (now_ms, reply) = (ctx.now_ms(), &mut *ctx.reply);
    let Some(new) = expiry else {
        let hash = ctx.db.collection::<Hash>(slot)?;
        names.iter().for_each(|name| reply_value(reply, hash.get(name, now_ms)));
        return Ok(());
    };
    let changed = ctx.db.change_at(slot, |hash: &mut Hash| {
        let get = |name: &&[u8]| {
            let field = hash.as_ref().get(name, now_ms);
            reply_value(reply, field);
            field.is_some() && new.apply(hash, name, now_ms) > 0
        };
        names.iter().filter(get).collect::<Vec<_>>()
    });
    fields_changed(ctx, key, slot, new, &changed.result, changed.emptied);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lazy_and_logged, propagated};
    use crate::server::testing::TestServer;

    const BAD_NUMBER: &str =
        "-ERR numfields should be greater than 0 and match the provided number of fields";

    #[test]
    fn hsetex_sets_values_and_times() {
        let mut redis = lazy_and_logged();
        redis.run("HSETEX h EX 100 FIELDS 2 a 1 b 2").is(":1");
        redis.run("HTTL h FIELDS 2 a b").is("*2 :100 :100");
        redis.run("HSETEX h KEEPTTL FIELDS 2 a 3 c 4").is(":1");
        redis.run("HTTL h FIELDS 2 a c").is("*2 :100 :-1");
        redis.run("HSETEX h FIELDS 1 a 5").is(":1");
        redis.run("HTTL h FIELDS 1 a").is("*1 :-1");
        redis.run("HSETEX h pxat 1800000000000 fields 1 a 6").is(":1");
        redis.run("HPEXPIRETIME h FIELDS 1 a").is("*1 :1800000000000");
        assert_eq!(
            propagated(&mut redis),
            "HSETEX h PXAT 1700000100000 FIELDS 2 a 1 b 2; HSETEX h KEEPTTL FIELDS 2 a 3 c 4; HSET h a 5; \
             HSETEX h PXAT 1800000000000 FIELDS 1 a 6"
        );
    }

    #[test]
    fn a_new_hash_is_swept_like_an_old_one() {
        let mut redis = TestServer::new();
        redis.run("HSETEX h PX 50 FIELDS 2 a 1 b 2").is(":1");
        redis.run("HSETEX h KEEPTTL FIELDS 1 a 3").is(":1");
        redis.advance_ms(100);
        assert_eq!(redis.server.keyspace.databases()[0].len(), 0);
    }

    #[test]
    fn conditions_hold_for_the_key_and_for_all_fields_or_nothing_is_set() {
        let mut redis = lazy_and_logged();
        for refused in ["XX", "FXX", "NX FXX", "XX EX x"] {
            redis.run(&format!("HSETEX h {refused} FIELDS 1 a 1")).is(":0");
        }
        redis.run("HSETEX h NX FNX FIELDS 1 a 1").is(":1");
        redis.run("HSETEX h NX FIELDS 1 a 2").is(":0");
        redis.run("HSETEX h FNX FIELDS 2 b 2 a 2").is(":0");
        redis.run("HSETEX h FXX FIELDS 2 a 2 b 2").is(":0");
        redis.run("HSETEX h XX FNX FIELDS 1 b 2").is(":1");
        redis.run("HSETEX h FXX FXX EX 9 FIELDS 2 a 3 b 3").is(":1");
        redis.run("HMGET h a b").is("*2 $1 3 $1 3");
        assert_eq!(
            propagated(&mut redis),
            "HSET h a 1; HSET h b 2; HSETEX h PXAT 1700000009000 FIELDS 2 a 3 b 3"
        );
        for wrong in
            ["NX XX", "FNX FXX", "EX 1 PX 1", "KEEPTTL EX 1", "PERSIST", "GET", "EX", "IFEQ 1"]
        {
            redis.run(&format!("HSETEX h {wrong} FIELDS 1 a 1")).is("-ERR syntax error");
        }
    }

    #[test]
    fn a_time_that_is_past_deletes_the_fields() {
        let mut redis = lazy_and_logged();
        redis.run("HSET h a 1 b 2");
        propagated(&mut redis);
        redis.run("HSETEX h EX 0 FIELDS 2 a 9 x 9").is(":1");
        redis.run("HGETALL h").is("*2 $1 b $1 2");
        redis.run("HSETEX h EXAT 1 FIELDS 1 x 9").is(":1");
        redis.run("HSETEX h PXAT 1 FIELDS 1 b 9").is(":1");
        redis.run("EXISTS h").is(":0");
        redis.run("HSETEX new PXAT 1 FIELDS 1 b 9").is(":1");
        redis.run("EXISTS new").is(":0");
        assert_eq!(propagated(&mut redis), "HDEL h a; HDEL h b");
    }

    #[test]
    fn hgetex_reads_and_changes_times() {
        let mut redis = lazy_and_logged();
        redis.run("HSET h a 1 b 2");
        propagated(&mut redis);
        redis.run("HGETEX h FIELDS 2 a x").is("*2 $1 1 $-1");
        assert_eq!(propagated(&mut redis), "");
        redis.run("HGETEX h EX 100 FIELDS 2 a x").is("*2 $1 1 $-1");
        redis.run("HTTL h FIELDS 1 a").is("*1 :100");
        redis.run("HGETEX h PERSIST FIELDS 2 a b").is("*2 $1 1 $1 2");
        redis.run("HGETEX h PXAT 1 FIELDS 3 a a x").is("*3 $1 1 $-1 $-1");
        redis.run("HGETEX h EX 0 FIELDS 1 b").is("*1 $1 2");
        redis.run("EXISTS h").is(":0");
        redis.run("HGETEX h EX 10 FIELDS 2 a b").is("*2 $-1 $-1");
        assert_eq!(
            propagated(&mut redis),
            "HPEXPIREAT h 1700000100000 FIELDS 1 a; HPERSIST h FIELDS 1 a; HDEL h a; HDEL h b"
        );
    }

    #[test]
    fn p17_what_is_no_time_or_no_number_of_fields_is_refused() {
        let mut redis = TestServer::new();
        redis.run("HSET fields fields 1");
        for (command, pair) in [("HGETEX", "a"), ("HSETEX", "a 1")] {
            for number in ["0", "-1", "2", "9223372036854775807"] {
                redis.run(&format!("{command} h FIELDS {number} {pair}")).is(BAD_NUMBER);
            }
            redis.run(&format!("{command} h NONE 1 {pair}")).is(BAD_NUMBER);
            redis.run(&format!("{command} h EX FIELDS 1 {pair}")).is("-ERR syntax error");
            for amount in ["EX x", "PX 1.5", "EXAT -"] {
                redis
                    .run(&format!("{command} h {amount} FIELDS 1 {pair}"))
                    .is("-ERR value is not an integer or out of range");
            }
            let name = command.to_ascii_lowercase();
            for amount in ["EX -1", "EX 9223372036854775807", "PX 9223372036854775807"] {
                redis
                    .run(&format!("{command} h {amount} FIELDS 1 {pair}"))
                    .is(&format!("-ERR invalid expire time in '{name}' command"));
            }
        }
        for wrong in ["KEEPTTL", "NX", "EX 1 PERSIST", "FNX"] {
            redis.run(&format!("HGETEX h {wrong} FIELDS 1 a")).is("-ERR syntax error");
        }
        redis.run("HGETEX fields FIELDS 1 fields").is("*1 $1 1");
        redis.run("EXISTS h").is(":0");
    }
}
