//! `SCAN`: all keys, some at a time, with no state in the server.

use crate::commands::scan::{ScanOptions, parse_cursor};
use crate::commands::{CommandResult, Ctx};
use crate::keyspace::Entry;
use crate::resp::Args;

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]` -> next cursor, keys. O(count). A key that is there from the
/// first call with cursor 0 to the one that returns 0 is returned at least once.
pub(super) fn scan(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let cursor = parse_cursor(args.bytes(1))?;
    let options = ScanOptions::of_keys(args.tail(2))?;
    let page = ctx.reply.deferred();
    let mut returned = 0;
    let cursor = options.run(cursor, |cursor| {
        let mut seen = 0;
        let next = ctx.db.scan(cursor, |entry| {
            seen += 1;
            if passes(&options, entry) {
                returned += 1;
                ctx.reply.bulk(entry.key());
            }
        });
        (next, seen)
    });
    ctx.reply.finish_page(page, cursor, returned);
    Ok(())
}

fn passes(options: &ScanOptions<'_>, entry: Entry<'_>) -> bool {
    let name = entry.kind().name().as_bytes();
    options.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(name)) && options.matches(entry.key())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// A server with keys `key:0` to `key:len-1`.
    fn with_keys(len: usize) -> TestServer {
        let mut redis = TestServer::new();
        for i in 0..len {
            redis.run(&format!("SET key:{i} {i}"));
        }
        redis
    }

    /// All keys that a whole scan returns, as often as it does, and how many calls it took.
    fn scan_all(redis: &mut TestServer, options: &str) -> (Vec<String>, usize) {
        let (mut keys, mut calls) = (Vec::new(), 0);
        let mut cursor = "0".to_string();
        loop {
            let answer = redis.run(&format!("SCAN {cursor}{options}")).0;
            let words: Vec<&str> = answer.split(' ').collect();
            cursor = words[2].to_string();
            keys.extend(words[4..].iter().skip(1).step_by(2).map(|key| key.to_string()));
            calls += 1;
            if cursor == "0" {
                keys.sort();
                return (keys, calls);
            }
        }
    }

    #[test]
    fn a_whole_scan_returns_every_key_once_when_nothing_changes() {
        let mut redis = with_keys(1000);
        for options in ["", " COUNT 1", " COUNT 5", " COUNT 100000", " COUNT 9223372036854775807"] {
            let (mut keys, calls) = scan_all(&mut redis, options);
            assert_eq!(keys.len(), 1000);
            keys.dedup();
            assert_eq!(keys.len(), 1000);
            assert_eq!(calls == 1, options.len() > 10, "{options}");
        }
    }

    #[test]
    fn an_empty_database_ends_at_once() {
        TestServer::new().run("SCAN 0").is("*2 $1 0 *0");
    }

    #[test]
    fn match_and_type_filter_what_is_returned() {
        let mut redis = with_keys(1000);
        assert_eq!(scan_all(&mut redis, " MATCH key:1??").0.len(), 100);
        assert_eq!(scan_all(&mut redis, " match * COUNT 50").0.len(), 1000);
        assert_eq!(scan_all(&mut redis, " TYPE STRING").0.len(), 1000);
        assert_eq!(scan_all(&mut redis, " TYPE list").0.len(), 0);
        assert_eq!(scan_all(&mut redis, " TYPE unknown").0.len(), 0);
        assert_eq!(scan_all(&mut redis, " TYPE string MATCH key:5").0, ["key:5"]);
    }

    #[test]
    fn the_empty_key_passes_a_star() {
        let mut redis = TestServer::new();
        redis.run_bytes(&[b"SET", b"", b"v"]);
        redis.run("SCAN 0 MATCH *").is("*2 $1 0 *1 $0");
        redis.run("SCAN 0 MATCH **").is("*2 $1 0 *0");
    }

    #[test]
    fn keys_that_stay_are_returned_while_others_come_and_go() {
        let mut redis = with_keys(500);
        let mut seen = std::collections::HashSet::new();
        let mut cursor = "0".to_string();
        for call in 0.. {
            let answer = redis.run(&format!("SCAN {cursor}")).0;
            let words: Vec<&str> = answer.split(' ').collect();
            seen.extend(words[4..].iter().map(|key| key.to_string()));
            cursor = words[2].to_string();
            if cursor == "0" {
                break;
            }
            let change = match call {
                3 => "SET",
                12 => "DEL",
                _ => continue,
            };
            for i in 0..2000 {
                let value = if change == "SET" { " v" } else { "" };
                redis.run(&format!("{change} other:{i}{value}"));
            }
        }
        assert!((0..500).all(|i| seen.contains(&format!("key:{i}"))));
    }

    #[test]
    fn expired_keys_are_removed_instead_of_returned() {
        let mut redis = with_keys(100);
        redis.server.state.active_expire = false;
        for i in 0..50 {
            redis.run(&format!("PEXPIRE key:{i} 10"));
        }
        redis.advance_ms(11);
        assert_eq!(redis.server.keyspace.databases()[0].len(), 100);
        let (mut keys, _) = scan_all(&mut redis, "");
        keys.dedup(); // the table shrinks meanwhile, so some may come twice
        assert_eq!(keys.len(), 50);
        assert_eq!(redis.server.keyspace.databases()[0].len(), 50);
        assert_eq!(redis.server.keyspace.stats.expired, 50);
    }

    #[test]
    fn bad_arguments_are_refused() {
        let mut redis = with_keys(3);
        redis.run("SCAN x").is("-ERR invalid cursor");
        redis.run("SCAN x foo").is("-ERR invalid cursor");
        redis.run("SCAN 0 COUNT 0").is("-ERR syntax error");
        redis.run("SCAN 0 COUNT -1").is("-ERR syntax error");
        redis.run("SCAN 0 COUNT x").is("-ERR value is not an integer or out of range");
        redis.run("SCAN 0 COUNT").is("-ERR syntax error");
        redis.run("SCAN 0 MATCH a TYPE").is("-ERR syntax error");
        redis.run("SCAN 0 FOO bar").is("-ERR syntax error");
        redis.run("SCAN").is("-ERR wrong number of arguments for 'scan' command");
        redis.run("SCAN 18446744073709551615").starts("*2 ");
    }
}
