//! Every struct and every constant, in C and in Rust, from one table.
use std::collections::BTreeSet;
use std::mem::offset_of;
use std::{fmt::Write as _, fs};

use edgemill_abi::raw;

use crate::headers;
use edgemill_tests::compiler::{Scratch, cc, include, run, succeed};

/// An expression in C and what it must come to, and the name it is known by in the headers.
struct Row {
    c: String,
    rust: i128,
}

fn row(c: String, rust: usize) -> Row {
    Row { c, rust: rust.try_into().expect("small") }
}

/// Size of the field that a function picks.
fn field_size<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// The structs: name in Rust, name in C, fields (`rust = c` where they differ). Pushes size, alignment, and size
/// and offset of every field, and checks that the fields fill the struct: nothing is left out, nothing is padding.
macro_rules! structs {
    ($rows:ident, $names:ident; $($rust:ident $c:ident { $($field:ident $(= $cfield:ident)?),+ $(,)? })+) => {
        $({
            let c = stringify!($c);
            $names.insert(c.to_owned());
            $rows.push(row(format!("sizeof({c})"), size_of::<raw::$rust>()));
            $rows.push(row(format!("_Alignof({c})"), align_of::<raw::$rust>()));
            let mut filled = 0;
            $({
                let field = [stringify!($field) $(, stringify!($cfield))?];
                let field = field[field.len() - 1];
                let size = field_size(|s: &raw::$rust| &s.$field);
                filled += size;
                $rows.push(row(format!("sizeof((({c} *)0)->{field})"), size));
                $rows.push(row(format!("offsetof({c}, {field})"), offset_of!(raw::$rust, $field)));
            })+
            assert_eq!(filled, size_of::<raw::$rust>(), "{c}: a field is missing, or there is padding");
        })+
    };
}

fn structs() -> (Vec<Row>, BTreeSet<String>) {
    let (mut rows, mut names) = (Vec::new(), BTreeSet::new());
    structs! { rows, names;
        Plane edgemill_plane { offset, stride }
        Image edgemill_image { fourcc, width, height, plane_count, planes }
        Tensor edgemill_tensor { dtype, rank, shape, scale, zero_point }
        Detections edgemill_detections { count, frame_width, frame_height, reserved }
        Detection edgemill_detection { x0, y0, x1, y1, score, class_id, track_id }
        Series edgemill_series { dtype, channels, samples, reserved, rate_hz }
        Value edgemill_value { name, value }
        Event edgemill_event { name, value_count, reserved, values }
        Format edgemill_format { kind, reserved, payload }
        FormatRange edgemill_format_range { least, most }
        Buffer edgemill_buffer { handle, data, size }
        Packet edgemill_packet {
            stream, sequence, capture_ns, deadline_ns, generation, kind, payload, buffer,
        }
        Contract edgemill_contract {
            model, version, input_count, output_count, inputs, outputs, layout, colour, fit, fill,
            region, mean, std, window, hop, rate_hz, head, label_count, filter, labels,
        }
        Model edgemill_model { data, size, contract }
        Host edgemill_host {
            abi_version, struct_size, context, emit, emit_from, acquire, retain, release, log,
            metric, now_ns, secret_alloc, secret_free, parallel, get_extension,
        }
        Param edgemill_param {
            name, unit, help, kind = type, required, least, most, fallback, choices, choice_count,
            reserved,
        }
        ParamValue edgemill_param_value { name, kind = type, boolean, integer, number, text }
        Port edgemill_port { name, ranges, range_count, held, burst, reserved }
        Ports edgemill_ports { inputs, outputs, input_count, output_count, timer_ns }
        Descriptor edgemill_descriptor {
            abi_version, struct_size, id, version, summary, flags, params, required_extensions,
            param_count, required_extension_count, create, ports, activate, process, deactivate,
            destroy, get_extension,
        }
        FailSafe edgemill_fail_safe { state, apply }
    }
    rows.extend(payload());
    names.insert("edgemill_payload".to_owned());
    (rows, names)
}

/// The union: every member begins at its start, in Rust because it is `repr(C)`.
fn payload() -> Vec<Row> {
    let members = ["image", "tensor", "detections", "series", "event"];
    let offsets = members.map(|m| row(format!("offsetof(edgemill_payload, {m})"), 0));
    let whole = [
        row("sizeof(edgemill_payload)".to_owned(), size_of::<raw::Payload>()),
        row("_Alignof(edgemill_payload)".to_owned(), align_of::<raw::Payload>()),
    ];
    offsets.into_iter().chain(whole).collect()
}

