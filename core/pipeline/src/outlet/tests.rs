use edgemill_abi::{Name, format};

use super::*;
use crate::bell::Bell;
use crate::packet::Origin;
use crate::spec::Overflow;

struct Bench {
    slot: Arc<Slot>,
    edge: Arc<Edge>,
    pool: Arc<Pool>,
    outlet: Outlet,
}

fn bytes(count: u32) -> Format {
    let shape = [count, 0, 0, 0, 0, 0];
    let raw = raw::Tensor { dtype: raw::DTYPE_U8, rank: 1, shape, ..raw::Tensor::default() };
    Format::Tensor(format::Tensor::new(raw).unwrap())
}

/// A stage with one input of which it may hold one, and two outputs: tensors of 8 bytes, two a call, from three buffers; and
/// events.
fn bench() -> Bench {
    let slot = Arc::new(Slot::new("stage".into()));
    let (producer, consumer) = (Arc::clone(&slot.bell), Arc::new(Bell::default()));
    let names = ("stage.out".into(), "next.in".into());
    let edge = Arc::new(Edge::new(names, Overflow::DropNewest, 8, producer, consumer));
    let pool = Pool::new("test", 8, 3).unwrap();
    let port = |format, burst, pool| OutPort {
        format,
        generation: 7,
        burst,
        pool,
        edges: vec![Arc::clone(&edge)],
        sequence: Arc::default(),
    };
    let ports = vec![port(bytes(8), 2, Some(Arc::clone(&pool))), port(Format::Event, 1, None)];
    let outlet = Outlet::new(Arc::clone(&slot), &[1], ports);
    Bench { slot, edge, pool, outlet }
}

/// An input from elsewhere, in another pool.
fn input(sequence: u64) -> Packet {
    let origin = Origin { stream: 99, sequence, capture_ns: 1000, deadline_ns: 2000 };
    let buffer = Pool::new("upstream", 8, 1).unwrap().acquire().unwrap().freeze();
    Packet::new(origin, 0, raw::KIND_TENSOR, bytes(8).payload(), Some(buffer))
}

fn packet(payload: raw::Payload, kind: u32, buffer: raw::Buffer) -> raw::Packet {
    let mut packet = *input(0).raw();
    (packet.payload, packet.kind, packet.buffer) = (payload, kind, buffer);
    packet
}

fn tensor(buffer: raw::Buffer) -> raw::Packet {
    packet(bytes(8).payload(), raw::KIND_TENSOR, buffer)
}

fn event() -> raw::Packet {
    let red = format::Event::named(Name::fitted("red")).raw();
    packet(red.into(), raw::KIND_EVENT, NONE)
}

const NONE: raw::Buffer = raw::Buffer { handle: 0, data: std::ptr::null_mut(), size: 0 };

#[test]
fn what_is_emitted_inherits_from_the_input_and_what_a_turn_emits_is_stamped() {
    let Bench { slot, edge, outlet, .. } = bench();
    outlet.begin(&[Some(input(5))], monotonic_ns());
    let buffer = outlet.acquire(0, 8).unwrap();
    outlet.emit(0, &tensor(buffer)).unwrap();
    let call = outlet.finish(monotonic_ns()).unwrap();
    assert_eq!((call.inputs, call.emitted, call.refused), (1, true, false));
    let sent = edge.take().unwrap();
    let expected = Origin { stream: 99, sequence: 5, capture_ns: 1000, deadline_ns: 2000 };
    assert_eq!((sent.origin(), sent.raw().generation), (expected, 7));

    slot.deadline_ns.store(50, Ordering::Relaxed);
    for (skipped, sequence) in [(0, 0), (3, 4), (0, 5)] {
        outlet.begin(&[None], monotonic_ns());
        let buffer = outlet.acquire_mut(0).unwrap();
        outlet.skip(0, skipped).unwrap();
        outlet.emit_sample(0, bytes(8).payload(), Some(buffer), 400).unwrap();
        outlet.finish(monotonic_ns()).unwrap();
        let stream = slot.id;
        let expected = Origin { stream, sequence, capture_ns: 400, deadline_ns: 450 };
        assert_eq!(edge.take().unwrap().origin(), expected);
    }
    assert_eq!(slot.counters.skipped.get(), 3);
}

#[test]
fn an_input_is_emitted_unchanged_and_a_retained_one_lends_its_origin() {
    let Bench { edge, outlet, .. } = bench();
    let first = input(1);
    let handle = first.raw().buffer.handle;
    outlet.begin(&[Some(first.clone())], 0);
    outlet.emit(0, first.raw()).unwrap();
    outlet.retain(handle).unwrap();
    outlet.finish(0).unwrap();
    assert_eq!(edge.take().unwrap().raw().buffer.handle, handle);

    outlet.begin(&[Some(input(2))], 0);
    outlet.emit_from(1, &event(), first.raw()).unwrap();
    assert_eq!(outlet.emit_from(1, &event(), input(3).raw()), Err(Status::BadArgument));
    // The retained reference goes with the packet.
    outlet.emit(0, first.raw()).unwrap();
    assert_eq!(outlet.release(handle), Err(Status::BadArgument));
    outlet.finish(0).unwrap();
    let origins: Vec<_> = std::iter::from_fn(|| edge.take()).map(|p| p.origin().sequence).collect();
    assert_eq!(origins, [1, 2]);
}

