//! Sources: a V4L2 camera, a replay of files, a test pattern, sensor series.
#![deny(unsafe_code)]
mod camera;
mod csv;
mod params;
mod picture;
mod text;
