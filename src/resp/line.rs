//! The end of a line, found without searching what was searched before.

/// No valid length line is longer: a type byte, 20 digits, CR.
const HEADER_LEN_MAX: usize = 32;

/// What [`find_cr`] found.
pub(super) enum Found {
    /// The offset of the line's CR.
    Cr(usize),
    /// No CR yet.
    Partial,
    /// No CR in the first `len_max` + 1 bytes.
    TooLong,
}

/// The first CR at or after `at`, at most `len_max` bytes away. `scanned` is where an earlier search ended without
/// success, whatever line that was for: from HEADER_LEN_MAX bytes after `at` on, there is no CR before it. (A longer
/// line that had its CR was no length line and is done with, so only the start of a line can be stale.)
pub(super) fn find_cr(buffer: &[u8], at: usize, scanned: usize, len_max: usize) -> Found {
    let line = buffer.get(at..).unwrap_or_default();
    let head = &line[..line.len().min(HEADER_LEN_MAX).min(len_max + 1)];
    count_steps(head.len());
    if let Some(found) = memchr::memchr(b'\r', head) {
        return Found::Cr(at + found);
    }
    let from = scanned.saturating_sub(at).max(head.len());
    let rest = line.get(from..line.len().min(len_max + 1)).unwrap_or_default();
    count_steps(rest.len());
    match memchr::memchr(b'\r', rest) {
        Some(found) => Found::Cr(at + from + found),
        None if line.len() > len_max => Found::TooLong,
        None => Found::Partial,
    }
}

#[cfg(test)]
thread_local! {
    pub(super) static STEPS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Lets the tests count work instead of time.
#[inline(always)]
pub(super) fn count_steps(_steps: usize) {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + _steps));
}
