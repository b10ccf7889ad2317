//! What can be asked of keys or done to them whatever they hold: is it there, what is it, which ones are there, away.

use crate::commands::{CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::glob::Pattern;
use crate::resp::Args;

/// `DEL key [key ...]` -> how many there were. O(1) each: big values are dropped outside of the loop.
pub(super) fn del(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let mut deleted = 0;
    for key in args.tail(1).iter() {
        if ctx.db.delete(key) {
            ctx.modified(key);
            ctx.notify(KeyspaceEvents::GENERIC, "del", key);
            deleted += 1;
        }
    }
    ctx.reply.integer(deleted);
    Ok(())
}

/// `EXISTS key [key ...]` -> how many are there; one named twice counts twice. O(1) each.
pub(super) fn exists(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let found = args.tail(1).iter().filter(|key| ctx.db.find_peek(key).is_some()).count();
    ctx.reply.integer(found as i64);
    Ok(())
}

/// `TOUCH key [key ...]` -> how many are there; each counts as accessed, even for a client with `NO-TOUCH`. O(1) each.
pub(super) fn touch(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    ctx.db.touch = true;
    let found = args.tail(1).iter().filter(|key| ctx.db.find_read(key).is_some()).count();
    ctx.reply.integer(found as i64);
    Ok(())
}

/// `TYPE key` -> the type's name, or `none`. O(1).
pub(super) fn type_of(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let slot = ctx.db.find_peek(args.key(1));
    ctx.reply.simple(slot.map_or("none", |slot| ctx.db.database().entry(slot).kind().name()));
    Ok(())
}

/// `KEYS pattern` -> all keys that match, in no order. O(keys), or O(1) for a pattern that only one key can match.
pub(super) fn keys(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let pattern = Pattern::new(args.bytes(1));
    if let Some(key) = pattern.as_literal() {
        let found = ctx.db.find(key).map(|_| key);
        ctx.reply.array(usize::from(found.is_some()));
        found.inspect(|key| ctx.reply.bulk(key));
        return Ok(());
    }
    let array = ctx.reply.deferred();
    let mut len = 0;
    for entry in ctx.db.entries() {
        if pattern.is_star() || pattern.matches(entry.key()) {
            ctx.reply.bulk(entry.key());
            len += 1;
        }
    }
    ctx.reply.finish_array(array, len);
    Ok(())
}

/// `RANDOMKEY` -> a key, or null without any. O(1).
pub(super) fn randomkey(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    match ctx.db.random_key() {
        Some(key) => ctx.reply.bulk(&key),
        None => ctx.reply.null(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    fn sorted_keys(redis: &mut TestServer, pattern: &str) -> Vec<String> {
        let answer = redis.run(&format!("KEYS {pattern}")).0;
        let words: Vec<&str> = answer.split(' ').collect();
        let len: usize = words[0][1..].parse().unwrap();
        // An empty key at the end leaves no word.
        let mut keys: Vec<String> =
            (0..len).map(|i| words.get(2 + 2 * i).map_or("", |key| key).to_string()).collect();
        keys.sort();
        keys
    }

    #[test]
    fn del_and_unlink_count_what_was_there() {
        for command in ["DEL", "UNLINK"] {
            let mut redis = TestServer::new();
            redis.run("SET a 1");
            redis.run("SET b 2");
            redis.run(&format!("{command} a b c a")).is(":2");
            redis.run("EXISTS a b").is(":0");
            redis.run(&format!("{command} a")).is(":0");
            redis.run(command).is(&format!(
                "-ERR wrong number of arguments for '{}' command",
                command.to_lowercase()
            ));
        }
    }

    #[test]
    fn deleting_counts_as_a_change_once_for_each_key() {
        let mut redis = TestServer::new();
        redis.run("SET a 1");
        redis.run("SET b 2");
        let before = redis.server.state.dirty;
        redis.run("DEL a b c");
        assert_eq!(redis.server.state.dirty, before + 2);
    }

    #[test]
    fn a_key_that_is_due_is_not_there_to_be_deleted() {
        let mut redis = TestServer::new();
        redis.run("SET k v");
        redis.run("PEXPIRE k 10");
        redis.advance_ms(11);
        redis.run("DEL k").is(":0");
        redis.run("EXISTS k").is(":0");
        redis.run("TOUCH k").is(":0");
        redis.run("TYPE k").is("+none");
        redis.run("KEYS *").is("*0");
        redis.run("KEYS k").is("*0");
        redis.run("RANDOMKEY").is("$-1");
    }

    #[test]
    fn exists_counts_a_key_as_often_as_it_is_named() {
        let mut redis = TestServer::new();
        redis.run("SET a 1");
        redis.run("EXISTS a b a").is(":2");
        redis.run_bytes(&[b"SET", b"", b"v"]).is("+OK");
        redis.run("EXISTS \"\"").is(":1");
    }

    #[test]
    fn asking_about_a_key_counts_a_hit_or_a_miss() {
        let mut redis = TestServer::new();
        redis.run("SET a 1");
        redis.run("EXISTS a b");
        redis.run("TYPE a");
        redis.run("TTL b");
        let stats = redis.server.keyspace.stats;
        assert_eq!((stats.hits, stats.misses), (2, 2));
    }

    #[test]
    fn touch_resets_the_idle_time_and_exists_does_not() {
        let mut redis = TestServer::new();
        redis.run("SET a 1");
        redis.advance_ms(5000);
        redis.run("EXISTS a").is(":1");
        redis.run("TYPE a").is("+string");
        redis.run("TTL a").is(":-1");
        redis.run("OBJECT IDLETIME a").is(":5");
        redis.run("TOUCH a b a").is(":2");
        redis.run("OBJECT IDLETIME a").is(":0");
    }

    #[test]
    fn keys_matches_patterns() {
        let mut redis = TestServer::new();
        for key in ["foo", "foobar", "bar", "f?o", "x"] {
            redis.run(&format!("SET {key} v"));
        }
        redis.run_bytes(&[b"SET", b"", b"v"]);
        assert_eq!(sorted_keys(&mut redis, "*"), ["", "bar", "f?o", "foo", "foobar", "x"]);
        assert_eq!(sorted_keys(&mut redis, "foo*"), ["foo", "foobar"]);
        assert_eq!(sorted_keys(&mut redis, "f?o"), ["f?o", "foo"]);
        assert_eq!(sorted_keys(&mut redis, "f\\?o"), ["f?o"]);
        assert_eq!(sorted_keys(&mut redis, "foo"), ["foo"]);
        assert_eq!(sorted_keys(&mut redis, "nope"), Vec::<String>::new());
        redis.run("KEYS \"\"").is("*1 $0");
    }

    #[test]
    fn randomkey_finds_every_key() {
        let mut redis = TestServer::new();
        redis.run("RANDOMKEY").is("$-1");
        redis.run("SET foo 1");
        redis.run("SET bar 2");
        let seen: std::collections::HashSet<String> =
            (0..100).map(|_| redis.run("RANDOMKEY").0).collect();
        assert_eq!(seen, ["$3 foo".to_string(), "$3 bar".to_string()].into());
    }
}
