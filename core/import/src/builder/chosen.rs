//! Numbers that say which, and that are only known while the graph runs, as rows that have one 1.
use edgemill_model::graph::{Clamp, Pair};

use super::{Builder, Live, Out, Value};
use crate::host::Host;
use crate::{Refusal, unsupported};

/// The most elements of such rows.
const MAX_CELLS: u64 = 1 << 26;

/// 0, 1, … up to `count`, as an axis of its own.
pub fn counted(count: u32) -> Result<Host, Refusal> {
    if count > 1 << 24 {
        return Err(unsupported("an axis of that length"));
    }
    #[expect(clippy::cast_precision_loss, reason = "below 2²⁴")]
    let numbers: Vec<f32> = (0..count).map(|n| n as f32).collect();
    Ok(Host::floats(vec![count as usize], numbers))
}

impl Builder {
    /// For each of these real numbers a row of `count`, 1 where it points to. What lies outside points nowhere.
    pub fn rows_of(&mut self, numbers: Live, count: u32) -> Result<Value, Refusal> {
        let mut shape = self.logical(&numbers);
        let cells = shape.iter().map(|&d| u64::from(d)).product::<u64>() * u64::from(count);
        if cells > MAX_CELLS {
            return Err(unsupported("that many places computed while the model runs"));
        }
        shape.push(1);
        let column = Value::Live(self.reshaped("", &Value::Live(numbers), shape)?);
        let all = Value::Host(counted(count)?);
        self.pair(&Out::default(), Pair::Equal, Clamp::NONE, [&column, &all])
    }
}
