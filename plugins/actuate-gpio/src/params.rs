//! What the pipeline's file may set.
use edgemill_sdk::{choices, params};

choices! {
    /// State of the line that is safe, at the pin itself.
    pub enum Safe {
        /// Driven low.
        Low = "low",
        /// Driven high.
        High = "high",
        /// Not driven: a pull resistor, or whatever is connected, decides.
        Input = "input",
    }
}

params! {
    /// What the pipeline's file may set.
    pub struct Params {
        /// Name of the chip, such as gpiochip0, its label, or path of its device; every chip is searched where it is left out.
        chip: Option<String>,
        /// Name of the line, or its offset on the chip.
        line: String,
        /// Events that make the line active, separated by commas; any other makes it inactive.
        on: String,
        /// Whether the line is active when it is low.
        active_low: bool = false,
        /// State that is safe, at the pin itself, whatever `active-low` says.
        safe: Safe = "low",
    }
}
