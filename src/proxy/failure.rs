//! What becomes of requests whose link is lost, or whose node takes too long. Each gets exactly one error, but those that
//! surely have not run, and reads: these are sent once more. A write that may have run is never run again.

use std::collections::HashSet;

use super::Proxy;
use super::link::{Link, Manner, NO_SLOT, Recipient, Stage, Use, Waiter};
use super::outgoing::Outgoing;
use super::requests::Requests;
use super::slots::NodeId;
use crate::log::Level;
use crate::net::Close;

/// A link that is lost sooner counts as a failure of its node,
const LIVED_US: u64 = 1_000_000;
/// of which so many in a row are let pass.
const SHORT_LIVES_MAX: u32 = 3;

impl Proxy {
    /// Gives a link up: its connection is closed, and whoever waits for a reply is told or sent elsewhere.
    pub(super) fn lose_link(&mut self, index: usize, why: &str) {
        let now_us = self.now.monotonic_us;
        let link = &mut self.links[index];
        if link.stage == Stage::Closed {
            return;
        }
        let (stage, node, lived_us) = (link.stage, link.node, now_us - link.since_us);
        link.stage = Stage::Closed;
        let mut waiting: Vec<Waiter> = link.waiting.drain(..).collect();
        let empty = Outgoing::Requests(Requests::default());
        let mut outgoing = std::mem::replace(&mut link.outgoing, empty);
        let (manner, in_pieces) = (link.manner, link.incoming.in_pieces);
        let (purpose, owner) = (link.purpose, link.owner.take());
        self.actions.close.push((link.token, Close::Now));
        self.nodes.get_mut(node).forget_link(index as u32);
        self.links_eased |= !self.throttled.is_empty();
        self.node_lost_link(node, (stage == Stage::Ready).then_some(lived_us), why);
        if let (true, Some(first)) = (in_pieces, waiting.first_mut()) {
            self.break_off(first.recipient);
            if matches!(first.recipient, Recipient::Client { .. }) {
                first.recipient = Recipient::Nobody;
            }
        }
        let lost = Lost { node, manner, why, is_shared: matches!(purpose, Use::Shared(_)) };
        self.settle(&lost, waiting, outgoing.requests());
        match purpose {
            Use::Private => self.private_link_lost(index, owner),
            Use::Subscriptions => self.subscriptions_lost(node),
            Use::Shared(_) | Use::Control => {}
        }
        if stage == Stage::Resolving {
            self.links.remove(index); // the loop has never heard of it
        }
    }

    /// What the loss of a link says about its node.
    fn node_lost_link(&mut self, node: NodeId, ready_us: Option<u64>, why: &str) {
        let random = self.environment.random();
        let now_us = self.now.monotonic_us;
        let state = self.nodes.get_mut(node);
        state.stats.failed_connections += 1;
        let was_down = state.health.down.is_some();
        match ready_us {
            Some(LIVED_US..) => state.health.failures = 0,
            Some(_) => state.health.failures = state.health.failures.saturating_add(1),
            None => {}
        }
        let was_good = ready_us.is_some() && state.health.failures <= SHORT_LIVES_MAX;
        if !was_good {
            state.health.failed(why.to_owned(), now_us, random);
            state.next_known = state.next_known.wrapping_add(1);
            if state.address.host.parse::<std::net::IpAddr>().is_err() {
                state.known.clear(); // the name may mean another address by now
            }
        }
        let address = state.address.clone();
        if !was_down {
            let level = if was_good { Level::Notice } else { Level::Warning };
            self.log(level, format_args!("Lost a connection to node {address}: {why}"));
        }
        self.refresh.node_failed(&address, now_us / 1000);
    }

    /// Of a reply only a part has come, and the client has it: what follows would be taken for the rest.
    fn break_off(&mut self, recipient: Recipient) {
        if let Recipient::Client { index, id, .. } = recipient
            && self.clients.get(index as usize).is_some_and(|client| client.id as u32 == id)
        {
            self.close_client(index as usize);
        }
    }

