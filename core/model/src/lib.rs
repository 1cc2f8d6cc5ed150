//! Tensors, graphs and package manifests: the types and their bytes; no cryptography and no execution.
#![forbid(unsafe_code)]

pub mod contract;
pub mod graph;
pub mod limits;
pub mod manifest;
pub mod package;
pub mod tensor;
pub mod text;
