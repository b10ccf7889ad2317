//! Who a client is and what it speaks: `AUTH` and `HELLO`. There is one user, `default`; its password is `requirepass`.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::client::check_name;
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::number::parse_i64;
use crate::resp::{Args, Protocol};
use crate::server::State;
use crate::version::REDIS_VERSION;

/// The only user.
pub(super) const DEFAULT_USER: &[u8] = b"default";

/// `AUTH [username] password` -> `+OK`. O(length of the passwords).
pub(super) fn auth(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (user, password) = match args.len() {
        2 if ctx.server.config.requirepass.is_empty() => {
            return Err(CommandError::Text(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            ));
        }
        2 => (DEFAULT_USER, args.bytes(1)),
        3 => (args.bytes(1), args.bytes(2)),
        _ => return Err(CommandError::Syntax),
    };
    verify(ctx.server, user, password)?;
    ctx.client_mut().authenticated = true;
    ctx.reply.ok();
    Ok(())
}

/// Whether `password` is that of `user`; counts those that are not.
fn verify(server: &mut State, user: &[u8], password: &[u8]) -> CommandResult {
    let expected = &server.config.requirepass;
    // Digests have one length, and the comparison takes the same time wherever they differ: an answer's delay tells
    // nothing about the password.
    let equal = Sha256::digest(password).ct_eq(&Sha256::digest(expected));
    if user == DEFAULT_USER && (expected.is_empty() || bool::from(equal)) {
        return Ok(());
    }
    server.stats.auth_failures += 1;
    Err(CommandError::WrongPass)
}

