//! The loops that do the work, with a scalar reference beside each.
