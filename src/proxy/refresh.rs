//! When to ask which node for the topology, and what to make of the answers: a state machine without connections or clock.
//!
//! Any node will do: the first that answers is believed, a node that has failed is passed over, and one that knows of no slots
//! is no authority. At start the listed nodes say whether they are plain servers or a cluster. A cluster is asked again every
//! `interval_ms`, and at once after a redirection or a failure, but never more often than every `ASK_INTERVAL_MS`.

use super::address::Address;
use super::topology::{Topology, TopologyError, cluster_shards, cluster_slots, is_cluster_enabled};

/// Between two questions: a resharding redirects thousands of requests, and one answer serves them all.
const ASK_INTERVAL_MS: u64 = 100;
/// Before the round begins again when all nodes have been asked in vain; doubled each time.
const ROUND_INTERVAL_MS: u64 = 200;
const ROUND_INTERVAL_MS_MAX: u64 = 3_200;

/// What the nodes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Servers that know nothing of each other: the proxy splits the slots.
    Plain,
    /// Nodes of a Redis or Valkey Cluster: they say who has which slots.
    Cluster,
}

/// What to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// Whether the node is one of a cluster.
    Info,
    /// The cluster's slots.
    Slots,
    /// The same, for those who may not ask that.
    Shards,
}

impl Question {
    /// The request, as RESP.
    pub fn request(self) -> &'static [u8] {
        match self {
            Self::Info => b"*2\r\n$4\r\nINFO\r\n$7\r\ncluster\r\n",
            Self::Slots => b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n",
            Self::Shards => b"*2\r\n$7\r\nCLUSTER\r\n$6\r\nSHARDS\r\n",
        }
    }
}

/// A question that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Which question this is; the answer bears it, so that a late one is known as such.
    pub number: u64,
    /// The node.
    pub address: Address,
    /// What to ask it.
    pub question: Question,
}

/// What an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Learned {
    /// Nothing yet: there is another question, or another node.
    Nothing,
    /// This is how it is.
    Topology(Kind, Topology),
}

/// What is known of the nodes, and who is asked next.
#[derive(Debug)]
pub struct Refresh {
    seeds: Vec<Address>,
    /// Nodes of the cluster, as it was last described.
    known: Vec<Address>,
    kind: Option<Kind>,
    interval_ms: u64,
    timeout_ms: u64,
    /// Who is to be asked next if he is known: he has redirected us, so he knows.
    preferred: Option<Address>,
    /// Position in the round over `known` and then `seeds`.
    position: usize,
    /// Nodes asked in vain since the last good answer.
    failures: usize,
    rounds_failed: u32,
    pending: Option<(Ask, u64)>,
    next_question: Question,
    next_at_ms: u64,
    last_asked_ms: Option<u64>,
    number: u64,
}

impl Refresh {
    /// Knows the listed nodes only, and is to ask at once. An answer that has not come after `timeout_ms` does not come.
    pub fn new(seeds: Vec<Address>, interval_ms: u64, timeout_ms: u64) -> Self {
        Self {
            seeds,
            known: Vec::new(),
            kind: None,
            interval_ms,
            timeout_ms,
            preferred: None,
            position: 0,
            failures: 0,
            rounds_failed: 0,
            pending: None,
            next_question: Question::Info,
            next_at_ms: 0,
            last_asked_ms: None,
            number: 0,
        }
    }

    /// What the nodes are, as soon as one has said it.
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// The listed nodes.
    pub fn seeds(&self) -> &[Address] {
        &self.seeds
    }

    /// Takes another list of nodes, which are asked at once what they are. What is known of the old ones is forgotten.
    pub fn set_seeds(&mut self, seeds: Vec<Address>, now_ms: u64) {
        let number = self.number; // so that answers of the old nodes count as late
        *self = Self::new(seeds, self.interval_ms, self.timeout_ms);
        (self.number, self.next_at_ms) = (number, now_ms);
    }

