//! ONNX files made by hand: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3>.
#![allow(dead_code, reason = "each test uses a part")]

pub const FLOAT: u8 = 1;
pub const UINT8: u8 = 2;
pub const INT8: u8 = 3;
pub const INT32: u8 = 6;
pub const INT64: u8 = 7;

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7F {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

/// A field that holds bytes.
pub fn field(number: usize, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(content.len()), content.to_vec()].concat()
}

fn whole(number: usize, value: usize) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

/// A node of some inputs and one output.
pub fn node(op: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    node_with(op, inputs, output, &[])
}

/// A node with attributes that are lists of whole numbers.
pub fn node_with(
    op: &str,
    inputs: &[&str],
    output: &str,
    attributes: &[(&str, &[usize])],
) -> Vec<u8> {
    node_giving(op, inputs, &[output], attributes)
}

/// A node of several outputs with such attributes.
pub fn node_giving(
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[(&str, &[usize])],
) -> Vec<u8> {
    let mut content: Vec<u8> = inputs.iter().flat_map(|i| field(1, i.as_bytes())).collect();
    content.extend(outputs.iter().flat_map(|o| field(2, o.as_bytes())));
    content.extend(field(4, op.as_bytes()));
    for (name, list) in attributes {
        let list: Vec<u8> = list.iter().flat_map(|&n| varint(n)).collect();
        content
            .extend(field(5, &[field(1, name.as_bytes()), field(8, &list), whole(20, 7)].concat()));
    }
    field(1, &content)
}

/// A node with one attribute that is text.
pub fn node_saying(op: &str, inputs: &[&str], output: &str, name: &str, text: &str) -> Vec<u8> {
    node_text_in("", op, inputs, output, name, text)
}

/// The same in a domain of operators.
pub fn node_text_in(
    domain: &str,
    op: &str,
    inputs: &[&str],
    output: &str,
    name: &str,
    text: &str,
) -> Vec<u8> {
    let said = [field(1, name.as_bytes()), field(4, text.as_bytes()), whole(20, 3)].concat();
    let inputs: Vec<u8> = inputs.iter().flat_map(|i| field(1, i.as_bytes())).collect();
    let rest = [field(2, output.as_bytes()), field(4, op.as_bytes()), field(5, &said)].concat();
    field(1, &[inputs, rest, field(7, domain.as_bytes())].concat())
}

/// A node with one attribute that is a whole number.
pub fn node_number(op: &str, inputs: &[&str], output: &str, name: &str, number: usize) -> Vec<u8> {
    let said = [field(1, name.as_bytes()), whole(3, number), whole(20, 2)].concat();
    let inputs: Vec<u8> = inputs.iter().flat_map(|i| field(1, i.as_bytes())).collect();
    let rest = [field(2, output.as_bytes()), field(4, op.as_bytes()), field(5, &said)].concat();
    field(1, &[inputs, rest].concat())
}

/// An `If` of two branches, each some nodes that make `made`.
pub fn branches(condition: &str, output: &str, made: &str, branches: [&[Vec<u8>]; 2]) -> Vec<u8> {
    let mut content = [field(1, condition.as_bytes()), field(2, output.as_bytes())].concat();
    content.extend(field(4, b"If"));
    for (name, nodes) in ["then_branch", "else_branch"].iter().zip(branches) {
        let graph = [nodes.concat(), field(12, &field(1, made.as_bytes()))].concat();
        let branch = [field(1, name.as_bytes()), field(6, &graph), whole(20, 5)].concat();
        content.extend(field(5, &branch));
    }
    field(1, &content)
}

/// A tensor of real numbers whose bytes lie in another file.
pub fn kept_in(name: &str, shape: &[usize], entries: &[(&str, &str)]) -> Vec<u8> {
    let mut content: Vec<u8> = shape.iter().flat_map(|&d| whole(1, d)).collect();
    content.extend([whole(2, FLOAT.into()), field(8, name.as_bytes())].concat());
    for (key, value) in entries {
        content.extend(field(13, &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat()));
    }
    content.extend(whole(14, 1));
    content
}

/// A constant that a node gives.
pub fn constant(output: &str, tensor: &[u8]) -> Vec<u8> {
    let value = [field(1, b"value"), field(5, tensor), whole(20, 4)].concat();
    field(1, &[field(2, output.as_bytes()), field(4, b"Constant"), field(5, &value)].concat())
}

/// A tensor of little-endian elements.
pub fn tensor(name: &str, dtype: u8, shape: &[usize], raw: &[u8]) -> Vec<u8> {
    let shape: Vec<u8> = shape.iter().flat_map(|&d| whole(1, d)).collect();
    [shape, whole(2, dtype.into()), field(8, name.as_bytes()), field(9, raw)].concat()
}

/// A tensor of real numbers.
pub fn floats(name: &str, shape: &[usize], elements: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = elements.iter().flat_map(|e| e.to_le_bytes()).collect();
    tensor(name, FLOAT, shape, &raw)
}

/// An input or output; a size of 0 is left open.
fn port(name: &str, dtype: u8, shape: &[usize]) -> Vec<u8> {
    let dim = |&d: &usize| if d == 0 { field(1, &field(2, b"n")) } else { field(1, &whole(1, d)) };
    let dims: Vec<u8> = shape.iter().flat_map(dim).collect();
    let of = field(1, &[whole(1, dtype.into()), field(2, &dims)].concat());
    [field(1, name.as_bytes()), field(2, &of)].concat()
}

/// A model with the input x, of real numbers, and the output y.
pub fn model(shape: &[usize], nodes: &[Vec<u8>], constants: &[Vec<u8>]) -> Vec<u8> {
    let constants: Vec<u8> = constants.iter().flat_map(|c| field(5, c)).collect();
    let ports = [field(11, &port("x", FLOAT, shape)), field(12, &field(1, b"y"))].concat();
    let graph = [nodes.concat(), constants, ports].concat();
    [field(7, &graph), field(8, &whole(2, 13))].concat()
}
