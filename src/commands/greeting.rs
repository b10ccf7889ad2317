//! What a client says of itself, by `AUTH` and `HELLO`: read, checked and answered alike by the server and the proxy.
//! There is one user, `default`.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{CommandError, CommandResult};
use crate::resp::number::parse_i64;
use crate::resp::{Args, Protocol, Reply};
use crate::version::REDIS_VERSION;

/// The only user.
pub const DEFAULT_USER: &[u8] = b"default";

/// User and password of `AUTH [username] password`. `has_password` says whether one is asked for.
pub fn read_credentials<'a>(
    args: &Args<'a>,
    has_password: bool,
) -> Result<(&'a [u8], &'a [u8]), CommandError> {
    match args.len() {
        2 if !has_password => Err(CommandError::Text(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        2 => Ok((DEFAULT_USER, args.bytes(1))),
        3 => Ok((args.bytes(1), args.bytes(2))),
        _ => Err(CommandError::Syntax),
    }
}

/// Whether `password` is that of `user`; any is if none is `expected`. O(length of the passwords).
pub fn is_right_password(expected: &[u8], user: &[u8], password: &[u8]) -> bool {
    // Digests have one length, and the comparison takes the same time wherever they differ: an answer's delay tells
    // nothing about the password.
    let equal = Sha256::digest(password).ct_eq(&Sha256::digest(expected));
    user == DEFAULT_USER && (expected.is_empty() || bool::from(equal))
}

/// What the options of `HELLO` ask for.
#[derive(Default)]
pub struct Handshake<'a> {
    /// What to speak from now on.
    pub protocol: Option<Protocol>,
    /// It came with the right password.
    pub authenticated: bool,
    /// What to call the client.
    pub name: Option<&'a [u8]>,
}

/// Reads and checks all options of `HELLO` in their order: the first that is wrong decides the error. `verify` gets user
/// and password.
pub fn read_handshake<'a>(
    args: &Args<'a>,
    mut verify: impl FnMut(&[u8], &[u8]) -> CommandResult,
) -> Result<Handshake<'a>, CommandError> {
    let mut handshake = Handshake::default();
    if let Some(version) = args.get(1) {
        handshake.protocol = Some(read_protocol(version)?);
    }
    let mut next = 2;
    while let Some(option) = args.get(next) {
        let values = args.len() - next - 1;
        if option.eq_ignore_ascii_case(b"auth") && values >= 2 {
            verify(args.bytes(next + 1), args.bytes(next + 2))?;
            handshake.authenticated = true;
            next += 3;
        } else if option.eq_ignore_ascii_case(b"setname") && values >= 1 {
            handshake.name = Some(check_name("Client names", args.bytes(next + 1))?);
            next += 2;
        } else {
            let before = "ERR Syntax error in HELLO option '";
            return Err(CommandError::quoting(before, option, "'"));
        }
    }
    Ok(handshake)
}

impl Handshake<'_> {
    /// An error unless the client has said who it is, now or before.
    pub fn check_authenticated(&self, authenticated: bool) -> CommandResult {
        if authenticated || self.authenticated {
            return Ok(());
        }
        Err(CommandError::Text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        ))
    }
}

fn read_protocol(version: &[u8]) -> Result<Protocol, CommandError> {
    match parse_i64(version) {
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(CommandError::Text("NOPROTO unsupported protocol version")),
        None => Err(CommandError::Text("ERR Protocol version is not an integer or out of range")),
    }
}

/// What a client tells about itself is shown in `CLIENT LIST`, where spaces and newlines separate.
pub fn check_name<'a>(what: &str, name: &'a [u8]) -> Result<&'a [u8], CommandError> {
    if name.iter().all(u8::is_ascii_graphic) {
        return Ok(name);
    }
    let text = format!("ERR {what} cannot contain spaces, newlines or special characters.");
    Err(CommandError::Message(text))
}

/// The reply to `HELLO`: a map of facts, in the protocol that is spoken from now on.
pub fn reply_hello(reply: &mut Reply, protocol: Protocol, id: u64, role: &str) {
    reply.protocol = protocol;
    reply.map(7);
    // Clients look for this name and version to tell what they can ask for.
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
    reply.bulk(role.as_bytes());
    reply.bulk(b"modules");
    reply.array(0);
}
