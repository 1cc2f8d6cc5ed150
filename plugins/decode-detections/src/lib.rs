//! Turns a detector's numbers into boxes in the frame: decodes the model's head, keeps the best of those that cover each
//! other, class by class, and undoes what the picture went through on its way into the model.
//!
//! Inputs `in` (or `in0`, `in1`, … where the model has several outputs): the model's outputs, as its contract says, or
//! the same in f32. Output `out`: detections in pixels of the frame, which is the picture that the model's input was
//! made from. The contract's `head` names the head:
//!
//! | head | outputs |
//! |---|---|
//! | `yolox` | N × (x, y, log w, log h, objectness, classes), in cells of grids of 8, 16 and 32 pixels |
//! | `yolo` | N × (x, y, w, h, classes), with or without an objectness after h, or the same turned round |
//! | `ssd` | N × corrections of anchors; N × scores of the classes, with or without a background before them |
//! | `boxes` | N × (left, top, right, bottom, score, class); or TensorFlow Lite's boxes, classes, scores and count |
#![forbid(unsafe_code)]

mod anchors;
mod head;
mod params;
mod process;

use edgemill_sdk::{
    Call, Contract, Error, Host, Picture, Plugin, Port, Ports, Range, Result, Setup,
};

use head::Head;
use params::Params;
use process::Decoder;

struct Decode {
    params: Params,
    model: Option<Model>,
}

/// What the contract says that is needed later.
struct Model {
    head: Head,
    picture: Picture,
    /// Width and height of the model's picture.
    size: [usize; 2],
}

impl Plugin for Decode {
    type Params = Params;
    type Active<'m> = Decoder;
    const REALTIME: bool = true;

    fn create(_: Host<'_>, params: Params) -> Result<Self> {
        Ok(Self { params, model: None })
    }

    fn ports(&mut self, contract: Option<Contract>) -> Result<Ports> {
        let contract = contract.ok_or_else(|| {
            Error::unfit("it must know the model: name it by `contract = \"…\"` in the stage")
        })?;
        let Some(picture) = contract.picture else {
            let text = format!("the model {:?} does not take a picture", contract.model);
            return Err(Error::unfit(text));
        };
        let size = head::picture_size(&picture, &contract.inputs[0])?;
        let head = Head::new(&contract, size, &self.params)?;
        self.model = Some(Model { head, picture, size });
        let inputs = Port::numbered("in", &contract.outputs, Port::real_or_quantized)?;
        let ports = inputs.into_iter().fold(Ports::new(), Ports::input);
        Ok(ports.output(Port::new("out", Range::detections(self.params.most))))
    }

    fn activate<'m>(&mut self, setup: Setup<'m>) -> Result<Decoder> {
        let model = self.model.as_ref().ok_or_else(|| Error::unfit("it has no contract"))?;
        Decoder::new(model, &self.params, setup.inputs(), &setup.outputs()[0])
    }

    fn process<'m>(&mut self, decoder: &mut Decoder, call: &Call<'_, 'm>) -> Result<()> {
        decoder.process(call)
    }
}

edgemill_sdk::export!(Decode);

#[cfg(test)]
mod tests;
