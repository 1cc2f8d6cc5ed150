//! A V4L2 camera.
mod device;
mod error;
#[allow(unsafe_code)]
mod ioctl;
mod offer;
pub use error::CameraError;
