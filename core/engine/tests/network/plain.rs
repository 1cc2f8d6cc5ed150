//! A network of int8 nodes, run by loops written straight from `docs/graph-format.md`.
use edgemill_model::graph::{Clamp, Graph, Op, Pair, ValueId, Window};
use edgemill_model::tensor::{DType, Quantization};

/// Values of the first output for elements of the one input.
pub fn run(graph: &Graph<'_>, input: &[i8]) -> Vec<i8> {
    let mut values: Vec<Vec<i8>> = vec![Vec::new(); graph.values().len()];
    let x = graph.inputs().next().expect("an input");
    values[x.index()] = input.to_vec();
    for (id, node) in graph.nodes() {
        let run = Run { graph, values: &values, id, inputs: &node.inputs };
        values[id.index()] = run.node(&node.op);
    }
    values.swap_remove(graph.outputs()[0].index())
}

struct Run<'a> {
    graph: &'a Graph<'a>,
    values: &'a [Vec<i8>],
    id: ValueId,
    inputs: &'a [ValueId],
}

impl Run<'_> {
    fn node(&self, op: &Op) -> Vec<i8> {
        let (input, out) = (self.rule(self.inputs[0]), self.rule(self.id));
        match op {
            Op::Conv2d { window, dilation, groups, clamp } => {
                self.conv(window, *dilation, *groups as usize, *clamp)
            }
            Op::Dense { clamp } => self.dense(*clamp),
            Op::MaxPool(window) => self.pool(window, |seen| *seen.iter().max().expect("some")),
            Op::AveragePool(window) => {
                let ratio = f64::from(input.scale) / f64::from(out.scale);
                self.pool(window, |seen| {
                    let sum: i32 = seen.iter().map(|&v| i32::from(v) - input.zero_point).sum();
                    let multiplier = (ratio / seen.len() as f64) as f32;
                    round(sum as f32 * multiplier, out, Clamp::NONE)
                })
            }
            Op::Binary { function: Pair::Add, clamp } => {
                let side = |i: usize, at: usize| {
                    let rule = self.rule(self.inputs[i]);
                    let ratio = (f64::from(rule.scale) / f64::from(out.scale)) as f32;
                    (i32::from(self.x(i)[at]) - rule.zero_point) as f32 * ratio
                };
                let sum = |at| round(side(0, at) + side(1, at), out, *clamp);
                (0..self.x(0).len()).map(sum).collect()
            }
            Op::Clamp(clamp) => self.each(|steps| steps * input.scale / out.scale, *clamp),
            Op::Quantize => self.each(|steps| steps * input.scale / out.scale, Clamp::NONE),
            Op::Reshape(_) => self.x(0).to_vec(),
            other => unimplemented!("{other:?}"),
        }
    }

    fn conv(&self, window: &Window, dilation: [u32; 2], groups: usize, clamp: Clamp) -> Vec<i8> {
        let ([n, h, w, c], [_, out_h, out_w, k]) = (self.dims(self.inputs[0]), self.dims(self.id));
        let [_, kernel_h, kernel_w, depth] = self.dims(self.inputs[1]);
        let zero = self.rule(self.inputs[0]).zero_point;
        let (x, weights) = (self.x(0), self.weights());
        let at = |place: usize, axis: usize, tap: usize, before: u32| {
            let inside = place * window.stride[axis] as usize + tap * dilation[axis] as usize;
            inside.wrapping_sub(before as usize)
        };
        let mut out = Vec::new();
        for (image, row, column, channel) in places([n, out_h, out_w, k]) {
            let first = channel / (k / groups) * depth;
            let mut sum = self.bias(channel);
            for (_, tap_y, tap_x, d) in places([1, kernel_h, kernel_w, depth]) {
                let y = at(row, 0, tap_y, window.rows[0]);
                let x_at = at(column, 1, tap_x, window.columns[0]);
                if y < h && x_at < w {
                    let element = x[((image * h + y) * w + x_at) * c + first + d];
                    let tap = ((channel * kernel_h + tap_y) * kernel_w + tap_x) * depth + d;
                    sum += (i32::from(element) - zero) * i32::from(weights[tap]);
                }
            }
            out.push(self.rescaled(sum, channel, clamp));
        }
        out
    }

    fn dense(&self, clamp: Clamp) -> Vec<i8> {
        let depth = self.graph.value(self.inputs[1]).spec().shape[1] as usize;
        let zero = self.rule(self.inputs[0]).zero_point;
        let weights = self.weights();
        let rows = self.x(0).chunks(depth);
        rows.flat_map(|x| {
            weights.chunks(depth).enumerate().map(|(channel, w)| {
                let product = |(x, w): (&i8, &i8)| (i32::from(*x) - zero) * i32::from(*w);
                let sum: i32 = x.iter().zip(w).map(product).sum();
                self.rescaled(sum + self.bias(channel), channel, clamp)
            })
        })
        .collect()
    }

    fn pool(&self, window: &Window, reduce: impl Fn(&[i8]) -> i8) -> Vec<i8> {
        let ([n, h, w, c], [_, out_h, out_w, _]) = (self.dims(self.inputs[0]), self.dims(self.id));
        let covered = |place: usize, axis: usize, before: u32, size: usize| {
            let start = place * window.stride[axis] as usize;
            let taps = start..start + window.kernel[axis] as usize;
            let inside = taps.map(move |tap| tap.wrapping_sub(before as usize));
            inside.filter(move |&at| at < size).collect::<Vec<_>>()
        };
        let element = |(image, row, column, channel): (usize, usize, usize, usize)| {
            let rows = covered(row, 0, window.rows[0], h);
            let columns = covered(column, 1, window.columns[0], w);
            let pixels = rows.iter().flat_map(|y| columns.iter().map(move |x| (y, x)));
            let at = |(y, x)| self.x(0)[((image * h + y) * w + x) * c + channel];
            reduce(&pixels.map(at).collect::<Vec<i8>>())
        };
        places([n, out_h, out_w, c]).map(element).collect()
    }

    fn each(&self, f: impl Fn(f32) -> f32, clamp: Clamp) -> Vec<i8> {
        let (rule, out) = (self.rule(self.inputs[0]), self.rule(self.id));
        let steps = |x: &i8| f((i32::from(*x) - rule.zero_point) as f32);
        self.x(0).iter().map(|x| round(steps(x), out, clamp)).collect()
    }

    fn rescaled(&self, sum: i32, channel: usize, clamp: Clamp) -> i8 {
        let weights = self.graph.value(self.inputs[1]).constant().expect("weights");
        let scale = f64::from(weights.scales().nth(channel).expect("a scale for each channel"));
        let (input, out) = (self.rule(self.inputs[0]), self.rule(self.id));
        let multiplier = f64::from(input.scale) * scale / f64::from(out.scale);
        round(sum as f32 * multiplier as f32, out, clamp)
    }

    fn x(&self, i: usize) -> &[i8] {
        &self.values[self.inputs[i].index()]
    }

    fn weights(&self) -> Vec<i8> {
        self.graph.value(self.inputs[1]).constant().expect("weights").i8s().collect()
    }

    fn bias(&self, channel: usize) -> i32 {
        let bias = self.inputs.get(2).and_then(|&b| self.graph.value(b).constant());
        bias.map_or(0, |bias| bias.i32s().nth(channel).expect("a bias for each channel"))
    }

    fn dims(&self, id: ValueId) -> [usize; 4] {
        let shape = &self.graph.value(id).spec().shape;
        std::array::from_fn(|axis| shape[axis] as usize)
    }

    fn rule(&self, id: ValueId) -> Quantization {
        let spec = self.graph.value(id).spec();
        assert_eq!(spec.dtype, DType::I8);
        spec.quantization.expect("a quantized value")
    }
}

fn places([a, b, c, d]: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a * b * c * d).map(move |i| (i / (b * c * d), i / (c * d) % b, i / d % c, i % d))
}

/// Steps from the zero point as an element, clamped in real numbers and in int8.
fn round(steps: f32, out: Quantization, clamp: Clamp) -> i8 {
    let bound = |real: f32| {
        let element = (f64::from(real) / f64::from(out.scale)).round_ties_even();
        (element + f64::from(out.zero_point)).clamp(-128.0, 127.0)
    };
    let element = f64::from(steps).round_ties_even() + f64::from(out.zero_point);
    element.clamp(bound(clamp.low), bound(clamp.high)) as i8
}