    /// Tells those who wait for replies of a lost link, or sends their requests again.
    fn settle(&mut self, lost: &Lost<'_>, waiting: Vec<Waiter>, requests: &mut Requests) {
        let mut again = self.worth_a_retry(lost, &waiting, requests).into_iter();
        for waiter in waiting {
            let bytes = waiter.bytes as usize;
            let was_sent = requests.is_sent(bytes);
            let request = requests.first(bytes).to_vec();
            requests.answered(bytes);
            if again.next() == Some(true) {
                self.stats.retries += 1;
                self.send_again(lost, waiter, &request);
                continue;
            }
            self.nodes.get_mut(lost.node).stats.failed_requests += 1;
            let node = &self.nodes.get(lost.node);
            let text = match (was_sent, waiter.traits.writes, &node.health.down) {
                (true, true, _) => format!(
                    "ERR node {} was lost after the request was sent ({}): outcome unknown",
                    node.address, lost.why
                ),
                (false, _, Some(_)) => self.down_text(lost.node),
                _ => format!("ERR node {} was lost before it replied ({})", node.address, lost.why),
            };
            self.fail(waiter.recipient, &text);
        }
    }

    /// Which of the requests are sent again: those that have not left, and reads, unless the same client has sent a write
    /// after it, which may have run already.
    fn worth_a_retry(&self, lost: &Lost<'_>, waiting: &[Waiter], requests: &Requests) -> Vec<bool> {
        let mut sent_bytes = 0;
        let mut sent: Vec<bool> = Vec::with_capacity(waiting.len());
        for waiter in waiting {
            sent_bytes += waiter.bytes as usize;
            sent.push(requests.is_sent(sent_bytes));
        }
        let mut writers = HashSet::new();
        let mut worth = vec![false; waiting.len()];
        for (index, waiter) in waiting.iter().enumerate().rev() {
            let client = self.client_behind(waiter.recipient);
            let harmless = !sent[index]
                || !waiter.traits.writes && client.is_none_or(|client| !writers.contains(&client));
            if sent[index] && waiter.traits.writes {
                writers.extend(client);
            }
            let is_wanted =
                matches!(waiter.recipient, Recipient::Client { .. } | Recipient::Part { .. });
            worth[index] = harmless && is_wanted && lost.is_shared && !waiter.traits.retried;
        }
        worth
    }

    /// The client that a reply is for in the end: index and id.
    pub(super) fn client_behind(&self, recipient: Recipient) -> Option<(u32, u32)> {
        match recipient {
            Recipient::Client { index, id, .. } => Some((index, id)),
            Recipient::Part { join, .. } => {
                self.client_behind(self.joins.get(join as usize)?.recipient)
            }
            _ => None,
        }
    }

    fn send_again(&mut self, lost: &Lost<'_>, mut waiter: Waiter, request: &[u8]) {
        waiter.traits.retried = true;
        let link = match waiter.slot {
            NO_SLOT => self.link_to(lost.node, lost.manner, 0),
            slot => self.link_for(lost.manner, slot),
        };
        match link {
            Ok(link) => self.resend(link, waiter, request),
            Err(text) => self.fail(waiter.recipient, &text),
        }
    }

    /// Queues a request that was queued elsewhere before.
    pub(super) fn resend(&mut self, link: u32, mut waiter: Waiter, request: &[u8]) {
        waiter.queued_us = self.clock_us();
        let state = &mut self.links[link as usize];
        state.send(request, waiter);
        let node = state.node;
        self.nodes.get_mut(node).stats.requests += 1;
        self.write_to_link(link);
    }

    /// Answers a request with an error of the proxy's own.
    pub(super) fn fail(&mut self, recipient: Recipient, text: &str) {
        self.stats.errors += 1;
        if let Recipient::Topology(number) = recipient {
            return self.refresh.failed(u64::from(number), self.now.monotonic_us / 1000);
        }
        let text = text.replace(['\r', '\n'], " ");
        self.hand_over(recipient, format!("-{text}\r\n").as_bytes());
    }

    /// Looks at all links: those that take too long to open, and requests that take too long.
    pub(super) fn check_links(&mut self) {
        let links: Vec<usize> = self.links.iter().map(|(index, _)| index).collect();
        for index in links {
            self.check_link(index);
        }
    }

