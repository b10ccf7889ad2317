//! The allocator of the program: mimalloc, counted.
//!
//! Left to itself mimalloc gives free memory back to the system when a page is freed a second after others were, and then
//! all of it at once: a server that falls idle keeps what it had, and one that does not is held up for some milliseconds. So
//! the memory is given back on request alone, by the thread that asks, which is not the one of the loop.
//!
//! mimalloc also asks for huge pages. They save a seventh of the CPU time of SET among a million keys. But the first touch
//! of one waits until the kernel has found 2 MB in a row, for which it may move other memory, and cleared them: mostly less
//! than a millisecond, sometimes many. So who counts milliseconds can forbid them (`disable-thp`); in Redis, which is forked for
//! snapshots, that is the default.
#![allow(unsafe_code)]

use std::ffi::c_long;

/// All memory of the program: what INFO calls `used_memory`.
#[global_allocator]
pub(super) static ALLOCATOR: cap::Cap<mimalloc::MiMalloc> =
    cap::Cap::new(mimalloc::MiMalloc, usize::MAX);

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Milliseconds after which mimalloc gives memory back by itself: decades. (A negative delay would forbid it on request, too.)
const NEVER_MS: c_long = 1 << 40;

/// Has the allocator do as described above. To be called before there is much memory. What the environment says of
/// mimalloc's options (`MIMALLOC_PURGE_DELAY`) goes first.
pub(super) fn settle(disable_thp: bool) {
    // SAFETY: the function has no precondition for an option that there is; no other thread sets options.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, NEVER_MS) };
    if disable_thp {
        // An old kernel does not know how: then they are there, as they would be otherwise.
        let _ = rustix::thread::disable_transparent_huge_pages(true);
    }
}

/// Gives the memory that is free back to the system. Takes about a millisecond per 20 MB; other threads may allocate and
/// free meanwhile.
pub(super) fn give_back_free_memory() {
    // SAFETY: the function has no precondition. It collects what belongs to the calling thread, and free pages that it
    // claims one by one with atomic operations; `extern` is all that makes it unsafe.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
