//! Expire times of fields: set, removed, asked for. Within the server they are Unix milliseconds.
//!
//! Redis 7.4 and Valkey 9 have these commands with the same replies; where their errors differ, ours are Valkey's.

use super::fields::{Fields, Mismatch};
use super::find_to_change;
use crate::commands::generic::expire::{Condition, rounded_seconds};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::dict::Slot;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::hash::Hash;

/// No such field.
const MISSING: i64 = -2;
/// A field without an expire time.
const FOREVER: i64 = -1;
/// The condition did not allow it.
const REFUSED: i64 = 0;
/// Done.
const DONE: i64 = 1;
/// The time was not in the future, the field is gone.
const GONE: i64 = 2;

/// `HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]` -> for each field -2 if it is not there,
/// 0 if the condition forbids it, 1 if the time was set, 2 if it was past and the field was deleted. O(1) for each.
pub(super) fn hexpire(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_expire(ctx, args, 1000, ctx.now_ms())
}

/// `HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]` -> as `HEXPIRE`. O(1) for each.
pub(super) fn hpexpire(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_expire(ctx, args, 1, ctx.now_ms())
}

/// `HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]` -> as `HEXPIRE`. O(1) for
/// each.
pub(super) fn hexpireat(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_expire(ctx, args, 1000, 0)
}

/// `HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]` -> as `HEXPIRE`. O(1)
/// for each.
pub(super) fn hpexpireat(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    set_expire(ctx, args, 1, 0)
}

fn set_expire(ctx: &mut Ctx<'_>, args: &Args<'_>, unit_ms: i64, base_ms: i64) -> CommandResult {
    let key = args.key(1);
    let (fields, condition) = Fields::find(args, 3, 1, |options| Condition::parse(&options))?;
    let at_ms = expire_at_ms(ctx, args.bytes(2), unit_ms, base_ms)?;
    let names = fields.list;
    let found = find_to_change(ctx, key, names.iter())?;
    ctx.reply.array(names.len());
    let Some(slot) = found else {
        names.iter().for_each(|_| ctx.reply.integer(MISSING));
        return Ok(());
    };
    let (now_ms, reply) = (ctx.now_ms(), &mut *ctx.reply);
    let new = NewExpiry::at(at_ms, now_ms);
    let changed = ctx.db.change_at(slot, |hash: &mut Hash| {
        let expire = |name: &&[u8]| {
            let old_ms = hash.as_ref().get(name, now_ms).map(|field| field.expire_at_ms);
            let outcome = match old_ms {
                None => MISSING,
                Some(old_ms) if !condition.allows(old_ms, at_ms) => REFUSED,
                Some(_) => new.apply(hash, name, now_ms),
            };
            reply.integer(outcome);
            outcome > REFUSED
        };
        names.iter().filter(expire).collect::<Vec<_>>()
    });
    fields_changed(ctx, key, slot, new, &changed.result, changed.emptied);
    Ok(())
}

/// The Unix milliseconds that are so many units after `base_ms`. They are not negative, and may be past.
pub(super) fn expire_at_ms(
    ctx: &Ctx<'_>,
    units: &[u8],
    unit_ms: i64,
    base_ms: i64,
) -> Result<i64, CommandError> {
    let units = parse_i64(units).ok_or(CommandError::NotAnInteger)?;
    let in_ms = units.checked_mul(unit_ms).filter(|&ms| ms >= 0);
    in_ms
        .and_then(|ms| ms.checked_add(base_ms))
        .ok_or(CommandError::InvalidExpire(ctx.command.name))
}

/// What is to become of the expire times of fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NewExpiry {
    /// A time that is not in the future: the fields are deleted.
    Past,
    /// A time.
    At(i64),
    /// None.
    Never,
}

impl NewExpiry {
    pub fn at(at_ms: i64, now_ms: i64) -> Self {
        if at_ms <= now_ms { Self::Past } else { Self::At(at_ms) }
    }

    /// Gives it to a field that is there. Returns what the commands reply, which is positive if something has changed.
    pub fn apply(self, hash: &mut Hash, name: &[u8], now_ms: i64) -> i64 {
        match self {
            Self::Past => {
                hash.remove(name, now_ms);
                GONE
            }
            Self::At(at_ms) => {
                hash.set_expire(name, Some(at_ms), now_ms);
                DONE
            }
            Self::Never => {
                let had_one = |hash: &Hash| {
                    let field = hash.as_ref().get(name, now_ms);
                    field.is_some_and(|field| field.expire_at_ms.is_some())
                };
                if !had_one(hash) {
                    return FOREVER;
                }
                hash.set_expire(name, None, now_ms);
                DONE
            }
        }
    }
}

