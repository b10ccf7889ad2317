//! INFO.
/// x
pub fn info() {}
