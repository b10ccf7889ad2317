//! `CONFIG`: the directives at run time, and the counters of `INFO` back to zero.

use std::io;

use crate::commands::help::reply_help;
use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::config::{Access, ProtectedAction, SetError, Written, rewrite};
use crate::glob;
use crate::log::Level;
use crate::resp::Args;
use crate::server::waits_for_loop;
use Arity::{AtLeast, Exactly};

const CONFIG_FLAGS: Flags = ADMIN.and(NOSCRIPT).and(LOADING).and(STALE);
const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

/// The row.
pub const CONFIG: Command = command("config", AtLeast(2), Flags::NONE, &[], help)
    .docs("2.0.0", "", "Depends on subcommand.", "A container for server configuration commands.")
    .subcommands(SUBCOMMANDS);

const SUBCOMMANDS: &[Command] = &[
    command("get", AtLeast(3), CONFIG_FLAGS, &[], get).docs(
        "2.0.0",
        "parameter [parameter ...]",
        "O(N) when N is the number of configuration parameters provided",
        "Returns the effective values of configuration parameters.",
    ),
    command("help", Exactly(2), LOADING.and(STALE), &[], help).docs(
        "5.0.0",
        "",
        "O(1)",
        "Returns helpful text about the different subcommands.",
    ),
    command("resetstat", Exactly(2), CONFIG_FLAGS, &[], resetstat)
        .docs("2.0.0", "", "O(1)", "Resets the server's statistics.")
        .tips(ALL_NODES),
    command("rewrite", Exactly(2), CONFIG_FLAGS, &[], rewrite_file)
        .docs("2.8.0", "", "O(1)", "Persists the effective configuration to file.")
        .tips(ALL_NODES),
    command("set", AtLeast(4), CONFIG_FLAGS, &[], set)
        .docs(
            "2.0.0",
            "parameter value [parameter value ...]",
            "O(N) when N is the number of configuration parameters provided",
            "Sets configuration parameters in-flight.",
        )
        .tips(ALL_NODES),
];

/// `CONFIG GET pattern [pattern ...]` -> names and values, as a map. O(patterns x directives).
fn get(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let patterns: Vec<&[u8]> = args.iter().skip(2).collect();
    let found = ctx.server.config.get(&patterns, glob::matches);
    ctx.reply.map(found.len());
    for (name, value) in found {
        ctx.reply.bulk(&name);
        ctx.reply.bulk(&value);
    }
    Ok(())
}

/// `CONFIG SET parameter value [parameter value ...]` -> `+OK`, once all of it is in effect; or nothing has changed.
fn set(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let pairs = args.pairs(2).ok_or(CommandError::Syntax)?;
    if ctx.server.in_exec && pairs.iter().any(|(name, _)| waits_for_loop(name)) {
        let text = "ERR CONFIG SET of an address to listen on is not allowed inside a transaction";
        return Err(CommandError::Text(text));
    }
    let access = Access { protected: may_set_protected(ctx), loading: false };
    let before = ctx.server.config.clone();
    let changed = ctx.server.config.set_many(&pairs, access)?;
    let waits = ctx
        .server
        .config_changed(ctx.db.keyspace, ctx.token, before, &changed)
        .map_err(|(name, reason)| SetError::Failed { name: name.to_string(), reason })?;
    if !waits {
        ctx.reply.ok();
    }
    Ok(())
}

fn may_set_protected(ctx: &Ctx<'_>) -> bool {
    match ctx.server.config.enable_protected_configs {
        ProtectedAction::Yes => true,
        ProtectedAction::Local => ctx.client().peer.is_loopback,
        ProtectedAction::No => false,
    }
}

/// `CONFIG REWRITE` -> `+OK` once the file holds the directives as they are now. O(length of the file).
fn rewrite_file(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    reply_rewritten(ctx, Written::Changed)
}

