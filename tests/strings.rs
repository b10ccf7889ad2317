//! Bad arguments of string and expiry commands: Redis's own error text, and nothing changes.
//! Cases P17-P19 and T05 of the reliability catalogue.

mod support;

use support::TestServer;

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range";

#[test]
fn p17_set_refuses_bad_expiry_and_contradicting_options() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    client.run("SET a old").is("+OK");
    for bad in ["EX 0", "EX -1", "EX 9223372036854775807", "PX 0", "EXAT 0", "PXAT -1"] {
        client.run(&format!("SET a b {bad}")).is("-ERR invalid expire time in 'set' command");
    }
    for bad in ["EX abc", "PX 1.5", "EX 9223372036854775808"] {
        client.run(&format!("SET a b {bad}")).is(NOT_AN_INTEGER);
    }
    for bad in ["NX XX", "EX 1 PX 1", "EX 1 KEEPTTL", "EX", "WHAT"] {
        client.run(&format!("SET a b {bad}")).is("-ERR syntax error");
    }
    client.run("SETEX a 0 b").is("-ERR invalid expire time in 'setex' command");
    client.run("PSETEX a -1 b").is("-ERR invalid expire time in 'psetex' command");
    client.run("GETEX a EX 0").is("-ERR invalid expire time in 'getex' command");
    client.run("GET a").is("$3\r\nold");
    client.run("TTL a").is(":-1");
}

#[test]
fn p18_counters_do_not_overflow() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    client.run("SET max 9223372036854775807").is("+OK");
    client.run("INCR max").is("-ERR increment or decrement would overflow");
    client.run("INCRBY max 1").is("-ERR increment or decrement would overflow");
    client.run("GET max").is("$19\r\n9223372036854775807");
    client.run("SET min -9223372036854775808").is("+OK");
    client.run("DECR min").is("-ERR increment or decrement would overflow");
    client.run("DECRBY n -9223372036854775808").is("-ERR decrement would overflow");
    client.run("EXISTS n").is(":0");
    client.run("INCRBY n 9223372036854775808").is(NOT_AN_INTEGER);
    client.run("INCRBYFLOAT n nan").is("-ERR value is not a valid float");
    client.run("SET f 1.7e308").is("+OK");
    client.run("SET s 1x").is("+OK");
    client.run("INCRBYFLOAT s 1").is("-ERR value is not a valid float");
    client.run("INCR s").is(NOT_AN_INTEGER);
}

#[test]
fn p19_setrange_is_bounded() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    client.run("SETRANGE k 536870911 ab").is(too_long);
    client.run("SETRANGE k 9223372036854775807 ab").is(too_long);
    client.run("SETRANGE k -1 ab").is("-ERR offset is out of range");
    client.run("SETRANGE k x ab").is(NOT_AN_INTEGER);
    client.run("EXISTS k").is(":0");
}

#[test]
fn t05_expiry_at_the_ends_of_time() {
    let server = TestServer::start(&[]);
    let mut client = server.connect();
    for at in ["0", "1", "-1", "-9223372036854775808"] {
        client.run("SET k v").is("+OK");
        client.run(&format!("PEXPIREAT k {at}")).is(":1");
        client.run("EXISTS k").is(":0");
    }
    client.run("SET k v").is("+OK");
    client.run("EXPIRE k 9223372036854775807").is("-ERR invalid expire time in 'expire' command");
    client.run("PEXPIRE k 9223372036854775807").is("-ERR invalid expire time in 'pexpire' command");
    client
        .run("EXPIREAT k 9223372036854775807")
        .is("-ERR invalid expire time in 'expireat' command");
    client.run("EXPIRE k -9223372036854775808").is("-ERR invalid expire time in 'expire' command");
    client.run("TTL k").is(":-1");
    client.run("PEXPIREAT k 9223372036854775807").is(":1");
    client.run("PEXPIRETIME k").is(":9223372036854775807");
    assert!(client.run("PTTL k").number() > 9_000_000_000_000_000_000);
    client.run("GET k").is("$1\r\nv");
}
