//! `ACL`: there is one user, `default`, who may do everything once the password is said. What client libraries ask about
//! users, categories and passwords is answered from that.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::container;
use crate::commands::categories::CATEGORIES;
use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx, reply_help};
use crate::config::Config;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use Arity::{AtLeast, Exactly};

/// Bits of a generated password, unless told.
const GENPASS_BITS: i64 = 256;
const GENPASS_BITS_MAX: i64 = 4096;

const OPEN: Flags = NOSCRIPT.and(LOADING).and(STALE);
const ADMINISTRATIVE: Flags = ADMIN.and(NOSCRIPT).and(LOADING).and(STALE);

/// The row of `ACL`.
pub const ACL: Command = command("acl", AtLeast(2), Flags::NONE, &[], container)
    .docs("6.0.0", "", "Depends on subcommand.", "A container for Access List Control commands.")
    .subcommands(&[
        command("cat", AtLeast(2), OPEN, &[], cat).docs(
            "6.0.0",
            "[category]",
            "O(1) since the categories and commands are a fixed set.",
            "Lists the ACL categories, or the commands inside a category.",
        ),
        command("genpass", AtLeast(2), OPEN, &[], genpass).docs(
            "6.0.0",
            "[bits]",
            "O(1)",
            "Generates a pseudorandom, secure password that can be used to identify ACL users.",
        ),
        command("getuser", Exactly(3), ADMINISTRATIVE, &[], getuser).docs(
            "6.0.0",
            "username",
            "O(N). Where N is the number of password, command and pattern rules that the user has.",
            "Lists the ACL rules of a user.",
        ),
        command("help", Exactly(2), LOADING.and(STALE), &[], help).docs(
            "6.0.0",
            "",
            "O(1)",
            "Returns helpful text about the different subcommands.",
        ),
        command("list", Exactly(2), ADMINISTRATIVE, &[], list).docs(
            "6.0.0",
            "",
            "O(N). Where N is the number of configured users.",
            "Dumps the effective rules in ACL file format.",
        ),
        command("users", Exactly(2), ADMINISTRATIVE, &[], users).docs(
            "6.0.0",
            "",
            "O(N). Where N is the number of configured users.",
            "Lists all ACL users.",
        ),
        command("whoami", Exactly(2), OPEN, &[], whoami).docs(
            "6.0.0",
            "",
            "O(1)",
            "Returns the authenticated username of the current connection.",
        ),
    ]);

/// `ACL CAT [category]` -> all categories, or all commands of one. O(commands).
fn cat(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    match args.len() {
        2 => {
            ctx.reply.array(CATEGORIES.len());
            CATEGORIES.iter().for_each(|category| ctx.reply.bulk(category.as_bytes()));
        }
        3 => reply_members(ctx, args.bytes(2))?,
        _ => return Err(wrong_arguments(args)),
    }
    Ok(())
}

fn reply_members(ctx: &mut Ctx<'_>, name: &[u8]) -> CommandResult {
    let find = |category: &&str| category.as_bytes().eq_ignore_ascii_case(name);
    let unknown = || CommandError::quoting("ERR Unknown category '", name, "'");
    let category = CATEGORIES.into_iter().find(find).ok_or_else(unknown)?;
    let commands = ctx.server.registry.iter().map(|(_, registered)| registered);
    let members: Vec<_> = commands.filter(|command| command.is_in_category(category)).collect();
    ctx.reply.array(members.len());
    members.iter().for_each(|member| ctx.reply.bulk(member.full_name.as_bytes()));
    Ok(())
}

/// `ACL GENPASS [bits]` -> so many random bits, four to a hexadecimal digit. O(bits).
fn genpass(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let bits = match args.len() {
        2 => GENPASS_BITS,
        3 => parse_i64(args.bytes(2)).ok_or(CommandError::NotAnInteger)?,
        _ => return Err(wrong_arguments(args)),
    };
    if !(1..=GENPASS_BITS_MAX).contains(&bits) {
        return Err(CommandError::Text(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ));
    }
    let digits = bits.div_euclid(4) as usize + usize::from(bits % 4 > 0);
    let mut password = String::new();
    while password.len() < digits {
        let _ = write!(password, "{:016x}", ctx.server.environment.random());
    }
    ctx.reply.bulk(&password.as_bytes()[..digits]);
    Ok(())
}

fn wrong_arguments(args: &Args<'_>) -> CommandError {
    CommandError::wrong_subcommand(args.bytes(1), "ACL")
}

/// `ACL GETUSER username` -> a map of the rules, or null. O(1).
fn getuser(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.bytes(2) != b"default" {
        ctx.reply.null();
        return Ok(());
    }
    let password = password_digest(&ctx.server.config);
    let reply = &mut *ctx.reply;
    reply.map(6);
    reply.bulk(b"flags");
    let flags: &[&str] = if password.is_none() { &["on", "nopass"] } else { &["on"] };
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(password.iter().len());
    password.iter().for_each(|digest| reply.bulk(digest.as_bytes()));
    for (field, rule) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
        reply.bulk(field.as_bytes());
        reply.bulk(rule.as_bytes());
    }
    reply.bulk(b"selectors");
    reply.array(0);
    Ok(())
}

