//! Makes of each frame the tensor that a model wants: the region its contract names, resized, in its colours, normalised
//! and quantized.
//!
//! Input `in`: pictures in YUYV, NV12, RGB24, GREY or MJPEG, of any size. Output `out`: the first input of the model whose contract the stage
//! names, as the contract says, or the same in f32. Nothing else can be set: what a model must see is part of the model.
#![forbid(unsafe_code)]

mod process;

use edgemill_sdk::{
    Call, Colour, Contract, Error, Host, Picture, Plugin, Port, Ports, Range, Result, Setup, raw,
};

use process::Preparation;

struct Preprocess {
    picture: Option<Picture>,
}

impl Plugin for Preprocess {
    type Params = ();
    type Active<'m> = Preparation;
    const REALTIME: bool = true;

    fn create(_: Host<'_>, (): ()) -> Result<Self> {
        Ok(Self { picture: None })
    }

    fn ports(&mut self, contract: Option<Contract>) -> Result<Ports> {
        let contract = contract.ok_or_else(|| {
            Error::unfit("it must know the model: name it by `contract = \"…\"` in the stage")
        })?;
        let Some(picture) = contract.picture else {
            let text = format!("the model {:?} does not take a picture", contract.model);
            return Err(Error::unfit(text));
        };
        self.picture = Some(picture);
        let output = Port::real_or_quantized("out", &contract.inputs[0])?;
        Ok(Ports::new().input(frames(picture.colour)).output(output))
    }

    fn activate<'m>(&mut self, setup: Setup<'m>) -> Result<Preparation> {
        let picture = self.picture.as_ref().ok_or_else(|| Error::unfit("it has no contract"))?;
        Preparation::new(picture, &setup.inputs()[0], &setup.outputs()[0])
    }

    fn process<'m>(&mut self, active: &mut Preparation, call: &Call<'_, 'm>) -> Result<()> {
        active.process(call)
    }
}

/// The pixel formats taken, those with least work first.
fn frames(colour: Colour) -> Port {
    use raw::{FOURCC_GREY, FOURCC_MJPEG, FOURCC_NV12, FOURCC_RGB24, FOURCC_YUYV};
    let order = match colour {
        Colour::Grey => [FOURCC_GREY, FOURCC_NV12, FOURCC_YUYV, FOURCC_RGB24],
        Colour::Rgb | Colour::Bgr => [FOURCC_YUYV, FOURCC_NV12, FOURCC_RGB24, FOURCC_GREY],
    };
    let [first, rest @ ..] = order.map(Range::image);
    let port = rest.into_iter().fold(Port::new("in", first), Port::or);
    port.or(Range::image(FOURCC_MJPEG))
}

edgemill_sdk::export!(Preprocess);

#[cfg(test)]
mod tests;
