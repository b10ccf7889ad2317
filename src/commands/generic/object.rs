//! `OBJECT`: how a value is stored, and how it was used.

use crate::commands::help::reply_help;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::config::value::MaxmemoryPolicy;
use crate::dict::Slot;
use crate::keyspace::StringValue;
use crate::resp::Args;

/// Redis keeps one object for each integer below this, for all keys that hold it.
const SHARED_INTEGERS: i64 = 10_000;
/// The reference count it shows for them.
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

/// `OBJECT` without a subcommand is a call with too few arguments.
pub(super) fn object(_ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    Err(CommandError::WrongArity("object".into()))
}

/// `OBJECT ENCODING key` -> Redis's name for how the value is stored, or null. O(1).
pub(super) fn encoding(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    match ctx.db.find_quietly(args.key(2)) {
        Some(slot) => ctx.reply.bulk(ctx.db.database().encoding_name(slot).as_bytes()),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// `OBJECT FREQ key` -> the logarithmic counter of uses, or null. O(1).
pub(super) fn freq(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(slot) = ctx.db.find_quietly(args.key(2)) else {
        ctx.reply.null();
        return Ok(());
    };
    let policy = ctx.db.keyspace.policy;
    if !policy.lfu {
        return Err(CommandError::Text(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    let access = ctx.db.database().entry(slot).access();
    ctx.reply.integer(i64::from(policy.frequency(access, ctx.now_ms())));
    Ok(())
}

/// `OBJECT IDLETIME key` -> seconds since the last use, or null. O(1).
pub(super) fn idletime(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(slot) = ctx.db.find_quietly(args.key(2)) else {
        ctx.reply.null();
        return Ok(());
    };
    let policy = ctx.db.keyspace.policy;
    if policy.lfu {
        return Err(CommandError::Text(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    let access = ctx.db.database().entry(slot).access();
    ctx.reply.integer(i64::from(policy.idle_seconds(access, ctx.now_ms())));
    Ok(())
}

/// `OBJECT REFCOUNT key` -> how many keys share the value, or null. O(1).
pub(super) fn refcount(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    match ctx.db.find_quietly(args.key(2)) {
        Some(slot) if is_shared_integer(ctx, slot) => ctx.reply.integer(SHARED_REFCOUNT),
        Some(_) => ctx.reply.integer(1),
        None => ctx.reply.null(),
    }
    Ok(())
}

/// Whether Redis would share the value: small integers, unless an eviction policy needs an access clock for each key.
fn is_shared_integer(ctx: &Ctx<'_>, slot: Slot) -> bool {
    let config = &ctx.server.config;
    let clocks_are_used = config.maxmemory > 0
        && matches!(
            config.maxmemory_policy,
            MaxmemoryPolicy::AllkeysLru
                | MaxmemoryPolicy::AllkeysLfu
                | MaxmemoryPolicy::VolatileLru
                | MaxmemoryPolicy::VolatileLfu
        );
    let value = ctx.db.string(slot);
    !clocks_are_used
        && matches!(value, Ok(StringValue::Int(number)) if (0..SHARED_INTEGERS).contains(&number))
}

/// `OBJECT HELP` -> lines of text.
pub(super) fn help(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    reply_help(
        ctx,
        "OBJECT",
        &[
            "ENCODING <key>",
            "    Return the kind of internal representation used in order to store the value",
            "    associated with a <key>.",
            "FREQ <key>",
            "    Return the access frequency index of the <key>. The returned integer is",
            "    proportional to the logarithm of the recent access frequency of the key.",
            "IDLETIME <key>",
            "    Return the idle time of the <key>, that is the approximated number of",
            "    seconds elapsed since the last access to the key.",
            "REFCOUNT <key>",
            "    Return the number of references of the value associated with the specified",
            "    <key>.",
        ],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::value::MaxmemoryPolicy;
    use crate::server::testing::TestServer;

    fn with_policy(policy: MaxmemoryPolicy) -> TestServer {
        TestServer::with(|config| {
            config.maxmemory = 1 << 40;
            config.maxmemory_policy = policy;
        })
    }

    #[test]
    fn encodings_have_redis_names() {
        let mut redis = TestServer::new();
        for (value, encoding) in [
            ("123".to_string(), "int"),
            ("0123".to_string(), "embstr"),
            ("x".repeat(44), "embstr"),
            ("x".repeat(45), "raw"),
            ("x".repeat(5000), "raw"),
        ] {
            redis.run(&format!("SET k {value}"));
            redis.run("OBJECT ENCODING k").is(&format!("${} {encoding}", encoding.len()));
        }
    }

    #[test]
    fn a_missing_key_is_null_whatever_the_policy() {
        let mut redis = TestServer::new();
        for subcommand in ["ENCODING", "FREQ", "IDLETIME", "REFCOUNT"] {
            redis.run(&format!("OBJECT {subcommand} missing")).is("$-1");
        }
    }

    #[test]
    fn idletime_counts_seconds_since_the_last_use() {
        let mut redis = TestServer::new();
        redis.run("SET k v");
        redis.advance_ms(3000);
        redis.run("OBJECT IDLETIME k").is(":3");
        redis.run("GET k");
        redis.run("OBJECT IDLETIME k").is(":0");
        redis.run("OBJECT FREQ k").starts("-ERR An LFU maxmemory policy is not selected,");
    }

    #[test]
    fn renaming_keeps_the_clock_of_the_rename_and_copying_starts_anew() {
        let mut redis = TestServer::new();
        redis.run("SET a v");
        redis.advance_ms(3000);
        redis.run("COPY a b");
        redis.run("OBJECT IDLETIME b").is(":0");
        redis.advance_ms(2000);
        redis.run("RENAME a c");
        redis.run("OBJECT IDLETIME c").is(":0");
    }

    #[test]
    fn freq_starts_at_five_and_needs_an_lfu_policy() {
        let mut redis = with_policy(MaxmemoryPolicy::AllkeysLfu);
        redis.run("SET k v");
        redis.run("OBJECT FREQ k").is(":5");
        redis.run("GET k");
        redis.run("OBJECT FREQ k").is(":6");
        redis.advance_ms(60_000);
        redis.run("OBJECT FREQ k").is(":5");
        redis.run("OBJECT IDLETIME k").starts("-ERR An LFU maxmemory policy is selected,");
    }

    #[test]
    fn small_integers_count_as_shared_where_redis_shares_them() {
        let mut redis = TestServer::new();
        for (value, refcount) in [("0", i32::MAX), ("9999", i32::MAX), ("10000", 1), ("-1", 1)] {
            redis.run(&format!("SET k {value}"));
            redis.run("OBJECT REFCOUNT k").is(&format!(":{refcount}"));
        }
        let mut redis = with_policy(MaxmemoryPolicy::AllkeysLru);
        redis.run("SET k 5");
        redis.run("OBJECT REFCOUNT k").is(":1");
        let mut redis = with_policy(MaxmemoryPolicy::AllkeysRandom);
        redis.run("SET k 5");
        redis.run("OBJECT REFCOUNT k").is(":2147483647");
    }

    #[test]
    fn subcommands_are_checked() {
        let mut redis = TestServer::new();
        redis.run("OBJECT").is("-ERR wrong number of arguments for 'object' command");
        redis.run("OBJECT foo").is("-ERR unknown subcommand 'foo'. Try OBJECT HELP.");
        redis
            .run("OBJECT ENCODING")
            .is("-ERR wrong number of arguments for 'object|encoding' command");
        redis.run("OBJECT HELP x").is("-ERR wrong number of arguments for 'object|help' command");
        redis.run("OBJECT HELP").starts(
            "*15 +OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are: +ENCODING <key> ",
        );
    }
}
