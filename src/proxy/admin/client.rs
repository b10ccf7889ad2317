//! `CLIENT`: the clients of the proxy. What is about a connection to one server is refused elsewhere.

use crate::commands::greeting::check_name;
use crate::commands::{CommandError, CommandResult};
use crate::net::{Close, OutputBuffer};
use crate::proxy::Proxy;
use crate::proxy::client::{Client, Hold, ReplyMode};
use crate::proxy::routing::Handler;
use crate::resp::number::parse_i64;
use crate::resp::{Args, Protocol, Reply};

/// The subcommands.
pub(super) const HANDLERS: &[(&str, Handler)] = &[
    ("client|getname", getname),
    ("client|id", id),
    ("client|info", info),
    ("client|kill", kill),
    ("client|list", list),
    ("client|no-evict", switch),
    ("client|no-touch", switch),
    ("client|reply", reply_mode),
    ("client|setinfo", setinfo),
    ("client|setname", setname),
];

/// `CLIENT ID` -> the number of the connection. O(1).
fn id(proxy: &mut Proxy, client: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    reply.integer(proxy.clients[client].id as i64);
    Ok(())
}

/// `CLIENT GETNAME` -> the name, or null. O(1).
fn getname(proxy: &mut Proxy, client: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    match proxy.clients[client].name.as_slice() {
        b"" => reply.null(),
        name => reply.bulk(name),
    }
    Ok(())
}

/// `CLIENT SETNAME connection-name` -> `+OK`; an empty name takes the name away. O(1).
fn setname(proxy: &mut Proxy, client: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    proxy.clients[client].name = check_name("Client names", args.bytes(2))?.to_vec();
    reply.ok();
    Ok(())
}

/// `CLIENT SETINFO <LIB-NAME libname | LIB-VER libver>` -> `+OK`. O(1).
fn setinfo(proxy: &mut Proxy, client: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let (option, value) = (args.bytes(2), args.bytes(3));
    if option.eq_ignore_ascii_case(b"lib-name") {
        proxy.clients[client].library = check_name("lib-name", value)?.to_vec();
    } else if option.eq_ignore_ascii_case(b"lib-ver") {
        proxy.clients[client].library_version = check_name("lib-ver", value)?.to_vec();
    } else {
        return Err(CommandError::quoting("ERR Unrecognized option '", option, "'"));
    }
    reply.ok();
    Ok(())
}

/// `CLIENT REPLY <ON | OFF | SKIP>` -> `+OK` for `ON`, else nothing; `SKIP` is about the next command. O(1).
fn reply_mode(
    proxy: &mut Proxy,
    client: usize,
    args: &Args<'_>,
    reply: &mut Reply,
) -> CommandResult {
    let mode = &mut proxy.clients[client].reply_mode;
    match args.bytes(2).to_ascii_lowercase().as_slice() {
        b"on" => {
            *mode = ReplyMode::On;
            reply.ok();
        }
        b"off" => *mode = ReplyMode::Off,
        b"skip" if *mode != ReplyMode::Off => *mode = ReplyMode::SkipNext,
        b"skip" => {}
        _ => return Err(CommandError::Syntax),
    }
    Ok(())
}

/// `CLIENT NO-EVICT <ON | OFF>`, `CLIENT NO-TOUCH <ON | OFF>` -> `+OK`. The proxy evicts nobody and touches no key. O(1).
fn switch(_: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    match args.bytes(2).to_ascii_lowercase().as_slice() {
        b"on" | b"off" => reply.ok(),
        _ => return Err(CommandError::Syntax),
    }
    Ok(())
}

/// `CLIENT INFO` -> the line of this client. O(1).
fn info(proxy: &mut Proxy, client: usize, _: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let line = format!("{}\n", describe(proxy, &proxy.clients[client]));
    reply.verbatim("txt", line.as_bytes());
    Ok(())
}

/// `CLIENT LIST [TYPE type] [ID client-id [client-id ...]]` -> a line for each, in the order of their connecting. O(N log N).
fn list(proxy: &mut Proxy, _: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let filter = match args.get(2).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None => Filter::default(),
        Some(b"type") if args.len() == 4 => {
            Filter { pubsub: Some(is_pubsub(args.bytes(3))?), ..Filter::default() }
        }
        Some(b"id") if args.len() > 3 => {
            let ids: Result<Vec<u64>, _> = args.iter().skip(3).map(client_id).collect();
            Filter { ids: Some(ids?), ..Filter::default() }
        }
        _ => return Err(CommandError::Syntax),
    };
    let text: String = filter
        .select(proxy)
        .into_iter()
        .map(|index| format!("{}\n", describe(proxy, &proxy.clients[index])))
        .collect();
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// `CLIENT KILL <ip:port | option value [option value ...]>` -> how many were closed; `+OK` in the first form. O(N log N).
fn kill(proxy: &mut Proxy, client: usize, args: &Args<'_>, reply: &mut Reply) -> CommandResult {
    let is_old_form = args.len() == 3;
    let filter = match is_old_form {
        true => Filter { address: Some(args.bytes(2).to_vec()), ..Filter::default() },
        false => read_kill_filter(proxy.clients[client].id, args)?,
    };
    let chosen = filter.select(proxy);
    if is_old_form && chosen.is_empty() {
        return Err(CommandError::Text("ERR No such client"));
    }
    for &other in &chosen {
        match other == client {
            true => proxy.clients[other].leaving = true, // after this reply
            false => proxy.close_client(other),
        }
    }
    match is_old_form {
        true => reply.ok(),
        false => reply.integer(chosen.len() as i64),
    }
    if chosen.contains(&client) {
        proxy.actions.close.push((proxy.clients[client].token, Close::AfterWrite));
    }
    Ok(())
}

