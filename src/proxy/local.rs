//! Commands about the connection to the proxy: `AUTH`, `ECHO`, `HELLO`, `PING`, `QUIT`, `RESET`, `SELECT`. What they set is the
//! client's alone; no link to a node is changed by them.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Proxy;
use super::routing::Handler;
use crate::commands::{CommandError, CommandResult};
use crate::resp::number::parse_i64;
use crate::resp::{Args, Protocol, Reply};
use crate::version::REDIS_VERSION;

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
    let (user, password) = match args.len() {
        2 if proxy.options.requirepass.is_empty() => {
            return Err(CommandError::Text(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            ));
        }
        2 => (b"default".as_slice(), args.bytes(1)),
        3 => (args.bytes(1), args.bytes(2)),
        _ => return Err(CommandError::Syntax),
    };
    verify(proxy, user, password)?;
    proxy.clients[client].authenticated = true;
    reply.ok();
    Ok(())
}

/// Whether `password` is that of `user`; counts those that are not.
fn verify(proxy: &mut Proxy, user: &[u8], password: &[u8]) -> CommandResult {
    let expected = &proxy.options.requirepass;
    // Digests have one length, and the comparison takes the same time wherever they differ.
    let equal = Sha256::digest(password).ct_eq(&Sha256::digest(expected));
    if user == b"default" && (expected.is_empty() || bool::from(equal)) {
        return Ok(());
    }
    proxy.stats.auth_failures += 1;
    Err(CommandError::WrongPass)
}

/// What the options of `HELLO` ask for.
#[derive(Default)]
struct Handshake<'a> {
    protocol: Option<Protocol>,
    authenticated: bool,
    name: Option<&'a [u8]>,
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]` -> a map of facts, in the protocol asked for. O(1).
fn hello(proxy: &mut Proxy, client: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let handshake = read_handshake(proxy, args)?;
    let state = &mut proxy.clients[client];
    if !state.authenticated && !handshake.authenticated {
        return Err(CommandError::Text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
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
    reply.protocol = protocol;
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.integer(if protocol == Protocol::Resp3 { 3 } else { 2 });
    reply.bulk(b"id");
    reply.integer(id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

/// Reads and checks all options in their order: the first that is wrong decides the error.
fn read_handshake<'a>(proxy: &mut Proxy, args: &Args<'a>) -> Result<Handshake<'a>, CommandError> {
    let mut handshake = Handshake::default();
    if let Some(version) = args.get(1) {
        handshake.protocol = Some(read_protocol(version)?);
    }
    let mut next = 2;
    while let Some(option) = args.get(next) {
        let values = args.len() - next - 1;
        if option.eq_ignore_ascii_case(b"auth") && values >= 2 {
            verify(proxy, args.bytes(next + 1), args.bytes(next + 2))?;
            handshake.authenticated = true;
            next += 3;
        } else if option.eq_ignore_ascii_case(b"setname") && values >= 1 {
            let name = args.bytes(next + 1);
            if name.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
                return Err(CommandError::Text(
                    "ERR Client names cannot contain spaces, newlines or special characters.",
                ));
            }
            handshake.name = Some(name);
            next += 2;
        } else {
            let before = "ERR Syntax error in HELLO option '";
            return Err(CommandError::quoting(before, option, "'"));
        }
    }
    Ok(handshake)
}

fn read_protocol(version: &[u8]) -> Result<Protocol, CommandError> {
    match parse_i64(version) {
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(CommandError::Text("NOPROTO unsupported protocol version")),
        None => Err(CommandError::Text("ERR Protocol version is not an integer or out of range")),
    }
}