/// `ACL HELP` -> the subcommands.
fn help(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let lines = [
        "CAT [<category>]",
        "    List all commands that belong to <category>, or all command categories",
        "    when no category is specified.",
        "GETUSER <username>",
        "    Get the user's details.",
        "GENPASS [<bits>]",
        "    Generate a secure 256-bit user password. The optional `bits` argument can",
        "    be used to specify a different size.",
        "LIST",
        "    Show users details in config file format.",
        "USERS",
        "    List all the registered usernames.",
        "WHOAMI",
        "    Return the current connection username.",
    ];
    reply_help(ctx, "ACL", &lines);
    Ok(())
}

/// `ACL LIST` -> the users with their rules, as lines of a configuration file. O(1).
fn list(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    let password = password_digest(&ctx.server.config)
        .map_or_else(|| "nopass".to_string(), |digest| format!("#{digest}"));
    ctx.reply.array(1);
    ctx.reply.bulk(format!("user default on {password} ~* &* +@all").as_bytes());
    Ok(())
}

/// `ACL USERS` -> the names of all users. O(1).
fn users(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.reply.array(1);
    ctx.reply.bulk(b"default");
    Ok(())
}

/// `ACL WHOAMI` -> the name of the client's user. O(1).
fn whoami(ctx: &mut Ctx<'_>, _: &Args<'_>) -> CommandResult {
    ctx.reply.bulk(b"default");
    Ok(())
}

/// SHA-256 of the password in hexadecimal, if there is one: nobody is shown the password itself.
fn password_digest(config: &Config) -> Option<String> {
    if config.requirepass.is_empty() {
        return None;
    }
    let digest = Sha256::digest(&config.requirepass);
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    const FOO_DIGEST: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";

    /// A server whose password is `foo`, seen by a client that connected before there was one.
    fn with_password() -> TestServer {
        let mut redis = TestServer::new();
        redis.server.state.config.requirepass = "foo".into();
        redis
    }

    #[test]
    fn the_only_user_is_default() {
        let mut redis = TestServer::new();
        redis.run("ACL WHOAMI").is("$7 default");
        redis.run("ACL USERS").is("*1 $7 default");
        redis.run("ACL LIST").is("*1 $34 user default on nopass ~* &* +@all");
        redis.run("ACL GETUSER default").is(
            "*12 $5 flags *2 $2 on $6 nopass $9 passwords *0 $8 commands $5 +@all $4 keys $2 ~* $8 channels $2 &* $9 \
             selectors *0",
        );
        redis.run("ACL GETUSER Default").is("$-1");
    }

    #[test]
    fn a_password_is_shown_as_its_digest() {
        let mut redis = with_password();
        redis.run("ACL LIST").is(&format!("*1 $93 user default on #{FOO_DIGEST} ~* &* +@all"));
        let user = redis.run("ACL GETUSER default").0;
        assert!(user.contains(&format!("*1 $2 on $9 passwords *1 $64 {FOO_DIGEST} ")), "{user}");
    }

    #[test]
    fn cat_lists_categories_and_their_commands() {
        let mut redis = TestServer::new();
        redis.run("ACL CAT").starts("*21 $8 keyspace $4 read ");
        let dangerous = redis.run("ACL CAT Dangerous").0;
        assert!(dangerous.contains(" $8 flushall ") && dangerous.contains(" $11 slowlog|get "));
        assert!(!dangerous.contains(" $3 get "), "{dangerous}");
        redis.run("ACL CAT foo").is("-ERR Unknown category 'foo'");
        redis
            .run("ACL CAT a b")
            .is("-ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.");
    }

    #[test]
    fn genpass_gives_a_digit_for_each_four_bits() {
        let mut redis = TestServer::new();
        redis.run("ACL GENPASS").starts("$64 ");
        redis.run("ACL GENPASS 5").starts("$2 ");
        redis.run("ACL GENPASS 4096").starts("$1024 ");
        assert_ne!(redis.run("ACL GENPASS").0, redis.run("ACL GENPASS").0);
        for bits in ["0", "-1", "4097"] {
            redis.run(&format!("ACL GENPASS {bits}")).starts("-ERR ACL GENPASS argument must be");
        }
        redis.run("ACL GENPASS x").is("-ERR value is not an integer or out of range");
    }

    #[test]
    fn users_cannot_be_made() {
        let mut redis = TestServer::new();
        redis.run("ACL SETUSER a on").is("-ERR unknown subcommand 'SETUSER'. Try ACL HELP.");
        redis.run("ACL HELP").starts("*17 +ACL <subcommand>");
    }
}