fn read_kill_filter(me: u64, args: &Args<'_>) -> Result<Filter, CommandError> {
    let mut filter = Filter { skipped: Some(me), ..Filter::default() };
    let options: Vec<&[u8]> = args.iter().skip(2).collect();
    for pair in options.chunks(2) {
        let [option, value] = pair else { return Err(CommandError::Syntax) };
        match option.to_ascii_lowercase().as_slice() {
            b"id" => filter.ids = Some(vec![client_id(value)?]),
            b"addr" => filter.address = Some(value.to_vec()),
            b"laddr" => filter.local_address = Some(value.to_vec()),
            b"type" => filter.pubsub = Some(is_pubsub(value)?),
            b"user" if *value == b"default" => {}
            b"user" => {
                let before = "ERR No such user '";
                return Err(CommandError::quoting(before, value, "'"));
            }
            b"skipme" => match value.to_ascii_lowercase().as_slice() {
                b"yes" => filter.skipped = Some(me),
                b"no" => filter.skipped = None,
                _ => return Err(CommandError::Syntax),
            },
            _ => return Err(CommandError::Syntax),
        }
    }
    Ok(filter)
}

fn client_id(word: &[u8]) -> Result<u64, CommandError> {
    let id = parse_i64(word).and_then(|id| u64::try_from(id).ok()).filter(|&id| id > 0);
    id.ok_or(CommandError::Text("ERR Invalid client ID"))
}

/// Whether a type of clients is that of subscribers; of replicas and masters there are none.
fn is_pubsub(word: &[u8]) -> Result<Class, CommandError> {
    match word.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(Class::Normal),
        b"pubsub" => Ok(Class::Pubsub),
        b"slave" | b"replica" | b"master" | b"primary" => Ok(Class::OtherServer),
        _ => Err(CommandError::quoting("ERR Unknown client type '", word, "'")),
    }
}

/// What a client is to Redis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Normal,
    Pubsub,
    /// No client of the proxy is that.
    OtherServer,
}

/// Which clients are meant: those that pass all that is given.
#[derive(Default)]
struct Filter {
    ids: Option<Vec<u64>>,
    address: Option<Vec<u8>>,
    local_address: Option<Vec<u8>>,
    pubsub: Option<Class>,
    skipped: Option<u64>,
}

impl Filter {
    fn passes(&self, client: &Client) -> bool {
        let same = |wanted: &Option<Vec<u8>>, address: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == address.as_bytes())
        };
        !client.closing
            && self.skipped != Some(client.id)
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&client.id))
            && same(&self.address, &client.peer.address)
            && same(&self.local_address, &client.peer.local_address)
            && self.pubsub.is_none_or(|wanted| wanted == class_of(client))
    }

    /// Those that pass, in the order of their connecting.
    fn select(&self, proxy: &Proxy) -> Vec<usize> {
        let passing = proxy.clients.iter().filter(|(_, client)| self.passes(client));
        let mut found: Vec<(u64, usize)> =
            passing.map(|(index, client)| (client.id, index)).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, index)| index).collect()
    }
}

fn class_of(client: &Client) -> Class {
    let subscribed = client.session.as_ref().is_some_and(|session| session.subscriptions.is_some());
    if subscribed { Class::Pubsub } else { Class::Normal }
}

/// The line of a client, with those of Redis's fields that there is something to say about.
fn describe(proxy: &Proxy, client: &Client) -> String {
    let seconds_since = |us: u64| proxy.now.monotonic_us.saturating_sub(us) / 1_000_000;
    let command = client.last_command.map(|id| proxy.commands.registry.get(id).full_name.as_str());
    format!(
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} qbuf={} oll={} omem={} in-flight={} cmd={} \
         user=default resp={} lib-name={} lib-ver={} tot-cmds={}",
        client.id,
        client.peer.address,
        client.peer.local_address,
        client.peer.fd,
        String::from_utf8_lossy(&client.name),
        seconds_since(client.created_us),
        seconds_since(client.last_interaction_us),
        flags(client),
        client.db,
        client.query.len(),
        usize::from(!client.outgoing.is_empty()),
        client.unread_bytes(),
        client.replies.len(),
        command.unwrap_or("NULL"),
        if client.protocol == Protocol::Resp3 { 3 } else { 2 },
        String::from_utf8_lossy(&client.library),
        String::from_utf8_lossy(&client.library_version),
        client.requests,
    )
}

/// Redis's letters for what it is and does.
fn flags(client: &Client) -> String {
    let session = client.session.as_deref();
    let letters = [
        (class_of(client) == Class::Pubsub, 'P'),
        (session.is_some_and(|session| session.transaction.is_some()), 'x'),
        (client.hold == Hold::Blocked, 'b'),
        (client.leaving, 'c'),
        (client.closing, 'A'),
        (client.peer.is_unix, 'U'),
    ];
    let flags: String =
        letters.into_iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect();
    if flags.is_empty() { "N".to_owned() } else { flags }
}
