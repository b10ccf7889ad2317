//! Where the server is and who we are there: `host:port`, `redis://` URLs, unix sockets.

use std::fmt;
use std::path::PathBuf;

/// The port of a server that says nothing else.
pub const PORT_DEFAULT: u16 = 6379;

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// Host name or IP address (IPv6 without brackets) and port.
    Tcp(String, u16),
    /// Path of a unix socket.
    Unix(PathBuf),
}

impl Default for Address {
    fn default() -> Self {
        Self::Tcp("127.0.0.1".to_owned(), PORT_DEFAULT)
    }
}

/// As in the prompt of redis-cli: `127.0.0.1:6379`, `[::1]:6379`, `redis /run/redis.sock`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "redis {}", path.display()),
        }
    }
}

impl Address {
    /// Reads `host:port` or `[ipv6]:port`; an empty host is the local one. `None` for all else: a command, for example.
    pub fn parse(word: &str) -> Option<Self> {
        let (host, port) = word.rsplit_once(':')?;
        let port = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok())??;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(ipv6) => ipv6,
            None if host.contains(|c: char| c.is_whitespace() || "/@[]".contains(c)) => {
                return None;
            }
            None if host.is_empty() => "127.0.0.1",
            None => host,
        };
        Some(Self::Tcp(host.to_owned(), port))
    }
}

/// What a URL says; what it does not say is `None`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Url {
    /// Host and port.
    pub address: Option<Address>,
    /// Name of an ACL user.
    pub user: Option<String>,
    /// Password.
    pub pass: Option<String>,
    /// Database.
    pub db: Option<u32>,
}

impl Url {
    /// Whether the word is meant as a URL, right or wrong.
    pub fn is_meant_by(word: &str) -> bool {
        ["redis://", "rediss://", "unix://", "valkey://"]
            .iter()
            .any(|scheme| word.starts_with(scheme))
    }

    /// Reads `redis://[[user]:pass@]host[:port][/db]` and `unix://[[user]:pass@]/path[?db=N]`.
    /// The error is a sentence that does not repeat the URL, which may hold a password.
    pub fn parse(word: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = word.split_once("://").ok_or("a URL begins with redis://")?;
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, rest),
        };
        let mut url = match scheme {
            "redis" | "valkey" => Self::of_tcp(place)?,
            "unix" => Self::of_unix(place)?,
            "rediss" => return Err("TLS is not supported: use redis://, or a tunnel"),
            _ => return Err("a URL begins with redis:// or unix://"),
        };
        if let Some(login) = login {
            let (user, pass) = login.split_once(':').unwrap_or(("", login));
            url.user = Some(percent_decoded(user)?).filter(|user| !user.is_empty());
            url.pass = Some(percent_decoded(pass)?);
        }
        Ok(url)
    }

    fn of_tcp(place: &str) -> Result<Self, &'static str> {
        let place = place.split('?').next().unwrap_or(place);
        let (host, db) = place.split_once('/').unwrap_or((place, ""));
        let address = match host {
            "" => None,
            _ => Some(
                Address::parse(host)
                    .or_else(|| {
                        let has_port = host.contains(':') && !host.ends_with(']');
                        Address::parse(&format!("{host}:{PORT_DEFAULT}")).filter(|_| !has_port)
                    })
                    .ok_or("the URL has no valid host and port")?,
            ),
        };
        Ok(Self { address, db: database(db)?, ..Self::default() })
    }

    fn of_unix(place: &str) -> Result<Self, &'static str> {
        let (path, db) = place.split_once("?db=").unwrap_or((place, ""));
        let path = percent_decoded(path)?;
        Ok(Self { address: Some(Address::Unix(path.into())), db: database(db)?, ..Self::default() })
    }
}

fn database(text: &str) -> Result<Option<u32>, &'static str> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| "the database in the URL is no number"),
    }
}

/// `%40` becomes `@`.
fn percent_decoded(text: &str) -> Result<String, &'static str> {
    const ERROR: &str = "a % in the URL is not followed by two hexadecimal digits of UTF-8";
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = (digit().ok_or(ERROR)?, digit().ok_or(ERROR)?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Option<Address> {
        Some(Address::Tcp(host.to_owned(), port))
    }

    #[test]
    fn only_what_ends_in_a_port_is_an_address() {
        assert_eq!(Address::parse("localhost:7000"), tcp("localhost", 7000));
        assert_eq!(Address::parse(":7000"), tcp("127.0.0.1", 7000));
        assert_eq!(Address::parse("[::1]:7000"), tcp("::1", 7000));
        assert_eq!(Address::parse("::1:7000"), tcp("::1", 7000));
        for word in ["GET", "localhost", "key:", "key:70000", "a b:1", "a:+1", ""] {
            assert_eq!(Address::parse(word), None, "{word}");
        }
    }

    #[test]
    fn addresses_are_shown_as_they_are_typed() {
        for text in ["127.0.0.1:6379", "[::1]:1"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_url_says_where_and_who() {
        let url = |text: &str| Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let full = url("redis://bob:p%40ss%3a@example.org:7000/3");
        assert_eq!(full.address, tcp("example.org", 7000));
        assert_eq!((full.user.as_deref(), full.pass.as_deref()), (Some("bob"), Some("p@ss:")));
        assert_eq!(full.db, Some(3));
        assert_eq!(url("redis://host").address, tcp("host", 6379));
        assert_eq!(url("redis://[::1]").address, tcp("::1", 6379));
        assert_eq!(url("redis:///2").db, Some(2));
        let only_password = url("redis://secret@host");
        assert_eq!((only_password.user, only_password.pass.as_deref()), (None, Some("secret")));
        let unix = url("unix://:secret@/run/redis.sock?db=4");
        assert_eq!(unix.address, Some(Address::Unix("/run/redis.sock".into())));
        assert_eq!((unix.pass.as_deref(), unix.db), (Some("secret"), Some(4)));
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        for text in [
            "rediss://h",
            "redis://h:99999",
            "redis://h/x",
            "redis://a%zz@h",
            "redis://%ff@h",
            "http://h",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }
}
