//! A float network from elsewhere in int8, without training: ranges as pictures show them.
use edgemill_kernels::image::RgbPicture;
use edgemill_model::contract::Contract;
use edgemill_model::graph::Graph;

use crate::calibrate::{channel_ranges, ranges, runs};
use crate::contract::picture_rule;
use crate::equalize::{Equalized, equalized};
use crate::error::LearnError;
use crate::flat::without_flat_ends;
use crate::picture::input;
use crate::quantize::{Outputs, quantize, said};
use crate::recipe::Calibration;

/// `graph` in int8: its channels are brought to like sizes, its input is quantized to cover every pixel, its outputs stay
/// f32. `contract` is the float graph's, by which each of `pictures` is prepared as in the pipeline. `progress` is told how
/// many of how many runs are done.
///
/// # Errors
/// [`LearnError::Contract`] if it takes anything but one picture, [`LearnError::Graph`] naming what int8 cannot do.
pub fn quantize_imported(
    graph: &Graph<'_>,
    contract: &Contract,
    pictures: &[RgbPicture],
    calibration: Calibration,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Graph<'static>, LearnError> {
    let (Some(picture), 1) = (&contract.picture, contract.inputs.len()) else {
        let said = "only networks of one picture are made int8".into();
        return Err(LearnError::Contract { said });
    };
    let inputs: Vec<Vec<f32>> =
        pictures.iter().map(|picture| input(picture, contract)).collect::<Result<_, _>>()?;
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let (mut done, all) = (0, inputs.len() * (1 + runs(calibration)));
    let mut run = || {
        done += 1;
        progress(done, all);
    };
    let spans = channel_ranges(graph, &inputs, &mut run).map_err(LearnError::graph)?;
    let Equalized { graph, floors } = equalized(graph, &spans).map_err(LearnError::graph)?;
    // The largest thing that a detector finds is rare too, and its box must not be cut.
    let whole = said(&graph);
    let ranges = ranges(&graph, &inputs, calibration, &whole, &mut run);
    let mut ranges = without_flat_ends(&graph, &ranges.map_err(LearnError::graph)?);
    for (id, floor) in floors {
        let low = &mut ranges[id.index()].low;
        *low = low.max(floor);
    }
    let rule = picture_rule(picture);
    quantize(&graph, &[rule], &ranges, Outputs::Real).map_err(LearnError::graph)
}
