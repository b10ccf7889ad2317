//! A login on a server, and what is known of its state there: protocol, database, transaction. Reconnects and follows
//! redirections of a cluster. What to show is left to others.

use std::time::Duration;

use super::address::Address;
use super::connection::Connection;
use super::failure::Failure;
use super::interrupt::Interrupt;
use super::options::{Login, Settings};
use crate::resp::{Protocol, Value};

/// Redirections that one command may follow, as other cluster clients have it.
const REDIRECTIONS_MAX: usize = 16;

/// What a connection carries beside keys, and loses when it breaks.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Carried {
    /// Commands queued since `MULTI`; `None` outside of a transaction.
    pub queued: Option<usize>,
    /// Whether keys are watched.
    pub watching: bool,
    /// Whether `CLIENT TRACKING` is on.
    pub tracking: bool,
    /// Whether the connection has been given a name.
    pub named: bool,
}

impl Carried {
    /// What is lost with the connection, in words; `None` if nothing is.
    pub fn loss(&self) -> Option<String> {
        let mut lost = Vec::new();
        match self.queued {
            None => {}
            Some(0) => lost.push("the open transaction".to_owned()),
            Some(1) => lost.push("the open transaction with 1 queued command".to_owned()),
            Some(queued) => {
                lost.push(format!("the open transaction with {queued} queued commands"))
            }
        }
        let flags = [
            (self.watching, "the watched keys"),
            (self.tracking, "CLIENT TRACKING"),
            (self.named, "the name of the connection"),
        ];
        lost.extend(flags.iter().filter(|(set, _)| *set).map(|(_, what)| (*what).to_owned()));
        (!lost.is_empty()).then(|| lost.join(", "))
    }
}

/// A login on one server.
pub struct Session {
    address: Address,
    login: Login,
    protocol: Protocol,
    cluster: bool,
    db: u32,
    /// The database to go back to when a transaction that has selected another is not executed.
    db_before_multi: u32,
    carried: Carried,
    connection: Option<Connection>,
    connect_timeout: Option<Duration>,
    shows_pushes: bool,
    /// Redirections that were followed and not told yet; only collected for a person.
    redirections: Option<Vec<String>>,
    interrupt: Interrupt,
}

impl Session {
    /// Not connected yet.
    pub fn new(settings: &Settings, interrupt: &Interrupt) -> Self {
        Self {
            address: settings.address.clone(),
            login: settings.login.clone(),
            protocol: settings.protocol,
            cluster: settings.cluster,
            db: settings.db,
            db_before_multi: settings.db,
            carried: Carried::default(),
            connection: None,
            connect_timeout: settings.connect_timeout,
            shows_pushes: settings.show_pushes,
            redirections: None,
            interrupt: interrupt.clone(),
        }
    }

    /// Where the server is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The selected database.
    pub fn db(&self) -> u32 {
        self.db
    }