/// What the options of `HELLO` ask for.
#[derive(Default)]
struct Handshake<'a> {
    protocol: Option<Protocol>,
    authenticated: bool,
    name: Option<&'a [u8]>,
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]` -> a map of facts about server and connection, in
/// the form of the protocol asked for. O(1).
pub(super) fn hello(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let handshake = read_handshake(ctx.server, args)?;
    let client = ctx.client_mut();
    if !client.authenticated && !handshake.authenticated {
        return Err(CommandError::Text(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    client.authenticated = true;
    if let Some(name) = handshake.name {
        client.name = name.to_vec();
    }
    client.protocol = handshake.protocol.unwrap_or(client.protocol);
    reply_hello(ctx);
    Ok(())
}

/// Reads and checks all options in their order: the first that is wrong decides the error.
fn read_handshake<'a>(server: &mut State, args: &Args<'a>) -> Result<Handshake<'a>, CommandError> {
    let mut handshake = Handshake::default();
    if let Some(version) = args.get(1) {
        handshake.protocol = Some(read_protocol(version)?);
    }
    let mut next = 2;
    while let Some(option) = args.get(next) {
        let values = args.len() - next - 1;
        if option.eq_ignore_ascii_case(b"auth") && values >= 2 {
            verify(server, args.bytes(next + 1), args.bytes(next + 2))?;
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

fn read_protocol(version: &[u8]) -> Result<Protocol, CommandError> {
    match parse_i64(version) {
        Some(2) => Ok(Protocol::Resp2),
        Some(3) => Ok(Protocol::Resp3),
        Some(_) => Err(CommandError::Text("NOPROTO unsupported protocol version")),
        None => Err(CommandError::Text("ERR Protocol version is not an integer or out of range")),
    }
}

fn reply_hello(ctx: &mut Ctx<'_>) {
    let (id, protocol) = (ctx.client().id, ctx.client().protocol);
    let reply = &mut *ctx.reply;
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
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.";
    const NOAUTH: &str = "-NOAUTH Authentication required.";

    fn with_password() -> TestServer {
        TestServer::with(|config| config.requirepass = b"foobared".to_vec())
    }

    #[test]
    fn c04_auth_takes_only_the_right_password() {
        let mut redis = with_password();
        redis.run("SET foo bar").is(NOAUTH);
        for wrong in ["foobare", "foobaredd", "FOOBARED", "\"\""] {
            redis.run(&format!("AUTH {wrong}")).is(WRONGPASS);
        }
        redis.run("AUTH someone foobared").is(WRONGPASS);
        redis.run("AUTH default wrong").is(WRONGPASS);
        redis.run("AUTH a b c").is("-ERR syntax error");
        redis.run("AUTH").is("-ERR wrong number of arguments for 'auth' command");
        assert_eq!(redis.server.state.stats.auth_failures, 6);
        redis.run("SET foo bar").is(NOAUTH);
        redis.run("AUTH default foobared").is("+OK");
        redis.run("SET foo bar").is("+OK");
        redis.run("AUTH wrong").is(WRONGPASS);
        redis.run("SET foo bar").is("+OK");
    }

    #[test]
    fn c04_auth_without_a_password_set_says_so() {
        let mut redis = TestServer::new();
        redis.run("AUTH foo").is(
            "-ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        );
        redis.run("AUTH default anything").is("+OK");
        redis.run("AUTH someone anything").is(WRONGPASS);
    }

    #[test]
    fn p14_each_auth_in_a_pipeline_has_a_reply() {
        let mut redis = with_password();
        let client = redis.connect();
        redis
            .receive(client, b"PING\r\nAUTH bad\r\nPING\r\nAUTH foobared\r\nPING\r\n")
            .is(&format!("{NOAUTH} {WRONGPASS} {NOAUTH} +OK +PONG"));
    }

    #[test]
    fn hello_tells_about_server_and_connection() {
        let mut redis = TestServer::new();
        let facts = "$6 server $5 redis $7 version $5 7.2.4 $5 proto";
        let rest = "$2 id :1 $4 mode $10 standalone $4 role $6 master $7 modules *0";
        redis.run("HELLO").is(&format!("*14 {facts} :2 {rest}"));
        redis.run("HELLO 3").is(&format!("%7 {facts} :3 {rest}"));
        redis.run("GET missing").is("_");
        redis.run("HELLO").is(&format!("%7 {facts} :3 {rest}"));
        redis.run("HELLO 2").is(&format!("*14 {facts} :2 {rest}"));
        redis.run("GET missing").is("$-1");
    }

    #[test]
    fn p26_hello_refuses_what_it_does_not_know() {
        let mut redis = TestServer::new();
        redis.run("HELLO 4").is("-NOPROTO unsupported protocol version");
        redis.run("HELLO 1 FOO").is("-NOPROTO unsupported protocol version");
        redis.run("HELLO a").is("-ERR Protocol version is not an integer or out of range");
        redis.run("HELLO 3 auth").is("-ERR Syntax error in HELLO option 'auth'");
        redis.run("HELLO 3 AUTH default").is("-ERR Syntax error in HELLO option 'AUTH'");
        redis.run("HELLO 3 SETNAME").is("-ERR Syntax error in HELLO option 'SETNAME'");
        redis.run("HELLO 3 foo").is("-ERR Syntax error in HELLO option 'foo'");
        redis.run("HELLO 3 AUTH a b foo").is(WRONGPASS);
        redis
            .run_bytes(&[b"HELLO", b"3", b"SETNAME", b"a b"])
            .is("-ERR Client names cannot contain spaces, newlines or special characters.");
        redis.run("GET k").is("$-1");
    }

    #[test]
    fn hello_authenticates_and_names() {
        let mut redis = with_password();
        redis.run("HELLO 3").starts("-NOAUTH HELLO must be called with the client already");
        redis.run("HELLO 3 AUTH default wrong SETNAME x").is(WRONGPASS);
        redis.run("HELLO 3 AUTH default foobared SETNAME").starts("-ERR Syntax error");
        redis.run("GET k").is(NOAUTH);
        redis.run("HELLO 3 AUTH default foobared SETNAME me").starts("%7 ");
        redis.run("CLIENT GETNAME").is("$2 me");
        redis.run("HELLO 2 SETNAME \"\"").starts("*14 ");
        redis.run("CLIENT GETNAME").is("$-1");
    }

    #[test]
    fn a_password_of_any_bytes_works() {
        let mut redis = TestServer::with(|config| config.requirepass = b"a\0\xff \r\n".to_vec());
        redis.run_bytes(&[b"AUTH", b"a\0\xff \r"]).is(WRONGPASS);
        redis.run_bytes(&[b"AUTH", b"a\0\xff \r\n"]).is("+OK");
    }
}
