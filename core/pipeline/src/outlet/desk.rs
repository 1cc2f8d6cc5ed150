//! What an instance has at one moment: its ports, the inputs of the present call, and the references it keeps. Handles come
//! in, references stay here.
use std::sync::atomic::Ordering;

use edgemill_abi::{Format, Status, raw};
use edgemill_linux::clock::monotonic_ns;

use super::{OutPort, Outlet};
use crate::format::fits;
use crate::packet::{Origin, Packet};
use crate::pool::{BufferMut, BufferRef};
use crate::slot::Slot;

#[derive(Debug, Default)]
pub(super) struct Desk {
    ports: Vec<Port>,
    held: Vec<Held>,
    current: Vec<Option<Current>>,
    kept: Vec<Kept>,
    origin: Option<Origin>,
    refused: bool,
}

#[derive(Debug)]
struct Port {
    out: OutPort,
    acquired: u32,
    emitted: u32,
}

#[derive(Debug)]
struct Held {
    limit: u32,
    now: u32,
}

#[derive(Debug)]
struct Current {
    origin: Origin,
    buffer: Option<BufferRef>,
}

/// A reference that the instance has and the desk keeps.
#[derive(Debug)]
enum Kept {
    Acquired { handle: u64, buffer: BufferMut, port: u32 },
    Retained { handle: u64, buffer: BufferRef, port: usize, origin: Origin },
}

impl Kept {
    fn handle(&self) -> u64 {
        match self {
            Self::Acquired { handle, .. } | Self::Retained { handle, .. } => *handle,
        }
    }
}

impl Desk {
    pub fn new(held: &[u32], ports: Vec<OutPort>) -> Self {
        let mut desk = Self {
            held: held.iter().map(|limit| Held { limit: *limit, now: 0 }).collect(),
            current: held.iter().map(|_| None).collect(),
            ..Self::default()
        };
        desk.set_ports(ports);
        desk
    }

    pub fn set_ports(&mut self, ports: Vec<OutPort>) {
        let bursts = ports.iter().map(|port| port.burst as usize).sum::<usize>();
        let held = self.held.iter().map(|held| held.limit as usize).sum::<usize>();
        // So that nothing is allocated later.
        self.kept.reserve(bursts + held);
        self.ports = ports.into_iter().map(|out| Port { out, acquired: 0, emitted: 0 }).collect();
    }

    /// Makes ready for a call with these inputs, and says how many there are.
    pub fn open(&mut self, inputs: &[Option<Packet>]) -> u32 {
        self.refused = false;
        self.origin = None;
        for port in &mut self.ports {
            (port.acquired, port.emitted) = (0, 0);
        }
        let mut count = 0;
        for (current, packet) in self.current.iter_mut().zip(inputs) {
            let Some(packet) = packet else { continue };
            let origin = packet.origin();
            count += 1;
            self.origin.get_or_insert(origin);
            *current = Some(Current { origin, buffer: packet.buffer().cloned() });
        }
        count
    }

    /// The call is over. Whether a buffer was asked for and not had.
    pub fn close(&mut self) -> bool {
        self.current.iter_mut().for_each(|current| *current = None);
        self.refused
    }

