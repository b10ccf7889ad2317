//! What the commands that store their result do with it.

use crate::commands::{CommandResult, Ctx};
use crate::config::KeyspaceEvents;
use crate::keyspace::Expiry;
use crate::types::sorted_set::SortedSet;

/// Sets `key` to the result, in place of what is there, or removes it if the result is empty; answers the number of
/// members. O(1).
pub(super) fn store(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    result: SortedSet,
    event: &str,
) -> CommandResult {
    let len = result.as_ref().len();
    if len > 0 {
        ctx.db.set_collection(key, result, Expiry::Clear);
        ctx.modified(key);
        ctx.notify(KeyspaceEvents::ZSET, event, key);
    } else if ctx.db.delete(key) {
        ctx.modified(key);
        ctx.notify(KeyspaceEvents::GENERIC, "del", key);
    }
    ctx.reply.integer(len as i64);
    Ok(())
}