    fn check_link(&mut self, index: usize) {
        let now_us = self.now.monotonic_us;
        let Some(link) = self.links.get(index) else { return };
        let opening_us = now_us.saturating_sub(link.since_us);
        match link.stage {
            Stage::Closed => {}
            Stage::Resolving | Stage::Connecting | Stage::Greeting(_) => {
                if opening_us >= u64::from(self.options.connect_timeout_ms) * 1000 {
                    self.lose_link(index, "no connection in time");
                }
            }
            Stage::Ready if self.is_useless(link) => self.drop_link(index as u32),
            Stage::Ready => match link.paused {
                None => self.check_waiters(index),
                Some((since_us, client)) => {
                    if now_us.saturating_sub(since_us) >= u64::from(self.options.timeout_ms) * 1000
                    {
                        self.close_client(client as usize); // it holds up everybody else
                    }
                }
            },
        }
    }

    /// Whether a link leads to a node that has no slots any more, and has nothing left to do.
    fn is_useless(&self, link: &Link) -> bool {
        !self.nodes.get(link.node).is_member
            && link.waiting.is_empty()
            && link.owner.is_none()
            && link.purpose != Use::Subscriptions
    }

    /// Fails the requests of a link that are not answered in time. If it goes on, the link is given up.
    fn check_waiters(&mut self, index: usize) {
        let (clock_us, timeout_us) =
            (self.clock_us(), self.options.timeout_ms.saturating_mul(1000));
        let mut at = 0;
        while let Some(link) = self.links.get_mut(index) {
            let Some(waiter) = link.waiting.get(at).copied() else { return };
            let age_us = link.age_us(&waiter, clock_us);
            if waiter.traits.patient || age_us < timeout_us {
                return;
            }
            let is_given_up = waiter.recipient == Recipient::Nobody;
            if at == 0 && age_us >= timeout_us.saturating_mul(2) {
                return self.lose_link(index, "it does not answer");
            }
            link.waiting[at].recipient = Recipient::Nobody;
            if at == 0 && link.incoming.in_pieces {
                self.break_off(waiter.recipient);
            }
            at += 1;
            if !is_given_up {
                self.give_up_waiting(index, &waiter);
            }
        }
    }

    fn give_up_waiting(&mut self, index: usize, waiter: &Waiter) {
        let node = self.links[index].node;
        let (random, now_us) = (self.environment.random(), self.now.monotonic_us);
        let timeout_ms = self.options.timeout_ms;
        let state = self.nodes.get_mut(node);
        state.stats.timeouts += 1;
        state.stats.failed_requests += 1;
        let address = state.address.clone();
        if state.health.down.is_none() {
            state.health.failed("it does not answer".to_owned(), now_us, random);
            self.refresh.node_failed(&address, now_us / 1000);
            self.log(Level::Warning, format_args!("Node {address} does not answer"));
        }
        let outcome = if waiter.traits.writes { ": outcome unknown" } else { "" };
        let text = format!("ERR node {address} did not answer within {timeout_ms} ms{outcome}");
        self.fail(waiter.recipient, &text);
    }

    /// Tries nodes again that are not asked for now, when their time has come.
    pub(super) fn check_nodes(&mut self) {
        let now_us = self.now.monotonic_us;
        let due: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|node| node.is_member && node.health.down.is_some())
            .filter(|node| !node.health.trying && now_us >= node.health.retry_at_us)
            .map(|node| node.id)
            .collect();
        for node in due {
            self.try_node(node);
        }
    }

    fn try_node(&mut self, node: NodeId) {
        if let Some(old) = self.nodes.get(node).control {
            self.lose_link(old as usize, "it does not answer");
        }
        let link = self.open_link(node, Use::Control, Manner::PLAIN);
        let state = self.nodes.get_mut(node);
        state.health.trying = true;
        state.control = Some(link);
    }
}

/// What is to be known of a lost link.
struct Lost<'a> {
    node: NodeId,
    manner: Manner,
    why: &'a str,
    /// All clients have used it.
    is_shared: bool,
}

impl Link {
    /// How long a request has waited for its reply, pauses in reading not counted.
    fn age_us(&self, waiter: &Waiter, clock_us: u32) -> u32 {
        let age_us = clock_us.wrapping_sub(waiter.queued_us);
        match self.resumed_us {
            Some(resumed_us) => age_us.min(clock_us.wrapping_sub(resumed_us)),
            None => age_us,
        }
    }
}
