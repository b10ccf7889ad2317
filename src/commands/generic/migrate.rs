//! `MIGRATE`: keys go to another server. The way there is the server's (`server/migrate`).

use crate::commands::{CommandError, CommandResult, Ctx};
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::server::MigrateRequest;

/// What Redis takes for a timeout that is not positive.
const TIMEOUT_MS_DEFAULT: u64 = 1000;

/// What stands behind the timeout.
#[derive(Default)]
struct Options<'a> {
    copies: bool,
    replaces: bool,
    auth: Vec<&'a [u8]>,
    /// Where the keys begin, if they are at the end.
    keys_at: Option<usize>,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 6;
        let word = |at: usize| args.get(at).ok_or(CommandError::Syntax);
        while let Some(option) = args.get(at) {
            match option.to_ascii_lowercase().as_slice() {
                b"copy" => options.copies = true,
                b"replace" => options.replaces = true,
                b"auth" => {
                    options.auth = vec![word(at + 1)?];
                    at += 1;
                }
                b"auth2" => {
                    options.auth = vec![word(at + 1)?, word(at + 2)?];
                    at += 2;
                }
                b"keys" if args.bytes(3).is_empty() => {
                    options.keys_at = Some(at + 1);
                    break;
                }
                b"keys" => {
                    return Err(CommandError::Text(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                _ => return Err(CommandError::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }
}

/// `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH password | AUTH2 user password] [KEYS key ...]` -> `+OK`
/// when the keys have arrived, `+NOKEY` if none is here. O(values), in one turn.
pub(super) fn migrate(ctx: &mut Ctx<'_>, args: &Args<'_>) -> CommandResult {
    let options = Options::parse(args)?;
    let timeout = parse_i64(args.bytes(5)).ok_or(CommandError::NotAnInteger)?;
    let target_db = parse_i64(args.bytes(4)).ok_or(CommandError::NotAnInteger)?;
    let names = match options.keys_at {
        Some(first) => args.iter().skip(first).collect(),
        None => vec![args.bytes(3)],
    };
    let is_here = |name: &&[u8]| ctx.db.find_read(name).is_some();
    let keys: Vec<Vec<u8>> = names.into_iter().filter(is_here).map(<[u8]>::to_vec).collect();
    ctx.propagate_nothing();
    if keys.is_empty() {
        ctx.reply.simple("NOKEY");
        return Ok(());
    }
    let port = parse_i64(args.bytes(2)).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
    let request = MigrateRequest {
        host: String::from_utf8_lossy(args.bytes(1)).into_owned(),
        port,
        target_db,
        timeout_ms: u64::try_from(timeout).ok().filter(|&ms| ms > 0).unwrap_or(TIMEOUT_MS_DEFAULT),
        copies: options.copies,
        replaces: options.replaces,
        auth: options.auth.into_iter().map(<[u8]>::to_vec).collect(),
        keys,
    };
    ctx.server.migrate(ctx.token, request);
    Ok(())
}
