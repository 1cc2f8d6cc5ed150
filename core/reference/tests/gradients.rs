//! The way back of each layer against finite differences, and the way forward against plain loops.
use candle_core::{Device, Result, Tensor, Var};
use edgemill_model::graph::{Clamp, Window};
use edgemill_reference::ops::{average_pool2d, conv2d, dense, max_pool2d};

/// Values in -1..1, all over the place, so that no pool has equals and hardly a step crosses a ReLU's corner.
fn values(count: usize, seed: u32) -> Vec<f32> {
    let mix = |i: u32| {
        (i ^ seed << 20).wrapping_mul(0x9e37_79b9).rotate_left(13).wrapping_mul(0x85eb_ca6b)
    };
    (1..).take(count).map(|i| (mix(i) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn var(shape: &[usize], seed: u32) -> Var {
    let values = values(shape.iter().product(), seed);
    Var::from_vec(values, shape, &Device::Cpu).expect("the values fill the shape")
}

/// A sum with another weight for each element, so that a gradient in the wrong place shows.
fn loss(output: &Tensor) -> Result<Tensor> {
    let weights = values(output.elem_count(), 5);
    (output * Tensor::from_vec(weights, output.shape(), &Device::Cpu)?)?.sum_all()
}

fn check(name: &str, variables: &[Var], layer: impl Fn(&[Var]) -> Result<Tensor>) -> Result<()> {
    const STEP: f32 = 1e-3;
    let (mut corners, mut checked) = (0, 0);
    let gradients = loss(&layer(variables)?)?.backward()?;
    for (which, variable) in variables.iter().enumerate() {
        let gradient = gradients.get(variable).expect("the layer uses it").flatten_all()?;
        let at = variable.flatten_all()?.to_vec1::<f32>()?;
        for (element, &expected) in gradient.to_vec1::<f32>()?.iter().enumerate().step_by(3) {
            let moved = |by: f32| -> Result<f32> {
                let mut values = at.clone();
                values[element] += by;
                variable.set(&Tensor::from_vec(values, variable.shape(), &Device::Cpu)?)?;
                loss(&layer(variables)?)?.to_scalar()
            };
            let (before, here, after) = (moved(-STEP)?, moved(0.0)?, moved(STEP)?);
            let (left, right) = ((here - before) / STEP, (after - here) / STEP);
            let near = |a: f32, b: f32| (a - b).abs() <= 0.02 * a.abs().max(1.0);
            // A step that crosses a ReLU's corner says nothing of the gradient.
            if near(left, right) {
                let found = f32::midpoint(left, right);
                assert!(near(found, expected), "{name} {which} {element}: {found}, not {expected}");
            }
            corners += usize::from(!near(left, right));
            checked += 1;
        }
    }
    assert!(corners * 5 <= checked, "{name}: {corners} of {checked} are corners");
    Ok(())
}

#[test]
fn gradients_are_those_of_finite_differences() -> Result<()> {
    let plain = Window::valid(3, 1);
    let cases = [
        ("plain", plain, [1, 1]),
        ("strided", Window { stride: [2, 1], rows: [1, 1], columns: [0, 2], ..plain }, [1, 1]),
        ("dilated", Window { columns: [2, 2], ..plain }, [1, 2]),
        ("wide", Window { kernel: [1, 4], ..plain }, [1, 1]),
    ];
    for (name, window, dilation) in cases {
        let [height, width] = window.kernel.map(|side| side as usize);
        let variables = [var(&[2, 5, 6, 3], 1), var(&[4, height, width, 3], 2), var(&[4], 3)];
        for clamp in [Clamp::NONE, Clamp::RELU, Clamp { low: -1.0, high: 0.5 }] {
            check(name, &variables, |v| conv2d(&v[0], &v[1], &v[2], &window, dilation, clamp))?;
        }
        check(name, &variables[..1], |v| max_pool2d(&v[0], &window))?;
        check(name, &variables[..1], |v| average_pool2d(&v[0], &window))?;
    }
    let variables = [var(&[3, 10], 1), var(&[4, 10], 2), var(&[4], 3)];
    check("dense", &variables, |v| dense(&v[0], &v[1], &v[2], Clamp::RELU))
}

#[test]
fn a_batch_longer_than_a_block_is_the_same_as_picture_by_picture() -> Result<()> {
    let (pictures, weights, bias) =
        (var(&[5, 40, 40, 16], 1), var(&[8, 3, 3, 16], 2), var(&[8], 3));
    let layer = |x: &Tensor| conv2d(x, &weights, &bias, &Window::same(3), [1, 1], Clamp::RELU);
    let whole = layer(&pictures)?;
    let gradient = loss(&whole)?.backward()?.get(&weights).expect("used").clone();
    let singly: Vec<Tensor> =
        (0..5).map(|i| layer(&pictures.narrow(0, i, 1)?)).collect::<Result<_>>()?;
    let singly = Tensor::cat(&singly, 0)?;
    let other = loss(&singly)?.backward()?.get(&weights).expect("used").clone();
    let far = |a: &Tensor, b: &Tensor| (a - b)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>();
    assert!(far(&whole, &singly)? < 1e-4);
    assert!(far(&gradient, &other)? < 1e-2, "{}", far(&gradient, &other)?);
    Ok(())
}

#[test]
fn equals_in_a_pool_share_nothing() -> Result<()> {
    let input = Var::ones((1, 2, 2, 1), candle_core::DType::F32, &Device::Cpu)?;
    let gradients = max_pool2d(&input, &Window::valid(2, 2))?.sum_all()?.backward()?;
    let gradient = gradients.get(&input).expect("used").flatten_all()?.to_vec1::<f32>()?;
    assert_eq!(gradient, [1.0, 0.0, 0.0, 0.0]);
    Ok(())
}

#[test]
fn shapes_that_do_not_belong_together_are_errors() {
    let (picture, bias) = (var(&[1, 5, 5, 3], 1), var(&[4], 3));
    let conv =
        |x: &Tensor, w: &Tensor| conv2d(x, w, &bias, &Window::valid(3, 1), [1, 1], Clamp::NONE);
    let refused = [
        ("too few channels", conv(&picture, &var(&[4, 3, 3, 2], 2))),
        ("another rank", conv(&var(&[5, 5, 3], 1), &var(&[4, 3, 3, 3], 2))),
        ("too small", max_pool2d(&picture, &Window::valid(6, 1))),
        ("dense", dense(&var(&[2, 9], 1), &var(&[4, 10], 2), &bias, Clamp::NONE)),
    ];
    for (name, answer) in refused {
        assert!(answer.is_err(), "{name}");
    }
}
