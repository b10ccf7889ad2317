//! The line that tells about one client: `CLIENT LIST`, `CLIENT INFO`, log lines.

use std::fmt::Write as _;

use super::pubsub::Kind;
use super::{Client, State};
use crate::resp::Protocol;

/// What `CLIENT LIST` says of a client, without a line end: the fields of Redis 7.0 in their order, those that came later
/// in the order of Valkey 9.1, and one that is ours: `pushes`, the messages added to its output since that was last empty.
pub fn describe(state: &State, client: &Client) -> String {
    let mut line = String::with_capacity(400);
    write_identity(&mut line, state, client);
    write_buffers(&mut line, client);
    write_session(&mut line, state, client);
    line
}

fn write_identity(line: &mut String, state: &State, client: &Client) {
    let subscribed = |kind| client.subscriptions.as_ref().map_or(0, |all| all.len(kind));
    let seconds_since = |us: u64| state.now.monotonic_us.saturating_sub(us) / 1_000_000;
    let _ = write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={} ",
        client.id,
        client.peer.address,
        client.peer.local_address,
        client.peer.fd,
        String::from_utf8_lossy(&client.name),
        seconds_since(client.created_us),
        seconds_since(client.last_interaction_us),
        client.flags(),
        client.db,
        subscribed(Kind::Channel),
        subscribed(Kind::Pattern),
        subscribed(Kind::ShardChannel),
        client.transaction.as_ref().map_or(-1, |transaction| transaction.len as i64),
    );
}

/// Received bytes that are being run count as `qbuf`. The arguments are slices of them, so there is no `argv-mem`; all
/// of the output is in one list, so there is no `obl`.
fn write_buffers(line: &mut String, client: &Client) {
    let _ = write!(
        line,
        "qbuf={} qbuf-free={} argv-mem=0 multi-mem={} rbs={} rbp={} obl=0 oll={} omem={} tot-mem={} ",
        client.query.len() + client.in_flight,
        client.query.capacity() - client.query.len(),
        client.transaction.as_ref().map_or(0, |transaction| transaction.used_bytes()),
        client.output.memory_bytes(),
        client.output_peak,
        usize::from(!client.output.is_empty()),
        client.output.len(),
        client.memory_bytes(),
    );
}

fn write_session(line: &mut String, state: &State, client: &Client) {
    let command = client.last_command.map_or("NULL", |id| &state.registry.get(id).full_name);
    let _ = write!(
        line,
        "events={} cmd={command} user=default redir={} resp={} capa={} watch={} lib-name={} lib-ver={} tot-net-in={} \
         tot-net-out={} tot-cmds={} pushes={}",
        if client.output.is_empty() { "r" } else { "rw" },
        client.redirect_id(),
        if client.protocol == Protocol::Resp3 { 3 } else { 2 },
        if client.capa_redirect { "r" } else { "" },
        client.watch.len(),
        String::from_utf8_lossy(&client.lib_name),
        String::from_utf8_lossy(&client.lib_ver),
        client.net_in,
        client.net_out,
        client.commands,
        client.pushes_unsent,
    );
}

impl Client {
    /// Redis's letters for what it is and does.
    pub fn flags(&self) -> String {
        let tracking = self.tracking.as_deref();
        let letters = [
            (self.is_replica(), 'S'),
            (self.is_master, 'M'),
            (self.monitor, 'O'),
            (self.subscriptions.is_some(), 'P'),
            (self.transaction.is_some(), 'x'),
            (self.blocked.is_some(), 'b'),
            (tracking.is_some(), 't'),
            (tracking.is_some_and(|tracking| tracking.broken_redirect), 'R'),
            (tracking.is_some_and(|tracking| tracking.is_broadcast()), 'B'),
            (self.watch.changed, 'd'),
            (self.closing && !self.doomed, 'c'),
            (self.doomed, 'A'),
            (self.peer.is_unix, 'U'),
            (self.no_evict, 'e'),
            (self.no_touch, 'T'),
        ];
        let flags: String =
            letters.into_iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect();
        if flags.is_empty() { "N".to_string() } else { flags }
    }
}

#[cfg(test)]
mod tests {
    use crate::server::testing::TestServer;

    /// The value of a field in a client's own `CLIENT INFO`.
    fn field(redis: &mut TestServer, name: &str) -> String {
        let line = redis.run("CLIENT INFO").0;
        let mut fields = line.split([' ', '\n']);
        let value = fields.find_map(|field| field.strip_prefix(&format!("{name}=")));
        value.expect("the field is there").to_string()
    }

    #[test]
    fn a_line_has_the_fields_of_redis_and_then_those_of_valkey() {
        let mut redis = TestServer::new();
        let line = redis.run("CLIENT LIST").0;
        let names: Vec<&str> = line
            .split([' ', '\n'])
            .filter_map(|field| field.split_once('=').map(|(name, _)| name))
            .collect();
        assert_eq!(
            names.join(" "),
            "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs rbp obl \
             oll omem tot-mem events cmd user redir resp capa watch lib-name lib-ver tot-net-in tot-net-out tot-cmds pushes"
        );
    }

    #[test]
    fn the_fields_tell_the_state_of_the_client() {
        let mut redis = TestServer::new();
        for (name, value) in [
            ("id", "1"),
            ("addr", "127.0.0.1:50000"),
            ("laddr", "127.0.0.1:6379"),
            ("fd", "8"),
            ("name", ""),
            ("qbuf", "26"),
            ("flags", "N"),
            ("cmd", "client|info"),
            ("user", "default"),
            ("resp", "2"),
            ("capa", ""),
            ("events", "r"),
        ] {
            assert_eq!(field(&mut redis, name), value, "{name}");
        }
        redis.advance_ms(2_500);
        redis.run("SELECT 3");
        redis.run("CLIENT SETNAME me");
        redis.run("CLIENT CAPA redirect");
        assert_eq!(field(&mut redis, "age"), "2");
        assert_eq!(field(&mut redis, "idle"), "0");
        assert_eq!(field(&mut redis, "db"), "3");
        assert_eq!(field(&mut redis, "name"), "me");
        assert_eq!(field(&mut redis, "capa"), "r");
    }

    #[test]
    fn the_flags_tell_what_a_client_is_and_does() {
        let mut redis = TestServer::new();
        let other = redis.connect();
        redis.server.state.clients.get_mut(other).peer.is_unix = true;
        redis.run_as(other, "CLIENT NO-TOUCH ON");
        redis.run_as(other, "CLIENT PAUSE 1000 WRITE");
        redis.run_as(other, "SET k v").is("");
        redis.run("CLIENT LIST ID 2 FLAGS bUT").starts("$3");
        assert_eq!(redis.server.state.clients.get(other).flags(), "bUT");
        redis.server.state.close_after_write(other);
        assert_eq!(redis.server.state.clients.get(other).flags(), "cUT");
        redis.server.state.close_now(other);
        assert_eq!(redis.server.state.clients.get(other).flags(), "AUT");
    }

    #[test]
    fn unsent_output_is_shown() {
        let mut redis = TestServer::new();
        let slow = redis.connect();
        redis.server.receive(slow, b"ECHO 0123456789\r\n");
        let state = &redis.server.state;
        let line = super::describe(state, state.clients.get(slow));
        assert!(line.contains(" rbp=17 obl=0 oll=1 omem=17 "), "{line}");
        assert!(line.contains(" events=rw cmd=echo "), "{line}");
    }
}
