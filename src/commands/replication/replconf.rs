//! `REPLCONF`: what a replica and its master tell each other beside the data.

use crate::commands::table::*;
use crate::commands::{Command, CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use Arity::AtLeast;

/// Length from which Redis refuses a host name.
const HOST_LEN_MAX: usize = 255;

/// The row of `REPLCONF`.
pub const REPLCONF: Command = command(
    "replconf",
    AtLeast(1),
    ADMIN.and(NOSCRIPT).and(LOADING).and(STALE).and(ALLOW_BUSY),
    &[],
    replconf,
)
.docs("3.0.0", "", "O(1)", "An internal command for configuring the replication stream.");

/// One thing that a client tells about itself as a replica.
enum Told {
    ListeningPort(i64),
    Address(String),
    TakesEof,
    TakesPsync2,
    RdbOnly(bool),
    /// Only functions, of which this server has none; or nothing.
    Filter,
    /// Of no concern here.
    Nothing,
}

/// `REPLCONF option value [option value ...]` -> `+OK`; `ACK` and `GETACK` are not answered. O(1) per option.
fn replconf(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let pairs: Vec<(&[u8], &[u8])> =
        (1..args.len()).step_by(2).map(|at| (args.bytes(at), args.bytes(at + 1))).collect();
    let mut told = Vec::new();
    for (index, (option, value)) in pairs.iter().enumerate() {
        match option.to_ascii_lowercase().as_slice() {
            b"ack" => {
                acknowledge(ctx, &pairs[index..]);
                return Ok(());
            }
            b"getack" => return Ok(()), // only the master's stream may ask
            option => told.push(read(option, value)?),
        }
    }
    if !told.is_empty() {
        let replica = ctx.server.replica_mut(ctx.token);
        for told in told {
            match told {
                Told::ListeningPort(port) => replica.listening_port = port,
                Told::Address(host) => replica.address = Some(host),
                Told::TakesEof => replica.takes_eof = true,
                Told::TakesPsync2 => replica.takes_psync2 = true,
                Told::RdbOnly(only) => replica.rdb_only = only,
                Told::Filter => replica.without_data = true,
                Told::Nothing => {}
            }
        }
    }
    ctx.reply.ok();
    Ok(())
}

fn read(option: &[u8], value: &[u8]) -> Result<Told, CommandError> {
    match option {
        b"listening-port" => {
            parse_i64(value).map(Told::ListeningPort).ok_or(CommandError::NotAnInteger)
        }
        b"ip-address" if value.len() > HOST_LEN_MAX => Err(CommandError::Message(format!(
            "ERR REPLCONF ip-address provided by replica instance is too long: {} bytes",
            value.len()
        ))),
        b"ip-address" => address(value),
        b"capa" if value.eq_ignore_ascii_case(b"eof") => Ok(Told::TakesEof),
        b"capa" if value.eq_ignore_ascii_case(b"psync2") => Ok(Told::TakesPsync2),
        b"capa" => Ok(Told::Nothing),
        b"version" => version(value),
        b"rdb-only" => match parse_i64(value).ok_or(CommandError::NotAnInteger)? {
            only @ (0 | 1) => Ok(Told::RdbOnly(only == 1)),
            _ => Err(CommandError::Text("ERR value is out of range, value must between 0 and 1")),
        },
        b"rdb-filter-only" => filter(value),
        _ => Err(CommandError::quoting("ERR Unrecognized REPLCONF option: ", option, "")),
    }
}

/// It is shown in `INFO`, one replica a line, and so it must be a word.
fn address(value: &[u8]) -> Result<Told, CommandError> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b',';
    match std::str::from_utf8(value) {
        Ok(text) if value.iter().all(is_plain) => Ok(Told::Address(text.to_string())),
        _ => Err(CommandError::Text("ERR REPLCONF ip-address is not a host name")),
    }
}

/// Valkey's replicas say which version they are. A snapshot of this server is for all versions.
fn version(value: &[u8]) -> Result<Told, CommandError> {
    let text = std::str::from_utf8(value).unwrap_or("");
    let is_number = |part: &str| part.parse::<u8>().is_ok();
    match text.split('.').count() == 3 && text.split('.').all(is_number) {
        true => Ok(Told::Nothing),
        false => Err(CommandError::quoting("ERR Unrecognized version format: ", value, "")),
    }
}

fn filter(value: &[u8]) -> Result<Told, CommandError> {
    for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        if !word.eq_ignore_ascii_case(b"functions") {
            return Err(CommandError::quoting(
                "ERR Unsupported rdb-filter-only option: ",
                word,
                "",
            ));
        }
    }
    Ok(Told::Filter)
}

/// `ACK offset [FACK offset]`: from a replica, and without an answer.
fn acknowledge(ctx: &mut Ctx<'_>, pairs: &[(&[u8], &[u8])]) {
    let offset_of = |value: &[u8]| parse_i64(value).and_then(|offset| u64::try_from(offset).ok());
    let [(_, offset), rest @ ..] = pairs else { return };
    let log_offset = rest.first().filter(|(option, _)| option.eq_ignore_ascii_case(b"fack"));
    let log_offset = log_offset.and_then(|(_, value)| offset_of(value));
    if let Some(offset) = offset_of(offset)
        && ctx.client().is_replica()
    {
        ctx.server.acknowledged(ctx.token, offset, log_offset);
    }
}
