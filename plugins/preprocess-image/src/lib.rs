//! A frame becomes the tensor a model wants.
