//! Edges: bounded channels with an overflow policy and an exact count.
//!
//! Sender and receiver of the channel both live in the edge, which belongs to no thread: whoever runs a stage now
//! uses the ends. Since a channel with both ends alive never disconnects, the end of a stream is an explicit
//! flag.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use edgemill_linux::clock::monotonic_ns;

use crate::account::{EdgeAccount, EdgeCounters, Loss};
use crate::bell::{Bell, Ring};
use crate::packet::Packet;
use crate::spec::Overflow;

/// One edge of the graph.
#[derive(Debug)]
pub(crate) struct Edge {
    names: (String, String),
    overflow: Overflow,
    sender: Sender<Packet>,
    receiver: Receiver<Packet>,
    counters: EdgeCounters,
    /// Taken off the channel by a join and not yet matched.
    held_back: AtomicU64,
    /// Nothing more will be sent.
    closing: AtomicBool,
    receiving: AtomicU8,
    producer: Arc<Bell>,
    consumer: Arc<Bell>,
}

/// Whether anybody takes packets off an edge.
mod receiving {
    /// The stage runs.
    pub const ATTENDED: u8 = 0;
    /// It is out of order: the edge drops rather than blocks.
    pub const UNATTENDED: u8 = 1;
    /// Nobody ever will: everything is dropped.
    pub const GONE: u8 = 2;
}

impl Edge {
    pub fn new(
        (from, to): (String, String),
        overflow: Overflow,
        capacity: usize,
        producer: Arc<Bell>,
        consumer: Arc<Bell>,
    ) -> Self {
        let (sender, receiver) = bounded(capacity.max(1));
        Self {
            names: (from, to),
            overflow,
            sender,
            receiver,
            counters: EdgeCounters::default(),
            held_back: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            receiving: AtomicU8::new(receiving::ATTENDED),
            producer,
            consumer,
        }
    }

    /// Puts a packet on the edge, or drops one, as the policy says. Waits only where the policy is to block, the
    /// receiver is there and the sender is not to `give_up`; answers how long it waited, in nanoseconds.
    pub fn send(&self, packet: Packet, give_up: impl Fn() -> bool) -> u64 {
        self.counters.sent.add(1);
        if self.receiving.load(Ordering::Relaxed) == receiving::GONE {
            self.counters.drop(Loss::Restart);
            return 0;
        }
        let Some(packet) = self.try_put(packet) else { return 0 };
        match self.overflow {
            Overflow::Block => return self.send_waiting(packet, give_up),
            Overflow::DropNewest => self.counters.drop(self.loss_when_full()),
            Overflow::DropOldest | Overflow::Latest => self.send_replacing(packet),
        }
        0
    }

    /// Gives the packet back if the channel is full.
    fn try_put(&self, packet: Packet) -> Option<Packet> {
        match self.sender.try_send(packet) {
            Ok(()) => {
                self.consumer.ring(Ring::Input);
                None
            }
            Err(TrySendError::Full(packet) | TrySendError::Disconnected(packet)) => Some(packet),
        }
    }

    fn loss_when_full(&self) -> Loss {
        if self.is_attended() { Loss::Overflow } else { Loss::Restart }
    }

    fn is_attended(&self) -> bool {
        self.receiving.load(Ordering::Acquire) == receiving::ATTENDED
    }

    /// Only this side puts packets on the edge, so that each turn makes room for good.
    fn send_replacing(&self, packet: Packet) {
        let mut left = Some(packet);
        while let Some(packet) = left {
            if self.receiver.try_recv().is_ok() {
                self.counters.drop(self.loss_when_full());
            }
            left = self.try_put(packet);
        }
    }

    fn send_waiting(&self, packet: Packet, give_up: impl Fn() -> bool) -> u64 {
        let start = monotonic_ns();
        let mut left = Some(packet);
        while let Some(packet) = left {
            if give_up() {
                self.counters.drop(Loss::Stopped);
                break;
            }
            if !self.is_attended() {
                self.counters.drop(Loss::Restart);
                break;
            }
            self.producer.wait(Ring::Space, None, || {
                !self.sender.is_full() || give_up() || !self.is_attended()
            });
            left = self.try_put(packet);
        }
        monotonic_ns() - start
    }

    /// Takes the next packet off the channel, whatever its age; to be followed by one of the counts below.
    pub fn take(&self) -> Option<Packet> {
        let packet = self.receiver.try_recv().ok()?;
        if self.overflow == Overflow::Block {
            self.producer.ring(Ring::Space);
        }
        Some(packet)
    }

    /// Counts a packet that the stage is called with.
    pub fn count_received(&self) {
        self.counters.received.add(1);
    }

    /// Counts a packet that was taken and is dropped.
    pub fn count_dropped(&self, loss: Loss) {
        self.counters.drop(loss);
    }

    /// A join keeps one more, or one fewer, packet that counts as queued.
    pub fn hold_back(&self, more: bool) {
        if more {
            self.held_back.fetch_add(1, Ordering::Relaxed);
        } else {
            self.held_back.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts as lost what a join kept whose thread was given up.
    pub fn lose_held_back(&self) {
        let lost = self.held_back.swap(0, Ordering::Relaxed);
        (0..lost).for_each(|_| self.counters.drop(Loss::Restart));
    }

    /// Drops all that waits on the channel.
    pub fn discard(&self, loss: Loss) {
        while self.take().is_some() {
            self.counters.drop(loss);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Says that nothing more will be sent.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.consumer.ring(Ring::Input);
    }

    /// Whether nothing waits and nothing more will.
    pub fn is_ended(&self) -> bool {
        // In this order: what was sent before closing is seen.
        self.closing.load(Ordering::Acquire) && self.receiver.is_empty()
    }

    /// Says whether the receiving stage takes packets.
    pub fn attend(&self, attended: bool) {
        let state = if attended { receiving::ATTENDED } else { receiving::UNATTENDED };
        self.receiving.store(state, Ordering::Release);
        self.producer.ring(Ring::Space);
    }

    /// Says that nobody takes packets any more, and drops those that wait.
    pub fn desert(&self) {
        self.receiving.store(receiving::GONE, Ordering::Release);
        self.producer.ring(Ring::Space);
        self.discard(Loss::Restart);
    }

    /// Whether it is the edge between these ends, with this policy and capacity.
    pub fn is(&self, names: &(String, String), overflow: Overflow, capacity: u32) -> bool {
        self.names == *names
            && self.overflow == overflow
            && self.sender.capacity() == Some(capacity as usize)
    }

    pub fn account(&self) -> EdgeAccount {
        let (from, to) = self.names.clone();
        EdgeAccount {
            from,
            to,
            sent: self.counters.sent.get(),
            received: self.counters.received.get(),
            dropped: self.counters.dropped(),
            queued: self.receiver.len() as u64 + self.held_back.load(Ordering::Relaxed),
        }
    }
}
