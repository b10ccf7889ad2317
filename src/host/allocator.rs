//! The allocator of the program: mimalloc, counted.
//!
//! mimalloc gives free memory back to the system when a page is freed a second after others were, and then all of it at
//! once: a server that falls idle keeps what it had, and one that does not is held up for some milliseconds. So the memory
//! is given back on request instead, by the thread that asks, which is not the one of the loop.
#![allow(unsafe_code)]

/// All memory of the program: what INFO calls `used_memory`.
#[global_allocator]
pub(super) static ALLOCATOR: cap::Cap<mimalloc::MiMalloc> =
    cap::Cap::new(mimalloc::MiMalloc, usize::MAX);

/// Gives the memory that is free back to the system. Takes about a millisecond per 20 MB; other threads may allocate and
/// free meanwhile.
pub(super) fn give_back_free_memory() {
    // SAFETY: the function has no precondition. It collects what belongs to the calling thread, and free pages that it
    // claims one by one with atomic operations; `extern` is all that makes it unsafe.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
