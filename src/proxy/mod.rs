//! The proxy: many servers behind one address.

pub mod address;
pub mod refresh;
pub mod topology;
