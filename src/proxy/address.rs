//! Where a node is: `host:port`, as flags, topology replies and redirections name it.

use std::fmt;

/// Longest host name: DNS allows 253 bytes.
const HOST_BYTES_MAX: usize = 255;

/// Host and port of a node.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Address {
    /// Host name or IP address (IPv6 without brackets).
    pub host: String,
    /// Port, not 0.
    pub port: u16,
}

/// `127.0.0.1:6379`, `[::1]:6379`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Address {
    /// Host and port, if they can be those of a node: names come from the network, and end in logs and replies.
    pub fn new(host: &str, port: u16) -> Option<Self> {
        let plausible = !host.is_empty()
            && host.len() <= HOST_BYTES_MAX
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte));
        (plausible && port != 0).then(|| Self { host: host.to_owned(), port })
    }

    /// Reads `host:port`, `[ipv6]:port`, and the unbracketed `ipv6:port` of Redis's redirections.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
        Self::new(host, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_it_prints() {
        for (text, host, port) in [
            ("127.0.0.1:6379", "127.0.0.1", 6379),
            ("node-1.example:1", "node-1.example", 1),
            ("[::1]:65535", "::1", 65535),
            ("[fe80::1%eth0]:7", "fe80::1%eth0", 7),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(Address::parse("2001:db8::1:6379").unwrap().host, "2001:db8::1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}:1", "a".repeat(256));
        for text in ["", "a", ":1", "a:", "a:0", "a:65536", "a:+1", "a b:1", "a\n:1", "?:1", &long]
        {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
    }
}
