//! `CLIENT TRACKING` and its kin: a client that caches what it reads says what it wants to be told about. The telling is
//! in `server::tracking`.

use std::collections::BTreeSet;

use crate::commands::{CommandError, CommandResult, Ctx, shown};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::server::{ClientTracking, Redirect, TrackingMode};

/// The options of `CLIENT TRACKING`, as they are given.
#[derive(Default)]
struct Options<'a> {
    redirect: Option<Redirect>,
    prefixes: Vec<&'a [u8]>,
    bcast: bool,
    optin: bool,
    optout: bool,
    noloop: bool,
}

/// `CLIENT TRACKING <ON | OFF> [REDIRECT client-id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]` -> `+OK`.
/// O(1); with a redirection, O(connected clients); O(N * M) for N new prefixes and M of the client's.
pub(super) fn tracking(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let options = parse(ctx, args)?;
    match args.bytes(2) {
        on if on.eq_ignore_ascii_case(b"on") => enable(ctx, &options)?,
        off if off.eq_ignore_ascii_case(b"off") => ctx.server.disable_tracking(ctx.token),
        _ => return Err(CommandError::Syntax),
    }
    ctx.reply.ok();
    Ok(())
}

fn parse<'a>(ctx: &mut Ctx<'_>, args: &Args<'a>) -> Result<Options<'a>, CommandError> {
    let mut options = Options::default();
    let mut words = args.iter().skip(3);
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_slice() {
            b"redirect" => {
                let id = words.next().ok_or(CommandError::Syntax)?;
                if options.redirect.is_some() {
                    let text = "ERR A client can only redirect to a single other client";
                    return Err(CommandError::Text(text));
                }
                options.redirect = Some(find_redirect(ctx, id)?);
            }
            b"prefix" => options.prefixes.push(words.next().ok_or(CommandError::Syntax)?),
            b"bcast" => options.bcast = true,
            b"optin" => options.optin = true,
            b"optout" => options.optout = true,
            b"noloop" => options.noloop = true,
            _ => return Err(CommandError::Syntax),
        }
    }
    Ok(options)
}

fn find_redirect(ctx: &mut Ctx<'_>, id: &[u8]) -> Result<Redirect, CommandError> {
    let id = parse_i64(id).ok_or(CommandError::NotAnInteger)?;
    let client = u64::try_from(id).ok().and_then(|id| ctx.server.clients.by_id(id));
    client
        .map(|client| Redirect { id: client.id, token: client.token })
        .ok_or(CommandError::Text("ERR The client ID you want redirect to does not exist"))
}

fn enable(ctx: &mut Ctx<'_>, options: &Options<'_>) -> CommandResult {
    let before = ctx.client().tracking.as_deref();
    check_modes(options, before)?;
    let mode = match options {
        Options { bcast: true, prefixes, .. } => {
            check_prefixes(prefixes, before)?;
            // A client that names none wants to hear of all keys.
            let named = prefixes.iter().map(|prefix| prefix.to_vec());
            let all = prefixes.is_empty().then(Vec::new);
            TrackingMode::Broadcast(named.chain(all).collect())
        }
        Options { optin: true, .. } => TrackingMode::OptIn,
        Options { optout: true, .. } => TrackingMode::OptOut,
        _ => TrackingMode::Reads,
    };
    let Options { redirect, noloop, .. } = *options;
    let tracking =
        ClientTracking { mode, redirect, noloop, caching: false, broken_redirect: false };
    ctx.server.enable_tracking(ctx.token, tracking);
    Ok(())
}

/// Whether the options go together, and with the mode that the client is in.
fn check_modes(options: &Options<'_>, before: Option<&ClientTracking>) -> CommandResult {
    let Options { bcast, optin, optout, .. } = *options;
    let mode = before.map(|tracking| &tracking.mode);
    let text = if !bcast && !options.prefixes.is_empty() {
        "ERR PREFIX option requires BCAST mode to be enabled"
    } else if before.is_some_and(|tracking| tracking.is_broadcast() != bcast) {
        "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with \
         a different mode."
    } else if bcast && (optin || optout) {
        "ERR OPTIN and OPTOUT are not compatible with BCAST"
    } else if optin && optout {
        "ERR You can't specify both OPTIN mode and OPTOUT mode"
    } else if optin && mode == Some(&TrackingMode::OptOut)
        || optout && mode == Some(&TrackingMode::OptIn)
    {
        "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with \
         a different mode."
    } else {
        return Ok(());
    };
    Err(CommandError::Text(text))
}

