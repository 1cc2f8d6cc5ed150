//! A model's contract in the boundary's form.
use std::ffi::{CString, c_char};

use edgemill_abi::{Colour, DType, Filter, Fit, Layout, raw};
use edgemill_model::contract::{self, Contract};
use edgemill_model::tensor::{self, TensorSpec};
use serde::{Deserialize, Serialize};

/// A model's contract with the name and version it is known by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelContract {
    /// Name of the model.
    pub model: String,
    /// Version of the model.
    pub version: String,
    /// From its signed manifest.
    pub contract: Contract,
}

/// The C struct, with all that it points to.
pub(crate) struct RawContract {
    raw: Box<raw::Contract>,
    _tensors: [Vec<raw::Tensor>; 2],
    _strings: Vec<CString>,
    _labels: Vec<*const c_char>,
}

// SAFETY: every pointer leads into heap memory that this value owns and nobody changes.
unsafe impl Send for RawContract {}

impl RawContract {
    /// Valid, with all it points to, as long as `self`, wherever that is moved.
    pub(crate) fn as_ptr(&self) -> *const raw::Contract {
        &raw const *self.raw
    }

    pub(crate) fn new(named: &ModelContract) -> Self {
        let contract = &named.contract;
        let mut strings = Vec::new();
        let mut keep = |text: &str| {
            // A manifest has no NUL in its texts; one that had would only be shown shorter.
            let end = text.find('\0').unwrap_or(text.len());
            let text = CString::new(&text[..end]).unwrap_or_default();
            let at = text.as_ptr();
            strings.push(text);
            at
        };
        let tensors = [&contract.inputs, &contract.outputs]
            .map(|specs| specs.iter().map(raw_tensor).collect::<Vec<_>>());
        let labels: Vec<_> = contract.labels.iter().map(|l| keep(l)).collect();
        let mut raw = raw::Contract {
            model: keep(&named.model),
            version: keep(&named.version),
            input_count: count(tensors[0].len()),
            output_count: count(tensors[1].len()),
            inputs: tensors[0].as_ptr(),
            outputs: tensors[1].as_ptr(),
            layout: 0,
            colour: 0,
            fit: 0,
            fill: 0,
            region: [0.0; 4],
            mean: [0.0; 4],
            std: [0.0; 4],
            window: 0,
            hop: 0,
            rate_hz: 0.0,
            head: keep(&contract.head),
            label_count: count(labels.len()),
            filter: 0,
            labels: labels.as_ptr(),
        };
        if let Some(picture) = &contract.picture {
            set_picture(&mut raw, picture);
        }
        if let Some(window) = &contract.window {
            (raw.window, raw.hop, raw.rate_hz) = (window.samples, window.hop, window.rate_hz);
        }
        Self { raw: Box::new(raw), _tensors: tensors, _strings: strings, _labels: labels }
    }
}

fn set_picture(raw: &mut raw::Contract, picture: &contract::Picture) {
    let layout = match picture.layout {
        contract::Layout::Nhwc => Layout::Nhwc,
        contract::Layout::Nchw => Layout::Nchw,
    };
    let colour = match picture.colour {
        contract::Colour::Rgb => Colour::Rgb,
        contract::Colour::Bgr => Colour::Bgr,
        contract::Colour::Grey => Colour::Grey,
    };
    let fit = match picture.fit {
        contract::Fit::Stretch => Fit::Stretch,
        contract::Fit::Letterbox => Fit::Letterbox,
        contract::Fit::Crop => Fit::Crop,
        contract::Fit::Corner => Fit::Corner,
    };
    let filter = match picture.filter {
        contract::Filter::Area => Filter::Area,
        contract::Filter::Bilinear => Filter::Bilinear,
    };
    (raw.layout, raw.colour) = (layout.raw(), colour.raw());
    (raw.fit, raw.filter) = (fit.raw(), filter.raw());
    (raw.fill, raw.region) = (picture.fill.into(), picture.region);
    (raw.mean, raw.std) = (picture.mean, picture.std);
}

/// A tensor's type and shape as it crosses the boundary. Dimensions beyond the boundary's rank are left out; a
/// checked manifest has none.
pub(crate) fn raw_tensor(spec: &TensorSpec) -> raw::Tensor {
    let dtype = match spec.dtype {
        tensor::DType::U8 => DType::U8,
        tensor::DType::I8 => DType::I8,
        tensor::DType::I32 => DType::I32,
        tensor::DType::F32 => DType::F32,
    };
    let rank = spec.shape.len().min(raw::MAX_RANK);
    let mut shape = [0; raw::MAX_RANK];
    shape[..rank].copy_from_slice(&spec.shape[..rank]);
    let (scale, zero_point) = spec.quantization.map_or((0.0, 0), |q| (q.scale, q.zero_point));
    raw::Tensor { dtype: dtype.raw(), rank: count(rank), shape, scale, zero_point }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use edgemill_model::contract::{Colour, Contract, Filter, Fit, Layout, Picture};
    use edgemill_model::tensor::{DType, Quantization, TensorSpec};

    use super::{ModelContract, RawContract};

    #[test]
    fn the_raw_contract_says_the_same_and_survives_a_move() {
        let quantization = Some(Quantization { scale: 0.5, zero_point: -3 });
        let input = TensorSpec { dtype: DType::I8, shape: vec![1, 32, 32, 3], quantization };
        let output = TensorSpec { dtype: DType::F32, shape: vec![1, 2], quantization: None };
        let picture = Picture {
            layout: Layout::Nhwc,
            colour: Colour::Bgr,
            fit: Fit::Letterbox,
            filter: Filter::Bilinear,
            fill: 114,
            region: [0.25, 0.0, 0.5, 1.0],
            mean: [0.5; 4],
            std: [0.25; 4],
        };
        let contract = Contract {
            inputs: vec![input],
            outputs: vec![output],
            picture: Some(picture),
            window: None,
            head: "classifier".to_owned(),
            labels: vec!["red".to_owned(), "green".to_owned()],
        };
        let named =
            ModelContract { model: "light".to_owned(), version: "1.2.3".to_owned(), contract };
        let raw = Box::new(RawContract::new(&named));
        drop(named);
        // SAFETY: `raw` is alive, and owns everything its struct points to.
        unsafe {
            let c = &*raw.as_ptr();
            assert_eq!(CStr::from_ptr(c.model), c"light");
            assert_eq!((c.input_count, c.output_count, c.label_count), (1, 1, 2));
            let input = &*c.inputs;
            assert_eq!((input.dtype, input.rank, input.zero_point), (2, 4, -3));
            assert_eq!(input.shape, [1, 32, 32, 3, 0, 0]);
            assert_eq!((c.layout, c.colour, c.fit, c.fill), (1, 2, 2, 114));
            assert_eq!(CStr::from_ptr(*c.labels.add(1)), c"green");
            assert_eq!((c.window, (*c.outputs).scale), (0, 0.0));
        }
    }
}
