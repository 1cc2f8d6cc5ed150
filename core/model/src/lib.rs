//! Tensors, graphs and package manifests: the types and their bytes.
