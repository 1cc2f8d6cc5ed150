//! Picture files of any kind we know.
use super::{ImageError, Limits, RgbPicture, bmp, decode_jpeg, png};

/// What the name of a picture file may end in, in lower case.
pub const PICTURE_EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "bmp"];

/// Start of image, and of the marker after it: ITU-T T.81, B.1.1.
const JPEG_MAGIC: &[u8] = &[0xFF, 0xD8, 0xFF];

/// Decodes a JPEG, a PNG or a Windows bitmap to R G B, whatever its name is.
///
/// # Errors
/// [`ImageError::Jpeg`] or [`ImageError::File`] if the file is damaged or beyond `limits`.
pub fn decode_picture(bytes: &[u8], limits: Limits) -> Result<RgbPicture, ImageError> {
    if bytes.len() > limits.file_bytes {
        let (given, most) = (bytes.len(), limits.file_bytes);
        return Err(ImageError::File(format!("it has {given} bytes, at most {most} are read")));
    }
    match bytes {
        _ if bytes.starts_with(png::MAGIC) => png::decode(bytes, limits),
        _ if bytes.starts_with(bmp::MAGIC) => bmp::decode(bytes, limits),
        _ if bytes.starts_with(JPEG_MAGIC) => decode_jpeg(bytes, limits),
        [] => Err(ImageError::File("the file is empty".into())),
        _ => Err(ImageError::File("it is no JPEG, PNG or BMP".into())),
    }
}

impl Limits {
    pub(super) fn check(&self, width: usize, height: usize) -> Result<(), ImageError> {
        let pixels = width.checked_mul(height);
        if width > self.side || height > self.side || pixels.is_none_or(|all| all > self.pixels) {
            return Err(ImageError::File(format!(
                "it has {width}×{height} pixels, at most {} and sides of {} are read",
                self.pixels, self.side
            )));
        }
        super::check_size(width, height)
    }
}
