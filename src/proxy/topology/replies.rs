//! What nodes say about their cluster: the replies to `CLUSTER SLOTS`, `CLUSTER SHARDS` and `INFO cluster`.
//!
//! `CLUSTER SLOTS` is the one to ask: every version since 3.0 has it, and a master that has failed keeps its slots in it, where
//! Redis 8's `CLUSTER SHARDS` shows none. `CLUSTER SHARDS` is for those who may not ask it. The bytes come from the network:
//! whatever they are, the answer is a topology or an error. (Redis's `clusterReplyMultiBulkSlots`, `clusterReplyShards`.)

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;

use super::{SLOTS, Shard, Topology};
use crate::proxy::address::Address;
use crate::resp::{ReplyError, ReplyReader, Value};

/// No string of such a reply is longer.
const STRING_BYTES_MAX: usize = 64 * 1024;

/// An answer that says nothing about the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TopologyError {
    /// The node refuses to answer, with this text.
    Refused(String),
    /// It is no reply at all, or not all of one.
    NoReply(Option<ReplyError>),
    /// A reply of another shape than Redis's.
    UnexpectedShape,
    /// It names slots that there cannot be, or one twice.
    BadSlots,
}

impl fmt::Display for TopologyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) => f.write_str(text),
            Self::NoReply(Some(error)) => write!(f, "{error}"),
            Self::NoReply(None) => f.write_str("the reply is not complete"),
            Self::UnexpectedShape => f.write_str("the reply has an unknown form"),
            Self::BadSlots => f.write_str("the reply names impossible slots"),
        }
    }
}

/// Reads a reply to `CLUSTER SLOTS` from the node `asked`, in RESP2 or RESP3. Nodes without a usable address are left out.
/// O(length of the reply).
///
/// # Errors
/// The node refuses, or the reply is none.
pub fn cluster_slots(reply: &[u8], asked: &Address) -> Result<Topology, TopologyError> {
    let mut shards: Vec<Shard> = Vec::new();
    let mut index_by_master: HashMap<Address, usize> = HashMap::new();
    for entry in elements(&whole(reply)?)? {
        let [start, end, master, replicas @ ..] = elements(entry)? else {
            return Err(TopologyError::UnexpectedShape);
        };
        let slots = slot_range(start, end)?;
        let Some(master) = node_of_slots(master, asked)? else { continue };
        if let Some(&index) = index_by_master.get(&master) {
            shards[index].slots.push(slots);
            continue;
        }
        let mut known = Vec::new();
        for replica in replicas {
            known.extend(node_of_slots(replica, asked)?);
        }
        index_by_master.insert(master.clone(), shards.len());
        shards.push(Shard { slots: vec![slots], master, replicas: known });
    }
    checked(shards)
}

/// The same for a reply to `CLUSTER SHARDS`.
///
/// # Errors
/// The node refuses, or the reply is none.
pub fn cluster_shards(reply: &[u8], asked: &Address) -> Result<Topology, TopologyError> {
    let mut shards = Vec::new();
    for entry in elements(&whole(reply)?)? {
        let fields = fields(entry)?;
        let mut slots = Vec::new();
        for range in elements(field(&fields, b"slots")?)?.chunks(2) {
            let [start, end] = range else { return Err(TopologyError::BadSlots) };
            slots.push(slot_range(start, end)?);
        }
        let (mut masters, mut replicas) = (Vec::new(), Vec::new());
        for node in elements(field(&fields, b"nodes")?)? {
            let Some((address, role, health)) = node_of_shards(node, asked)? else { continue };
            match role {
                b"master" => masters.push((address, health == b"fail")),
                _ if health == b"online" => replicas.push(address),
                _ => {}
            }
        }
        // After a failover the old master may be called one until it has heard of the new one.
        masters.sort_by_key(|(_, failed)| *failed);
        if let Some((master, _)) = masters.into_iter().next() {
            shards.push(Shard { slots, master, replicas });
        }
    }
    checked(shards)
}

/// Whether a reply to `INFO cluster` comes from a node of a cluster; `None` if it does not say.
pub fn is_cluster_enabled(reply: &[u8]) -> Option<bool> {
    let reply = whole(reply).ok()?;
    let mut lines = reply.as_bytes()?.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find_map(|line| match line {
        b"cluster_enabled:0" => Some(false),
        b"cluster_enabled:1" => Some(true),
        _ => None,
    })
}

fn whole(reply: &[u8]) -> Result<Value, TopologyError> {
    match ReplyReader::new(STRING_BYTES_MAX).read(reply) {
        Ok(Some((value, _))) => match value.as_error() {
            Some(text) => Err(TopologyError::Refused(String::from_utf8_lossy(text).into_owned())),
            None => Ok(value),
        },
        Ok(None) => Err(TopologyError::NoReply(None)),
        Err(error) => Err(TopologyError::NoReply(Some(error))),
    }
}

