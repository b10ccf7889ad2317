//! Who a client is and what it speaks: `AUTH` and `HELLO`. The password is `requirepass`.

use crate::commands::greeting::{is_right_password, read_credentials, read_handshake, reply_hello};
use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::server::State;

/// `AUTH [username] password` -> `+OK`. O(length of the passwords).
pub(super) fn auth(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let (user, password) = read_credentials(args, !ctx.server.config.requirepass.is_empty())?;
    verify(ctx.server, user, password)?;
    ctx.client_mut().authenticated = true;
    ctx.reply.ok();
    Ok(())
}

/// Whether `password` is that of `user`; counts those that are not.
fn verify(server: &mut State, user: &[u8], password: &[u8]) -> CommandResult {
    if is_right_password(&server.config.requirepass, user, password) {
        return Ok(());
    }
    server.stats.auth_failures += 1;
    Err(CommandError::WrongPass)
}

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]` -> a map of facts about server and connection, in
/// the form of the protocol asked for. O(1).
pub(super) fn hello(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let verify = |user: &[u8], password: &[u8]| verify(ctx.server, user, password);
    let handshake = read_handshake(args, verify)?;
    let client = ctx.client_mut();
    handshake.check_authenticated(client.authenticated)?;
    client.authenticated = true;
    if let Some(name) = handshake.name {
        client.name = name.to_vec();
    }
    client.protocol = handshake.protocol.unwrap_or(client.protocol);
    let (protocol, id) = (client.protocol, client.id);
    let role = if ctx.server.replication.is_master() { "master" } else { "replica" };
    reply_hello(ctx.reply, protocol, id, role);
    Ok(())
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
    fn hello_tells_that_this_is_a_replica() {
        let mut redis = TestServer::new();
        redis.run("REPLICAOF 127.0.0.1 1").is("+OK");
        assert!(redis.run("HELLO").0.contains("$4 role $7 replica"));
        redis.run("REPLICAOF NO ONE").is("+OK");
        assert!(redis.run("HELLO").0.contains("$4 role $6 master"));
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