/// Makes the configuration file anew and replies `+OK`.
pub(super) fn reply_rewritten(ctx: &mut Ctx<'_>, written: Written) -> CommandResult {
    if ctx.server.environment.process().config_file.is_empty() {
        return Err(CommandError::Text("ERR The server is running without a config file"));
    }
    let old = match ctx.server.environment.read_config() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()), // it is made anew
        read => read,
    };
    let outcome = old.and_then(|old| {
        let text = String::from_utf8(rewrite(old.as_bytes(), &ctx.server.config, written))
            .map_err(|_| io::Error::other("a value is no UTF-8 text"))?;
        ctx.server.environment.write_config(&text)
    });
    if let Err(error) = outcome {
        let reason = system_reason(&error);
        ctx.server.log(Level::Warning, format_args!("CONFIG REWRITE failed: {reason}"));
        return Err(CommandError::Message(format!("ERR Rewriting config file: {reason}")));
    }
    ctx.server.log(Level::Warning, format_args!("CONFIG REWRITE executed with success."));
    ctx.reply.ok();
    Ok(())
}

/// The system's words for an error, without the number that Rust adds.
fn system_reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_string()
}

/// `CONFIG RESETSTAT` -> `+OK`. The counters of `INFO` begin again at zero. O(commands).
fn resetstat(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    ctx.server.reset_stats();
    ctx.db.keyspace.stats = Default::default();
    ctx.reply.ok();
    Ok(())
}

