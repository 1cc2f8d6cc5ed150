//! A graph, planned and executed in int8 without allocating.
