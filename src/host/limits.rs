//! How many sockets the process may have, and so how many clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors the server needs for itself: log, files, listeners, epoll.
const RESERVED: u64 = 32;

/// Raises the limit of open files so that `maxclients` fit. Returns how many fit in the end.
pub fn raise_open_files(maxclients: u32) -> u32 {
    let wanted = u64::from(maxclients) + RESERVED;
    let limit = getrlimit(Resource::Nofile);
    let (Some(current), hard) = (limit.current, limit.maximum) else { return maxclients };
    if current >= wanted {
        return maxclients;
    }
    // Only root may raise the hard limit: try what is wanted first, then what is allowed.
    let allowed = hard.map_or(wanted, |hard| hard.min(wanted));
    let attempts = [(wanted, hard.map(|hard| hard.max(wanted))), (allowed, hard)];
    let reached = attempts.into_iter().find(|&(current, maximum)| {
        setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum }).is_ok()
    });
    let files = reached.map_or(current, |(reached, _)| reached.max(current));
    u32::try_from(files.saturating_sub(RESERVED)).unwrap_or(maxclients).clamp(1, maxclients)
}
