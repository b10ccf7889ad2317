//! Which clients `CLIENT LIST` and `CLIENT KILL` mean: the options of Valkey 9.1, those of Redis 7.0 among them.
//!
//! A client has to pass all options given. One that is given twice counts as it was given last.

use std::collections::HashSet;
use std::mem::discriminant;

use crate::commands::CommandError;
use crate::commands::greeting::DEFAULT_USER;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::server::{Client, ClientClass, State};

/// Every letter that can stand in `flags=` of a client of Redis or Valkey.
const FLAG_LETTERS: &[u8] = b"bcdeirtuxABEIMNOPRSTU";
/// Every letter that can stand in `capa=`.
const CAPA_LETTERS: &[u8] = b"r";

/// What the options select.
pub(super) struct Filter {
    /// These clients, in this order; a number may be there twice.
    pub ids: Option<Vec<u64>>,
    /// Not the client that asks.
    pub skip_me: bool,
    conditions: Vec<Condition>,
}

struct Condition {
    negated: bool,
    test: Test,
}

/// One thing that is true of a client, or not.
enum Test {
    IdIn(HashSet<u64>),
    Class(ClientClass),
    /// Nobody is anyone but the default user.
    DefaultUser,
    Address(Vec<u8>),
    LocalAddress(Vec<u8>),
    Ip(Vec<u8>),
    AgeAtLeast(u64),
    IdleAtLeast(u64),
    Flags(Vec<u8>),
    Capa,
    Name(Vec<u8>),
    LibName(Vec<u8>),
    LibVer(Vec<u8>),
    Db(usize),
}

impl Test {
    fn passes(&self, server: &State, client: &Client) -> bool {
        let seconds_since = |us: u64| server.now.monotonic_us.saturating_sub(us) / 1_000_000;
        match self {
            Self::IdIn(ids) => ids.contains(&client.id),
            Self::Class(class) => client.class() == *class,
            Self::DefaultUser => true,
            Self::Address(address) => client.peer.address.as_bytes() == address,
            Self::LocalAddress(address) => client.peer.local_address.as_bytes() == address,
            Self::Ip(ip) => ip_of(&client.peer.address).as_bytes() == ip,
            Self::AgeAtLeast(age_s) => seconds_since(client.created_us) >= *age_s,
            Self::IdleAtLeast(idle_s) => seconds_since(client.last_interaction_us) >= *idle_s,
            Self::Flags(letters) => {
                let flags = client.flags();
                letters.iter().all(|letter| flags.as_bytes().contains(letter))
            }
            Self::Capa => client.capa_redirect,
            Self::Name(name) => is_called(&client.name, name),
            Self::LibName(name) => is_called(&client.lib_name, name),
            Self::LibVer(version) => is_called(&client.lib_ver, version),
            Self::Db(db) => client.db == *db,
        }
    }
}

/// What has no name is not called `""`.
fn is_called(name: &[u8], wanted: &[u8]) -> bool {
    !name.is_empty() && name == wanted
}

/// `127.0.0.1:1234` without its port, `[::1]:1234` also without its brackets.
fn ip_of(address: &str) -> &str {
    let ip = address.rsplit_once(':').map_or(address, |(ip, _)| ip);
    ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip)
}

impl Filter {
    /// All clients, or all but the one that asks.
    pub fn new(skip_me: bool) -> Self {
        Self { ids: None, skip_me, conditions: Vec::new() }
    }

    /// The client that connected from `address`.
    pub fn by_address(address: &[u8]) -> Self {
        let mut filter = Self::new(false);
        filter.add(false, Test::Address(address.to_vec()));
        filter
    }

    /// The clients that pass: those asked for by number as they were asked for, else in the order of their connecting.
    /// O(N log N) of the connected clients.
    pub fn select<'s>(&self, server: &'s State, me: u64) -> Vec<&'s Client> {
        let passes = |client: &&Client| {
            !(client.doomed || self.skip_me && client.id == me)
                && self
                    .conditions
                    .iter()
                    .all(|condition| condition.test.passes(server, client) != condition.negated)
        };
        let mut clients: Vec<&Client> = server.clients.iter().filter(passes).collect();
        clients.sort_unstable_by_key(|client| client.id);
        let find = |id| clients.binary_search_by_key(id, |client| client.id).ok();
        match &self.ids {
            None => clients,
            Some(ids) => ids.iter().filter_map(find).map(|index| clients[index]).collect(),
        }
    }

    fn add(&mut self, negated: bool, test: Test) {
        let same = |other: &Condition| {
            other.negated == negated && discriminant(&other.test) == discriminant(&test)
        };
        self.conditions.retain(|other| !same(other));
        self.conditions.push(Condition { negated, test });
    }
}