type Misuse = fn(&Bench, &Packet) -> Result<(), Status>;

#[test]
fn misuse_is_refused_and_leaks_nothing() {
    let acquired = |bench: &Bench| bench.outlet.acquire(0, 1).unwrap();
    let cases: &[(&str, Misuse)] = &[
        ("no such port", |b, i| b.outlet.emit(2, i.raw())),
        ("no such port for a buffer", |b, _| b.outlet.acquire(2, 1).map(drop)),
        ("a tensor out of a port of events", |b, i| b.outlet.emit(1, i.raw())),
        ("another shape", |b, i| {
            b.outlet.emit(0, &packet(bytes(4).payload(), raw::KIND_TENSOR, i.raw().buffer))
        }),
        ("no buffer", |b, _| b.outlet.emit(0, &tensor(NONE))),
        ("a buffer for an event", |b, i| {
            b.outlet.emit(1, &raw::Packet { buffer: i.raw().buffer, ..event() })
        }),
        ("an event without a name", |b, _| {
            b.outlet.emit(1, &packet(raw::Payload::default(), raw::KIND_EVENT, NONE))
        }),
        ("somebody else's buffer", |b, _| b.outlet.emit(0, input(9).raw())),
        ("a handle out of nothing", |b, _| {
            b.outlet.emit(0, &tensor(raw::Buffer { handle: 1, ..NONE }))
        }),
        ("a buffer that is too large", |b, _| b.outlet.acquire(0, 9).map(drop)),
        ("a buffer of a port of events", |b, _| b.outlet.acquire(1, 1).map(drop)),
        ("giving back what it has not", |b, i| b.outlet.release(i.raw().buffer.handle)),
        ("keeping what it cannot see", |b, _| b.outlet.retain(12345)),
        ("keeping more than it said", |b, i| {
            b.outlet.retain(i.raw().buffer.handle).unwrap();
            b.outlet.retain(i.raw().buffer.handle)
        }),
    ];
    for (case, misuse) in cases {
        let bench = bench();
        let input = input(0);
        bench.outlet.begin(&[Some(input.clone())], 0);
        let kept = acquired(&bench);
        assert_eq!(misuse(&bench, &input), Err(Status::BadArgument), "{case}");
        assert!(bench.edge.is_empty(), "{case}");
        assert_eq!(bench.outlet.release(kept.handle), Ok(()), "{case}");
        bench.outlet.finish(0).unwrap();
        bench.outlet.clear();
        assert_eq!(bench.pool.in_use(), 0, "{case}");
    }
}

#[test]
fn bursts_are_kept_to_within_a_call_and_beyond() {
    let Bench { slot, pool, outlet, .. } = bench();
    outlet.begin(&[None], 0);
    let kept = [outlet.acquire(0, 8).unwrap(), outlet.acquire(0, 8).unwrap()];
    assert_eq!(outlet.acquire(0, 8).map(drop), Err(Status::BadArgument));
    outlet.finish(0).unwrap();
    outlet.begin(&[None], 0);
    assert_eq!(outlet.acquire(0, 8).map(drop), Err(Status::BadArgument));
    for buffer in kept {
        outlet.emit(0, &tensor(buffer)).unwrap();
    }
    outlet.emit(1, &event()).unwrap();
    assert_eq!(outlet.emit(1, &event()), Err(Status::BadArgument));
    outlet.acquire_mut(0).unwrap();
    let all: Vec<_> = std::iter::from_fn(|| pool.acquire()).collect();
    assert_eq!(outlet.acquire(0, 8).map(drop), Err(Status::NoBuffer));
    assert!(outlet.finish(0).unwrap().refused);
    assert_eq!((slot.counters.refusals.get(), all.len()), (1, 1));
}

#[test]
fn nothing_works_outside_of_a_call_or_after_being_abandoned() {
    let Bench { outlet, .. } = bench();
    assert_eq!(outlet.emit(1, &event()), Err(Status::BadArgument));
    assert_eq!(outlet.acquire(0, 1).map(drop), Err(Status::BadArgument));
    assert_eq!(outlet.abandon(0), None);
    outlet.begin(&[Some(input(0))], 1_000);
    assert_eq!(outlet.inside_ns(5_000), Some(4_000));
    assert_eq!(outlet.abandon(5_000).unwrap().inputs, 1);
    assert_eq!(outlet.emit(1, &event()), Err(Status::Stopping));
    assert_eq!(outlet.sleep_until(0), Err(Status::Stopping));
    assert_eq!(outlet.finish(6_000), None);
    assert!(outlet.is_stopping());
}

#[test]
fn time_spent_waiting_is_not_the_stage_s_own() {
    let Bench { outlet, .. } = bench();
    let start = monotonic_ns();
    outlet.begin(&[None], start);
    outlet.waiting(|| std::thread::sleep(std::time::Duration::from_millis(5))).unwrap();
    outlet.sleep_until(monotonic_ns() + 5_000_000).unwrap();
    let now = monotonic_ns();
    let call = outlet.finish(now).unwrap();
    assert!(call.waited_ns >= 10_000_000);
    assert_eq!(call.inside_ns, now - start - call.waited_ns);
}
