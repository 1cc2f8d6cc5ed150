//! The boundary's numbers as enums. A number from outside becomes one by `from_raw`, which refuses the unknown.
use crate::raw;

/// Defines an enum over constants of [`raw`], with the two conversions and the word for people.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident: $repr:ty {
        $($(#[$doc:meta])* $variant:ident = $raw:ident, $word:literal;)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr($repr)]
        pub enum $name {
            $($(#[$doc])* $variant = raw::$raw,)+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code for a number of the boundary; `None` for a number that has no meaning.
            #[must_use]
            pub const fn from_raw(raw: $repr) -> Option<Self> {
                match raw {
                    $(raw::$raw => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The number that crosses the boundary.
            #[must_use]
            pub const fn raw(self) -> $repr {
                self as $repr
            }

            /// One word for messages.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

codes! {
    /// Why a stage is called. `plugin.h`, `EDGEMILL_REASON_…`.
    Reason: u32 {
        /// At least one input is there.
        Input = REASON_INPUT, "input";
        /// A source may emit now.
        Turn = REASON_TURN, "turn";
        /// The stage's timer has gone by.
        Timer = REASON_TIMER, "timer";
        /// Every input has ended; called once.
        Flush = REASON_FLUSH, "flush";
    }
}

codes! {
    /// Kind of payload. `format.h`, `EDGEMILL_KIND_…`.
    Kind: u32 {
        /// A picture.
        Image = KIND_IMAGE, "image";
        /// A dense array.
        Tensor = KIND_TENSOR, "tensor";
        /// Boxes found in a picture.
        Detections = KIND_DETECTIONS, "detections";
        /// Samples of sensors.
        Series = KIND_SERIES, "series";
        /// A named decision.
        Event = KIND_EVENT, "event";
    }
}

codes! {
    /// Type of one element. `format.h`, `EDGEMILL_DTYPE_…`.
    DType: u32 {
        /// 0..=255
        U8 = DTYPE_U8, "u8";
        /// -128..=127
        I8 = DTYPE_I8, "i8";
        /// 32-bit signed.
        I32 = DTYPE_I32, "i32";
        /// IEEE 754 single precision.
        F32 = DTYPE_F32, "f32";
    }
}

impl DType {
    /// Bytes of one element.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I32 | Self::F32 => 4,
        }
    }

    /// Whether `zero_point` is a value that an element can have.
    #[must_use]
    pub const fn holds(self, zero_point: i32) -> bool {
        match self {
            Self::U8 => zero_point >= 0 && zero_point <= u8::MAX as i32,
            Self::I8 => zero_point >= i8::MIN as i32 && zero_point <= i8::MAX as i32,
            Self::I32 => true,
            Self::F32 => false,
        }
    }
}

codes! {
    /// What a call answers. `status.h`.
    Status: i32 {
        /// The call did what it says.
        Ok = OK, "ok";
        /// The source has ended.
        End = END, "end";
        /// An argument is out of its range.
        BadArgument = ERR_BAD_ARGUMENT, "bad argument";
        /// The stage is stopping.
        Stopping = ERR_STOPPING, "stopping";
        /// The port's pool has no free buffer now.
        NoBuffer = ERR_NO_BUFFER, "no buffer";
        /// Not offered by this side.
        Unsupported = ERR_UNSUPPORTED, "unsupported";
        /// Memory could not be had.
        NoMemory = ERR_NO_MEMORY, "no memory";
        /// Not granted to this stage.
        Denied = ERR_DENIED, "denied";
        /// The outside world failed.
        Io = ERR_IO, "input/output error";
        /// A defect of the side that answers, caught.
        Fault = ERR_FAULT, "fault";
    }
}

impl Status {
    /// The status in an answer. A number that has no meaning is a fault of the side that answered it.
    #[must_use]
    pub const fn from_answer(raw: raw::Status) -> Self {
        match Self::from_raw(raw) {
            Some(status) => status,
            None => Self::Fault,
        }
    }

    /// Whether the call did not do what it says.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.raw() < raw::OK
    }
}

codes! {
    /// Type of a parameter. `plugin.h`, `EDGEMILL_PARAM_…`.
    ParamKind: u32 {
        /// `true` or `false`.
        Bool = PARAM_BOOL, "boolean";
        /// 64-bit signed.
        Int = PARAM_INT, "integer";
        /// IEEE 754 double precision.
        Float = PARAM_FLOAT, "float";
        /// UTF-8.
        String = PARAM_STRING, "string";
    }
}

codes! {
    /// How much a log line matters. `host.h`, `EDGEMILL_LOG_…`.
    LogLevel: u32 {
        /// Something was lost or does not work.
        Error = LOG_ERROR, "error";
        /// It works, but someone should look.
        Warn = LOG_WARN, "warn";
        /// A change of state worth a line.
        Info = LOG_INFO, "info";
        /// For whoever hunts a defect.
        Debug = LOG_DEBUG, "debug";
    }
}

codes! {
    /// Order of the axes of a picture tensor. `contract.h`, `EDGEMILL_LAYOUT_…`.
    Layout: u32 {
        /// Batch, height, width, channel.
        Nhwc = LAYOUT_NHWC, "nhwc";
        /// Batch, channel, height, width.
        Nchw = LAYOUT_NCHW, "nchw";
    }
}

codes! {
    /// Order of the channels of a picture tensor. `contract.h`, `EDGEMILL_COLOUR_…`.
    Colour: u32 {
        /// Red, green, blue.
        Rgb = COLOUR_RGB, "rgb";
        /// Blue, green, red.
        Bgr = COLOUR_BGR, "bgr";
        /// One channel of luma.
        Grey = COLOUR_GREY, "grey";
    }
}

codes! {
    /// How the region of a frame becomes the model's picture. `contract.h`, `EDGEMILL_FIT_…`.
    Fit: u32 {
        /// Both axes scaled on their own.
        Stretch = FIT_STRETCH, "stretch";
        /// Aspect kept, centred, the rest filled.
        Letterbox = FIT_LETTERBOX, "letterbox";
        /// Aspect kept, centred, what sticks out cut off.
        Crop = FIT_CROP, "crop";
        /// Aspect kept, in the upper left corner, the rest filled.
        Corner = FIT_CORNER, "corner";
    }
}

codes! {
    /// How pixels are weighed where a picture changes its size. `contract.h`, `EDGEMILL_FILTER_…`.
    Filter: u32 {
        /// Exact averages of the area where it shrinks, bilinear where it grows.
        Area = FILTER_AREA, "area";
        /// The two nearest in proportion, also where it shrinks.
        Bilinear = FILTER_BILINEAR, "bilinear";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_boundary_and_unknown_numbers_do_not() {
        for &reason in Reason::ALL {
            assert_eq!(Reason::from_raw(reason.raw()), Some(reason));
        }
        for &status in Status::ALL {
            assert_eq!(Status::from_raw(status.raw()), Some(status));
            assert_eq!(status.is_error(), !matches!(status, Status::Ok | Status::End));
        }
        assert_eq!(Reason::from_raw(0), None);
        assert_eq!(Reason::from_raw(5), None);
        assert_eq!(Kind::from_raw(6), None);
        assert_eq!(Status::from_answer(-9), Status::Fault);
        assert_eq!(Status::from_answer(2), Status::Fault);
    }

    #[test]
    fn zero_point_must_be_an_element() {
        assert!(DType::I8.holds(-128) && !DType::I8.holds(128));
        assert!(DType::U8.holds(255) && !DType::U8.holds(-1));
        assert!(!DType::F32.holds(0));
    }
}