/// No key may begin with two prefixes of a client: it would be told twice.
fn check_prefixes(prefixes: &[&[u8]], before: Option<&ClientTracking>) -> CommandResult {
    let none = BTreeSet::new();
    let existing = match before.map(|tracking| &tracking.mode) {
        Some(TrackingMode::Broadcast(prefixes)) => prefixes,
        _ => &none,
    };
    for (index, prefix) in prefixes.iter().enumerate() {
        if let Some(other) = existing.iter().find(|other| overlap(prefix, other)) {
            return Err(overlapping(prefix, "an existing", other));
        }
        if let Some(other) = prefixes[index + 1..].iter().find(|other| overlap(prefix, other)) {
            return Err(overlapping(prefix, "another provided", other));
        }
    }
    Ok(())
}

fn overlap(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn overlapping(prefix: &[u8], which: &str, other: &[u8]) -> CommandError {
    let quoted = |bytes| shown(bytes, usize::MAX);
    let which = format!("' overlaps with {which} prefix '");
    let after = b"'. Prefixes for a single client must not overlap.";
    let text = [b"ERR Prefix '", quoted(prefix), which.as_bytes(), quoted(other), after];
    CommandError::Bytes(text.concat())
}

/// `CLIENT CACHING <YES | NO>` -> `+OK`; says whether what the next request reads is cached. O(1).
pub(super) fn caching(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let Some(tracking) = &mut ctx.client_mut().tracking else {
        let text = "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled";
        return Err(CommandError::Text(text));
    };
    let (mode, text) = match args.bytes(2) {
        yes if yes.eq_ignore_ascii_case(b"yes") => (
            TrackingMode::OptIn,
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
        ),
        no if no.eq_ignore_ascii_case(b"no") => (
            TrackingMode::OptOut,
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
        ),
        _ => return Err(CommandError::Syntax),
    };
    if tracking.mode != mode {
        return Err(CommandError::Text(text));
    }
    tracking.caching = true;
    ctx.reply.ok();
    Ok(())
}

/// `CLIENT GETREDIR` -> the number of the client that is told in the place of this one; 0 if it is told itself, -1 if
/// nobody is. O(1).
pub(super) fn getredir(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    let redirect = ctx.client().redirect_id();
    ctx.reply.integer(redirect);
    Ok(())
}

/// `CLIENT TRACKINGINFO` -> what was set with `CLIENT TRACKING`, as a map. O(prefixes of the client).
pub(super) fn trackinginfo(ctx: &mut Ctx<'_>, _args: &Args<'_>) -> CommandResult {
    let client = ctx.server.clients.get(ctx.token);
    let tracking = client.tracking.as_deref();
    let flags = flags(tracking);
    ctx.reply.map(3);
    ctx.reply.bulk(b"flags");
    ctx.reply.set(flags.len());
    flags.iter().for_each(|flag| ctx.reply.bulk(flag.as_bytes()));
    ctx.reply.bulk(b"redirect");
    ctx.reply.integer(client.redirect_id());
    ctx.reply.bulk(b"prefixes");
    match tracking.map(|tracking| &tracking.mode) {
        Some(TrackingMode::Broadcast(prefixes)) => {
            ctx.reply.array(prefixes.len());
            prefixes.iter().for_each(|prefix| ctx.reply.bulk(prefix));
        }
        _ => ctx.reply.array(0),
    }
    Ok(())
}

fn flags(tracking: Option<&ClientTracking>) -> Vec<&'static str> {
    let Some(tracking) = tracking else { return vec!["off"] };
    let mode: &[&str] = match (&tracking.mode, tracking.caching) {
        (TrackingMode::Reads, _) => &[],
        (TrackingMode::Broadcast(_), _) => &["bcast"],
        (TrackingMode::OptIn, false) => &["optin"],
        (TrackingMode::OptIn, true) => &["optin", "caching-yes"],
        (TrackingMode::OptOut, false) => &["optout"],
        (TrackingMode::OptOut, true) => &["optout", "caching-no"],
    };
    let noloop = tracking.noloop.then_some("noloop");
    let broken = tracking.broken_redirect.then_some("broken_redirect");
    ["on"].into_iter().chain(mode.iter().copied()).chain(noloop).chain(broken).collect()
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let mut redis = TestServer::new();
        for (options, error) in [
            ("ON PREFIX a", "PREFIX option requires BCAST mode to be enabled"),
            ("ON BCAST OPTIN", "OPTIN and OPTOUT are not compatible with BCAST"),
            ("ON OPTIN OPTOUT", "You can't specify both OPTIN mode and OPTOUT mode"),
            ("ON REDIRECT 99", "The client ID you want redirect to does not exist"),
            ("ON REDIRECT 0", "The client ID you want redirect to does not exist"),
            ("ON REDIRECT -1", "The client ID you want redirect to does not exist"),
            ("ON REDIRECT x", "value is not an integer or out of range"),
            ("ON REDIRECT 1 REDIRECT 1", "A client can only redirect to a single other client"),
            ("ON REDIRECT", "syntax error"),
            ("ON BCAST PREFIX", "syntax error"),
            ("ON nosuch", "syntax error"),
            ("maybe", "syntax error"),
        ] {
            redis.run(&format!("CLIENT TRACKING {options}")).is(&format!("-ERR {error}"));
            redis.run("CLIENT GETREDIR").is(":-1");
        }
    }

    #[test]
    fn a_mode_is_left_before_another_is_entered() {
        let mut redis = TestServer::new();
        let bcast = "-ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
                     re-enabling it with a different mode.";
        let opt = "-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
                   re-enabling it with a different mode.";
        redis.run("CLIENT TRACKING ON OPTIN").is("+OK");
        redis.run("CLIENT TRACKING ON BCAST").is(bcast);
        redis.run("CLIENT TRACKING ON OPTOUT").is(opt);
        redis.run("CLIENT TRACKING ON").is("+OK");
        redis.run("CLIENT TRACKING ON OPTOUT").is("+OK");
        redis.run("CLIENT TRACKING ON OPTIN").is(opt);
        redis.run("CLIENT TRACKING OFF").is("+OK");
        redis.run("CLIENT TRACKING ON BCAST").is("+OK");
        redis.run("CLIENT TRACKING ON").is(bcast);
    }

    #[test]
    fn prefixes_add_up_and_do_not_overlap() {
        let mut redis = TestServer::new();
        let overlap = |prefix: &str, which: &str, other: &str| {
            format!(
                "-ERR Prefix '{prefix}' overlaps with {which} prefix '{other}'. Prefixes for a single client must not \
                 overlap."
            )
        };
        let another = overlap("foobar", "another provided", "foo");
        redis.run("CLIENT TRACKING ON BCAST PREFIX x PREFIX foobar PREFIX foo").is(&another);
        redis.run("CLIENT GETREDIR").is(":-1");
        redis.run("CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar").is("+OK");
        let existing = overlap("fo", "an existing", "foo");
        redis.run("CLIENT TRACKING ON BCAST PREFIX fo").is(&existing);
        redis.run("CLIENT TRACKING ON BCAST PREFIX cat NOLOOP").is("+OK");
        redis.run("CLIENT TRACKINGINFO").is(
            "*6 $5 flags *3 $2 on $5 bcast $6 noloop $8 redirect :0 $8 prefixes *3 $3 bar $3 cat $3 foo",
        );
    }

    #[test]
    fn caching_is_for_the_modes_that_ask_for_it() {
        let mut redis = TestServer::new();
        let without = "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT \
                       mode enabled";
        redis.run("CLIENT CACHING maybe").is(without);
        redis.run("CLIENT TRACKING ON OPTIN").is("+OK");
        redis.run("CLIENT CACHING maybe").is("-ERR syntax error");
        redis
            .run("CLIENT CACHING no")
            .is("-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
        redis.run("CLIENT CACHING yes").is("+OK");
        redis
            .run("CLIENT TRACKINGINFO")
            .is("*6 $5 flags *3 $2 on $5 optin $11 caching-yes $8 redirect :0 $8 prefixes *0");
        redis.run("PING").is("+PONG");
        redis
            .run("CLIENT TRACKINGINFO")
            .is("*6 $5 flags *2 $2 on $5 optin $8 redirect :0 $8 prefixes *0");
        redis.run("CLIENT TRACKING OFF").is("+OK");
        redis.run("CLIENT TRACKINGINFO").is("*6 $5 flags *1 $3 off $8 redirect :-1 $8 prefixes *0");
    }
}
