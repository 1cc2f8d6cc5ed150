//! The end: a stage that hands over what was found.
use std::sync::Arc;
use std::sync::mpsc::Sender;

use edgemill_abi::raw::{self, FormatRange};
use edgemill_abi::{Format, Kind, MAX_DETECTIONS, MAX_SIDE, PacketView, Reason};
use edgemill_pipeline::outlet::Outlet;
use edgemill_pipeline::packet::Packet;
use edgemill_pipeline::stage::{Flow, Port, Ports, Stage, StageError};

/// One box that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// Left, top, right and bottom edge, in pixels of the frame.
    pub edges: [f32; 4],
    /// 0 to 1.
    pub score: f32,
    /// Index of the class.
    pub class: u32,
}

/// A stage that takes detections in frames of any size and sends those of each frame over a channel, in their order.
#[must_use]
pub fn findings(out: Sender<Vec<Finding>>) -> Box<dyn Stage> {
    let end = |count, side| raw::Format {
        kind: Kind::Detections.raw(),
        reserved: 0,
        payload: raw::Detections { count, frame_width: side, frame_height: side, reserved: 0 }
            .into(),
    };
    let any = FormatRange { least: end(0, 1), most: end(MAX_DETECTIONS, MAX_SIDE) };
    let input = Port { name: "in".to_owned(), ranges: vec![any], held: 0, burst: 0 };
    Box::new(Findings { ports: Ports { inputs: vec![input], ..Ports::default() }, out })
}

struct Findings {
    ports: Ports,
    out: Sender<Vec<Finding>>,
}

impl Stage for Findings {
    fn ports(&self) -> &Ports {
        &self.ports
    }

    fn activate(
        &mut self,
        _inputs: &[Format],
        _outputs: &[Format],
        _outlet: Arc<Outlet>,
    ) -> Result<(), StageError> {
        Ok(())
    }

    fn process(&mut self, _: Reason, inputs: &[Option<&Packet>]) -> Result<Flow, StageError> {
        let Some(packet) = inputs.first().copied().flatten() else { return Ok(Flow::Continue) };
        let view = packet.view().map_err(|error| StageError(error.to_string()))?;
        let PacketView::Detections(found) = view else {
            return Err(StageError("what came in is not detections".into()));
        };
        let finding = |found: &raw::Detection| Finding {
            edges: [found.x0, found.y0, found.x1, found.y1],
            score: found.score,
            class: found.class_id,
        };
        // Whoever looked may have gone.
        let _ = self.out.send(found.boxes().iter().map(finding).collect());
        Ok(Flow::Continue)
    }

    fn deactivate(&mut self) {}
}
