//! The one exception to `unsafe_code = "deny"`: telling the processor which cache line will be wanted.
//!
//! A load that misses holds up everything behind it once the reorder buffer is full, so reading ahead gets only a few
//! misses to overlap. A prefetch holds up nothing. There is no safe form of it on stable Rust.
#![allow(unsafe_code)]

/// Asks for the cache line that `data` begins in. Changes nothing but time; does nothing where there is no such
/// instruction.
#[inline(always)]
pub fn prefetch<T>(data: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction belongs to SSE, which every x86_64 processor has, and it accesses no memory: it may be
        // given any address, and this one is that of a live reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(data).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = data;
}

#[cfg(test)]
mod tests {
    use super::prefetch;

    #[test]
    fn nothing_changes() {
        let bytes = vec![7_u8; 100];
        bytes.iter().for_each(prefetch);
        assert_eq!(bytes, [7; 100]);
    }
}