    /// Takes other times.
    pub fn set_times(&mut self, interval_ms: u64, timeout_ms: u64) {
        (self.interval_ms, self.timeout_ms) = (interval_ms, timeout_ms);
    }

    /// A request was redirected: the map is old, and `by`, which was redirected to, knows better.
    pub fn redirected(&mut self, by: Address, now_ms: u64) {
        if self.kind == Some(Kind::Cluster) {
            self.preferred = Some(by);
            self.ask_soon(now_ms);
        }
    }

    /// A node has failed: the others may have put another one in its place.
    pub fn node_failed(&mut self, address: &Address, now_ms: u64) {
        if self.preferred.as_ref() == Some(address) {
            self.preferred = None;
        }
        if self.kind == Some(Kind::Cluster) {
            self.ask_soon(now_ms);
        }
    }

    fn ask_soon(&mut self, now_ms: u64) {
        let earliest = self.last_asked_ms.map_or(now_ms, |last| last + ASK_INTERVAL_MS);
        self.next_at_ms = self.next_at_ms.min(earliest.max(now_ms));
    }

    /// The question to send now, if there is one. A question without answer for too long counts as failed.
    pub fn due(&mut self, now_ms: u64) -> Option<Ask> {
        if let Some((ask, since_ms)) = &self.pending {
            if now_ms < since_ms + self.timeout_ms {
                return None;
            }
            self.failed(ask.number, now_ms);
        }
        if now_ms < self.next_at_ms || self.kind == Some(Kind::Plain) {
            return None;
        }
        let address = self.next_address()?;
        self.number += 1;
        let ask = Ask { number: self.number, address, question: self.next_question };
        self.pending = Some((ask.clone(), now_ms));
        self.last_asked_ms = Some(now_ms);
        Some(ask)
    }

    /// When [`Self::due`] has something to say again, in milliseconds of its clock. `None`: never by itself.
    pub fn next_at_ms(&self) -> Option<u64> {
        match &self.pending {
            Some((_, since_ms)) => Some(since_ms + self.timeout_ms),
            None => (self.kind != Some(Kind::Plain)).then_some(self.next_at_ms),
        }
    }

    /// Who is asked: who has redirected us, then one after the other of those in the cluster, then of those listed.
    fn next_address(&mut self) -> Option<Address> {
        if let Some(address) = self.preferred.take() {
            return Some(address);
        }
        let count = self.known.len() + self.seeds.len();
        let index = self.position.checked_rem(count)?;
        Some(self.known.get(index).unwrap_or_else(|| &self.seeds[index - self.known.len()]).clone())
    }

    /// The answer to question `number` has come.
    pub fn answered(&mut self, number: u64, reply: &[u8], now_ms: u64) -> Learned {
        let Some((ask, _)) = self.pending.take_if(|(ask, _)| ask.number == number) else {
            return Learned::Nothing;
        };
        let topology = match ask.question {
            Question::Info => match is_cluster_enabled(reply) {
                Some(false) => {
                    return self.learn(Kind::Plain, Topology::even_split(&self.seeds), now_ms);
                }
                _ => return self.ask_further(ask.address, Question::Slots, now_ms),
            },
            Question::Slots => cluster_slots(reply, &ask.address),
            Question::Shards => cluster_shards(reply, &ask.address),
        };
        match topology {
            Ok(topology) if topology.slots_covered() > 0 => {
                self.learn(Kind::Cluster, topology, now_ms)
            }
            Err(TopologyError::Refused(text)) if text.contains("cluster support disabled") => {
                self.learn(Kind::Plain, Topology::even_split(&self.seeds), now_ms)
            }
            Err(TopologyError::Refused(text))
                if ask.question == Question::Slots && !text.starts_with("LOADING") =>
            {
                self.ask_further(ask.address, Question::Shards, now_ms)
            }
            _ => self.ask_another(now_ms),
        }
    }

    /// Question `number` will not be answered: the connection failed.
    pub fn failed(&mut self, number: u64, now_ms: u64) {
        if self.pending.take_if(|(ask, _)| ask.number == number).is_some() {
            self.ask_another(now_ms);
        }
    }