/// What follows from a change of the expire times of fields, if any was changed. Others are told of just these, and of
/// absolute times.
pub(super) fn fields_changed(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    slot: Slot,
    new: NewExpiry,
    names: &[&[u8]],
    emptied: bool,
) {
    if names.is_empty() {
        return;
    }
    ctx.modified(key);
    let (mut time, mut number) = (itoa::Buffer::new(), itoa::Buffer::new());
    let number = number.format(names.len()).as_bytes();
    let event = match new {
        NewExpiry::Past => {
            ctx.db.keyspace.stats.expired_fields += names.len() as u64;
            ctx.propagate(&[&[&b"HDEL"[..], key], names].concat());
            "hexpired"
        }
        NewExpiry::At(at_ms) => {
            ctx.db.note_field_expiry(slot, at_ms);
            let time = time.format(at_ms).as_bytes();
            ctx.propagate(&[&[b"HPEXPIREAT", key, time, b"FIELDS", number], names].concat());
            "hexpire"
        }
        NewExpiry::Never => {
            ctx.propagate(&[&[b"HPERSIST", key, b"FIELDS", number], names].concat());
            "hpersist"
        }
    };
    ctx.notify(KeyspaceEvents::HASH, event, key);
    if emptied {
        ctx.notify(KeyspaceEvents::GENERIC, "del", key);
    }
}

/// `HPERSIST key FIELDS numfields field [field ...]` -> for each field -2 if it is not there, -1 if it has no expire
/// time, 1 if that was removed. O(1) for each.
pub(super) fn hpersist(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (key, names) = (args.key(1), Fields::at_2(args, Mismatch::Explained)?);
    let found = find_to_change(ctx, key, names.iter())?;
    ctx.reply.array(names.len());
    let Some(slot) = found else {
        names.iter().for_each(|_| ctx.reply.integer(MISSING));
        return Ok(());
    };
    let (now_ms, reply) = (ctx.now_ms(), &mut *ctx.reply);
    let changed = ctx.db.change_at(slot, |hash: &mut Hash| {
        let persist = |name: &&[u8]| {
            let outcome = match hash.as_ref().contains(name, now_ms) {
                true => NewExpiry::Never.apply(hash, name, now_ms),
                false => MISSING,
            };
            reply.integer(outcome);
            outcome == DONE
        };
        names.iter().filter(persist).collect::<Vec<_>>()
    });
    fields_changed(ctx, key, slot, NewExpiry::Never, &changed.result, false);
    Ok(())
}

/// `HTTL key FIELDS numfields field [field ...]` -> for each field the seconds left, rounded; -1 = forever, -2 = no such
/// field. O(1) for each.
pub(super) fn httl(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    reply_expire(ctx, args, |at_ms| rounded_seconds(at_ms - now_ms))
}

/// `HPTTL key FIELDS numfields field [field ...]` -> for each field the milliseconds left; -1 = forever, -2 = no such
/// field. O(1) for each.
pub(super) fn hpttl(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let now_ms = ctx.now_ms();
    reply_expire(ctx, args, |at_ms| at_ms - now_ms)
}

/// `HEXPIRETIME key FIELDS numfields field [field ...]` -> for each field its expire time in Unix seconds, rounded; -1 =
/// never, -2 = no such field. O(1) for each.
pub(super) fn hexpiretime(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_expire(ctx, args, rounded_seconds)
}

/// `HPEXPIRETIME key FIELDS numfields field [field ...]` -> for each field its expire time in Unix milliseconds; -1 =
/// never, -2 = no such field. O(1) for each.
pub(super) fn hpexpiretime(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    reply_expire(ctx, args, |at_ms| at_ms)
}

