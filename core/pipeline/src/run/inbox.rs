//! What a stage is called with next: the packet of its one input, or those of several inputs that belong together.
//!
//! Packets of several inputs wait here for their partners, at most an edge's capacity of each; they count as queued
//! until they are matched, or dropped as unmatched. A port that has as many as may wait takes no more, so that a
//! blocking edge holds back its sender.
use std::collections::VecDeque;
use std::sync::Arc;

use crate::account::Loss;
use crate::channel::Edge;
use crate::packet::Packet;
use crate::spec::{Join, Matching};

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// [`Inbox::ready`] has the inputs of a call.
    Ready,
    /// Nothing now; look again by then at the latest.
    Empty { until_ns: Option<u64> },
    /// Nothing now nor later.
    Ended,
}

/// All inputs of one stage.
#[derive(Debug)]
pub(super) struct Inbox {
    ports: Vec<Port>,
    join: Join,
    /// One for each port; filled by [`Inbox::next`], emptied by [`Inbox::clear`].
    pub ready: Vec<Option<Packet>>,
}

#[derive(Debug)]
struct Port {
    edge: Arc<Edge>,
    waiting: VecDeque<Waiting>,
    most: usize,
    /// Its end was seen, and is no news any more.
    end_seen: bool,
}

#[derive(Debug)]
struct Waiting {
    packet: Packet,
    since_ns: u64,
}

impl Inbox {
    /// `inputs` has the edge of each port and its capacity.
    pub fn new(inputs: Vec<(Arc<Edge>, usize)>, join: Join) -> Self {
        let ready = inputs.iter().map(|_| None).collect();
        let ports = inputs.into_iter().map(|(edge, most)| Port {
            edge,
            waiting: VecDeque::with_capacity(most),
            most,
            end_seen: false,
        });
        Self { ports: ports.collect(), join, ready }
    }

    pub fn edges(&self) -> impl Iterator<Item = &Arc<Edge>> {
        self.ports.iter().map(|port| &port.edge)
    }

    /// Whether a look at [`Inbox::next`] could find more than the last one did.
    pub fn has_news(&self) -> bool {
        self.ports.iter().any(|port| {
            let room = self.ports.len() == 1 || port.waiting.len() < port.most;
            (room && !port.edge.is_empty()) || (!port.end_seen && port.edge.is_ended())
        })
    }

    /// Takes what has come and finds what the stage is to be called with. Drops, counted, what is past its deadline.
    pub fn next(&mut self, now_ns: u64) -> Next {
        match self.ports.as_mut_slice() {
            [port] => next_of_one(port, &mut self.ready[0], now_ns),
            _ => self.next_of_several(now_ns),
        }
    }

    /// The first input of the call.
    pub fn first(&self) -> Option<&Packet> {
        self.ready.iter().flatten().next()
    }

    /// Done with the inputs of the call.
    pub fn clear(&mut self) {
        self.ready.iter_mut().for_each(|packet| *packet = None);
    }

    /// Drops all that waits, here and on the edges.
    pub fn discard(&mut self, loss: Loss) {
        for port in &mut self.ports {
            port.drop_first(port.waiting.len(), loss);
            port.edge.discard(loss);
        }
    }

    /// Drops what waits here for partners that will not come any more.
    pub fn discard_waiting(&mut self) {
        for port in &mut self.ports {
            port.drop_first(port.waiting.len(), Loss::Unmatched);
        }
    }

