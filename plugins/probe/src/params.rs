//! What the pipeline's file may set.
use edgemill_sdk::{choices, params};

choices! {
    /// What the probe is to the pipeline.
    pub enum Role {
        /// Emits packets.
        Source = "source",
        /// Emits what comes in, by reference.
        Pass = "pass",
        /// Swallows what comes in.
        Sink = "sink",
    }
}

choices! {
    /// What flows.
    pub enum Flows {
        /// Tensors of `bytes` elements of type u8.
        Tensor = "tensor",
        /// Events named `probe`.
        Event = "event",
        /// Pictures of any format.
        Image = "image",
        /// Series of f32 of any shape and rate.
        Series = "series",
    }
}

choices! {
    /// What a bad model leads to.
    pub enum BadModel {
        /// It is refused when the stage is activated.
        Refuse = "refuse",
        /// Every packet is answered with an error.
        Error = "error",
        /// The first packet makes it hang.
        Hang = "hang",
        /// The first packet ends the whole process.
        Crash = "crash",
    }
}

params! {
    /// What the pipeline's file may set. The n-th packet is the one with sequence n; for a source, the n-th turn.
    pub struct Params {
        /// What the probe is to the pipeline.
        role: Role,
        /// What flows.
        kind: Flows = "tensor",
        /// Size of a tensor.
        #[range(1, 1_073_741_824)]
        #[unit("bytes")]
        bytes: u32 = 64,
        /// Number of input ports, for joins.
        #[range(1, 8)]
        inputs: u32 = 1,
        /// Number of output ports; each gets every packet.
        #[range(1, 8)]
        outputs: u32 = 1,
        /// Source: packets until it ends; 0 for no end.
        count: u64 = 0,
        /// Source: time from one packet to the next; 0 for as fast as it can.
        #[unit("us")]
        pace_us: u64 = 0,
        /// Pass: packets kept back until later ones come, and emitted at the end.
        #[range(0, 64)]
        #[unit("packets")]
        hold: u32 = 0,
        /// Packet that is answered with an error.
        error_at: Option<u64>,
        /// Packet that makes it panic.
        panic_at: Option<u64>,
        /// Packet that makes it hang.
        hang_at: Option<u64>,
        /// How long it hangs.
        #[unit("ms")]
        hang_ms: u64 = 60_000,
        /// Packet that makes it slow.
        slow_at: Option<u64>,
        /// How slow it is.
        #[unit("us")]
        slow_us: u64 = 1000,
        /// The faults come again every so many packets after their first; 0 for once.
        #[unit("packets")]
        every: u64 = 0,
        /// Packets of a million, chosen by `seed`, that are answered with an error.
        #[range(0, 1_000_000)]
        #[unit("ppm")]
        error_ppm: u32 = 0,
        /// Packets of a million, chosen by `seed`, that make it panic.
        #[range(0, 1_000_000)]
        #[unit("ppm")]
        panic_ppm: u32 = 0,
        /// Packets of a million, chosen by `seed`, that make it slow.
        #[range(0, 1_000_000)]
        #[unit("ppm")]
        slow_ppm: u32 = 0,
        /// Chooses the packets that fail; the same seed chooses the same ones.
        seed: u64 = 1,
        /// Version of the stage's model that is a bad one.
        bad_version: Option<String>,
        /// What a bad model leads to.
        bad_model: BadModel = "error",
        /// File that a line of JSON with the instance's own counts is appended to when it is deactivated, and
        /// before it hangs. The last line of an instance is the one that counts.
        path: Option<String>,
    }
}
