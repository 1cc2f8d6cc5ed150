//! Writes TensorFlow Lite files of a few operators.

/// A field of a table, in the order of the schema.
#[derive(Clone)]
pub enum Field {
    None,
    U8(u8),
    I32(i32),
    F32(f32),
    Bytes(Vec<u8>),
    I32s(Vec<i32>),
    I64s(Vec<i64>),
    Table(Vec<Field>),
    Tables(Vec<Vec<Field>>),
}

use Field::{Bytes, I32, I32s, None, Table, Tables, U8};

pub const FLOAT: u8 = 0;
pub const INT32: u8 = 2;
pub const UINT8: u8 = 3;
pub const INT64: u8 = 4;
pub const INT16: u8 = 7;
pub const INT8: u8 = 9;

/// A subgraph in the making, and the buffers of its constants.
#[derive(Default)]
pub struct File {
    tensors: Vec<Vec<Field>>,
    buffers: Vec<Vec<Field>>,
    codes: Vec<Vec<Field>>,
    operators: Vec<Vec<Field>>,
    /// Empty subgraphs behind the first.
    pub others: usize,
    /// Constants stand behind the tables.
    pub outside: bool,
}

impl File {
    pub fn tensor(&mut self, name: &str, kind: u8, shape: &[i32]) -> i32 {
        self.constant(name, kind, shape, &[])
    }

    pub fn constant(&mut self, name: &str, kind: u8, shape: &[i32], data: &[u8]) -> i32 {
        let buffer = i32::try_from(self.buffers.len()).unwrap();
        self.buffers.push(vec![Bytes(data.to_vec())]);
        let name = Bytes(name.as_bytes().to_vec());
        self.tensors.push(vec![I32s(shape.to_vec()), U8(kind), I32(buffer), name]);
        i32::try_from(self.tensors.len() - 1).unwrap()
    }

    pub fn i32s(&mut self, list: &[i32]) -> i32 {
        let bytes: Vec<u8> = list.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant("list", INT32, &[i32::try_from(list.len()).unwrap()], &bytes)
    }

    pub fn f32s(&mut self, shape: &[i32], list: &[f32]) -> i32 {
        let bytes: Vec<u8> = list.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant("numbers", FLOAT, shape, &bytes)
    }

    /// Gives a tensor another field: 4 its rule, 6 how it is sparse.
    pub fn set(&mut self, tensor: i32, field: usize, value: Field) {
        let fields = &mut self.tensors[usize::try_from(tensor).unwrap()];
        fields.resize(fields.len().max(field + 1), None);
        fields[field] = value;
    }

    pub fn operator(&mut self, code: i32, inputs: &[i32], output: i32, options: Vec<Field>) {
        self.with_outputs(code, inputs, &[output], options);
    }

    pub fn with_outputs(
        &mut self,
        code: i32,
        inputs: &[i32],
        outputs: &[i32],
        options: Vec<Field>,
    ) {
        let index = I32(i32::try_from(self.codes.len()).unwrap());
        self.codes.push(vec![U8(u8::try_from(code).unwrap().min(127)), None, I32(1), I32(code)]);
        let options = Table(options);
        let operator = vec![index, I32s(inputs.to_vec()), I32s(outputs.to_vec()), U8(1), options];
        self.operators.push(operator);
    }

    /// Gives a tensor that has scales zero points too.
    pub fn zero_points(&mut self, tensor: i32, points: Field) {
        let Table(rule) = &mut self.tensors[usize::try_from(tensor).unwrap()][4] else {
            unreachable!("it has scales")
        };
        rule[3] = points;
    }

    /// An operator that the schema has no number for.
    pub fn custom(&mut self, name: &str, inputs: &[i32], outputs: &[i32], options: Vec<u8>) {
        let index = I32(i32::try_from(self.codes.len()).unwrap());
        let name = Bytes(name.as_bytes().to_vec());
        self.codes.push(vec![U8(32), name, I32(1), I32(32)]);
        let (inputs, outputs) = (I32s(inputs.to_vec()), I32s(outputs.to_vec()));
        self.operators.push(vec![index, inputs, outputs, None, None, Bytes(options)]);
    }

