//! Networks of random weights, the same wherever they are made.
use edgemill_model::graph::{Clamp, Constant, Element, Graph, Op, ValueId, Window};
use edgemill_model::tensor::{DType, TensorSpec};

/// A small generator of known quality (`SplitMix64`).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    pub fn below(&mut self, most: u32) -> u32 {
        u32::try_from(self.next() % u64::from(most)).expect("below a u32")
    }

    /// -128..=127, as likely each.
    pub fn i8(&mut self) -> i8 {
        self.next().to_le_bytes()[3].cast_signed()
    }
}

/// Builds a network of int8 nodes.
pub struct Builder {
    pub graph: Graph<'static>,
    pub random: Random,
}

impl Builder {
    pub fn new(seed: u64) -> Self {
        Self { graph: Graph::new(), random: Random(seed) }
    }

    pub fn input(&mut self, shape: &[u32], element: Element) -> ValueId {
        let Element { dtype, quantization } = element;
        let spec = TensorSpec { dtype, shape: shape.to_vec(), quantization };
        self.graph.input("x", spec).expect("an input")
    }

    pub fn shape(&self, id: ValueId) -> Vec<u32> {
        self.graph.value(id).spec().shape.clone()
    }

    pub fn node(&mut self, name: &str, op: Op, inputs: &[ValueId], element: Element) -> ValueId {
        self.graph.node(name, op, inputs, element).expect("a node")
    }

    /// Weights and a bias for so many elements each.
    pub fn weights(&mut self, shape: &[u32]) -> [ValueId; 2] {
        let count: u32 = shape.iter().product();
        let weights: Vec<i8> = (0..count).map(|_| self.random.i8().max(-127)).collect();
        let scale = |r: &mut Random| 0.000_2 * (1.0 + f32::from(r.next().to_le_bytes()[2]));
        let scales: Vec<f32> = (0..shape[0]).map(|_| scale(&mut self.random)).collect();
        let bias: Vec<i32> = (0..shape[0]).map(|_| i32::from(self.random.i8()) * 16).collect();
        let spec =
            |dtype, shape: &[u32]| TensorSpec { dtype, shape: shape.into(), quantization: None };
        let weights = Constant::i8(&weights, &scales);
        [
            self.graph.constant("w", spec(DType::I8, shape), weights).expect("weights"),
            self.graph
                .constant("b", spec(DType::I32, &shape[..1]), Constant::i32(&bias))
                .expect("a bias"),
        ]
    }

    pub fn conv(
        &mut self,
        x: ValueId,
        channels: u32,
        window: Window,
        groups: u32,
        dilation: [u32; 2],
        out: Element,
    ) -> ValueId {
        let [kernel_h, kernel_w] = window.kernel;
        let depth = self.shape(x)[3] / groups;
        let [w, b] = self.weights(&[channels, kernel_h, kernel_w, depth]);
        let op = Op::Conv2d { window, dilation, groups, clamp: Clamp::RELU };
        self.node("conv", op, &[x, w, b], out)
    }

    pub fn dense(&mut self, x: ValueId, channels: u32, clamp: Clamp, out: Element) -> ValueId {
        let depth = self.shape(x)[1];
        let [w, b] = self.weights(&[channels, depth]);
        self.node("dense", Op::Dense { clamp }, &[x, w, b], out)
    }
}

/// 3×3 convolution to 32 channels, pool, 3×3 convolution to 64, pool, dense 64, dense 3, on 32×32×3.
pub fn small(seed: u64) -> Graph<'static> {
    let mut b = Builder::new(seed);
    let x = b.input(&[1, 32, 32, 3], Element::i8(1.0 / 255.0, -128));
    let (one, two) = (Element::i8(0.03, -128), Element::i8(0.3, -128));
    let c = b.conv(x, 32, Window::valid(3, 1), 1, [1; 2], one);
    let p = b.node("pool", Op::MaxPool(Window::valid(2, 2)), &[c], one);
    let c = b.conv(p, 64, Window::valid(3, 1), 1, [1; 2], two);
    let p = b.node("pool", Op::MaxPool(Window::valid(2, 2)), &[c], two);
    let elements = b.shape(p).iter().product();
    let flat = b.node("flat", Op::Reshape(vec![1, elements]), &[p], two);
    let d = b.dense(flat, 64, Clamp::RELU, Element::i8(8.0, -128));
    let d = b.dense(d, 3, Clamp::NONE, Element::i8(100.0, 0));
    b.graph.output(d).expect("an output");
    b.graph
}