/// Reads options from argument `next` on.
pub(super) struct FilterReader<'a> {
    /// The directive `databases`.
    pub databases: usize,
    /// How a number of a client that is none is refused.
    pub bad_id: CommandError,
    /// The least number a client may be asked for by.
    pub id_min: i64,
    /// The arguments.
    pub args: Args<'a>,
    /// The next one to be read.
    pub next: usize,
}

impl<'a> FilterReader<'a> {
    /// Reads all options into `filter`. The first that is wrong decides the error.
    pub fn read(&mut self, filter: &mut Filter) -> Result<(), CommandError> {
        while let Some(option) = self.args.get(self.next) {
            let option = option.to_ascii_lowercase();
            let value = self.args.get(self.next + 1).ok_or(CommandError::Syntax)?;
            let (negated, name) = match option.strip_prefix(b"not-") {
                Some(name) => (true, name),
                None => (false, option.as_slice()),
            };
            self.next += 1;
            match (name, negated) {
                (b"id", false) => filter.ids = Some(self.ids()?),
                (b"id", true) => filter.add(true, Test::IdIn(self.excluded_ids()?)),
                (b"skipme", false) => filter.skip_me = yes_or_no(value)?,
                _ => filter.add(negated, self.test(name, negated, value)?),
            }
            if name != b"id" {
                self.next += 1; // numbers of clients move on by themselves: they may be many
            }
        }
        Ok(())
    }

    /// An option with one value.
    fn test(&self, name: &[u8], negated: bool, value: &[u8]) -> Result<Test, CommandError> {
        Ok(match name {
            b"type" => Test::Class(class(value)?),
            b"user" if value == DEFAULT_USER => Test::DefaultUser,
            b"user" => return Err(quoting("No such user", value)),
            b"addr" => Test::Address(value.to_vec()),
            b"laddr" => Test::LocalAddress(value.to_vec()),
            b"ip" => Test::Ip(value.to_vec()),
            b"flags" => Test::Flags(letters("flags", FLAG_LETTERS, negated, value)?),
            b"capa" => {
                letters("capa", CAPA_LETTERS, negated, value)?;
                Test::Capa
            }
            b"name" => Test::Name(value.to_vec()),
            b"lib-name" => Test::LibName(value.to_vec()),
            b"lib-ver" => Test::LibVer(value.to_vec()),
            b"db" => Test::Db(self.db(negated, value)?),
            b"maxage" if !negated => Test::AgeAtLeast(seconds("maxage", value)?),
            b"idle" if !negated => Test::IdleAtLeast(seconds("idle", value)?),
            _ => return Err(CommandError::Syntax),
        })
    }

    /// One number, and all that follow it.
    fn ids(&mut self) -> Result<Vec<u64>, CommandError> {
        let is_id = |id: &i64| *id >= self.id_min;
        let first = parse_i64(self.args.bytes(self.next)).filter(is_id);
        let first = first.ok_or_else(|| self.bad_id.clone())?;
        let mut ids = vec![first];
        self.next += 1;
        while let Some(id) = self.args.get(self.next).and_then(parse_i64) {
            if id < self.id_min {
                return Err(self.bad_id.clone());
            }
            ids.push(id);
            self.next += 1;
        }
        Ok(ids.into_iter().filter_map(|id| u64::try_from(id).ok()).collect())
    }

    fn excluded_ids(&mut self) -> Result<HashSet<u64>, CommandError> {
        let mut ids = HashSet::new();
        while let Some(id) = self.args.get(self.next).and_then(parse_i64) {
            let id = u64::try_from(id).ok().filter(|&id| id > 0);
            ids.insert(id.ok_or(CommandError::Text("ERR client-id should be greater than 0"))?);
            self.next += 1;
        }
        if ids.is_empty() { Err(CommandError::Syntax) } else { Ok(ids) }
    }

    fn db(&self, negated: bool, value: &[u8]) -> Result<usize, CommandError> {
        let option = if negated { "NOT-DB" } else { "DB" };
        let Some(db) = parse_i64(value) else {
            let text = format!("ERR {option} is not an integer or out of range");
            return Err(CommandError::Message(text));
        };
        usize::try_from(db).ok().filter(|&db| db < self.databases).ok_or_else(|| {
            let last = self.databases - 1;
            CommandError::Message(format!("ERR {option} number should be between 0 and {last}"))
        })
    }
}

