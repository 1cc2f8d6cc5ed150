//! The safe view of an instance's ports: read from the plugin's memory, checked, and owned.
use edgemill_abi::{Kind, raw};
use edgemill_pipeline::stage::{Port, Ports};

use crate::descriptor::{DescriptorFault, MAX_COUNT, MAX_NAME_BYTES, array, fault, text};

/// The most ports on one side of a stage.
const MAX_PORTS: usize = 16;
/// The most that `held` or `burst` may be: each costs a buffer of the port's pool.
const MAX_BUFFERS: u32 = 256;
/// The shortest period of a timer, in nanoseconds: below, a stage would do nothing but wake.
const LEAST_TIMER_NS: u64 = 100_000;

/// Reads and checks what `ports` answered.
///
/// # Safety
/// The pointers and counts of `raw` are as `plugin.h` says.
pub(crate) unsafe fn read(raw: &raw::Ports) -> Result<Ports, DescriptorFault> {
    if raw.timer_ns != 0 && raw.timer_ns < LEAST_TIMER_NS {
        return fault("timer_ns", format!("{} is below {LEAST_TIMER_NS}", raw.timer_ns));
    }
    // SAFETY: the caller vouches for both arrays.
    let (inputs, outputs) = unsafe {
        let inputs = array("inputs", raw.inputs, raw.input_count, MAX_PORTS)?;
        let outputs = array("outputs", raw.outputs, raw.output_count, MAX_PORTS)?;
        (side("inputs", inputs)?, side("outputs", outputs)?)
    };
    if let Some(i) = outputs.iter().position(|p| p.burst == 0) {
        return fault(format!("outputs[{i}].burst"), "0, so nothing could ever be sent");
    }
    if inputs.is_empty() && outputs.is_empty() {
        return fault("inputs", "no ports at all");
    }
    Ok(Ports { inputs, outputs, timer_ns: raw.timer_ns })
}

/// # Safety
/// The pointers of each element are as `plugin.h` says.
unsafe fn side(at: &str, ports: &[raw::Port]) -> Result<Vec<Port>, DescriptorFault> {
    let mut read: Vec<Port> = Vec::with_capacity(ports.len());
    for (i, raw) in ports.iter().enumerate() {
        let at = format!("{at}[{i}]");
        // SAFETY: the caller vouches for the element's pointers.
        let port = unsafe { port(&at, raw)? };
        if read.iter().any(|p| p.name == port.name) {
            return fault(format!("{at}.name"), format!("`{}` is there twice", port.name));
        }
        read.push(port);
    }
    Ok(read)
}

/// # Safety
/// The pointers of `raw` are as `plugin.h` says.
unsafe fn port(at: &str, raw: &raw::Port) -> Result<Port, DescriptorFault> {
    // SAFETY: the caller vouches for the name and the ranges.
    let (name, ranges) = unsafe {
        let name = text(&format!("{at}.name"), raw.name, MAX_NAME_BYTES)?;
        (name, array(&format!("{at}.ranges"), raw.ranges, raw.range_count, MAX_COUNT)?)
    };
    if name.is_empty() || name.contains(['.', ' ']) {
        return fault(format!("{at}.name"), "must have characters, none of them a dot or a space");
    }
    for (field, value) in [("held", raw.held), ("burst", raw.burst)] {
        if value > MAX_BUFFERS {
            return fault(format!("{at}.{field}"), format!("{value} is above {MAX_BUFFERS}"));
        }
    }
    if ranges.is_empty() {
        return fault(format!("{at}.ranges"), "none, so nothing would ever fit");
    }
    for (i, range) in ranges.iter().enumerate() {
        check_range(&format!("{at}.ranges[{i}]"), range)?;
    }
    Ok(Port { name, ranges: ranges.to_vec(), held: raw.held, burst: raw.burst })
}

/// A known kind, the same on both ends, and no number whose least is above its most.
fn check_range(at: &str, range: &raw::FormatRange) -> Result<(), DescriptorFault> {
    let (least, most) = (&range.least, &range.most);
    let Some(kind) = Kind::from_raw(least.kind) else {
        return fault(format!("{at}.least.kind"), format!("{} is no kind of payload", least.kind));
    };
    if most.kind != least.kind {
        return fault(format!("{at}.most.kind"), "differs from least.kind");
    }
    match counted(kind, &least.payload)
        .iter()
        .zip(&counted(kind, &most.payload))
        .find(|((_, least), (_, most))| least > most || least.is_nan() || most.is_nan())
    {
        Some(((field, least), (_, most))) => {
            fault(format!("{at}.least.{field}"), format!("{least} is above the most, {most}"))
        }
        None => Ok(()),
    }
}