    /// Drops every reference that the instance still has.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.held.iter_mut().for_each(|held| held.now = 0);
    }

    fn port(&mut self, port: u32) -> Result<&mut Port, Status> {
        self.ports.get_mut(port as usize).ok_or(Status::BadArgument)
    }

    pub fn emit_raw(
        &mut self,
        outlet: &Outlet,
        port: u32,
        packet: &raw::Packet,
        from: Option<&raw::Packet>,
    ) -> Result<(), Status> {
        let from = from.map(|packet| self.origin_of(packet));
        let buffer = self.reference(packet.buffer.handle)?;
        self.check(port, packet.kind, &packet.payload, buffer.as_ref())?;
        let origin = match from {
            Some(origin) => origin.ok_or(Status::BadArgument)?,
            None => match self.origin {
                Some(origin) => origin,
                None => self.stamp(outlet, port, monotonic_ns())?,
            },
        };
        self.put(outlet, port, origin, packet.kind, packet.payload, buffer)
    }

    pub fn emit_sample(
        &mut self,
        outlet: &Outlet,
        port: u32,
        payload: raw::Payload,
        buffer: Option<BufferMut>,
        capture_ns: u64,
    ) -> Result<(), Status> {
        let kind = self.port(port)?.out.format.kind().raw();
        let buffer = buffer.map(BufferMut::freeze);
        self.check(port, kind, &payload, buffer.as_ref())?;
        let origin = self.stamp(outlet, port, capture_ns)?;
        self.put(outlet, port, origin, kind, payload, buffer)
    }

    /// Hands an input on unchanged, out of the first port.
    pub fn hand_on(&mut self, outlet: &Outlet, packet: &Packet) {
        let (raw, buffer) = (packet.raw(), packet.buffer().cloned());
        // Only a stage that has the port, of the packet's format, is ever bypassed.
        let _ = self.put(outlet, 0, packet.origin(), raw.kind, raw.payload, buffer);
    }

    /// Origin of a packet that the instance may name. An event has no buffer to know it by, and stands for itself.
    fn origin_of(&self, packet: &raw::Packet) -> Option<Origin> {
        let wanted = packet.buffer.handle;
        if wanted == 0 {
            let raw::Packet { stream, sequence, capture_ns, deadline_ns, .. } = *packet;
            return Some(Origin { stream, sequence, capture_ns, deadline_ns });
        }
        let retained = self.kept.iter().find_map(|kept| match kept {
            Kept::Retained { handle, origin, .. } if *handle == wanted => Some(*origin),
            _ => None,
        });
        retained.or_else(|| self.current(wanted).map(|(_, origin, _)| origin))
    }

    fn current(&self, wanted: u64) -> Option<(usize, Origin, &BufferRef)> {
        self.current.iter().enumerate().find_map(|(port, current)| {
            let Current { origin, buffer: Some(buffer) } = current.as_ref()? else { return None };
            (buffer.handle() == wanted).then_some((port, *origin, buffer))
        })
    }

    /// The reference that an emit takes over: an acquired buffer, a further one to an input's, or a retained one.
    fn reference(&mut self, handle: u64) -> Result<Option<BufferRef>, Status> {
        if handle == 0 {
            return Ok(None);
        }
        if let Some((_, _, buffer)) = self.current(handle) {
            return Ok(Some(buffer.clone()));
        }
        match self.take_kept(handle) {
            Some(Kept::Acquired { buffer, .. }) => Ok(Some(buffer.freeze())),
            Some(Kept::Retained { buffer, .. }) => Ok(Some(buffer)),
            None => Err(Status::BadArgument),
        }
    }

    /// Drops a reference that the instance has.
    pub fn release(&mut self, handle: u64) -> Result<(), Status> {
        self.take_kept(handle).map(drop).ok_or(Status::BadArgument)
    }

    fn take_kept(&mut self, handle: u64) -> Option<Kept> {
        let index = self.kept.iter().position(|kept| kept.handle() == handle)?;
        let kept = self.kept.swap_remove(index);
        if let Kept::Retained { port, .. } = kept {
            self.held[port].now -= 1;
        }
        Some(kept)
    }

    pub fn acquire(&mut self, slot: &Slot, port: u32, size: u64) -> Result<BufferMut, Status> {
        let unused = |kept: &&Kept| matches!(kept, Kept::Acquired { port: of, .. } if *of == port);
        let unused = self.kept.iter().filter(unused).count();
        let port = self.port(port)?;
        let Some(pool) = &port.out.pool else { return Err(Status::BadArgument) };
        if size > pool.buffer_bytes() as u64
            || port.acquired.max(u32::try_from(unused).unwrap_or(u32::MAX)) >= port.out.burst
        {
            return Err(Status::BadArgument);
        }
        let Some(buffer) = pool.acquire() else {
            self.refused = true;
            slot.counters.refusals.add(1);
            return Err(Status::NoBuffer);
        };
        port.acquired += 1;
        Ok(buffer)
    }

    pub fn keep(&mut self, port: u32, buffer: BufferMut) -> raw::Buffer {
        let raw = buffer.raw();
        self.kept.push(Kept::Acquired { handle: raw.handle, buffer, port });
        raw
    }

    pub fn retain(&mut self, handle: u64) -> Result<(), Status> {
        let retained = self.kept.iter().find_map(|kept| match kept {
            Kept::Retained { handle: known, buffer, port, origin } if *known == handle => {
                Some((*port, *origin, buffer.clone()))
            }
            _ => None,
        });
        let seen =
            || self.current(handle).map(|(port, origin, buffer)| (port, origin, buffer.clone()));
        let (port, origin, buffer) = retained.or_else(seen).ok_or(Status::BadArgument)?;
        let held = &mut self.held[port];
        if held.now >= held.limit {
            return Err(Status::BadArgument);
        }
        held.now += 1;
        self.kept.push(Kept::Retained { handle, buffer, port, origin });
        Ok(())
    }

    fn check(
        &mut self,
        port: u32,
        kind: u32,
        payload: &raw::Payload,
        buffer: Option<&BufferRef>,
    ) -> Result<(), Status> {
        let port = self.port(port)?;
        let format = &port.out.format;
        let needed = match format {
            Format::Detections(_) => {
                u64::from(payload.detections().count) * size_of::<raw::Detection>() as u64
            }
            _ => format.buffer_bytes(),
        };
        let room = buffer.map_or(0, |buffer| buffer.bytes().len() as u64);
        let event = *format == Format::Event;
        let good = port.emitted < port.out.burst
            && fits(format, kind, payload)
            && needed <= room
            && event == buffer.is_none();
        if good { Ok(()) } else { Err(Status::BadArgument) }
    }

    pub fn skip(&mut self, outlet: &Outlet, port: u32, samples: u64) -> Result<(), Status> {
        self.port(port)?.out.sequence.fetch_add(samples, Ordering::Relaxed);
        outlet.slot.counters.skipped.add(samples);
        Ok(())
    }

    /// The origin of what begins at this port.
    fn stamp(&mut self, outlet: &Outlet, port: u32, capture_ns: u64) -> Result<Origin, Status> {
        let sequence = self.port(port)?.out.sequence.fetch_add(1, Ordering::Relaxed);
        let deadline_ns = match outlet.slot.deadline_ns.load(Ordering::Relaxed) {
            0 => 0,
            after => capture_ns.saturating_add(after),
        };
        Ok(Origin { stream: outlet.slot.id, sequence, capture_ns, deadline_ns })
    }

    /// Sends one checked packet along every edge of a port.
    fn put(
        &mut self,
        outlet: &Outlet,
        port: u32,
        origin: Origin,
        kind: u32,
        payload: raw::Payload,
        buffer: Option<BufferRef>,
    ) -> Result<(), Status> {
        let port = self.port(port)?;
        port.emitted += 1;
        outlet.emitted.fetch_add(1, Ordering::Relaxed);
        outlet.slot.counters.emitted.add(1);
        let packet = Packet::new(origin, port.out.generation, kind, payload, buffer);
        if let Some((last, others)) = port.out.edges.split_last() {
            let mut waited = 0;
            let give_up = || outlet.slot.is_dropping();
            for edge in others {
                waited += edge.send(packet.clone(), give_up);
            }
            waited += last.send(packet, give_up);
            if waited > 0 {
                outlet.waited_ns.fetch_add(waited, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}
