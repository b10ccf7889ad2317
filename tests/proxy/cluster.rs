//! In front of a cluster of Redis.
