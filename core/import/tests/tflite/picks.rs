//! Elements that are taken from places, or put there.
use edgemill_reference::Reference;

use crate::flat::{FLOAT, Field, File, INT32};
use crate::{I32, read, run};

/// The numbers from 1 on.
fn table(count: u8) -> Vec<f32> {
    (1..=count).map(f32::from).collect()
}

/// Of a 2 × 3 × 2 tensor the places, along its second axis, that an input names.
fn gather(places: &[i32], batch: i32, to: &[i32]) -> Vec<u8> {
    let mut file = File::default();
    let (x, at) = (file.tensor("x", FLOAT, &[2, 3, 2]), file.tensor("at", INT32, places));
    let (wanted, y) = (file.tensor("wanted", FLOAT, places), file.tensor("y", FLOAT, to));
    file.operator(53, &[wanted], at, Vec::new());
    file.operator(36, &[x, at], y, vec![I32(1), I32(batch)]);
    file.finish(&[x, wanted], &[y])
}

#[test]
fn places_may_be_computed() {
    let made = |file: &[u8], at: &[f32]| {
        Reference::new(&read(file)).unwrap().run(&[&table(12), at]).unwrap().remove(0)
    };
    let all = made(&gather(&[2], 0, &[2, 2, 2]), &[2.0, 0.0]);
    assert_eq!(all, [5., 6., 1., 2., 11., 12., 7., 8.]);
    let own = made(&gather(&[2, 1], 1, &[2, 1, 2]), &[2.0, 0.0]);
    assert_eq!(own, [5., 6., 7., 8.]);
}

#[test]
fn one_is_hot() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[2]), file.tensor("y", FLOAT, &[2, 3]));
    let at = file.tensor("at", INT32, &[2]);
    let depth = file.constant("depth", INT32, &[], &3_i32.to_le_bytes());
    let (on, off) = (file.f32s(&[], &[5.0]), file.f32s(&[], &[-1.0]));
    file.operator(53, &[x], at, Vec::new());
    file.operator(85, &[at, depth, on, off], y, vec![I32(-1)]);
    assert_eq!(run(&file.finish(&[x], &[y]), &[2.0, 0.0]), [-1., -1., 5., 5., -1., -1.]);
}

#[test]
fn several_are_the_greatest() {
    let mut file = File::default();
    let x = file.tensor("x", FLOAT, &[2, 4]);
    let (most, places) = (file.tensor("most", FLOAT, &[2, 3]), file.tensor("at", INT32, &[2, 3]));
    let (k, real) =
        (file.constant("k", INT32, &[], &3_i32.to_le_bytes()), file.tensor("real", FLOAT, &[2, 3]));
    file.with_outputs(48, &[x, k], &[most, places], Vec::new());
    file.operator(53, &[places], real, Vec::new());
    let file = file.finish(&[x], &[most, real]);
    let x = [1., 4., 2., 4., -3., -9., -1., -2.];
    let made = Reference::new(&read(&file)).unwrap().run(&[&x]).unwrap();
    assert_eq!(made[0], [4., 4., 2., -1., -2., -3.]);
    assert_eq!(made[1], [1., 3., 2., 2., 3., 0.]);
}

#[test]
fn tuples_name_rows() {
    let tuples = |file: &mut File, list: &[i32]| {
        let at = file.i32s(list);
        file.set(at, 0, Field::I32s(vec![2, 2]));
        at
    };
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[2, 3, 2]), file.tensor("y", FLOAT, &[2, 2]));
    let (at, back) = (tuples(&mut file, &[1, 0, 0, 2]), file.tensor("back", FLOAT, &[2, 3, 2]));
    let shape = file.i32s(&[2, 3, 2]);
    file.operator(107, &[x, at], y, Vec::new());
    file.operator(122, &[at, y, shape], back, Vec::new());
    let file = file.finish(&[x], &[y, back]);
    let made = Reference::new(&read(&file)).unwrap().run(&[&table(12)]).unwrap();
    assert_eq!(made[0], [7., 8., 5., 6.]);
    assert_eq!(made[1], [0., 0., 0., 0., 5., 6., 7., 8., 0., 0., 0., 0.]);
}

#[test]
fn squares_have_a_diagonal_and_zeros_are_known() {
    let mut file = File::default();
    let (x, y) = (file.tensor("x", FLOAT, &[2]), file.tensor("y", FLOAT, &[2, 2]));
    let (zeros, square) =
        (file.tensor("zeros", FLOAT, &[2]), file.tensor("square", FLOAT, &[2, 2]));
    file.operator(93, &[x], zeros, Vec::new());
    file.operator(113, &[x], square, Vec::new());
    file.operator(0, &[square, zeros], y, Vec::new());
    assert_eq!(run(&file.finish(&[x], &[y]), &[3.0, 4.0]), [3., 0., 0., 4.]);
}
