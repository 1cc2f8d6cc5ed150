//! From the boundary's formats to the kernels' preparation, and the call.
use edgemill_kernels::image::{
    self, Element, FrameSpec, ImageError, PixelFormat, Plane, Preparer, Target, decode_jpeg_into,
};
use edgemill_sdk::{
    Call, Colour, DType, Error, Filter, Fit, Format, ImageView, Layout, Picture, Result, format,
    raw,
};

/// All that a call needs, made ahead.
pub struct Preparation {
    frame: format::Image,
    preparer: Preparer,
    /// The pixels of a JPEG, where frames are such.
    decoded: Option<Vec<u8>>,
}

impl Preparation {
    pub fn new(picture: &Picture, input: &Format, output: &Format) -> Result<Self> {
        let (Format::Image(frame), Format::Tensor(tensor)) = (input, output) else {
            return Err(Error::unfit("it makes a tensor of a picture"));
        };
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let format = pixel_format(frame.fourcc())?;
        let jpeg = frame.fourcc() == raw::FOURCC_MJPEG;
        let decoded = jpeg.then(|| vec![0; format.frame_bytes(width, height)]);
        let spec = FrameSpec { format, width, height };
        let target = target(picture, tensor)?;
        let preparer = Preparer::new(spec, &lower(picture), target).map_err(unfit)?;
        Ok(Self { frame: *frame, preparer, decoded })
    }

    pub fn process(&mut self, call: &Call<'_, '_>) -> Result<()> {
        let Some(frame) = call.image(0)? else { return Ok(()) };
        let given = frame.format();
        let shape = |image: &format::Image| (image.fourcc(), image.width(), image.height());
        if shape(given) != shape(&self.frame) {
            return Err(Error::unfit("a frame of another format than was agreed on"));
        }
        let mut tensor = call.acquire(0)?;
        self.prepare(&frame, tensor.bytes_mut())?;
        call.emit(0, tensor)
    }

    fn prepare(&mut self, frame: &ImageView<'_>, tensor: &mut [u8]) -> Result<()> {
        let mut planes = [Plane { bytes: &[], stride: 0 }; raw::MAX_PLANES];
        let given = frame.format().planes();
        for (plane, raw::Plane { offset, stride }) in planes.iter_mut().zip(given) {
            let bytes = frame.bytes().get(*offset as usize..).unwrap_or_default();
            *plane = Plane { bytes, stride: *stride as usize };
        }
        if let Some(pixels) = &mut self.decoded {
            let (width, height) = (self.frame.width() as usize, self.frame.height() as usize);
            decode_jpeg_into(planes[0].bytes, [width, height], pixels).map_err(unfit)?;
            planes[0] = Plane { bytes: pixels, stride: 3 * width };
        }
        self.preparer.prepare_planes(&planes[..given.len()], tensor).map_err(unfit)
    }
}

fn unfit(error: ImageError) -> Error {
    Error::unfit(error.to_string())
}

/// Of the pixels that are prepared: of a JPEG, those that it is decoded to.
fn pixel_format(fourcc: u32) -> Result<PixelFormat> {
    match fourcc {
        raw::FOURCC_YUYV => Ok(PixelFormat::Yuyv),
        raw::FOURCC_GREY => Ok(PixelFormat::Grey),
        raw::FOURCC_NV12 => Ok(PixelFormat::Nv12),
        raw::FOURCC_RGB24 | raw::FOURCC_MJPEG => Ok(PixelFormat::Rgb24),
        other => Err(Error::unfit(format!("pixel format {other:#010x} is not taken"))),
    }
}

fn target(picture: &Picture, tensor: &format::Tensor) -> Result<Target> {
    let (height, width, channels) = match (picture.layout, tensor.shape()) {
        (Layout::Nhwc, &[1, height, width, channels])
        | (Layout::Nchw, &[1, channels, height, width]) => (height, width, channels),
        (layout, shape) => {
            return Err(Error::unfit(format!("shape {shape:?} is not one picture in {layout:?}")));
        }
    };
    let needed = if picture.colour == Colour::Grey { 1 } else { 3 };
    if channels != needed {
        let text = format!("{channels} channels, {:?} has {needed}", picture.colour);
        return Err(Error::unfit(text));
    }
    let element = match (tensor.dtype(), tensor.quantization()) {
        (DType::F32, _) => Element::F32,
        (DType::I8, Some((scale, zero_point))) => Element::I8 { scale, zero_point },
        (DType::U8, Some((scale, zero_point))) => Element::U8 { scale, zero_point },
        (dtype, _) => {
            return Err(Error::unfit(format!("a picture of {dtype:?} without a scale")));
        }
    };
    Ok(Target { width: width as usize, height: height as usize, element })
}

fn lower(picture: &Picture) -> image::Picture {
    image::Picture {
        layout: match picture.layout {
            Layout::Nhwc => image::Layout::Nhwc,
            Layout::Nchw => image::Layout::Nchw,
        },
        colour: match picture.colour {
            Colour::Rgb => image::Colour::Rgb,
            Colour::Bgr => image::Colour::Bgr,
            Colour::Grey => image::Colour::Grey,
        },
        fit: match picture.fit {
            Fit::Stretch => image::Fit::Stretch,
            Fit::Letterbox => image::Fit::Letterbox,
            Fit::Crop => image::Fit::Crop,
            Fit::Corner => image::Fit::Corner,
        },
        filter: match picture.filter {
            Filter::Area => image::Filter::Area,
            Filter::Bilinear => image::Filter::Bilinear,
        },
        fill: picture.fill,
        region: picture.region,
        mean: picture.mean,
        std: picture.std,
    }
}
