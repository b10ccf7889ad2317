//! `CLIENT`: the table of its subcommands, and those that are about the calling client alone.

use super::{client_help, listing, on_or_off, pausing, tracking};
use crate::commands::greeting::check_name;
use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::server::ReplyMode;
use Arity::{AtLeast, Exactly};

/// What most subcommands have.
const USUAL: Flags = NOSCRIPT.and(LOADING).and(STALE);
const BUSY: Flags = USUAL.and(ALLOW_BUSY);
const OTHERS: Flags = USUAL.and(ADMIN);

/// The subcommands.
pub(super) const SUBCOMMANDS: &[Command] = &[
    command("caching", Exactly(3), USUAL, &[], tracking::caching).docs(
        "6.0.0",
        "<YES | NO>",
        "O(1)",
        "Instructs the server whether to track the keys in the next request.",
    ),
    command("capa", AtLeast(3), BUSY, &[], capa).docs(
        "8.0.0",
        "capability [capability ...]",
        "O(1)",
        "A client claims its capability.",
    ),
    command("getname", Exactly(2), BUSY, &[], getname).docs(
        "2.6.9",
        "",
        "O(1)",
        "Returns the name of the connection.",
    ),
    command("getredir", Exactly(2), BUSY, &[], tracking::getredir).docs(
        "6.0.0",
        "",
        "O(1)",
        "Returns the client ID to which the connection's tracking notifications are redirected.",
    ),
    command("help", Exactly(2), LOADING.and(STALE), &[], client_help::help).docs(
        "5.0.0",
        "",
        "O(1)",
        "Returns helpful text about the different subcommands.",
    ),
    command("id", Exactly(2), BUSY, &[], id).docs(
        "5.0.0",
        "",
        "O(1)",
        "Returns the unique client ID of the connection.",
    ),
    command("info", Exactly(2), USUAL, &[], listing::info)
        .docs("6.2.0", "", "O(1)", "Returns information about the connection.")
        .tips(&["nondeterministic_output"]),
    command("kill", AtLeast(3), OTHERS, &[], listing::kill).docs(
        "2.4.0",
        listing::KILL_SYNTAX,
        "O(N) where N is the number of client connections",
        "Terminates open connections.",
    ),
    command("list", AtLeast(2), OTHERS, &[], listing::list)
        .docs(
            "2.4.0",
            listing::LIST_SYNTAX,
            "O(N) where N is the number of client connections",
            "Lists open connections.",
        )
        .tips(&["nondeterministic_output"]),
    command("no-evict", Exactly(3), OTHERS.and(ALLOW_BUSY), &[], no_evict).docs(
        "7.0.0",
        "<ON | OFF>",
        "O(1)",
        "Sets the client eviction mode of the connection.",
    ),
    command("no-touch", Exactly(3), BUSY, &[], no_touch).docs(
        "7.2.0",
        "<ON | OFF>",
        "O(1)",
        "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
    ),
    command("pause", AtLeast(3), OTHERS, &[], pausing::pause).docs(
        "3.0.0",
        "timeout [WRITE | ALL]",
        "O(1)",
        "Suspends commands processing.",
    ),
    command("reply", Exactly(3), BUSY.and(NO_MULTI), &[], reply).docs(
        "3.2.0",
        "<ON | OFF | SKIP>",
        "O(1)",
        "Instructs the server whether to reply to commands.",
    ),
    command("setinfo", Exactly(4), BUSY, &[], setinfo)
        .docs(
            "7.2.0",
            "<LIB-NAME libname | LIB-VER libver>",
            "O(1)",
            "Sets information specific to the client or connection.",
        )
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    command("setname", Exactly(3), BUSY, &[], setname)
        .docs("2.6.9", "connection-name", "O(1)", "Sets the connection name.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    command("tracking", AtLeast(3), USUAL, &[], tracking::tracking).docs(
        "6.0.0",
        "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
        "O(1). Some options may introduce additional complexity.",
        "Controls server-assisted client-side caching for the connection.",
    ),
    command("trackinginfo", Exactly(2), USUAL, &[], tracking::trackinginfo).docs(
        "6.2.0",
        "",
        "O(1)",
        "Returns information about server-assisted client-side caching for the connection.",
    ),
    command("unblock", AtLeast(3), OTHERS, &[], pausing::unblock).docs(
        "5.0.0",
        "client-id [TIMEOUT | ERROR]",
        "O(N) where N is the number of client connections",
        "Unblocks a client blocked by a blocking command from a different connection.",
    ),
    command("unpause", Exactly(2), OTHERS.and(NEVER_PAUSED), &[], pausing::unpause).docs(
        "6.2.0",
        "",
        "O(N) Where N is the number of paused clients",
        "Resumes processing commands from paused clients.",
    ),
];