macro_rules! constants {
    ($($name:ident)+) => {
        vec![$((stringify!($name), i128::try_from(raw::$name).expect("it fits")),)+]
    };
}

fn constants() -> Vec<(&'static str, i128)> {
    constants! {
        ABI_VERSION
        OK END ERR_BAD_ARGUMENT ERR_STOPPING ERR_NO_BUFFER ERR_UNSUPPORTED ERR_NO_MEMORY ERR_DENIED
        ERR_IO ERR_FAULT
        KIND_IMAGE KIND_TENSOR KIND_DETECTIONS KIND_SERIES KIND_EVENT
        DTYPE_U8 DTYPE_I8 DTYPE_I32 DTYPE_F32
        FOURCC_YUYV FOURCC_NV12 FOURCC_MJPEG FOURCC_GREY FOURCC_RGB24
        MAX_PLANES MAX_RANK MAX_VALUES NAME_BYTES
        LAYOUT_NHWC LAYOUT_NCHW COLOUR_RGB COLOUR_BGR COLOUR_GREY FIT_STRETCH FIT_LETTERBOX FIT_CROP FIT_CORNER
        FILTER_AREA FILTER_BILINEAR
        LOG_ERROR LOG_WARN LOG_INFO LOG_DEBUG
        FLAG_REALTIME FLAG_ACTUATOR
        PARAM_BOOL PARAM_INT PARAM_FLOAT PARAM_STRING
        REASON_INPUT REASON_TURN REASON_TIMER REASON_FLUSH
    }
}

/// All text of all headers.
fn text() -> String {
    let read = |header: &String| fs::read_to_string(include().join(header)).expect("there");
    headers::all().iter().map(read).collect()
}

/// What each expression comes to in C.
fn evaluate(rows: &[Row]) -> Vec<i128> {
    let scratch = Scratch::new();
    let mut source = String::from(
        "#include <edgemill/edgemill.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n",
    );
    for Row { c, .. } in rows {
        writeln!(source, "    printf(\"%lld\\n\", (long long)({c}));").expect("it fits");
    }
    source += "    return 0;\n}\n";
    let (file, program) = (scratch.file("layout.c"), scratch.file("layout"));
    fs::write(&file, source).expect("written");
    // Linked statically, so that an emulator needs no C library of the other architecture.
    succeed(cc().arg("-static").arg("-o").arg(&program).arg(&file));
    run(&program).lines().map(|line| line.parse().expect("a number")).collect()
}

fn compare(rows: &[Row]) {
    let found = evaluate(rows);
    assert_eq!(found.len(), rows.len());
    let differ = rows.iter().zip(found).filter(|(row, c)| row.rust != *c);
    let differ: Vec<_> =
        differ.map(|(row, c)| format!("{}: {c} in C, {} in Rust", row.c, row.rust)).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn every_field_lies_where_c_puts_it() {
    let (rows, _) = structs();
    assert!(rows.len() > 300, "two numbers for each of about 130 fields");
    compare(&rows);
}

#[test]
fn every_struct_of_the_headers_is_compared() {
    let in_headers: BTreeSet<String> = text()
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix("typedef ").unwrap_or(line);
            let name = line.strip_prefix("struct ").or_else(|| line.strip_prefix("union "))?;
            name.strip_suffix(" {").map(str::to_owned)
        })
        .collect();
    assert_eq!(in_headers, structs().1);
}

#[test]
fn every_constant_has_the_same_value() {
    let row = |&(name, rust): &(&str, i128)| Row { c: format!("EDGEMILL_{name}"), rust };
    compare(&constants().iter().map(row).collect::<Vec<_>>());
}

#[test]
fn every_constant_of_the_headers_is_compared() {
    let numbers = constants().into_iter().map(|(name, _)| name.to_owned());
    let compared: BTreeSet<String> = numbers.chain(["EXT_FAIL_SAFE".to_owned()]).collect();
    let in_headers: BTreeSet<String> = text()
        .lines()
        .filter_map(|line| line.strip_prefix("#define EDGEMILL_")?.split_once(' '))
        .map(|(name, _)| name.to_owned())
        .filter(|name| !name.contains('('))
        .collect();
    assert_eq!(in_headers, compared);
}

#[test]
fn names_are_the_same() {
    let text = text();
    let fail_safe = raw::EXT_FAIL_SAFE.to_str().expect("ASCII");
    assert!(text.contains(&format!("#define EDGEMILL_EXT_FAIL_SAFE \"{fail_safe}\"\n")));
    assert!(text.contains(&format!("extern const edgemill_descriptor {};\n", raw::ENTRY_SYMBOL)));
}
