//! The data types behind the commands: plain values and structures that know no client, no keyspace and no clock.

pub mod digest;
pub mod long_double;