    fn next_of_several(&mut self, now_ns: u64) -> Next {
        for port in &mut self.ports {
            port.end_seen = port.edge.is_ended();
            port.fill(now_ns);
        }
        let timeout_ns = u64::try_from(self.join.timeout.as_nanos()).unwrap_or(u64::MAX);
        let matched = match self.join.matching {
            Matching::Sequence => self.match_sequence(),
            Matching::Nearest(tolerance) => {
                let tolerance_ns = u64::try_from(tolerance.as_nanos()).unwrap_or(u64::MAX);
                self.match_nearest(tolerance_ns, now_ns, timeout_ns)
            }
        };
        if let Some(indices) = matched {
            self.deliver(&indices);
            return Next::Ready;
        }
        self.ports.iter_mut().for_each(|port| port.expire(now_ns, timeout_ns));
        if self.ports.iter().any(Port::is_ended) {
            self.discard_waiting();
        }
        if self.ports.iter().all(Port::is_ended) {
            return Next::Ended;
        }
        let fronts = self.ports.iter().filter_map(|port| port.waiting.front());
        let until_ns = fronts.map(|first| first.since_ns.saturating_add(timeout_ns)).min();
        Next::Empty { until_ns }
    }

    /// The packet at each index becomes an input; what it has overtaken can find no partner any more.
    fn deliver(&mut self, indices: &[usize; MOST]) {
        for ((port, ready), &index) in self.ports.iter_mut().zip(&mut self.ready).zip(indices) {
            port.drop_first(index, Loss::Unmatched);
            *ready = port.waiting.pop_front().map(|waiting| waiting.packet);
            port.edge.hold_back(false);
            port.edge.count_received();
        }
    }

    /// The first packet of the first port whose stream and sequence all other ports have too.
    fn match_sequence(&self) -> Option<[usize; MOST]> {
        let (first, others) = self.ports.split_first()?;
        first.waiting.iter().enumerate().find_map(|(index, waiting)| {
            let (stream, sequence) = identity(&waiting.packet);
            let mut indices = [index; MOST];
            for (port, found) in others.iter().zip(&mut indices[1..]) {
                *found = port.position(|packet| identity(packet) == (stream, sequence))?;
            }
            Some(indices)
        })
    }

    /// The nearest of each other port to the first packet of the first, once no nearer one can come. One without
    /// partners is dropped and the next looked at.
    fn match_nearest(
        &mut self,
        tolerance_ns: u64,
        now_ns: u64,
        timeout_ns: u64,
    ) -> Option<[usize; MOST]> {
        loop {
            let (first, others) = self.ports.split_first_mut()?;
            let reference = first.waiting.front()?;
            let (time, since_ns) = (reference.packet.origin().capture_ns, reference.since_ns);
            let last_chance = now_ns >= since_ns.saturating_add(timeout_ns);
            let (mut indices, mut alone) = ([0; MOST], false);
            for (port, found) in others.iter_mut().zip(&mut indices[1..]) {
                port.drop_before(time.saturating_sub(tolerance_ns));
                let settled = last_chance || port.is_ended_or_past(time);
                match port.nearest(time, tolerance_ns) {
                    _ if !settled => return None,
                    Some(index) => *found = index,
                    None => alone = true,
                }
            }
            if !alone {
                return Some(indices);
            }
            first.drop_first(1, Loss::Unmatched);
        }
    }
}

/// Inputs of one stage.
const MOST: usize = crate::negotiate::MOST_INPUTS;

fn identity(packet: &Packet) -> (u64, u64) {
    (packet.raw().stream, packet.raw().sequence)
}

fn next_of_one(port: &Port, ready: &mut Option<Packet>, now_ns: u64) -> Next {
    while let Some(packet) = port.edge.take() {
        if packet.is_stale(now_ns) {
            port.edge.count_dropped(Loss::Stale);
            continue;
        }
        port.edge.count_received();
        *ready = Some(packet);
        return Next::Ready;
    }
    if port.edge.is_ended() { Next::Ended } else { Next::Empty { until_ns: None } }
}

impl Port {
    fn fill(&mut self, now_ns: u64) {
        while self.waiting.len() < self.most {
            let Some(packet) = self.edge.take() else { return };
            if packet.is_stale(now_ns) {
                self.edge.count_dropped(Loss::Stale);
                continue;
            }
            self.edge.hold_back(true);
            self.waiting.push_back(Waiting { packet, since_ns: now_ns });
        }
    }

