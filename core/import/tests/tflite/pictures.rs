//! Pools and pictures of another size.
use edgemill_model::graph::Op;

use crate::flat::Field::{None, U8};
use crate::flat::{FLOAT, File, INT8};
use crate::{Field, I32, ops, read, run};

fn pool(border: f32) -> Vec<u8> {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[1, 2, 2, 1]), file.tensor("y", FLOAT, &[1, 2, 2, 1]));
    let wide = file.tensor("wide", FLOAT, &[1, 4, 4, 1]);
    let borders = file.i32s(&[0, 0, 1, 1, 1, 1, 0, 0]);
    file.set(borders, 0, Field::I32s(vec![4, 2]));
    let border = file.f32s(&[1], &[border]);
    file.operator(60, &[x, borders, border], wide, Vec::new());
    file.operator(17, &[wide], y, vec![U8(1), I32(1), I32(1), I32(3), I32(3)]);
    file.finish(&[x], &[y])
}

#[test]
fn an_infinite_border_is_the_pools_own() {
    let picture = [-4.0, -3.0, -2.0, -1.0];
    assert_eq!(run(&pool(f32::NEG_INFINITY), &picture), [-1.0; 4]);
    let made = ops(&read(&pool(f32::NEG_INFINITY)));
    assert!(!made.iter().any(|op| matches!(op, Op::Pad { .. })), "{made:?}");
    assert_eq!(run(&pool(0.0), &picture), [0.0; 4]);
}

#[test]
fn halves_between_bytes_are_rounded_upwards() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[1, 1, 2, 1]), file.tensor("y", FLOAT, &[1, 1, 4, 1]));
    let (small, wide) =
        (file.tensor("small", INT8, &[1, 1, 2, 1]), file.tensor("wide", INT8, &[1, 1, 4, 1]));
    for tensor in [small, wide] {
        file.scales(tensor, &[1.0], 0);
    }
    let size = file.i32s(&[1, 4]);
    file.operator(114, &[x], small, Vec::new());
    file.operator(23, &[small, size], wide, vec![None, None, U8(0), U8(1)]);
    file.operator(6, &[wide], y, Vec::new());
    // −2.5 and −1.5 lie between: the even numbers would be −2 and −2.
    assert_eq!(run(&file.finish(&[x], &[y]), &[-3.0, -1.0]), [-3.0, -2.0, -1.0, -1.0]);
}
