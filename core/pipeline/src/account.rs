//! The account of all that flows. Each packet is counted where it goes on or is lost, never by subtraction, so
//! that the identities below can fail, and a test that they hold means something.
//!
//! An edge: sent = received + Σ dropped + queued. A stage: received = passed + bypassed + consumed + delivered +
//! faulted + no_buffer + in_call. They hold exactly whenever nothing moves, as after the end of a run; a look at a
//! running pipeline may catch a packet between two counters.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a packet was lost on its way between two stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// The edge was full and its policy drops.
    Overflow,
    /// Its deadline had passed before work on it began.
    Stale,
    /// The receiving stage was not running.
    Restart,
    /// A join found no partner for it in time.
    Unmatched,
    /// The pipeline was told to drop what was under way.
    Stopped,
}

impl Loss {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Overflow, Self::Stale, Self::Restart, Self::Unmatched, Self::Stopped];

    /// As it stands in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Stale => "stale",
            Self::Restart => "restart",
            Self::Unmatched => "unmatched",
            Self::Stopped => "stopped",
        }
    }
}

/// What an edge counts while it runs.
#[derive(Debug, Default)]
pub(crate) struct EdgeCounters {
    pub sent: Counter,
    pub received: Counter,
    dropped: [Counter; Loss::ALL.len()],
}

impl EdgeCounters {
    pub fn drop(&self, loss: Loss) {
        self.dropped[loss as usize].add(1);
    }

    pub fn dropped(&self) -> [(Loss, u64); Loss::ALL.len()] {
        Loss::ALL.map(|loss| (loss, self.dropped[loss as usize].get()))
    }
}

/// What a stage counts while it runs.
#[derive(Debug, Default)]
pub(crate) struct StageCounters {
    pub received: Counter,
    pub passed: Counter,
    pub bypassed: Counter,
    pub consumed: Counter,
    pub delivered: Counter,
    pub faulted: Counter,
    pub no_buffer: Counter,
    pub emitted: Counter,
    pub skipped: Counter,
    pub refusals: Counter,
    pub faults: Counter,
    pub hangs: Counter,
    pub restarts: Counter,
}

/// One edge's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeAccount {
    /// `stage.port` that sends.
    pub from: String,
    /// `stage.port` that receives.
    pub to: String,
    /// Packets that were put on it.
    pub sent: u64,
    /// Packets that the receiving stage was called with.
    pub received: u64,
    /// Packets lost on it, by reason.
    pub dropped: [(Loss, u64); Loss::ALL.len()],
    /// Packets that wait on it.
    pub queued: u64,
}

/// One stage's numbers. Inputs are counted once each, by the best that became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageAccount {
    /// Of the stage.
    pub name: String,
    /// Whether it has no inputs.
    pub is_source: bool,
    /// Whether it has no outputs.
    pub is_sink: bool,
    /// Inputs that it was called with.
    pub received: u64,
    /// Inputs of calls that emitted at least one packet.
    pub passed: u64,
    /// Inputs handed on unchanged while the stage was out of order.
    pub bypassed: u64,
    /// Inputs of calls that went well and emitted nothing, of a stage that has outputs.
    pub consumed: u64,
    /// Inputs of calls that went well, of a stage that has no outputs.
    pub delivered: u64,
    /// Inputs of calls that failed or hung and emitted nothing.
    pub faulted: u64,
    /// Inputs of calls that went well but got no buffer and emitted nothing.
    pub no_buffer: u64,
    /// Inputs of the call that is going on.
    pub in_call: u64,
    /// Packets emitted, on all ports; a tee's copies count as one.
    pub emitted: u64,
    /// Samples of the world that a source says it lost before it could emit them.
    pub skipped: u64,
    /// Buffers asked for and not had.
    pub refusals: u64,
    /// Calls that failed.
    pub faults: u64,
    /// Calls that never came back.
    pub hangs: u64,
    /// New instances after a fault or a hang.
    pub restarts: u64,
}

/// All numbers of one pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Every stage there is or was, in the order of the pipeline.
    pub stages: Vec<StageAccount>,
    /// Every edge there is or was.
    pub edges: Vec<EdgeAccount>,
}