fn elements(value: &Value) -> Result<&[Value], TopologyError> {
    match value {
        Value::Array(elements) | Value::Set(elements) => Ok(elements),
        _ => Err(TopologyError::UnexpectedShape),
    }
}

/// Names and values: a map of RESP3, or in RESP2 one after the other.
fn fields(value: &Value) -> Result<Vec<(&[u8], &Value)>, TopologyError> {
    let named = |name: &'_ Value| name.as_bytes().is_some();
    let pairs: Vec<(&Value, &Value)> = match value {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (name, value)).collect(),
        Value::Array(words) if words.len() % 2 == 0 => {
            words.chunks(2).map(|pair| (&pair[0], &pair[1])).collect()
        }
        // Redis 7.0 gives the metadata of a node without any as null in some forms.
        Value::Null | Value::NullArray => Vec::new(),
        _ => return Err(TopologyError::UnexpectedShape),
    };
    if !pairs.iter().all(|(name, _)| named(name)) {
        return Err(TopologyError::UnexpectedShape);
    }
    Ok(pairs
        .into_iter()
        .map(|(name, value)| (name.as_bytes().unwrap_or_default(), value))
        .collect())
}

fn field<'a>(fields: &[(&[u8], &'a Value)], name: &[u8]) -> Result<&'a Value, TopologyError> {
    optional_field(fields, name).ok_or(TopologyError::UnexpectedShape)
}

fn optional_field<'a>(fields: &[(&[u8], &'a Value)], name: &[u8]) -> Option<&'a Value> {
    fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn slot_range(start: &Value, end: &Value) -> Result<RangeInclusive<u16>, TopologyError> {
    let slot = |value: &Value| match value {
        Value::Integer(slot) => u16::try_from(*slot).ok().filter(|slot| *slot < SLOTS),
        _ => None,
    };
    match (slot(start), slot(end)) {
        (Some(start), Some(end)) if start <= end => Ok(start..=end),
        _ => Err(TopologyError::BadSlots),
    }
}

/// `[preferred endpoint, port, id, [name, value, ...]]`; the last two came with Redis 4 and 7.
fn node_of_slots(node: &Value, asked: &Address) -> Result<Option<Address>, TopologyError> {
    let [endpoint, port, rest @ ..] = elements(node)? else {
        return Err(TopologyError::UnexpectedShape);
    };
    let metadata = rest.get(1).map(fields).transpose()?.unwrap_or_default();
    Ok(address(Some(endpoint), optional_field(&metadata, b"ip"), port, asked))
}

type NodeOfShards<'a> = (Address, &'a [u8], &'a [u8]);

/// Address, role and health. `None`: it has no address for us, because it speaks TLS only, for example.
fn node_of_shards<'a>(
    node: &'a Value,
    asked: &Address,
) -> Result<Option<NodeOfShards<'a>>, TopologyError> {
    let fields = fields(node)?;
    let text = |name| Ok(field(&fields, name)?.as_bytes().unwrap_or_default());
    let (role, health) = (text(b"role")?, text(b"health")?);
    let (endpoint, ip) = (optional_field(&fields, b"endpoint"), optional_field(&fields, b"ip"));
    let Some(port) = optional_field(&fields, b"port") else { return Ok(None) };
    Ok(address(endpoint, ip, port, asked).map(|address| (address, role, health)))
}

/// The address of a node whose preferred endpoint and IP address may be unknown. A null or empty endpoint means the host that
/// was asked (a node does not know its own address before it has met another); `?` is a host name that was not announced.
fn address(
    endpoint: Option<&Value>,
    ip: Option<&Value>,
    port: &Value,
    asked: &Address,
) -> Option<Address> {
    let text =
        |value: &Value| String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned();
    let host = match endpoint.map(text).unwrap_or_default().as_str() {
        "" => asked.host.clone(),
        "?" => ip.map(text).unwrap_or_default(),
        host => host.to_owned(),
    };
    let Value::Integer(port) = port else { return None };
    Address::new(&host, u16::try_from(*port).ok()?)
}

fn checked(shards: Vec<Shard>) -> Result<Topology, TopologyError> {
    let mut owned = vec![false; usize::from(SLOTS)];
    for slot in shards.iter().flat_map(|shard| &shard.slots).flat_map(Clone::clone) {
        if std::mem::replace(&mut owned[usize::from(slot)], true) {
            return Err(TopologyError::BadSlots);
        }
    }
    Ok(Topology { shards })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