fn class(name: &[u8]) -> Result<ClientClass, CommandError> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(ClientClass::Normal),
        b"slave" | b"replica" => Ok(ClientClass::Replica),
        b"pubsub" => Ok(ClientClass::Pubsub),
        b"master" | b"primary" => Ok(ClientClass::Master),
        _ => Err(quoting("Unknown client type", name)),
    }
}

fn yes_or_no(value: &[u8]) -> Result<bool, CommandError> {
    match value.to_ascii_lowercase().as_slice() {
        b"yes" => Ok(true),
        b"no" => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}

fn seconds(option: &str, value: &[u8]) -> Result<u64, CommandError> {
    let problem = match parse_i64(value) {
        Some(seconds @ 1..) => return Ok(seconds.unsigned_abs()),
        Some(_) => "should be greater than 0",
        None => "is not an integer or out of range",
    };
    Err(CommandError::Message(format!("ERR {option} {problem}")))
}

/// Letters that can stand in the field `option` of a client's line.
fn letters(
    option: &str,
    known: &[u8],
    negated: bool,
    value: &[u8],
) -> Result<Vec<u8>, CommandError> {
    if value.iter().all(|letter| known.contains(letter)) {
        return Ok(value.to_vec());
    }
    let place = if negated {
        format!("NOT-{}", option.to_ascii_uppercase())
    } else {
        "provided".to_string()
    };
    let before = format!("ERR Unknown {option} found in the {place} filter: ");
    Err(CommandError::quoting(&before, value, ""))
}

fn quoting(problem: &str, value: &[u8]) -> CommandError {
    CommandError::quoting(&format!("ERR {problem} '"), value, "'")
}

#[cfg(test)]
mod tests {
    use super::ip_of;
    use crate::net::Token;
    use crate::server::testing::TestServer;

    /// Numbers of the clients that `CLIENT LIST` shows with these options.
    fn listed(redis: &mut TestServer, options: &str) -> String {
        let reply = redis.run(&format!("CLIENT LIST{options}")).0;
        let ids = reply.split([' ', '\n']).filter_map(|field| field.strip_prefix("id="));
        ids.collect::<Vec<_>>().join(" ")
    }

    /// Clients 1 to 4; 1 asks, 2 is called `two`, 3 is older in a library, 4 comes from elsewhere.
    fn four_clients() -> TestServer {
        let mut redis = TestServer::new();
        let two = redis.connect();
        redis.run_as(two, "CLIENT SETNAME two");
        let three = redis.connect();
        redis.run_as(three, "CLIENT SETINFO lib-name lib");
        redis.run_as(three, "CLIENT SETINFO lib-ver 3");
        redis.run_as(three, "SELECT 3");
        let four = redis.connect();
        let peer = &mut redis.server.state.clients.get_mut(four).peer;
        peer.address = "[::1]:44".into();
        peer.local_address = "[::1]:6379".into();
        redis.run_as(four, "CLIENT NO-TOUCH on");
        redis.run_as(four, "CLIENT CAPA redirect");
        redis
    }

    #[test]
    fn each_filter_selects_what_it_names() {
        let mut redis = four_clients();
        for (options, expected) in [
            ("", "1 2 3 4"),
            (" SKIPME yes", "2 3 4"),
            (" SKIPME no", "1 2 3 4"),
            (" ID 3", "3"),
            (" NOT-ID 3 1", "2 4"),
            (" TYPE normal", "1 2 3 4"),
            (" TYPE replica", ""),
            (" NOT-TYPE Master", "1 2 3 4"),
            (" USER default", "1 2 3 4"),
            (" NOT-USER default", ""),
            (" ADDR 127.0.0.1:50000", "1 2 3"),
            (" NOT-ADDR 127.0.0.1:50000", "4"),
            (" LADDR [::1]:6379", "4"),
            (" NOT-LADDR [::1]:6379", "1 2 3"),
            (" IP ::1", "4"),
            (" NOT-IP ::1", "1 2 3"),
            (" NAME two", "2"),
            (" NOT-NAME two", "1 3 4"),
            (" NAME \"\"", ""),
            (" NOT-NAME \"\"", "1 2 3 4"),
            (" LIB-NAME lib", "3"),
            (" NOT-LIB-NAME lib", "1 2 4"),
            (" LIB-VER 3", "3"),
            (" NOT-LIB-VER 3", "1 2 4"),
            (" DB 3", "3"),
            (" NOT-DB 3", "1 2 4"),
            (" FLAGS T", "4"),
            (" NOT-FLAGS T", "1 2 3"),
            (" FLAGS TN", ""),
            (" CAPA r", "4"),
            (" NOT-CAPA r", "1 2 3"),
            (" DB 0 NOT-NAME two SKIPME yes", "4"),
            (" DB 3 NOT-DB 0 DB 0 NOT-DB 5", "1 2 4"),
        ] {
            assert_eq!(listed(&mut redis, options), expected, "{options}");
        }
    }

    #[test]
    fn ages_are_in_whole_seconds() {
        let mut redis = TestServer::new();
        redis.advance_ms(5_000);
        let younger = redis.connect();
        redis.run_as(younger, "PING");
        redis.advance_ms(2_000);
        assert_eq!(listed(&mut redis, " MAXAGE 2"), "1 2");
        assert_eq!(listed(&mut redis, " MAXAGE 3"), "1");
        assert_eq!(listed(&mut redis, " IDLE 2"), "2");
        assert_eq!(listed(&mut redis, " IDLE 3"), "");
    }

    #[test]
    fn ids_are_listed_as_they_are_asked_for() {
        let mut redis = four_clients();
        assert_eq!(listed(&mut redis, " ID 4 2 99 4 0 -1"), "4 2 4");
        assert_eq!(listed(&mut redis, " ID 4 2 1 TYPE normal SKIPME yes"), "4 2");
        assert_eq!(listed(&mut redis, " ID 1 ID 2 3"), "2 3");
    }

    #[test]
    fn clients_are_listed_in_the_order_of_their_connecting() {
        let mut redis = four_clients();
        redis.run("CLIENT KILL ID 2").is(":1");
        assert_eq!(redis.connect(), Token(1), "the place of client 2");
        assert_eq!(listed(&mut redis, ""), "1 3 4 5");
    }

    #[test]
    fn bad_options_are_refused() {
        let mut redis = TestServer::new();
        for (options, error) in [
            ("foo", "syntax error"),
            ("foo bar", "syntax error"),
            ("TYPE", "syntax error"),
            ("TYPE normal extra", "syntax error"),
            ("TYPE wrong", "Unknown client type 'wrong'"),
            ("NOT-TYPE wrong", "Unknown client type 'wrong'"),
            ("ID", "syntax error"),
            ("ID a", "Invalid client ID"),
            ("ID 5 a", "syntax error"),
            ("NOT-ID a", "syntax error"),
            ("NOT-ID 0", "client-id should be greater than 0"),
            ("USER nobody", "No such user 'nobody'"),
            ("SKIPME maybe", "syntax error"),
            ("NOT-SKIPME yes", "syntax error"),
            ("NOT-MAXAGE 1", "syntax error"),
            ("NOT-IDLE 1", "syntax error"),
            ("NOT-NOT-DB 1", "syntax error"),
            ("MAXAGE 0", "maxage should be greater than 0"),
            ("MAXAGE 99999999999999999999", "maxage is not an integer or out of range"),
            ("IDLE -1", "idle should be greater than 0"),
            ("IDLE x", "idle is not an integer or out of range"),
            ("FLAGS zz", "Unknown flags found in the provided filter: zz"),
            ("NOT-FLAGS xz", "Unknown flags found in the NOT-FLAGS filter: xz"),
            ("CAPA q", "Unknown capa found in the provided filter: q"),
            ("NOT-CAPA q", "Unknown capa found in the NOT-CAPA filter: q"),
            ("DB 16", "DB number should be between 0 and 15"),
            ("NOT-DB -1", "NOT-DB number should be between 0 and 15"),
            ("DB a", "DB is not an integer or out of range"),
        ] {
            redis.run(&format!("CLIENT LIST {options}")).is(&format!("-ERR {error}"));
        }
    }

    #[test]
    fn the_ip_of_an_address_has_no_port() {
        assert_eq!(ip_of("127.0.0.1:1234"), "127.0.0.1");
        assert_eq!(ip_of("[::1]:1234"), "::1");
        assert_eq!(ip_of("/run/redis.sock:0"), "/run/redis.sock");
    }
}
