//! Replies of every type, to try a client with.

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::{Args, Protocol, Reply};

const WRONG_TYPE_NAME: CommandError = CommandError::Text(
    "ERR Wrong protocol type name. Please use one of the following: \
     string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
);

/// `DEBUG ERROR string` -> the string, as an error. It counts as none.
pub fn error(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let is_line_end = |byte: u8| matches!(byte, b'\r' | b'\n');
    let text = args.bytes(2).iter().map(|&byte| if is_line_end(byte) { b' ' } else { byte });
    ctx.reply.error_bytes(&text.collect::<Vec<u8>>());
    Ok(())
}

/// `DEBUG PROTOCOL type` -> a value of that type, as the client's protocol has it.
pub fn protocol(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let reply = &mut *ctx.reply;
    match args.bytes(2).to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.human_double("3.141"),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => map(reply),
        b"attrib" => attribute(reply),
        b"push" => return push(reply),
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => return Err(WRONG_TYPE_NAME),
    }
    Ok(())
}

fn map(reply: &mut Reply) {
    reply.map(3);
    for number in 0..3 {
        reply.integer(number);
        reply.boolean(number == 1);
    }
}

/// An attribute is no reply by itself: one follows, which is all that RESP2 has.
fn attribute(reply: &mut Reply) {
    if reply.protocol == Protocol::Resp3 {
        reply.attribute(1);
        reply.bulk(b"key-popularity");
        reply.array(2);
        reply.bulk(b"key:123");
        reply.integer(90);
    }
    reply.bulk(b"Some real reply following the attribute");
}

/// A push answers nothing: a reply follows.
fn push(reply: &mut Reply) -> CommandResult {
    if reply.protocol == Protocol::Resp2 {
        return Err(CommandError::Text("ERR RESP2 is not supported by this command"));
    }
    reply.push(2);
    reply.bulk(b"server-cpu-usage");
    reply.integer(42);
    reply.bulk(b"Some real reply following the push reply");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::debuggable;
    use crate::resp::Protocol;

    /// Type, its reply in RESP2, its reply in RESP3: as Redis 7.0 gives them.
    const REPLIES: [(&str, &str, &str); 13] = [
        ("string", "$11 Hello World", "$11 Hello World"),
        ("integer", ":12345", ":12345"),
        ("double", "$5 3.141", ",3.141"),
        (
            "bignum",
            "$37 1234567999999999999999999999999999999",
            "(1234567999999999999999999999999999999",
        ),
        ("null", "$-1", "_"),
        ("array", "*3 :0 :1 :2", "*3 :0 :1 :2"),
        ("set", "*3 :0 :1 :2", "~3 :0 :1 :2"),
        ("map", "*6 :0 :0 :1 :1 :2 :0", "%3 :0 #f :1 #t :2 #f"),
        (
            "attrib",
            "$39 Some real reply following the attribute",
            "|1 $14 key-popularity *2 $7 key:123 :90 $39 Some real reply following the attribute",
        ),
        (
            "push",
            "-ERR RESP2 is not supported by this command",
            ">2 $16 server-cpu-usage :42 $40 Some real reply following the push reply",
        ),
        ("verbatim", "$25 This is a verbatim\nstring", "=29 txt:This is a verbatim\nstring"),
        ("true", ":1", "#t"),
        ("FALSE", ":0", "#f"),
    ];

    #[test]
    fn every_type_has_its_form_in_both_protocols() {
        let mut redis = debuggable();
        for (name, resp2, _) in REPLIES {
            redis.run(&format!("DEBUG PROTOCOL {name}")).is(resp2);
        }
        redis.server.state.clients.iter_mut().for_each(|client| client.protocol = Protocol::Resp3);
        for (name, _, resp3) in REPLIES {
            redis.run(&format!("DEBUG PROTOCOL {name}")).is(resp3);
        }
        redis.run("DEBUG PROTOCOL foo").starts("-ERR Wrong protocol type name.");
    }

    #[test]
    fn an_error_has_the_text_it_was_given_on_one_line() {
        let mut redis = debuggable();
        redis.run_bytes(&[b"DEBUG", b"ERROR", b"FOO a\r\nb"]).is("-FOO a  b");
    }
}
