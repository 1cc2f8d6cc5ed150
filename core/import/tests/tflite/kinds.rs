//! What the elements of tensors are, and which part of a file is read.
use edgemill_model::graph::Source;

use crate::flat::Field::{F32, I64s, U8};
use crate::flat::{FLOAT, File, INT8, INT16, INT64, UINT8};
use crate::{read, refusal, run};

/// y = relu(x × weights + bias) + constant, its activations in steps of 16 bits.
#[test]
fn activations_of_16_bits_are_real_numbers() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[1, 2]), file.tensor("y", FLOAT, &[1, 2]));
    let fine = ["from", "product", "sum"].map(|name| file.tensor(name, INT16, &[1, 2]));
    fine.iter().for_each(|&tensor| file.scales(tensor, &[0.001], 0));
    let weights = file.constant("weights", INT8, &[2, 2], &[1, 2, 3, 252]);
    file.scales(weights, &[0.5, 0.25], 0);
    let bias: Vec<u8> = [1000_i64, -2000].iter().flat_map(|b| b.to_le_bytes()).collect();
    let bias = file.constant("bias", INT64, &[2], &bias);
    file.scales(bias, &[0.0005, 0.00025], 0);
    let more: Vec<u8> = [300_i16, -500].iter().flat_map(|b| b.to_le_bytes()).collect();
    let more = file.constant("more", INT16, &[2], &more);
    file.scales(more, &[0.01], 0);
    file.operator(114, &[x], fine[0], Vec::new());
    file.operator(9, &[fine[0], weights, bias], fine[1], vec![U8(1)]);
    file.operator(0, &[fine[1], more], fine[2], Vec::new());
    file.operator(6, &[fine[2]], y, Vec::new());
    let made = run(&file.finish(&[x], &[y]), &[2.0, -1.0]);
    // 2 × 0.5 − 1 × 1 + 0.5 + 3 and 2 × 0.75 + 1 × 1 − 0.5 − 5
    let near = made.iter().zip([3.5, -3.0]).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(near && made.len() == 2, "{made:?}");
}

#[test]
fn inputs_of_16_bits_are_refused_with_advice() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", INT16, &[1, 2]), file.tensor("y", FLOAT, &[1, 2]));
    file.scales(x, &[0.1], 0);
    file.operator(6, &[x], y, Vec::new());
    let said = refusal(&file.finish(&[x], &[y]));
    assert!(said.contains("int16") && said.contains("float32 or int8"), "{said}");
}

#[test]
fn what_a_graph_has_not_is_refused_with_advice() {
    for (code, words) in [
        (119, ["WHILE", "unroll=True"]),
        (16, ["LSTM", "unroll=True"]),
        (129, ["CALL_ONCE", "freeze"]),
        (120, ["NON_MAX_SUPPRESSION_V4", "decode-detections"]),
        (199, ["number 199", "StableHLO"]),
    ] {
        let mut file = File::default();
        let (x, y) = (file.tensor("x", FLOAT, &[1, 4]), file.tensor("y", FLOAT, &[1, 4]));
        file.operator(code, &[x], y, vec![F32(1.0)]);
        let said = refusal(&file.finish(&[x], &[y]));
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[1, 4]), file.tensor("y", FLOAT, &[1, 4]));
    file.custom("FlexErfinv", &[x], &[y], Vec::new());
    let said = refusal(&file.finish(&[x], &[y]));
    assert!(said.contains("FlexErfinv") && said.contains("TFLITE_BUILTINS"), "{said}");
}

#[test]
fn the_first_subgraph_is_read() {
    let mut file = File::default();
    file.others = 1;
    let (x, y) = (file.tensor("x", FLOAT, &[1, 2]), file.tensor("y", FLOAT, &[1, 2]));
    file.operator(0, &[x, x], y, Vec::new());
    assert_eq!(run(&file.finish(&[x], &[y]), &[1.0, 2.0]), [2.0, 4.0]);
}

#[test]
fn constants_may_stand_behind_the_tables() {
    let mut file = File::default();
    file.outside = true;
    let (x, y) = (file.tensor("x", FLOAT, &[1, 2]), file.tensor("y", FLOAT, &[1, 2]));
    let more = file.f32s(&[1, 2], &[10.0, 20.0]);
    file.operator(0, &[x, more], y, Vec::new());
    let bytes = file.finish(&[x], &[y]);
    assert_eq!(run(&bytes, &[1.0, 2.0]), [11.0, 22.0]);
    assert!(refusal(&bytes[..bytes.len() - 1]).contains("damaged"));
}

/// One weight of many lies beyond int8 once the zero point is off: the others keep their scale.
#[test]
fn one_weight_that_does_not_fit_does_not_make_all_coarser() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[1, 64]), file.tensor("y", FLOAT, &[1, 1]));
    let (bytes, sum) = (file.tensor("bytes", INT8, &[1, 64]), file.tensor("sum", INT8, &[1, 1]));
    file.scales(bytes, &[1.0], 0);
    file.scales(sum, &[100.0], 0);
    let mut list = [231; 64];
    list[0] = 0;
    let weights = file.constant("weights", UINT8, &[1, 64], &list);
    file.scales(weights, &[1.0], 0);
    file.zero_points(weights, I64s(vec![130]));
    file.operator(114, &[x], bytes, Vec::new());
    file.operator(9, &[bytes, weights], sum, vec![U8(0)]);
    file.operator(6, &[sum], y, Vec::new());
    let file = file.finish(&[x], &[y]);
    let mut given = [1.0; 64];
    assert_eq!(run(&file, &given), [6200.0]);
    given[0] = 0.0;
    assert_eq!(run(&file, &given), [6400.0]);
}

/// What XNNPACK and ONNX Runtime multiply a filter's sums by, f32 at each step, is what a graph multiplies by.
#[test]
fn multipliers_are_those_of_other_engines() {
    const FILTERS: u8 = 40;
    let (input, output) = (0.023_529_4_f32, 0.141_732_3_f32);
    let scales: Vec<f32> = (1..=FILTERS).map(|n| 0.001_37 * f32::from(n).sqrt()).collect();
    let mut file = File::default();
    let wide = i32::from(FILTERS);
    let (x, y) = (file.tensor("x", INT8, &[1, 2]), file.tensor("y", INT8, &[1, wide]));
    file.scales(x, &[input], 0);
    file.scales(y, &[output], 0);
    let weights = file.constant("weights", INT8, &[wide, 2], &[1; 2 * FILTERS as usize]);
    file.scales(weights, &scales, 0);
    file.operator(9, &[x, weights], y, vec![U8(0)]);
    let graph = read(&file.finish(&[x], &[y]));
    let made = graph.values().iter().find_map(|value| match value.source() {
        Source::Constant(constant) => Some(constant.scale_bytes().to_vec()),
        _ => None,
    });
    let made = made.expect("the weights are a constant");
    #[expect(clippy::cast_possible_truncation, reason = "the one rounding that is meant")]
    let same = |(&scale, with): (&f32, f32)| {
        let theirs = input * scale / output;
        let ours = f64::from(input) * f64::from(with) / f64::from(output);
        (ours as f32).to_bits() == theirs.to_bits()
    };
    let nudged = made.iter().map(|&scale| f32::from_le_bytes(scale));
    let nudged = scales.iter().zip(nudged).filter(|&pair| same(pair)).count();
    let given = scales.iter().zip(scales.iter().copied()).filter(|&pair| same(pair)).count();
    // Not every number can be had: a scale's last place may count for two of the product's.
    assert!(nudged >= given + 8 && nudged >= 30, "{nudged} of {FILTERS}, {given} without");
}