/// From one source to one sink, where every stage between has one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAccount {
    /// The stage it begins at.
    pub source: String,
    /// The stage it ends at.
    pub sink: String,
    /// Packets that the source put on this path.
    pub sent: u64,
    /// Packets that the sink was called with and took.
    pub delivered: u64,
    /// Packets that a stage took and, by design, made nothing of.
    pub consumed: u64,
    /// Packets that wait on edges.
    pub queued: u64,
    /// Packets lost, by reason: those of [`Loss`], `fault` and `no_buffer`.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// An identity that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the account of {object} does not add up: {left} {left_count}, {right} {right_count}")]
pub struct Imbalance {
    /// Which edge or stage.
    pub object: String,
    /// The left side in words.
    pub left: &'static str,
    /// Its number.
    pub left_count: u64,
    /// The right side in words.
    pub right: &'static str,
    /// Its number.
    pub right_count: u64,
}

impl EdgeAccount {
    /// Packets lost on it, whatever the reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }

    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.queued += other.queued;
        for ((_, count), (_, more)) in self.dropped.iter_mut().zip(other.dropped) {
            *count += more;
        }
    }

    pub(crate) fn check(&self) -> Result<(), Imbalance> {
        balance(
            self,
            ("sent", self.sent),
            ("received + dropped + queued", self.received + self.lost() + self.queued),
        )
    }

    fn ends_at(&self, stage: &str) -> bool {
        stage_of(&self.to) == stage
    }
}

impl fmt::Display for EdgeAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "edge {} → {}", self.from, self.to)
    }
}

impl StageAccount {
    fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.passed += other.passed;
        self.bypassed += other.bypassed;
        self.consumed += other.consumed;
        self.delivered += other.delivered;
        self.faulted += other.faulted;
        self.no_buffer += other.no_buffer;
        self.in_call += other.in_call;
        self.emitted += other.emitted;
        self.skipped += other.skipped;
        self.refusals += other.refusals;
        self.faults += other.faults;
        self.hangs += other.hangs;
        self.restarts += other.restarts;
    }

    fn check(&self, edges: &[EdgeAccount]) -> Result<(), Imbalance> {
        let outcomes = self.passed
            + self.bypassed
            + self.consumed
            + self.delivered
            + self.faulted
            + self.no_buffer
            + self.in_call;
        let arrived =
            edges.iter().filter(|edge| edge.ends_at(&self.name)).map(|e| e.received).sum();
        let right = "passed + bypassed + consumed + delivered + faulted + no_buffer + in_call";
        balance(self, ("received", self.received), (right, outcomes))?;
        balance(self, ("received", self.received), ("received of its edges", arrived))
    }
}

impl fmt::Display for StageAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stage {}", self.name)
    }
}

impl Account {
    /// Whether the identities of every edge and every stage hold.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), Imbalance> {
        self.edges.iter().try_for_each(EdgeAccount::check)?;
        self.stages.iter().try_for_each(|stage| stage.check(&self.edges))
    }

    /// Adds a stage's numbers, to those of an earlier stage of that name if there was one.
    pub(crate) fn add_stage(&mut self, new: StageAccount) {
        match self.stages.iter_mut().find(|stage| stage.name == new.name) {
            Some(stage) => stage.add(&new),
            None => self.stages.push(new),
        }
    }

    /// Adds an edge's numbers, to those of an earlier edge between the same ports if there was one.
    pub(crate) fn add_edge(&mut self, new: EdgeAccount) {
        match self.edges.iter_mut().find(|edge| edge.from == new.from && edge.to == new.to) {
            Some(edge) => edge.add(&new),
            None => self.edges.push(new),
        }
    }

    /// The stage of that name.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&StageAccount> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// From every source to every sink, where the way between them does not join.
    #[must_use]
    pub fn paths(&self) -> Vec<PathAccount> {
        let sinks = self.stages.iter().filter(|stage| stage.is_sink && !stage.is_source);
        sinks.filter_map(|sink| self.path_to(sink)).collect()
    }

    /// Follows the one input of each stage upstream; `None` where there are several or one of the edges is
    /// gone.
    fn path_to(&self, sink: &StageAccount) -> Option<PathAccount> {
        let mut path = PathAccount {
            source: String::new(),
            sink: sink.name.clone(),
            sent: 0,
            delivered: sink.delivered,
            consumed: 0,
            queued: 0,
            dropped: Loss::ALL.map(|loss| (loss.word(), 0)).into_iter().collect(),
        };
        let mut stage = sink;
        while !stage.is_source {
            let mut inputs = self.edges.iter().filter(|edge| edge.ends_at(&stage.name));
            let (Some(edge), None) = (inputs.next(), inputs.next()) else { return None };
            path.add(stage, edge);
            stage = self.stage(stage_of(&edge.from))?;
        }
        path.source.clone_from(&stage.name);
        Some(path)
    }
}

