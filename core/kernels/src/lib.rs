//! The loops that do the work, with a scalar reference beside each.
//!
//! Whatever the machine, a kernel gives the same bits: integers, IEEE 754 additions, products and quotients, and
//! one stated rounding are all that is used.

pub mod boxes;
pub mod image;
pub mod int8;
pub mod team;