    /// What would be lost with the connection.
    pub fn carried(&self) -> &Carried {
        &self.carried
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether messages that come beside replies are shown.
    pub fn shows_pushes(&self) -> bool {
        self.shows_pushes
    }

    /// From now on redirections are to be told.
    pub fn collect_redirections(&mut self) {
        self.redirections = Some(Vec::new());
    }

    /// The redirections of the last command, as lines for a person.
    pub fn take_redirections(&mut self) -> Vec<String> {
        self.redirections.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Ctrl-C.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Gives the connection up, and with it all that it carried.
    pub fn disconnect(&mut self) {
        self.connection = None;
        if self.carried.queued.is_some() {
            self.db = self.db_before_multi;
        }
        self.carried = Carried::default();
    }

    /// The connection, made if there is none: protocol, login and database are then as asked for.
    pub fn connection(&mut self) -> Result<&mut Connection, Failure> {
        if self.connection.is_none() {
            self.connection = Some(self.open()?);
        }
        Ok(self.connection.as_mut().expect("it was just made"))
    }

    /// Takes the connection out, for somebody who waits on it; `put_back` returns it.
    pub fn take(&mut self) -> Option<Connection> {
        self.connection.take()
    }

    /// Returns what `take` has taken.
    pub fn put_back(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }

    /// Goes to another server, with the same login.
    pub fn move_to(&mut self, address: Address) {
        self.disconnect();
        self.address = address;
    }

    /// Another connection with the same login and database, for questions that must not disturb this one.
    pub fn open(&self) -> Result<Connection, Failure> {
        let mut connection =
            Connection::open(&self.address, self.connect_timeout, &self.interrupt)?;
        let user = self.login.user.as_deref();
        match (self.protocol, &self.login.pass) {
            (Protocol::Resp3, Some(pass)) => {
                let words = ["HELLO", "3", "AUTH", user.unwrap_or("default"), pass];
                connection.demand("HELLO 3 AUTH", &words)?;
            }
            (Protocol::Resp3, None) => {
                connection.demand("HELLO 3", &["HELLO", "3"])?;
            }
            (Protocol::Resp2, Some(pass)) => {
                let words: Vec<&str> =
                    ["AUTH"].into_iter().chain(user).chain([pass.as_str()]).collect();
                match connection.demand("AUTH", &words) {
                    Err(Failure::Refused { error, .. }) if needs_no_password(&error) => {}
                    reply => {
                        reply?;
                    }
                }
            }
            (Protocol::Resp2, None) => {}
        }
        if self.db != 0 {
            connection.demand("SELECT", &["SELECT", &self.db.to_string()])?;
        }
        Ok(connection)
    }

    /// Runs a command and waits for its reply. Pushes that come first go to `on_push`. After an error the connection is gone.
    pub fn run(
        &mut self,
        words: &[Vec<u8>],
        on_push: &mut dyn FnMut(&Value),
    ) -> Result<Value, Failure> {
        let reply = self.run_redirected(words, on_push);
        match &reply {
            Ok(value) => self.note(words, value),
            Err(_) => self.disconnect(),
        }
        reply
    }

    fn run_redirected(
        &mut self,
        words: &[Vec<u8>],
        on_push: &mut dyn FnMut(&Value),
    ) -> Result<Value, Failure> {
        let mut asking = false;
        for _ in 0..REDIRECTIONS_MAX {
            let connection = self.connection()?;
            if asking {
                connection.demand("ASKING", &["ASKING"])?;
            }
            connection.send(words)?;
            let reply = loop {
                match connection.receive()? {
                    push @ Value::Push(_) => on_push(&push),
                    reply => break reply,
                }
            };
            // A transaction stays where it was begun: elsewhere its command would be executed at once.
            let follows = self.cluster && self.carried.queued.is_none();
            let redirection = reply.as_error().and_then(Redirection::parse).filter(|_| follows);
            let Some(redirection) = redirection else { return Ok(reply) };
            self.disconnect();
            asking = redirection.asking;
            self.address = redirection.to.resolved(&self.address);
            if let Some(told) = &mut self.redirections {
                let (slot, place) = (redirection.slot, &self.address);
                told.push(format!("-> Redirected to slot [{slot}] located at {place}"));
            }
        }
        Ok(Value::Error(b"CLIENT too many redirections by the cluster".to_vec()))
    }

    /// Follows what the command has done to the connection.
    fn note(&mut self, words: &[Vec<u8>], reply: &Value) {
        let word = |index: usize| {
            words
                .get(index)
                .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
                .unwrap_or_default()
        };
        let failed = reply.as_error().is_some();
        match word(0).as_str() {
            // Ends the transaction even if it failed; a refused EXEC outside of one changes nothing.
            "EXEC" => {
                let undone = failed || matches!(reply, Value::Null | Value::NullArray);
                self.transaction_ended(undone);
            }
            _ if failed => {}
            "DISCARD" => self.transaction_ended(true),
            "MULTI" => {
                self.carried.queued = Some(0);
                self.db_before_multi = self.db;
            }
            "RESET" => {
                (self.db, self.protocol, self.carried) = (0, Protocol::Resp2, Carried::default());
            }
            "SELECT" => self.db = word(1).parse().unwrap_or(self.db),
            "HELLO" if word(1) == "3" => self.protocol = Protocol::Resp3,
            "HELLO" if word(1) == "2" => self.protocol = Protocol::Resp2,
            "AUTH" => self.logged_in(&words[1..]),
            "WATCH" => self.carried.watching = true,
            "UNWATCH" => self.carried.watching = false,
            "CLIENT" if word(1) == "SETNAME" => self.carried.named = !word(2).is_empty(),
            "CLIENT" if word(1) == "TRACKING" => self.carried.tracking = word(2) == "ON",
            _ => {}
        }
        if matches!(reply, Value::Simple(text) if text == b"QUEUED") {
            self.carried.queued = self.carried.queued.map(|queued| queued + 1);
        }
    }

    /// What was typed at the prompt is used again when the connection breaks.
    fn logged_in(&mut self, words: &[Vec<u8>]) {
        let text = |word: &Vec<u8>| String::from_utf8(word.clone()).ok();
        match words {
            [pass] => self.login = Login { user: None, pass: text(pass) },
            [user, pass] => self.login = Login { user: text(user), pass: text(pass) },
            _ => {}
        }
    }

    fn transaction_ended(&mut self, undone: bool) {
        if self.carried.queued.take().is_some() {
            self.carried.watching = false;
            if undone {
                self.db = self.db_before_multi;
            }
        }
    }
}

/// Whether a server has refused a password because it wants none: one in the environment is meant for other servers, too.
fn needs_no_password(error: &str) -> bool {
    error.starts_with("ERR AUTH <password> called without any password")
        || error.contains("no password is set")
}

/// `MOVED 3999 127.0.0.1:6381` or `ASK ...`.
#[derive(PartialEq, Eq, Debug)]
struct Redirection {
    asking: bool,
    slot: u16,
    to: Address,
}

impl Redirection {
    fn parse(error: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(error).ok()?.split(' ');
        let asking = match words.next()? {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let slot = words.next()?.parse().ok()?;
        let to = words.next()?;
        // An empty host is the one that we are talking to.
        let to = match to.strip_prefix(':') {
            Some(port) => Address::Tcp(String::new(), port.parse().ok()?),
            None => Address::parse(to)?,
        };
        Some(Self { asking, slot, to })
    }
}

impl Address {
    /// With the host of `current` where this one has none.
    fn resolved(self, current: &Address) -> Address {
        match (self, current) {
            (Address::Tcp(host, port), Address::Tcp(current, _)) if host.is_empty() => {
                Address::Tcp(current.clone(), port)
            }
            (address, _) => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn session() -> Session {
        let settings =
            Settings::read(vec![OsString::from("client")], false).ok().unwrap().ok().unwrap();
        Session::new(&settings, &Interrupt::default())
    }

    fn note(session: &mut Session, line: &str, reply: Value) {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        session.note(&words, &reply);
    }

    fn ok() -> Value {
        Value::Simple(b"OK".to_vec())
    }

    #[test]
    fn a_transaction_that_is_not_executed_takes_its_select_back() {
        let mut session = session();
        note(&mut session, "select 3", ok());
        note(&mut session, "MULTI", ok());
        note(&mut session, "SELECT 5", Value::Simple(b"QUEUED".to_vec()));
        assert_eq!((session.db(), session.carried().queued), (5, Some(1)));
        note(&mut session, "DISCARD", ok());
        assert_eq!((session.db(), session.carried().queued), (3, None));
    }

    #[test]
    fn what_is_lost_is_told_in_words() {
        let mut session = session();
        assert_eq!(session.carried().loss(), None);
        note(&mut session, "WATCH k", ok());
        note(&mut session, "MULTI", ok());
        note(&mut session, "SET k v", Value::Simple(b"QUEUED".to_vec()));
        note(&mut session, "CLIENT TRACKING ON", Value::Error(b"ERR".to_vec()));
        assert_eq!(
            session.carried().loss().as_deref(),
            Some("the open transaction with 1 queued command, the watched keys")
        );
    }

    #[test]
    fn redirections_say_where_to_go() {
        let parsed = Redirection::parse(b"MOVED 3999 10.0.0.1:6381").unwrap();
        assert_eq!((parsed.asking, parsed.to.to_string().as_str()), (false, "10.0.0.1:6381"));
        let here = Redirection::parse(b"ASK 1 :7001").unwrap();
        assert!(here.asking);
        assert_eq!(here.to.resolved(&Address::Tcp("h".into(), 1)).to_string(), "h:7001");
        for error in ["ERR x", "MOVED", "MOVED x 1:1", "ASK 1", "ASK 1 nowhere"] {
            assert_eq!(Redirection::parse(error.as_bytes()), None, "{error}");
        }
    }
}