    fn drop_first(&mut self, count: usize, loss: Loss) {
        for _ in self.waiting.drain(..count) {
            self.edge.hold_back(false);
            self.edge.count_dropped(loss);
        }
    }

    fn expire(&mut self, now_ns: u64, timeout_ns: u64) {
        let old = |waiting: &Waiting| waiting.since_ns.saturating_add(timeout_ns) <= now_ns;
        let count = self.waiting.iter().take_while(|waiting| old(waiting)).count();
        self.drop_first(count, Loss::Unmatched);
    }

    /// Drops what was captured before a time.
    fn drop_before(&mut self, capture_ns: u64) {
        let old = |waiting: &&Waiting| waiting.packet.origin().capture_ns < capture_ns;
        let count = self.waiting.iter().take_while(old).count();
        self.drop_first(count, Loss::Unmatched);
    }

    fn position(&self, wanted: impl Fn(&Packet) -> bool) -> Option<usize> {
        self.waiting.iter().position(|waiting| wanted(&waiting.packet))
    }

    fn nearest(&self, time: u64, tolerance_ns: u64) -> Option<usize> {
        let distance = |waiting: &Waiting| waiting.packet.origin().capture_ns.abs_diff(time);
        let nearest = self.waiting.iter().enumerate().min_by_key(|(_, waiting)| distance(waiting));
        nearest.filter(|(_, found)| distance(found) <= tolerance_ns).map(|(index, _)| index)
    }

    fn is_ended_or_past(&self, time: u64) -> bool {
        let past = |waiting: &Waiting| waiting.packet.origin().capture_ns >= time;
        self.edge.is_ended() || self.waiting.back().is_some_and(past)
    }

