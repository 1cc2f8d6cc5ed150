//! The plugin boundary, held against C: the headers compile alone and together as C11 and C++17, every field of every
//! struct and every constant is the same in C and in the Rust mirror, and a plugin that was built with nothing but the
//! headers runs.
mod debounce;
mod headers;
mod layout;