/// `CLIENT ID` -> the number of the connection. O(1).
fn id(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    let id = ctx.client().id;
    ctx.reply.integer(id as i64);
    Ok(())
}

/// `CLIENT GETNAME` -> the name, or null. O(1).
fn getname(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    match ctx.server.clients.get(ctx.token).name.as_slice() {
        b"" => ctx.reply.null(),
        name => ctx.reply.bulk(name),
    }
    Ok(())
}

/// `CLIENT SETNAME connection-name` -> `+OK`; an empty name takes the name away. O(1).
fn setname(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let name = check_name("Client names", args.bytes(2))?;
    ctx.client_mut().name = name.to_vec();
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT SETINFO <LIB-NAME libname | LIB-VER libver>` -> `+OK`. O(1).
fn setinfo(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (option, value) = (args.bytes(2), args.bytes(3));
    if option.eq_ignore_ascii_case(b"lib-name") {
        ctx.client_mut().lib_name = check_name("lib-name", value)?.to_vec();
    } else if option.eq_ignore_ascii_case(b"lib-ver") {
        ctx.client_mut().lib_ver = check_name("lib-ver", value)?.to_vec();
    } else {
        return Err(CommandError::quoting("ERR Unrecognized option '", option, "'"));
    }
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT CAPA capability [capability ...]` -> `+OK`; what is not known is ignored. O(number of capabilities).
fn capa(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.tail(2).iter().any(|capability| capability.eq_ignore_ascii_case(b"redirect")) {
        ctx.client_mut().capa_redirect = true;
    }
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT REPLY <ON | OFF | SKIP>` -> `+OK` for `ON`, else nothing; `SKIP` is about the next command. O(1).
fn reply(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let client = ctx.client_mut();
    match args.bytes(2) {
        on if on.eq_ignore_ascii_case(b"on") => {
            client.reply_mode = ReplyMode::On;
            ctx.reply.ok();
        }
        off if off.eq_ignore_ascii_case(b"off") => client.reply_mode = ReplyMode::Off,
        skip if skip.eq_ignore_ascii_case(b"skip") => {
            if client.reply_mode != ReplyMode::Off {
                client.reply_mode = ReplyMode::SkipNext;
            }
        }
        _ => return Err(CommandError::Syntax),
    }
    Ok(())
}

/// `CLIENT NO-EVICT <ON | OFF>` -> `+OK`. O(1).
fn no_evict(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    ctx.client_mut().no_evict = on_or_off(args.bytes(2))?;
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT NO-TOUCH <ON | OFF>` -> `+OK`; while it is on, reading a key is no use of it. O(1).
fn no_touch(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    ctx.client_mut().no_touch = on_or_off(args.bytes(2))?;
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn a_name_is_set_read_and_taken_away() {
        let mut redis = TestServer::new();
        redis.run("CLIENT ID").is(":1");
        redis.run("CLIENT GETNAME").is("$-1");
        redis.run("CLIENT SETNAME me!~").is("+OK");
        redis.run("CLIENT GETNAME").is("$4 me!~");
        for bad in [b"a b".as_slice(), b"a\n", b"\x7f", b"\xc3\xa9"] {
            redis
                .run_bytes(&[b"CLIENT", b"SETNAME", bad])
                .is("-ERR Client names cannot contain spaces, newlines or special characters.");
        }
        redis.run("CLIENT GETNAME").is("$4 me!~");
        redis.run("CLIENT SETNAME \"\"").is("+OK");
        redis.run("CLIENT GETNAME").is("$-1");
        redis.run("CLIENT SETNAME").starts("-ERR wrong number of arguments for 'client|setname'");
    }

    #[test]
    fn setinfo_takes_the_name_and_version_of_a_library() {
        let mut redis = TestServer::new();
        redis.run("CLIENT SETINFO lib-name redis-py").is("+OK");
        redis.run("CLIENT SETINFO LIB-VER 1.2.3").is("+OK");
        redis.run("CLIENT LIST LIB-NAME redis-py LIB-VER 1.2.3").starts("$3");
        redis
            .run_bytes(&[b"CLIENT", b"SETINFO", b"Lib-Ver", b"a b"])
            .is("-ERR lib-ver cannot contain spaces, newlines or special characters.");
        redis
            .run_bytes(&[b"CLIENT", b"SETINFO", b"LIB-NAME", b"a\n"])
            .is("-ERR lib-name cannot contain spaces, newlines or special characters.");
        redis.run("CLIENT SETINFO foo bar").is("-ERR Unrecognized option 'foo'");
    }

    #[test]
    fn reply_off_and_skip_silence_what_redis_silences() {
        let mut redis = TestServer::new();
        let client = redis.connect();
        let requests = b"CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING 1\r\nPING 2\r\n\
            CLIENT REPLY OFF\r\nCLIENT REPLY SKIP\r\nPING 3\r\nFOO\r\nCLIENT REPLY ON\r\nPING 4\r\n\
            CLIENT REPLY SKIP\r\nCLIENT REPLY foo\r\nCLIENT REPLY SKIP\r\nFOO\r\nPING 5\r\n\
            CLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nPING 6\r\n";
        redis.receive(client, requests).is("$1 2 +OK $1 4 $1 5 +OK $1 6");
        redis.run("CLIENT REPLY foo").is("-ERR syntax error");
    }

    #[test]
    fn an_empty_request_is_the_one_that_reply_skip_is_about() {
        for empty in ["\r\n", "*-1\r\n", "*0\r\n"] {
            let mut redis = TestServer::new();
            let client = redis.connect();
            let requests =
                format!("CLIENT REPLY SKIP\r\n{empty}PING 1\r\nCLIENT REPLY SKIP\r\n{empty}");
            redis.receive(client, requests.as_bytes()).is("$1 1");
            redis.receive(client, b"PING 2\r\nCLIENT REPLY SKIP\r\n").is("$1 2");
            redis.receive(client, empty.as_bytes()).is("");
            redis.receive(client, b"PING 3\r\n").is("$1 3");
        }
    }

    #[test]
    fn switches_are_on_or_off() {
        let mut redis = TestServer::new();
        redis.run("CLIENT NO-EVICT ON").is("+OK");
        redis.run("CLIENT NO-TOUCH on").is("+OK");
        redis.run("CLIENT CAPA unheard redirect").is("+OK");
        redis.run("CLIENT LIST FLAGS eT CAPA r").starts("$3");
        redis.run("CLIENT NO-EVICT off").is("+OK");
        redis.run("CLIENT NO-TOUCH OFF").is("+OK");
        redis.run("CLIENT LIST FLAGS N").starts("$3");
        redis.run("CLIENT NO-EVICT yes").is("-ERR syntax error");
        redis.run("CLIENT NO-TOUCH yes").is("-ERR syntax error");
        redis.run("CLIENT GETREDIR").is(":-1");
    }

    #[test]
    fn an_unknown_subcommand_leads_to_help() {
        let mut redis = TestServer::new();
        redis.run("CLIENT foo").is("-ERR unknown subcommand 'foo'. Try CLIENT HELP.");
        redis.run("CLIENT").is("-ERR wrong number of arguments for 'client' command");
        redis.run("CLIENT HELP").starts(
            "*78 +CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are: +CACHING",
        );
    }
}
