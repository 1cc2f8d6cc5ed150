//! What the owner of a pipeline reads while it runs: status and account, from numbers that the stages keep.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::build::Seated;
use super::status::{PoolStatus, StageStatus, Status};
use crate::account::{Account, Loss, StageAccount};
use crate::channel::Edge;
use crate::pool::Pool;
use crate::slot::{Slot, State};

/// A stage as status and account show it.
#[derive(Clone)]
pub(super) struct Member {
    slot: Arc<Slot>,
    is_source: bool,
    is_sink: bool,
    pools: Vec<(String, Arc<Pool>)>,
    /// Why it is not running, in the words of whoever noticed.
    why: Option<String>,
}

impl Member {
    pub fn of(seated: &Seated) -> Self {
        let outputs = seated.plan.outputs.iter().zip(&seated.wiring.outputs);
        let pools = outputs.filter_map(|(planned, port)| {
            let name = format!("{}.{}", seated.slot.name, planned.port);
            port.pool.clone().map(|pool| (name, pool))
        });
        Self {
            slot: Arc::clone(&seated.slot),
            is_source: seated.plan.inputs.is_empty(),
            is_sink: seated.plan.outputs.is_empty(),
            pools: pools.collect(),
            why: None,
        }
    }
}

#[derive(Default)]
struct View {
    name: String,
    members: Vec<Member>,
    edges: Vec<Arc<Edge>>,
    /// Stages and edges that a reload has taken out: they may still drain.
    past: (Vec<Member>, Vec<Arc<Edge>>),
    /// Of those that have drained.
    gone: Account,
}

impl View {
    /// Keeps the numbers of what is over, and lets the rest of it go.
    fn fold(&mut self) {
        let Self { past: (members, edges), gone, .. } = self;
        members.retain(|member| {
            let over = member.slot.state() == State::Stopped;
            if over {
                gone.add_stage(member.account());
            }
            !over
        });
        edges.retain(|edge| {
            let ended = edge.is_ended();
            let account = edge.account();
            // A packet that was just taken off may not be counted yet.
            let over = ended && account.queued == 0 && account.check().is_ok();
            if over {
                gone.add_edge(account);
            }
            !over
        });
    }
}

/// Read by the owner, changed by the supervising thread; stages never come here.
pub(super) struct Shared {
    view: Mutex<View>,
    ended: (Sender<Account>, Receiver<Account>),
}

impl Default for Shared {
    fn default() -> Self {
        Self { view: Mutex::default(), ended: bounded(1) }
    }
}

impl Shared {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new layout takes the place of the old one.
    pub fn show(&self, name: String, mut members: Vec<Member>, edges: &[Arc<Edge>]) {
        let mut view = self.view();
        for old in std::mem::take(&mut view.members) {
            match members.iter_mut().find(|new| Arc::ptr_eq(&new.slot, &old.slot)) {
                Some(same) => same.why = old.why,
                None => view.past.0.push(old),
            }
        }
        for old in std::mem::take(&mut view.edges) {
            if !edges.iter().any(|new| Arc::ptr_eq(new, &old)) {
                view.past.1.push(old);
            }
        }
        (view.name, view.members, view.edges) = (name, members, edges.to_vec());
        view.fold();
    }

    /// Keeps why a stage is as it is.
    pub fn note(&self, slot: u64, why: Option<String>) {
        let mut view = self.view();
        if let Some(member) = view.members.iter_mut().find(|member| member.slot.id == slot) {
            member.why = why;
        }
    }

    /// Why a stage is as it is.
    pub fn why(&self, slot: u64) -> Option<String> {
        let view = self.view();
        view.members.iter().find(|member| member.slot.id == slot)?.why.clone()
    }

    pub fn status(&self) -> Status {
        let view = self.view();
        Status {
            name: view.name.clone(),
            stages: view.members.iter().map(Member::status).collect(),
            edges: view.edges.iter().map(|edge| edge.account()).collect(),
            pools: view.members.iter().flat_map(Member::pool_status).collect(),
        }
    }

    pub fn account(&self) -> Account {
        let view = self.view();
        let mut account = Account::default();
        let members = view.members.iter().chain(&view.past.0).map(Member::account);
        members.chain(view.gone.stages.iter().cloned()).for_each(|stage| account.add_stage(stage));
        let edges = view.edges.iter().chain(&view.past.1).map(|edge| edge.account());
        edges.chain(view.gone.edges.iter().cloned()).for_each(|edge| account.add_edge(edge));
        account
    }

    /// Every stage has ended: what still waits on an edge has nobody to go to.
    pub fn end(&self) -> Account {
        let view = self.view();
        view.edges.iter().chain(&view.past.1).for_each(|edge| edge.discard(Loss::Stopped));
        drop(view);
        let account = self.account();
        let _ = self.ended.0.try_send(account.clone());
        account
    }

    /// Puts the last account back for the next who asks.
    pub fn end_again(&self, account: Account) {
        let _ = self.ended.0.try_send(account);
    }

    /// The last account, once there is one.
    pub fn ended(&self) -> &Receiver<Account> {
        &self.ended.1
    }
}

impl Member {
    fn account(&self) -> StageAccount {
        self.slot.account(self.is_source, self.is_sink)
    }

    fn status(&self) -> StageStatus {
        let facts = self.slot.facts();
        StageStatus {
            name: self.slot.name.clone(),
            state: self.slot.state(),
            why: self.why.clone(),
            cores: facts.cores,
            fifo: facts.fifo,
            warning: facts.warning,
            process: self.slot.process.quantiles(),
            latency: self.slot.latency.quantiles(),
            account: self.account(),
        }
    }

    fn pool_status(&self) -> impl Iterator<Item = PoolStatus> {
        self.pools.iter().map(|(port, pool)| PoolStatus {
            port: port.clone(),
            buffers: pool.len(),
            buffer_bytes: pool.buffer_bytes(),
            in_use: pool.in_use(),
        })
    }
}
