//! Making and reading the payload union safely.
//!
//! A [`Payload`] is always initialised in full: in Rust its fields can only be set through the constructors here,
//! which start from zeros, and what comes from C is memory of the whole union. All members are plain numbers, for
//! which every pattern of bits is a value, so reading the wrong one gives wrong numbers and nothing worse.
use crate::raw::{Detections, Event, Format, Image, Packet, Payload, Series, Tensor};

impl Default for Payload {
    fn default() -> Self {
        // `Event` is the largest member and has no padding, so nothing stays uninitialised.
        const { assert!(size_of::<Event>() == size_of::<Self>()) };
        Self { event: Event::default() }
    }
}

macro_rules! members {
    ($($member:ident: $type:ty, $set:literal, $get:literal;)+) => {
        $(impl From<$type> for Payload {
            #[doc = $set]
            fn from($member: $type) -> Self {
                let mut payload = Self::default();
                payload.$member = $member;
                payload
            }
        })+

        impl Payload {
            $(#[doc = $get]
            #[must_use]
            pub fn $member(&self) -> &$type {
                // SAFETY: a payload is initialised in full and its members are plain numbers, see above.
                unsafe { &self.$member }
            })+
        }
    };
}

members! {
    image: Image, "Of a picture.", "Read as a picture's.";
    tensor: Tensor, "Of a tensor.", "Read as a tensor's.";
    detections: Detections, "Of detections.", "Read as detections'.";
    series: Series, "Of a series.", "Read as a series'.";
    event: Event, "Of an event.", "Read as an event's.";
}

impl core::fmt::Debug for Payload {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Payload")
    }
}

impl core::fmt::Debug for Format {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match crate::Format::new(self) {
            Ok(format) => format.fmt(f),
            Err(error) => write!(f, "invalid format: {error}"),
        }
    }
}

impl core::fmt::Debug for Packet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Packet")
            .field("stream", &self.stream)
            .field("sequence", &self.sequence)
            .field("kind", &self.kind)
            .field("buffer", &self.buffer)
            .finish_non_exhaustive()
    }
}