    fn learn(&mut self, kind: Kind, topology: Topology, now_ms: u64) -> Learned {
        self.kind = Some(kind);
        self.known = topology.nodes().into_iter().cloned().collect();
        self.next_question = Question::Slots;
        (self.failures, self.rounds_failed) = (0, 0);
        self.position = self.position.wrapping_add(1);
        self.next_at_ms = now_ms + self.interval_ms;
        Learned::Topology(kind, topology)
    }

    /// The same node has to be asked something else.
    fn ask_further(&mut self, address: Address, question: Question, now_ms: u64) -> Learned {
        (self.preferred, self.next_question, self.next_at_ms) = (Some(address), question, now_ms);
        Learned::Nothing
    }

    /// The next node is asked at once; when all have been asked, after a while.
    fn ask_another(&mut self, now_ms: u64) -> Learned {
        self.next_question = if self.kind.is_none() { Question::Info } else { Question::Slots };
        self.position = self.position.wrapping_add(1);
        self.failures += 1;
        self.next_at_ms = now_ms;
        if self.failures >= self.known.len() + self.seeds.len() {
            let pause = ROUND_INTERVAL_MS << self.rounds_failed.min(8);
            self.next_at_ms = now_ms + pause.min(ROUND_INTERVAL_MS_MAX);
            self.rounds_failed += 1;
            self.failures = 0;
        }
        Learned::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &[u8] = b"$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n";
    const CLUSTER: &[u8] = b"$30\r\n# Cluster\r\ncluster_enabled:1\r\n\r\n";
    const SLOTS: &[u8] =
        b"*2\r\n*3\r\n:0\r\n:99\r\n*2\r\n$1\r\na\r\n:1\r\n*3\r\n:100\r\n:16383\r\n*2\r\n$1\r\nb\r\n:2\r\n";

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn refresh() -> Refresh {
        Refresh::new(vec![address("a:1"), address("b:2"), address("c:3")], 10_000, 1_000)
    }

    #[track_caller]
    fn asks(refresh: &mut Refresh, now_ms: u64, node: &str, question: Question) -> u64 {
        let ask = refresh.due(now_ms).expect("a question");
        assert_eq!((ask.address, ask.question), (address(node), question));
        ask.number
    }

    fn of_a_cluster() -> Refresh {
        let mut refresh = refresh();
        let number = asks(&mut refresh, 0, "a:1", Question::Info);
        assert_eq!(refresh.answered(number, CLUSTER, 0), Learned::Nothing);
        let number = asks(&mut refresh, 0, "a:1", Question::Slots);
        let learned = refresh.answered(number, SLOTS, 0);
        assert!(
            matches!(learned, Learned::Topology(Kind::Cluster, topology) if topology.shards.len() == 2)
        );
        refresh
    }

    #[test]
    fn plain_servers_are_asked_once_and_share_the_slots() {
        let mut refresh = refresh();
        let number = asks(&mut refresh, 0, "a:1", Question::Info);
        let Learned::Topology(Kind::Plain, topology) = refresh.answered(number, PLAIN, 5) else {
            panic!("nothing learned")
        };
        assert_eq!((topology.shards.len(), topology.slots_covered()), (3, 16_384));
        refresh.node_failed(&address("a:1"), 10);
        assert_eq!((refresh.due(1_000_000), refresh.next_at_ms()), (None, None));
    }

    #[test]
    fn a_node_that_may_not_be_asked_one_thing_is_asked_another() {
        let mut refresh = refresh();
        let number = asks(&mut refresh, 0, "a:1", Question::Info);
        refresh.answered(number, b"-NOPERM no\r\n", 0);
        let number = asks(&mut refresh, 0, "a:1", Question::Slots);
        refresh.answered(number, b"-NOPERM no\r\n", 0);
        let number = asks(&mut refresh, 0, "a:1", Question::Shards);
        refresh.answered(number, b"-NOPERM no\r\n", 0);
        let number = asks(&mut refresh, 0, "b:2", Question::Info);
        refresh.answered(number, b"*0\r\n", 0);
        let number = asks(&mut refresh, 0, "b:2", Question::Slots);
        let text = b"-ERR This instance has cluster support disabled\r\n";
        let learned = refresh.answered(number, text, 0);
        assert!(matches!(learned, Learned::Topology(Kind::Plain, _)));
    }

    #[test]
    fn all_nodes_are_asked_in_turn_and_then_with_growing_pauses() {
        let mut refresh = refresh();
        let mut now_ms = 0;
        for pause in [200, 400, 800, 1_600, 3_200, 3_200] {
            for node in ["a:1", "b:2", "c:3"] {
                let number = asks(&mut refresh, now_ms, node, Question::Info);
                assert_eq!(refresh.due(now_ms + 999), None, "it has a second for the answer");
                refresh.failed(number, now_ms);
            }
            assert_eq!(refresh.next_at_ms(), Some(now_ms + pause));
            assert_eq!(refresh.due(now_ms + pause - 1), None);
            now_ms += pause;
        }
    }

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for_and_not_taken_later() {
        let mut refresh = refresh();
        let late = asks(&mut refresh, 0, "a:1", Question::Info);
        assert_eq!(refresh.next_at_ms(), Some(1_000));
        let number = asks(&mut refresh, 1_000, "b:2", Question::Info);
        assert_eq!(refresh.answered(late, PLAIN, 1_001), Learned::Nothing);
        assert!(matches!(refresh.answered(number, PLAIN, 1_002), Learned::Topology(..)));
    }

    #[test]
    fn a_cluster_is_asked_again_after_a_while_another_node_each_time() {
        let mut refresh = of_a_cluster();
        assert_eq!((refresh.due(9_999), refresh.next_at_ms()), (None, Some(10_000)));
        let number = asks(&mut refresh, 10_000, "b:2", Question::Slots);
        refresh.answered(number, SLOTS, 10_000);
        asks(&mut refresh, 20_000, "a:1", Question::Slots);
    }

    #[test]
    fn a_redirection_asks_who_knows_at_once_but_not_for_each_request() {
        let mut refresh = of_a_cluster();
        refresh.redirected(address("d:4"), 500);
        let number = asks(&mut refresh, 500, "d:4", Question::Slots);
        refresh.redirected(address("d:4"), 501);
        assert_eq!(refresh.due(501), None, "one question at a time");
        refresh.answered(number, SLOTS, 502);
        refresh.redirected(address("d:4"), 503);
        assert_eq!((refresh.due(503), refresh.next_at_ms()), (None, Some(600)));
        asks(&mut refresh, 600, "d:4", Question::Slots);
    }

    #[test]
    fn a_failed_node_makes_the_others_be_asked() {
        let mut refresh = of_a_cluster();
        refresh.redirected(address("a:1"), 500);
        refresh.node_failed(&address("a:1"), 500);
        let number = asks(&mut refresh, 500, "b:2", Question::Slots);
        assert_eq!(refresh.answered(number, b"*0\r\n", 500), Learned::Nothing);
        asks(&mut refresh, 500, "a:1", Question::Slots);
    }

    #[test]
    fn another_list_of_nodes_starts_anew() {
        let mut refresh = of_a_cluster();
        refresh.redirected(address("d:4"), 500);
        let late = asks(&mut refresh, 500, "d:4", Question::Slots);
        refresh.set_seeds(vec![address("z:9")], 501);
        assert_eq!(refresh.kind(), None);
        let number = asks(&mut refresh, 501, "z:9", Question::Info);
        assert_eq!(refresh.answered(late, SLOTS, 502), Learned::Nothing);
        assert!(matches!(refresh.answered(number, PLAIN, 503), Learned::Topology(Kind::Plain, _)));
    }

    #[test]
    fn without_nodes_nobody_is_asked() {
        let mut refresh = Refresh::new(Vec::new(), 1_000, 1_000);
        assert_eq!(refresh.due(0), None);
    }
}