/// `CONFIG HELP` -> what the subcommands do. O(1).
fn help(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    reply_help(
        ctx,
        "CONFIG",
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::ProtectedAction;
    use crate::net::Service as _;
    use crate::server::testing::TestServer;

    const LISTEN_FAILED: &str = "-ERR CONFIG SET failed (possibly related to argument 'port') - \
                                 Unable to listen on this port. Check server logs.";

    #[test]
    fn get_shows_names_and_values_once() {
        let mut redis = TestServer::new();
        redis.run("CONFIG GET timeout TIMEOUT nosuch h?").is("*4 $7 timeout $1 0 $2 hz $2 10");
        redis.run("CONFIG GET nosuch*").is("*0");
        redis.run("CONFIG GET").is("-ERR wrong number of arguments for 'config|get' command");
    }

    #[test]
    fn set_is_all_or_nothing() {
        let mut redis = TestServer::new();
        redis.run("CONFIG SET timeout 7 hz 20").is("+OK");
        redis
            .run("CONFIG SET timeout 8 hz x")
            .is("-ERR CONFIG SET failed (possibly related to argument 'hz') - \
             argument couldn't be parsed into an integer");
        redis
            .run("CONFIG SET timeout 8 nosuch x")
            .is("-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'");
        redis.run("CONFIG SET timeout 8 hz").is("-ERR syntax error");
        redis
            .run("CONFIG SET timeout")
            .is("-ERR wrong number of arguments for 'config|set' command");
        redis.run("CONFIG SET databases 3").is(
            "-ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config",
        );
        redis.run("CONFIG GET timeout hz").is("*4 $7 timeout $1 7 $2 hz $2 20");
    }

    #[test]
    fn what_the_process_cannot_do_is_taken_back() {
        let mut redis = TestServer::new();
        redis.world.borrow_mut().clients_fit = Some(10_000);
        redis.run("CONFIG SET timeout 9 maxclients 10001").is(
            "-ERR CONFIG SET failed (possibly related to argument 'maxclients') - try with 10000",
        );
        redis.run("CONFIG GET timeout maxclients").is("*4 $7 timeout $1 0 $10 maxclients $5 10000");
        redis.run("CONFIG SET maxclients 9999").is("+OK");
    }

    #[test]
    fn protected_directives_need_permission() {
        let refused = "-ERR CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config";
        for (allowed, remote, reply) in [
            (ProtectedAction::No, false, refused),
            (ProtectedAction::Local, false, "+OK"),
            (ProtectedAction::Local, true, refused),
            (ProtectedAction::Yes, true, "+OK"),
        ] {
            let mut redis = TestServer::with(|config| config.enable_protected_configs = allowed);
            let client = redis.connect();
            redis.server.state.clients.get_mut(client).peer.is_loopback = !remote;
            redis.run_as(client, "CONFIG SET dbfilename other.rdb").is(reply);
        }
    }

    #[test]
    fn a_new_port_is_answered_when_the_loop_listens_there() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.run("CONFIG SET port 7000 timeout 5").is("");
        assert_eq!(redis.actions.listen.as_ref().unwrap().port, Some(7000));
        redis.run("GET k").is(""); // its requests wait, those of others do not
        redis.run_as(other, "GET k").is("$-1");
        redis.server.listen_result(Ok(()));
        redis.advance_ms(1);
        redis.run("CONFIG GET port").is("+OK $-1 *2 $4 port $4 7000");
    }

    #[test]
    fn a_port_that_cannot_be_had_takes_back_what_came_with_it_only() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.run("CONFIG SET port 7000 timeout 5").is("");
        redis.run_as(other, "CONFIG SET hz 50").is("+OK");
        redis.server.listen_result(Err("in use".into()));
        redis.advance_ms(1);
        redis
            .run("CONFIG GET port timeout hz")
            .is(&format!("{LISTEN_FAILED} *6 $4 port $4 6379 $7 timeout $1 0 $2 hz $2 50"));
        let stats = redis.run("INFO commandstats errorstats").0;
        assert!(stats.contains("cmdstat_config|set:calls=2,"), "{stats}");
        assert!(stats.contains("rejected_calls=0,failed_calls=1 "), "{stats}");
        assert!(stats.contains("errorstat_ERR:count=1"), "{stats}");
    }

    #[test]
    fn everybody_who_waits_for_the_loop_is_answered() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.run("CONFIG SET port 7000").is("");
        redis.run_as(other, "CONFIG SET bind 127.0.0.1 port 7001").is("");
        redis.server.listen_result(Err("in use".into()));
        redis.take(other).is(
            "-ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses.",
        );
        redis.run("CONFIG GET port").is(&format!("{LISTEN_FAILED} *2 $4 port $4 6379"));
    }

    #[test]
    fn a_change_takes_effect_on_those_who_act_on_it() {
        let mut redis = TestServer::new();
        redis.run("CONFIG SET slowlog-log-slower-than 0").is("+OK");
        for _ in 0..5 {
            redis.run("GET k").is("$-1");
        }
        redis.run("CONFIG SET slowlog-max-len 2").is("+OK");
        use crate::server::LogKind;
        assert_eq!(redis.server.state.command_log.entries(LogKind::Slow).len(), 2);
        redis.run("CONFIG SET maxmemory-policy allkeys-lfu lfu-log-factor 3").is("+OK");
        let policy = redis.server.keyspace.policy;
        assert_eq!((policy.lfu, policy.log_factor), (true, 3));
    }

    #[test]
    fn without_a_password_nobody_has_to_say_who_he_is() {
        let mut redis = TestServer::new();
        redis.run("CONFIG SET requirepass secret").is("+OK");
        redis.run("GET k").is("$-1"); // who was let in stays in
        let other = redis.connect();
        redis.run_as(other, "GET k").is("-NOAUTH Authentication required.");
        redis.run("CONFIG SET requirepass \"\"").is("+OK");
        redis.run_as(other, "GET k").is("$-1");
    }

    #[test]
    fn rewrite_needs_a_file_and_keeps_its_comments() {
        let mut redis = TestServer::new();
        redis.run("CONFIG REWRITE").is("-ERR The server is running without a config file");
        redis.world.borrow_mut().config_file = Some("# mine\nport 6379\n".into());
        redis.run("CONFIG SET timeout 5").is("+OK");
        redis.run("CONFIG REWRITE").is("+OK");
        let text = redis.world.borrow().config_file.clone().unwrap();
        assert_eq!(text, "# mine\nport 6379\n# Generated by CONFIG REWRITE\ntimeout 5\n");
    }

    #[test]
    fn resetstat_begins_again_at_zero() {
        let mut redis = TestServer::new();
        redis.run("SET k 1");
        redis.run("GET k");
        redis.run("NOSUCH");
        redis.run("CONFIG RESETSTAT").is("+OK");
        let info = redis.run("INFO stats errorstats commandstats").0;
        for field in ["keyspace_hits:0", "total_error_replies:0", "total_connections_received:0"] {
            assert!(info.contains(field), "{field} {info}");
        }
        assert!(!info.contains("errorstat_ERR") && !info.contains("cmdstat_get"), "{info}");
        assert!(info.contains("cmdstat_config|resetstat:calls=1,"), "{info}");
    }
}
