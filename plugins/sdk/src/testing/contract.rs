//! A contract as it crosses the boundary, made from the safe type.
use std::ffi::{CString, c_char};
use std::ptr;

use edgemill_abi::{format, raw};

use crate::contract::Contract;

pub(super) struct RawContract {
    pub raw: raw::Contract,
    _texts: Vec<CString>,
    _labels: Vec<*const c_char>,
    _tensors: [Vec<raw::Tensor>; 2],
}

impl RawContract {
    pub fn new(contract: &Contract) -> Self {
        let mut texts = Vec::new();
        let mut keep = |text: &str| {
            texts.push(CString::new(text).expect("no NUL"));
            texts[texts.len() - 1].as_ptr()
        };
        let raw = |tensors: &[format::Tensor]| tensors.iter().map(format::Tensor::raw).collect();
        let tensors: [Vec<raw::Tensor>; 2] = [raw(&contract.inputs), raw(&contract.outputs)];
        let labels: Vec<_> = contract.labels.iter().map(|label| keep(label)).collect();
        let count = |length| u32::try_from(length).expect("few");
        let picture = contract.picture.as_ref();
        let window = contract.window.as_ref();
        let raw = raw::Contract {
            model: keep(&contract.model),
            version: keep(&contract.version),
            input_count: count(tensors[0].len()),
            output_count: count(tensors[1].len()),
            inputs: tensors[0].as_ptr(),
            outputs: tensors[1].as_ptr(),
            layout: picture.map_or(0, |p| p.layout.raw()),
            colour: picture.map_or(0, |p| p.colour.raw()),
            fit: picture.map_or(0, |p| p.fit.raw()),
            fill: picture.map_or(0, |p| p.fill.into()),
            region: picture.map_or([0.0; 4], |p| p.region),
            mean: picture.map_or([0.0; 4], |p| p.mean),
            std: picture.map_or([0.0; 4], |p| p.std),
            window: window.map_or(0, |w| w.samples),
            hop: window.map_or(0, |w| w.hop),
            rate_hz: window.map_or(0.0, |w| w.rate_hz),
            head: keep(&contract.head),
            label_count: count(labels.len()),
            filter: picture.map_or(0, |p| p.filter.raw()),
            labels: if labels.is_empty() { ptr::null() } else { labels.as_ptr() },
        };
        Self { raw, _texts: texts, _labels: labels, _tensors: tensors }
    }
}