    fn is_ended(&self) -> bool {
        self.edge.is_ended() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use edgemill_abi::raw;

    use super::*;
    use crate::bell::Bell;
    use crate::packet::Origin;
    use crate::spec::Overflow;

    const MS: u64 = 1_000_000;

    fn packet(stream: u64, sequence: u64, capture_ns: u64, deadline_ns: u64) -> Packet {
        let origin = Origin { stream, sequence, capture_ns, deadline_ns };
        Packet::new(origin, 0, raw::KIND_EVENT, raw::Payload::default(), None)
    }

    struct Bench {
        edges: Vec<Arc<Edge>>,
        inbox: Inbox,
    }

    fn bench(ports: usize, matching: Matching) -> Bench {
        let edge = |_| {
            let (producer, consumer) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
            let names = ("a.out".into(), "j.in".into());
            Arc::new(Edge::new(names, Overflow::Block, 4, producer, consumer))
        };
        let edges: Vec<_> = (0..ports).map(edge).collect();
        let inputs = edges.iter().map(|edge| (Arc::clone(edge), 4)).collect();
        let join = Join { matching, timeout: Duration::from_millis(10) };
        Bench { inbox: Inbox::new(inputs, join), edges }
    }

    impl Bench {
        fn send(&self, port: usize, packet: Packet) {
            self.edges[port].send(packet, || true);
        }

        /// Sequences of the next call's inputs.
        fn ready(&mut self, now_ns: u64) -> Option<Vec<u64>> {
            let next = self.inbox.next(now_ns);
            let sequences = self.inbox.ready.iter().flatten().map(|p| p.raw().sequence).collect();
            self.inbox.clear();
            (next == Next::Ready).then_some(sequences)
        }

        fn lost(&self, port: usize, loss: Loss) -> u64 {
            let account = self.edges[port].account();
            let balance = account.received + account.lost() + account.queued;
            assert_eq!(account.sent, balance, "{account:?}");
            account.dropped[loss as usize].1
        }
    }

    #[test]
    fn one_input_comes_in_order_without_what_is_stale() {
        let mut bench = bench(1, Matching::Sequence);
        bench.send(0, packet(1, 0, 0, 50));
        bench.send(0, packet(1, 1, 0, 150));
        assert_eq!(bench.ready(100), Some(vec![1]));
        assert_eq!(bench.lost(0, Loss::Stale), 1);
        assert_eq!(bench.inbox.next(100), Next::Empty { until_ns: None });
        bench.edges[0].close();
        assert_eq!(bench.inbox.next(100), Next::Ended);
    }

    #[test]
    fn a_join_by_sequence_drops_what_was_overtaken() {
        let mut bench = bench(2, Matching::Sequence);
        (0..3).for_each(|n| bench.send(0, packet(1, n, 0, 0)));
        assert_eq!(bench.inbox.next(0), Next::Empty { until_ns: Some(10 * MS) });
        bench.send(1, packet(2, 1, 0, 0));
        bench.send(1, packet(1, 1, 0, 0));
        assert_eq!(bench.ready(0), Some(vec![1, 1]));
        assert_eq!((bench.lost(0, Loss::Unmatched), bench.lost(1, Loss::Unmatched)), (1, 1));
        assert_eq!(bench.ready(9 * MS), None);
        assert_eq!(bench.lost(0, Loss::Unmatched), 1);
        assert_eq!(bench.ready(10 * MS), None);
        assert_eq!(bench.lost(0, Loss::Unmatched), 2);
    }

    #[test]
    fn a_full_port_takes_no_more_and_keeps_what_it_has() {
        let mut bench = bench(2, Matching::Sequence);
        (0..4).for_each(|n| bench.send(0, packet(1, n, 0, 0)));
        assert_eq!(bench.ready(0), None);
        (4..8).for_each(|n| bench.send(0, packet(1, n, 0, 0)));
        assert_eq!(bench.ready(0), None);
        assert!(!bench.inbox.has_news());
        assert_eq!(bench.edges[0].account().queued, 8);
        bench.send(1, packet(1, 0, 0, 0));
        assert!(bench.inbox.has_news());
        assert_eq!(bench.ready(0), Some(vec![0, 0]));
    }

    #[test]
    fn a_join_by_time_waits_for_the_nearest_and_no_longer() {
        let mut bench = bench(2, Matching::Nearest(Duration::from_millis(2)));
        bench.send(0, packet(1, 0, 10 * MS, 0));
        bench.send(1, packet(2, 0, 5 * MS, 0));
        bench.send(1, packet(2, 1, 9 * MS, 0));
        assert_eq!(bench.ready(0), None);
        assert_eq!(bench.lost(1, Loss::Unmatched), 1);
        bench.send(1, packet(2, 2, 10 * MS + 1, 0));
        assert_eq!(bench.ready(0), Some(vec![0, 2]));
        assert_eq!(bench.lost(1, Loss::Unmatched), 2);
        bench.send(0, packet(1, 1, 20 * MS, 0));
        bench.send(1, packet(2, 3, 19 * MS, 0));
        assert_eq!(bench.ready(0), None);
        assert_eq!(bench.ready(10 * MS), Some(vec![1, 3]));
        bench.send(0, packet(1, 2, 30 * MS, 0));
        bench.send(1, packet(2, 4, 33 * MS, 0));
        assert_eq!(bench.ready(10 * MS), None);
        assert_eq!(bench.lost(0, Loss::Unmatched), 1);
    }

    #[test]
    fn when_one_input_has_ended_the_others_find_no_partner() {
        let mut bench = bench(2, Matching::Sequence);
        bench.send(0, packet(1, 0, 0, 0));
        bench.edges[1].close();
        assert_eq!(bench.inbox.next(0), Next::Empty { until_ns: None });
        assert_eq!(bench.lost(0, Loss::Unmatched), 1);
        bench.edges[0].close();
        assert_eq!(bench.inbox.next(0), Next::Ended);
    }
}