/// Replies `form` of the expire times of fields that have one. They are not in the past: such a field is not found.
fn reply_expire(ctx: &mut Ctx<'_>, args: &Args<'_>, form: impl Fn(i64) -> i64) -> CommandResult {
    let names = Fields::at_2(args, Mismatch::Syntax)?;
    let (now_ms, hash) = (ctx.now_ms(), ctx.db.read::<Hash>(args.key(1))?);
    ctx.reply.array(names.len());
    for name in names.iter() {
        let field = hash.and_then(|hash| hash.get(name, now_ms));
        let answer = field.map_or(MISSING, |field| field.expire_at_ms.map_or(FOREVER, &form));
        ctx.reply.integer(answer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{lazy_and_logged, propagated};
    use crate::server::testing::TestServer;

    const BAD_NUMBER: &str =
        "-ERR numfields should be greater than 0 and match the provided number of fields";

    #[test]
    fn times_are_set_and_asked_for_in_four_forms() {
        for (fields, encoding) in [(3, "$10 listpackex"), (600, "$9 hashtable")] {
            let mut redis = TestServer::new();
            for number in 0..fields {
                redis.run(&format!("HSET h f{number} v"));
            }
            redis.run("HEXPIRE h 100 FIELDS 2 f0 x").is("*2 :1 :-2");
            redis.run("OBJECT ENCODING h").is(encoding);
            redis.run("HTTL h FIELDS 3 f0 f1 x").is("*3 :100 :-1 :-2");
            redis.run("HPTTL h FIELDS 1 f0").is("*1 :100000");
            redis.run("HEXPIRETIME h FIELDS 1 f0").is("*1 :1700000100");
            redis.run("HPEXPIRETIME h FIELDS 1 f0").is("*1 :1700000100000");
            redis.run("HPEXPIRE h 1499 FIELDS 1 f0").is("*1 :1");
            redis.run("HTTL h FIELDS 1 f0").is("*1 :1");
            redis.run("HPEXPIRE h 1500 FIELDS 1 f0").is("*1 :1");
            redis.run("HTTL h FIELDS 1 f0").is("*1 :2");
            redis.run("HEXPIREAT h 1800000000 FIELDS 1 f0").is("*1 :1");
            redis.run("HPEXPIREAT h 1800000000500 FIELDS 1 f1").is("*1 :1");
            redis.run("HEXPIRETIME h FIELDS 2 f0 f1").is("*2 :1800000000 :1800000001");
            redis.run("HPERSIST h FIELDS 4 f0 f0 f2 x").is("*4 :1 :-1 :-1 :-2");
            redis.run("HPEXPIREAT h 9223372036854775807 FIELDS 1 f0").is("*1 :1");
            redis.run("HEXPIRETIME h FIELDS 1 f0").is("*1 :9223372036854776");
        }
    }

    #[test]
    fn a_missing_key_is_a_hash_without_fields_and_other_types_are_refused() {
        let mut redis = TestServer::new();
        redis.run("SET s 1");
        for command in
            ["HEXPIRE % 9 FIELDS 2 a b", "HPERSIST % FIELDS 2 a b", "HTTL % FIELDS 2 a b"]
        {
            redis.run(&command.replace('%', "missing")).is("*2 :-2 :-2");
            redis
                .run(&command.replace('%', "s"))
                .is("-WRONGTYPE Operation against a key holding the wrong kind of value");
        }
    }

    #[test]
    fn conditions_look_at_the_time_of_each_field() {
        let mut redis = TestServer::new();
        redis.run("HSET h a 1 b 2");
        redis.run("HEXPIRE h 100 XX FIELDS 2 a b").is("*2 :0 :0");
        redis.run("HEXPIRE h 100 GT FIELDS 2 a b").is("*2 :0 :0");
        redis.run("HEXPIRE h 100 NX FIELDS 1 a").is("*1 :1");
        redis.run("HEXPIRE h 200 NX FIELDS 2 a b").is("*2 :0 :1");
        redis.run("HEXPIRE h 150 GT FIELDS 2 a b").is("*2 :1 :0");
        redis.run("HEXPIRE h 150 LT FIELDS 2 a b").is("*2 :0 :1");
        redis.run("HEXPIREAT h 1 GT FIELDS 1 a").is("*1 :0");
        redis.run("HEXPIREAT h 1 LT FIELDS 1 a").is("*1 :2");
        redis.run("HGETALL h").is("*2 $1 b $1 2");
        redis
            .run("HEXPIRE h 1 NX XX FIELDS 1 b")
            .is("-ERR NX and XX, GT or LT options at the same time are not compatible");
        redis
            .run("HEXPIRE h 1 GT LT FIELDS 1 b")
            .is("-ERR GT and LT options at the same time are not compatible");
        redis.run("HEXPIRE h 1 BAD FIELDS x b").is("-ERR Unsupported option BAD");
        redis.run("HEXPIRE h 1 XX XX FIELDS 1 b").is("*1 :1");
    }

    #[test]
    fn p17_what_is_no_time_or_no_number_of_fields_is_refused() {
        let mut redis = TestServer::new();
        redis.run("HSET h a 1");
        for number in ["0", "-1", "2", "9223372036854775807"] {
            redis.run(&format!("HEXPIRE h 10 FIELDS {number} a")).is(BAD_NUMBER);
            redis.run(&format!("HPERSIST h FIELDS {number} a")).is(BAD_NUMBER);
            redis.run(&format!("HTTL h FIELDS {number} a")).is("-ERR syntax error");
        }
        for command in ["HEXPIRE h 10 FIELDS x a", "HTTL h FIELDS x a", "HEXPIRE h x FIELDS 1 a"] {
            redis.run(command).is("-ERR value is not an integer or out of range");
        }
        redis.run("HEXPIRE h 10 NONE 1 a").is(BAD_NUMBER);
        redis.run("HEXPIRE h 10 NX NX FIELDS").is(BAD_NUMBER);
        redis.run("HTTL h NONE x a").is("-ERR syntax error");
        redis.run("HPERSIST h NONE 1 a").is("-ERR syntax error");
        for command in [
            "HEXPIRE h -1 FIELDS 1 a",
            "HEXPIRE h 9223372036854775 FIELDS 1 a",
            "HEXPIRE h 9223372036854775807 FIELDS 1 a",
        ] {
            redis.run(command).is("-ERR invalid expire time in 'hexpire' command");
        }
        redis
            .run("HPEXPIRE h 9223372036854775807 FIELDS 1 a")
            .is("-ERR invalid expire time in 'hpexpire' command");
        redis.run("HTTL h FIELDS 1 a").is("*1 :-1");
    }

    #[test]
    fn a_time_that_is_not_in_the_future_deletes_fields_and_with_the_last_the_key() {
        let mut redis = lazy_and_logged();
        redis.run("HSET h a 1 b 2 c 3");
        propagated(&mut redis);
        redis.run("HEXPIRE h 0 FIELDS 3 a x a").is("*3 :2 :-2 :-2");
        redis.run("HPEXPIREAT h 1700000000000 FIELDS 1 b").is("*1 :2");
        redis.run("HEXPIREAT h 0 FIELDS 1 c").is("*1 :2");
        redis.run("EXISTS h").is(":0");
        assert_eq!(propagated(&mut redis), "HDEL h a; HDEL h b; HDEL h c");
        assert_eq!(redis.server.keyspace.stats.expired_fields, 3);
    }

    #[test]
    fn others_get_absolute_times_of_the_fields_that_changed() {
        let mut redis = lazy_and_logged();
        redis.run("HSET h a 1 b 2");
        propagated(&mut redis);
        redis.run("HEXPIRE h 100 FIELDS 2 a x");
        redis.run("HPEXPIRE h 500 NX FIELDS 2 a b");
        redis.run("HEXPIRE h 1 GT FIELDS 1 a");
        redis.run("HPERSIST h FIELDS 2 a x");
        redis.run("HPERSIST h FIELDS 2 a x");
        assert_eq!(
            propagated(&mut redis),
            "HPEXPIREAT h 1700000100000 FIELDS 1 a; HPEXPIREAT h 1700000000500 FIELDS 1 b; HPERSIST h FIELDS 1 a"
        );
    }

    #[test]
    fn the_sweep_removes_fields_and_with_the_last_the_key() {
        let mut redis = TestServer::new();
        redis.server.state.effects.on = true;
        redis.run("HSET h a 1 b 2");
        redis.run("HPEXPIREAT h 1700000000050 FIELDS 1 a");
        redis.run("HPEXPIREAT h 1700000000250 FIELDS 1 b");
        propagated(&mut redis);
        redis.advance_ms(100);
        redis.run("HLEN h").is(":1");
        redis.advance_ms(100);
        redis.advance_ms(100);
        assert_eq!(redis.server.keyspace.databases()[0].len(), 0);
        redis.run("SET other 1");
        assert!(propagated(&mut redis).contains("HDEL h a"));
        assert_eq!(redis.server.keyspace.stats.expired, 0);
    }
}