/// The fields of a payload that a range bounds from both sides (format.h), with their names.
fn counted(kind: Kind, payload: &raw::Payload) -> Vec<(&'static str, f64)> {
    match kind {
        Kind::Image => {
            let image = payload.image();
            vec![("width", image.width.into()), ("height", image.height.into())]
        }
        Kind::Tensor => payload.tensor().shape.iter().map(|&d| ("shape", d.into())).collect(),
        Kind::Detections => {
            let d = payload.detections();
            vec![
                ("count", d.count.into()),
                ("frame_width", d.frame_width.into()),
                ("frame_height", d.frame_height.into()),
            ]
        }
        Kind::Series => {
            let series = payload.series();
            vec![
                ("channels", series.channels.into()),
                ("samples", series.samples.into()),
                ("rate_hz", series.rate_hz),
            ]
        }
        Kind::Event => vec![],
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::null;

    use edgemill_abi::raw;

    use super::read;

    fn range(least: u32, most: u32) -> raw::FormatRange {
        let image = |width| raw::Image { width, ..raw::Image::default() };
        let end = |width| raw::Format {
            kind: raw::KIND_IMAGE,
            reserved: 0,
            payload: image(width).into(),
        };
        raw::FormatRange { least: end(least), most: end(most) }
    }

    /// Two inputs and two outputs, and what may be broken of them.
    struct Sides {
        ranges: [raw::FormatRange; 1],
        inputs: [raw::Port; 2],
        outputs: [raw::Port; 2],
        ports: raw::Ports,
    }

    fn check(break_it: impl FnOnce(&mut Sides)) -> Result<usize, String> {
        let port = |name: &'static std::ffi::CStr, burst| raw::Port {
            name: name.as_ptr(),
            ranges: null(),
            range_count: 1,
            held: 2,
            burst,
            reserved: 0,
        };
        let mut sides = Sides {
            ranges: [range(1, 640)],
            inputs: [port(c"left", 0), port(c"right", 0)],
            outputs: [port(c"left", 1), port(c"right", 1)],
            ports: raw::Ports {
                inputs: null(),
                outputs: null(),
                input_count: 2,
                output_count: 2,
                timer_ns: 0,
            },
        };
        let unset = null::<raw::FormatRange>();
        break_it(&mut sides);
        let Sides { ranges, mut inputs, mut outputs, mut ports } = sides;
        for port in inputs.iter_mut().chain(&mut outputs).filter(|p| p.ranges == unset) {
            port.ranges = ranges.as_ptr();
        }
        (ports.inputs, ports.outputs) = (inputs.as_ptr(), outputs.as_ptr());
        // SAFETY: the pointers lead to arrays above of at least the counts, or to constants.
        let read = unsafe { read(&ports) };
        read.map(|p| p.inputs.len() + p.outputs.len()).map_err(|e| e.to_string())
    }

    #[test]
    fn valid_ports_are_read() {
        assert_eq!(check(|_| ()), Ok(4));
        assert_eq!(check(|s| s.ports.input_count = 0), Ok(2));
        assert_eq!(check(|s| s.ports.timer_ns = 1_000_000), Ok(4));
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        type Break = fn(&mut Sides);
        let cases: [(&str, Break); 11] = [
            ("inputs: no ports at all", |s| {
                (s.ports.input_count, s.ports.output_count) = (0, 0);
            }),
            ("inputs: 17 elements, at most 16", |s| s.ports.input_count = 17),
            ("timer_ns: 99999 is below", |s| s.ports.timer_ns = 99_999),
            ("inputs[1].name: `left` is there twice", |s| s.inputs[1].name = c"left".as_ptr()),
            ("outputs[0].name: must have characters", |s| s.outputs[0].name = c"a.b".as_ptr()),
            ("outputs[1].burst: 0", |s| s.outputs[1].burst = 0),
            ("inputs[0].held: 257 is above 256", |s| s.inputs[0].held = 257),
            ("inputs[0].ranges: none", |s| s.inputs[0].range_count = 0),
            ("ranges[0].least.kind: 9", |s| s.ranges[0].least.kind = 9),
            ("ranges[0].most.kind: differs", |s| s.ranges[0].most.kind = raw::KIND_EVENT),
            ("ranges[0].least.width: 641 is above", |s| s.ranges = [range(641, 640)]),
        ];
        for (says, break_it) in cases {
            let fault = check(break_it).expect_err(says);
            assert!(fault.contains(says), "{says}: {fault}");
        }
    }
}