impl PathAccount {
    /// One step upstream, so that `sent` ends as what the source put on the first edge.
    fn add(&mut self, stage: &StageAccount, edge: &EdgeAccount) {
        self.sent = edge.sent;
        self.consumed += stage.consumed;
        self.queued += edge.queued + stage.in_call;
        let own = [("fault", stage.faulted), ("no_buffer", stage.no_buffer)];
        for (word, count) in
            edge.dropped.map(|(loss, count)| (loss.word(), count)).into_iter().chain(own)
        {
            *self.dropped.entry(word).or_default() += count;
        }
    }

    /// Packets lost, whatever the reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether each packet that was sent is accounted for. Holds where each stage makes at most one packet of one.
    ///
    /// # Errors
    /// The identity does not hold.
    pub fn check(&self) -> Result<(), Imbalance> {
        let right = self.delivered + self.consumed + self.lost() + self.queued;
        balance(self, ("sent", self.sent), ("delivered + consumed + dropped + queued", right))
    }
}

impl fmt::Display for PathAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the way from {} to {}", self.source, self.sink)
    }
}

fn stage_of(end: &str) -> &str {
    end.split_once('.').map_or(end, |(stage, _)| stage)
}

fn balance(
    object: &impl fmt::Display,
    (left, left_count): (&'static str, u64),
    (right, right_count): (&'static str, u64),
) -> Result<(), Imbalance> {
    if left_count == right_count {
        return Ok(());
    }
    Err(Imbalance { object: object.to_string(), left, left_count, right, right_count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, sent: u64, received: u64, overflow: u64) -> EdgeAccount {
        let counters = EdgeCounters::default();
        (0..overflow).for_each(|_| counters.drop(Loss::Overflow));
        EdgeAccount {
            from: from.into(),
            to: to.into(),
            sent,
            received,
            dropped: counters.dropped(),
            queued: 0,
        }
    }

    fn good() -> Account {
        let stage = |name: &str| StageAccount { name: name.into(), ..StageAccount::default() };
        Account {
            stages: vec![
                StageAccount { is_source: true, emitted: 10, ..stage("camera") },
                StageAccount { received: 8, passed: 5, consumed: 2, faulted: 1, ..stage("infer") },
                StageAccount { is_sink: true, received: 5, delivered: 5, ..stage("act") },
            ],
            edges: vec![
                edge("camera.out", "infer.in", 10, 8, 2),
                edge("infer.out", "act.in", 5, 5, 0),
            ],
        }
    }

    #[test]
    fn a_good_account_adds_up_to_its_paths() {
        let account = good();
        account.check().unwrap();
        let path = &account.paths()[0];
        assert_eq!((path.source.as_str(), path.sink.as_str()), ("camera", "act"));
        assert_eq!((path.sent, path.delivered, path.consumed, path.lost()), (10, 5, 2, 3));
        assert_eq!((path.dropped["overflow"], path.dropped["fault"]), (2, 1));
        path.check().unwrap();
    }

    #[test]
    fn one_packet_too_many_or_too_few_is_found_wherever_it_is() {
        type Spoil = fn(&mut Account);
        let cases: [(&str, Spoil); 6] = [
            ("edge camera.out → infer.in", |a| a.edges[0].sent += 1),
            ("edge camera.out → infer.in", |a| a.edges[0].queued += 1),
            ("edge infer.out → act.in", |a| a.edges[1].dropped[0].1 += 1),
            ("stage infer", |a| a.stages[1].consumed -= 1),
            ("stage act", |a| a.stages[2].received -= 1),
            ("stage act", |a| (a.stages[2].received, a.stages[2].delivered) = (4, 4)),
        ];
        for (object, spoil) in cases {
            let mut account = good();
            spoil(&mut account);
            assert_eq!(account.check().unwrap_err().object, object);
        }
    }

    #[test]
    fn a_stage_that_makes_two_of_one_is_seen_end_to_end() {
        let mut account = good();
        account.edges[1] = edge("infer.out", "act.in", 6, 6, 0);
        (account.stages[2].received, account.stages[2].delivered) = (6, 6);
        account.check().unwrap();
        let error = account.paths()[0].check().unwrap_err();
        assert_eq!(error.object, "the way from camera to act");
    }
}
