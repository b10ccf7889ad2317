//! `HSCAN`: all fields, some at a time.

use super::reply_element;
use crate::commands::scan::{ScanOptions, parse_cursor};
use crate::commands::{CommandResult, Ctx};
use crate::resp::Args;
use crate::types::hash::{Field, Hash};

/// `HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]` -> next cursor, fields and values. O(count); a small hash
/// is returned whole. A field that is there from the first call to the last is returned at least once.
pub(super) fn hscan(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args.bytes(2))?;
    let (now_ms, hash) = (ctx.now_ms(), ctx.db.read::<Hash>(args.key(1))?);
    let page = ctx.reply.deferred();
    let Some(hash) = hash else {
        ctx.reply.finish_page(page, 0, 0);
        return Ok(());
    };
    let options = ScanOptions::of_hash(args.tail(3))?;
    let mut returned = 0;
    let cursor = options.run(cursor, |cursor| {
        let mut seen = 0;
        let next = hash.scan(cursor, now_ms, |Field { name, value, .. }| {
            seen += 1;
            if options.matches(name.text(&mut itoa::Buffer::new())) {
                returned += 1;
                reply_element(ctx.reply, name);
                if !options.no_values {
                    reply_element(ctx.reply, value);
                }
            }
        });
        (next, seen)
    });
    ctx.reply.finish_page(page, cursor, if options.no_values { returned } else { returned * 2 });
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn a_small_hash_is_one_page() {
        let mut redis = TestServer::new();
        redis.run("HSET h a 1 b 2 12 3");
        redis.run("HSCAN h 0").is("*2 $1 0 *6 $1 a $1 1 $1 b $1 2 $2 12 $1 3");
        redis.run("HSCAN h 7 COUNT 1 NOVALUES").is("*2 $1 0 *3 $1 a $1 b $2 12");
        redis.run("HSCAN h 0 MATCH 1?").is("*2 $1 0 *2 $2 12 $1 3");
        redis.run("HSCAN missing 0 BAD").is("*2 $1 0 *0");
    }

    #[test]
    fn a_big_hash_is_many_pages_with_every_field() {
        let mut redis = TestServer::new();
        for number in 0..1000 {
            redis.run(&format!("HSET h field:{number} v"));
        }
        let (mut cursor, mut fields, mut pages) = ("0".to_string(), Vec::new(), 0);
        loop {
            let page = redis.run(&format!("HSCAN h {cursor} COUNT 50 NOVALUES")).0;
            let words: Vec<&str> = page.split(' ').collect();
            cursor = words[2].to_string();
            fields.extend(words.iter().filter(|word| word.starts_with('f')).map(|f| f.to_string()));
            pages += 1;
            if cursor == "0" {
                break;
            }
        }
        fields.sort();
        fields.dedup();
        assert_eq!(fields.len(), 1000);
        assert!(pages > 5, "{pages}");
    }

    #[test]
    fn bad_arguments_are_refused_in_redis_s_order() {
        let mut redis = TestServer::new();
        redis.run("SET s 1");
        redis.run("HSET h a 1");
        redis.run("HSCAN s x").is("-ERR invalid cursor");
        redis
            .run("HSCAN s 0 BAD")
            .is("-WRONGTYPE Operation against a key holding the wrong kind of value");
        for wrong in ["BAD", "COUNT", "COUNT 0", "TYPE hash", "MATCH", "NOVALUES x"] {
            redis.run(&format!("HSCAN h 0 {wrong}")).is("-ERR syntax error");
        }
    }
}
