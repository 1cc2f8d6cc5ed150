//! Trains one network for each seed of a recipe, several at a time, and keeps the best on the validation pictures.
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use candle_core::{D, Device, Tensor, Var};

use crate::adamw::AdamW;
use crate::batch::{Batches, picture_tensor, targets};
use crate::checkpoint::Checkpoint;
use crate::dataset::{Dataset, Sample};
use crate::error::{LearnError, at};
use crate::network::Network;
use crate::prng::Prng;
use crate::recipe::Recipe;
use crate::trained::{Outcome, Score, Trained};

/// One step of one network was done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Of the network.
    pub seed: u64,
    /// Steps done.
    pub step: u32,
    /// Steps in all.
    pub steps: u32,
    /// Of the step's pictures.
    pub loss: f32,
}

/// Steps from one checkpoint to the next: a second or two of work.
const CHECKPOINT_STEPS: u32 = 100;

/// Trains what `recipe` says on `dataset`. `folder`, made where it is not there, keeps a checkpoint for each seed: a
/// training that was cut short goes on from it, to the same weights. `progress` is called on this thread after every
/// step; where it breaks, the state is saved and [`LearnError::Stopped`] comes back.
///
/// # Errors
/// The disk, a loss that is no number, or a stop.
pub fn train(
    recipe: &Recipe,
    dataset: &Dataset,
    folder: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Trained, LearnError> {
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let workers = recipe.train.seeds.len().min(cores);
    let queue = Queue { next: AtomicUsize::new(0), stop: AtomicBool::new(false) };
    let mut outcomes = vec![None; recipe.train.seeds.len()];
    let mut failure = None;
    thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..workers {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                while let Some((index, seed)) = queue.take(&recipe.train.seeds) {
                    let job = Job { recipe, dataset, seed, queue, sender: &sender };
                    let outcome = within_threads(cores / workers, || job.run(folder));
                    // The receiver goes only after all senders have.
                    let _ = sender.send(Message::Done(index, outcome));
                }
            });
        }
        drop(sender);
        for message in receiver {
            match message {
                Message::Step(step) if progress(step).is_break() => queue.stop(),
                Message::Step(_) => {}
                Message::Done(index, Ok(outcome)) => outcomes[index] = Some(outcome),
                Message::Done(_, Err(error)) => {
                    queue.stop();
                    // The others then stop too: what made them is the thing to tell.
                    if matches!(failure, None | Some(LearnError::Stopped)) {
                        failure = Some(error);
                    }
                }
            }
        }
    });
    match outcomes.into_iter().collect::<Option<Vec<Outcome>>>() {
        Some(outcomes) => Ok(Trained::new(recipe.clone(), outcomes)),
        None => Err(failure.unwrap_or(LearnError::Stopped)),
    }
}

enum Message {
    Step(Progress),
    Done(usize, Result<Outcome, LearnError>),
}

/// Seeds that wait for a worker.
struct Queue {
    next: AtomicUsize,
    stop: AtomicBool,
}

impl Queue {
    fn take(&self, seeds: &[u64]) -> Option<(usize, u64)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        seeds.get(index).filter(|_| !self.stopped()).map(|&seed| (index, seed))
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// candle shares a product among the threads of the pool it is called in; a pool for each seed keeps them apart.
fn within_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

/// The training of one seed.
struct Job<'a> {
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    seed: u64,
    queue: &'a Queue,
    sender: &'a Sender<Message>,
}

impl Job<'_> {
    fn run(&self, folder: &Path) -> Result<Outcome, LearnError> {
        let checkpoint = Checkpoint::new(folder, self.recipe, self.dataset, self.seed);
        // Steps have the streams 0, 1, …: the first weights need another.
        let mut network = Network::new(self.recipe, &mut Prng::new(self.seed, u64::MAX));
        let mut optimiser = AdamW::new(&network.parameters);
        let begun = checkpoint.load(&mut network, &mut optimiser)?;
        let batches = Batches::new(self.recipe, self.dataset.train());
        for step in begun..self.recipe.train.steps {
            self.step(step, &batches, &mut network, &mut optimiser)?;
            let (done, stopped) = (step + 1, self.queue.stopped());
            if stopped || done.is_multiple_of(CHECKPOINT_STEPS) || done == self.recipe.train.steps {
                checkpoint.save(done, &network, &optimiser)?;
            }
            if stopped {
                return Err(LearnError::Stopped);
            }
        }
        let validation = score(&network, self.dataset.validation(), self.recipe)?;
        let graph = network.graph(self.recipe).map_err(LearnError::graph)?;
        Ok(Outcome { seed: self.seed, validation, graph: graph.to_bytes() })
    }

    fn step(
        &self,
        step: u32,
        batches: &Batches<'_>,
        network: &mut Network,
        optimiser: &mut AdamW,
    ) -> Result<(), LearnError> {
        let (pictures, targets) = batches.draw(&mut Prng::new(self.seed, step.into()))?;
        let variables = variables(network)?;
        let tensors: Vec<Tensor> = variables.iter().map(|v| v.as_tensor().clone()).collect();
        let loss = cross_entropy(&network.forward(&tensors, &pictures)?, &targets)?;
        let gradients = loss.backward()?;
        let loss = loss.to_scalar::<f32>()?;
        if !loss.is_finite() {
            return Err(LearnError::Diverged { seed: self.seed, step });
        }
        let gradients = variables.iter().map(|variable| match gradients.get(variable) {
            Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>(),
            None => Ok(vec![0.0; variable.elem_count()]),
        });
        let gradients = gradients.collect::<candle_core::Result<Vec<_>>>()?;
        optimiser.update(&self.recipe.train, step, &mut network.parameters, &gradients);
        let steps = self.recipe.train.steps;
        let progress = Progress { seed: self.seed, step: step + 1, steps, loss };
        // The receiver goes only after all senders have.
        let _ = self.sender.send(Message::Step(progress));
        Ok(())
    }
}

fn variables(network: &Network) -> candle_core::Result<Vec<Var>> {
    let variable = |p: &crate::network::Parameter| {
        Var::from_slice(&p.values, p.shape.as_slice(), &Device::Cpu)
    };
    network.parameters.iter().map(variable).collect()
}

/// The mean over the pictures of −Σ target × log softmax.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> candle_core::Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let log_softmax = shifted.broadcast_sub(&log_sum)?;
    (targets * log_softmax)?.sum(D::Minus1)?.mean_all()?.neg()
}

/// How the network does on samples as they are.
fn score(network: &Network, samples: &[Sample], recipe: &Recipe) -> Result<Score, LearnError> {
    let elements = samples.iter().flat_map(|sample| sample.input.iter().copied()).collect();
    let pictures = picture_tensor(elements, samples.len(), recipe)?;
    let parameters: Vec<Tensor> =
        variables(network)?.iter().map(|variable| variable.as_detached_tensor()).collect();
    let logits = network.forward(&parameters, &pictures)?;
    let classes: Vec<usize> = samples.iter().map(|sample| sample.class).collect();
    let targets = targets(&classes, recipe.labels.len(), 0.0)?;
    let loss = cross_entropy(&logits, &targets)?.to_scalar::<f32>()?;
    let answers = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
    let right = answers.iter().zip(&classes).filter(|&(&a, &c)| a as usize == c).count();
    Ok(Score { right, total: samples.len(), loss })
}