    /// Gives a tensor scales, one or one for each index of `axis`, and no zero points.
    pub fn scales(&mut self, tensor: i32, scales: &[f32], axis: i32) {
        let scales = I32s(scales.iter().map(|s| s.to_bits().cast_signed()).collect());
        self.set(tensor, 4, Table(vec![None, None, scales, None, None, None, I32(axis)]));
    }

    /// Moves all constants out of the tables, to where those surely end; gives their bytes.
    fn moved_out(&mut self) -> (usize, Vec<u8>) {
        let (start, mut behind) = (1 << 14, Vec::new());
        for buffer in &mut self.buffers {
            let [Bytes(data)] = &buffer[..] else { unreachable!("a buffer has its bytes") };
            let number = |n: usize| I32(i32::try_from(n).unwrap());
            let fields = vec![None, number(start + behind.len()), number(data.len())];
            behind.extend(data);
            *buffer = fields;
        }
        (start, behind)
    }

    pub fn finish(mut self, inputs: &[i32], outputs: &[i32]) -> Vec<u8> {
        let ends = |list: &[i32]| I32s(list.to_vec());
        let (outside, behind) = if self.outside {
            let (start, behind) = self.moved_out();
            (Some(start), behind)
        } else {
            (Option::None, Vec::new())
        };
        let graph = vec![Tables(self.tensors), ends(inputs), ends(outputs), Tables(self.operators)];
        let mut graphs = vec![graph];
        graphs.resize(1 + self.others, Vec::new());
        let model = [I32(3), Tables(self.codes), Tables(graphs), None, Tables(self.buffers)];
        let mut bytes = b"\0\0\0\0TFL3".to_vec();
        let root = table(&mut bytes, &model);
        if let Some(start) = outside {
            assert!(bytes.len() <= start);
            bytes.resize(start, 0);
            bytes.extend(behind);
        }
        bytes[..4].copy_from_slice(&u32::try_from(root).unwrap().to_le_bytes());
        bytes
    }
}

/// Where the table begins. Each field has eight bytes, whatever it needs.
fn table(out: &mut Vec<u8>, fields: &[Field]) -> usize {
    let directory = out.len();
    let number = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
    out.extend(number(4 + 2 * fields.len()));
    out.extend(number(4 + 8 * fields.len()));
    for (at, field) in fields.iter().enumerate() {
        out.extend(number(if matches!(field, None) { 0 } else { 4 + 8 * at }));
    }
    let start = out.len();
    out.extend(i32::try_from(start - directory).unwrap().to_le_bytes());
    out.resize(start + 4 + 8 * fields.len(), 0);
    for (at, field) in fields.iter().enumerate() {
        let place = start + 4 + 8 * at;
        let here = match field {
            None => continue,
            U8(value) => u32::from(*value),
            I32(value) => value.cast_unsigned(),
            Field::F32(value) => value.to_bits(),
            child => u32::try_from(write(out, child) - place).unwrap(),
        };
        out[place..place + 4].copy_from_slice(&here.to_le_bytes());
    }
    start
}

fn write(out: &mut Vec<u8>, field: &Field) -> usize {
    let at = out.len();
    let count = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    match field {
        Table(fields) => return table(out, fields),
        Bytes(bytes) => {
            out.extend(count(bytes.len()));
            out.extend(bytes);
        }
        I32s(list) => {
            out.extend(count(list.len()));
            out.extend(list.iter().flat_map(|v| v.to_le_bytes()));
        }
        Field::I64s(list) => {
            out.extend(count(list.len()));
            out.extend(list.iter().flat_map(|v| v.to_le_bytes()));
        }
        Tables(list) => {
            out.extend(count(list.len()));
            out.resize(at + 4 + 4 * list.len(), 0);
            for (n, fields) in list.iter().enumerate() {
                let place = at + 4 + 4 * n;
                let offset = count(table(out, fields) - place);
                out[place..place + 4].copy_from_slice(&offset);
            }
        }
        _ => unreachable!("it lies in its table"),
    }
    at
}
