//! Commands about the connection to the proxy: `AUTH`, `ECHO`, `HELLO`, `PING`, `QUIT`, `RESET`, `SELECT`. What they set is the
//! client's alone; no link to a node is changed by them.

use super::Proxy;
use super::routing::Handler;
use crate::commands::greeting::{is_right_password, read_credentials, read_handshake, reply_hello};
use crate::commands::{CommandError, CommandResult};
use crate::resp::number::parse_i64;
use crate::resp::{Args, Reply};

/// The commands, by full name.
pub(super) const HANDLERS: &[(&str, Handler)] = &[
    ("auth", auth),
    ("echo", echo),
    ("hello", hello),
    ("ping", ping),
    ("quit", quit),
    ("reset", reset),
    ("select", select),
];

/// `ECHO message` -> the message. O(1).
fn echo(_: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    reply.bulk(args.bytes(1));
    Ok(())
}

/// `PING [message]` -> `+PONG`, or the message; to a RESP2 client that is subscribed `pong` and the message. O(1).
fn ping(proxy: &mut Proxy, client: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    match args.len() {
        1 | 2 if proxy.clients[client].is_only_subscriber() => {
            reply.array(2);
            reply.bulk(b"pong");
            reply.bulk(args.get(1).unwrap_or_default());
        }
        1 => reply.simple("PONG"),
        2 => reply.bulk(args.bytes(1)),
        _ => return Err(CommandError::WrongArity("ping".into())),
    }
    Ok(())
}

/// `QUIT` -> `+OK`, then the connection ends; what was sent after it is not run. O(1).
fn quit(proxy: &mut Proxy, client: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    reply.ok();
    proxy.answer_client(client, &std::mem::take(&mut reply.output).to_vec());
    proxy.leave(client);
    Ok(())
}

/// `RESET` -> `+RESET`, from a client that is as it was when it connected.
fn reset(proxy: &mut Proxy, client: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    proxy.end_session(client);
    let open = proxy.options.requirepass.is_empty();
    proxy.hold_until_answered(client);
    proxy.clients[client].reset(open);
    reply.simple("RESET");
    Ok(())
}

/// `SELECT index` -> `+OK`; the client's requests are about that database from now on. O(1).
fn select(proxy: &mut Proxy, client: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let index = parse_i64(args.bytes(1)).ok_or(CommandError::NotAnInteger)?;
    if i32::try_from(index).is_err() {
        let text = "ERR value is out of range, value must between -2147483648 and 2147483647";
        return Err(CommandError::Text(text));
    }
    if proxy.is_cluster() && index != 0 {
        return Err(CommandError::Text("ERR SELECT is not allowed in cluster mode"));
    }
    let databases = proxy.options.databases as usize;
    let index = usize::try_from(index).ok().filter(|&index| index < databases);
    let index = index.ok_or(CommandError::DbIndexOutOfRange)?;
    if proxy.clients[client].session.as_ref().is_some_and(|session| session.watching) {
        return Err(CommandError::Text(
            "ERR SELECT is not available through the proxy while keys are watched",
        ));
    }
    if proxy.clients[client].db != index {
        proxy.hold_until_answered(client);
    }
    proxy.clients[client].db = index;
    reply.ok();
    Ok(())
}

/// `AUTH [username] password` -> `+OK`. The password is the proxy's own; nodes are never told it.
fn auth(proxy: &mut Proxy, client: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let (user, password) = read_credentials(args, !proxy.options.requirepass.is_empty())?;
    verify(proxy, user, password)?;
    proxy.clients[client].authenticated = true;
    reply.ok();
    Ok(())
}

/// Whether `password` is that of `user`; counts those that are not.
fn verify(proxy: &mut Proxy, user: &[u8], password: &[u8]) -> CommandResult {
    if is_right_password(&proxy.options.requirepass, user, password) {
        return Ok(());
    }
    proxy.stats.auth_failures += 1;
    Err(CommandError::WrongPass)
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]` -> a map of facts, in the protocol asked for. O(1).
fn hello(proxy: &mut Proxy, client: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let verify = |user: &[u8], password: &[u8]| verify(proxy, user, password);
    let handshake = read_handshake(args, verify)?;
    let state = &mut proxy.clients[client];
    handshake.check_authenticated(state.authenticated)?;
    let protocol = handshake.protocol.unwrap_or(state.protocol);
    if protocol != state.protocol && state.session.as_ref().is_some_and(|session| session.watching)
    {
        return Err(CommandError::Text(
            "ERR HELLO is not available through the proxy while keys are watched",
        ));
    }
    state.authenticated = true;
    if let Some(name) = handshake.name {
        state.name = name.to_vec();
    }
    let is_other = state.protocol != protocol;
    state.protocol = protocol;
    let id = state.id;
    if is_other {
        proxy.hold_until_answered(client);
    }
    reply_hello(reply, protocol, id, "master");
    Ok(())
}
