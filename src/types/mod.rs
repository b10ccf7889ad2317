//! The data types behind the commands: plain values and structures that know no client, no keyspace and no clock.

pub mod digest;
mod either;
pub mod hash;
pub mod intset;
pub mod limits;
pub mod list;
pub mod listpack;
pub mod long_double;
pub mod rank_tree;
pub mod set;
pub mod sorted_set;
pub mod table;
