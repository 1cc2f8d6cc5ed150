//! Constants as the real numbers that they stand for.
use candle_core::{Device, Result, Tensor};
use edgemill_model::graph::{Constant, Graph, Node, Op};
use edgemill_model::tensor::{DType, Quantization, TensorSpec};

/// The constant by itself; of an int32 bias, whose scale depends on the node that reads it, the numbers as they stand.
pub fn real(spec: &TensorSpec, constant: &Constant<'_>) -> Result<Tensor> {
    let shape: Vec<usize> = spec.shape.iter().map(|&side| side as usize).collect();
    Tensor::from_vec(elements(spec, constant), shape, &Device::Cpu)
}

/// The bias of a node that has weights, 0 where it names none; `None` if it is computed.
pub fn bias(graph: &Graph<'_>, node: &Node) -> Result<Option<Tensor>> {
    if !matches!(node.op, Op::Conv2d { .. } | Op::ConvTranspose2d { .. } | Op::Dense { .. }) {
        return Ok(None);
    }
    let weights = graph.value(node.inputs[1]);
    let filters = weights.spec().shape[0] as usize;
    let Some(value) = node.inputs.get(2).map(|&id| graph.value(id)) else {
        return Tensor::zeros(filters, candle_core::DType::F32, &Device::Cpu).map(Some);
    };
    let Some(constant) = value.constant() else { return Ok(None) };
    let mut elements = elements(value.spec(), constant);
    if value.spec().dtype == DType::I32 {
        let input = graph.value(node.inputs[0]).spec().quantization.map_or(1.0, |q| q.scale);
        let scales = weights.constant().into_iter().flat_map(Constant::scales);
        for (element, scale) in elements.iter_mut().zip(scales) {
            *element *= input * scale;
        }
    }
    Tensor::from_vec(elements, filters, &Device::Cpu).map(Some)
}

#[expect(clippy::cast_precision_loss, reason = "the reference computes in f32")]
fn elements(spec: &TensorSpec, constant: &Constant<'_>) -> Vec<f32> {
    let rule = spec.quantization.unwrap_or(Quantization { scale: 1.0, zero_point: 0 });
    let affine = |element: i32| rule.scale * (element - rule.zero_point) as f32;
    match spec.dtype {
        DType::F32 => constant.f32s().collect(),
        DType::I32 => constant.i32s().map(|e| e as f32).collect(),
        DType::U8 => constant.data().iter().map(|&e| affine(i32::from(e))).collect(),
        DType::I8 if constant.scales().len() == 0 => {
            constant.i8s().map(|e| affine(i32::from(e))).collect()
        }
        DType::I8 => {
            let per_scale = spec.elements() / constant.scales().len();
            let scales = constant.scales().flat_map(|s| std::iter::repeat_n(s, per_scale));
            constant.i8s().zip(scales).map(|(e, scale)| scale * f32::from(e)).collect()
        }
    }
}
