//! How packages move between the slots of a model, and how an active one proves itself.
use super::error::{SlotName, StoreError};
use super::state::{Probation, Slot, Slots};
use super::write::Store;

impl Store {
    /// Makes the candidate of `model` its active package, on probation, and the active one its previous.
    ///
    /// # Errors
    /// [`StoreError::NoModel`], `EmptySlot`, `BelowFloor`, or those of writing.
    pub fn activate(&mut self, model: &str) -> Result<Slot, StoreError> {
        let candidate = self.admissible(model, SlotName::Candidate)?;
        let chosen = candidate.clone();
        self.change(model, |slots| {
            slots.candidate = None;
            // One that never proved itself does not displace one that did.
            if slots.trial().is_none() {
                slots.previous = slots.active.take();
            }
            slots.active = Some(chosen);
            slots.probation = Some(Probation::default());
        })?;
        Ok(candidate)
    }

    /// Ends the probation of the active package: the floor rises to its counter, and what is below that goes.
    ///
    /// # Errors
    /// [`StoreError::NoModel`], `EmptySlot`, or those of writing.
    pub fn commit(&mut self, model: &str) -> Result<(), StoreError> {
        let counter = self.slot(model, SlotName::Active)?.counter;
        self.change(model, |slots| {
            slots.floor = slots.floor.max(counter);
            slots.probation = None;
            let floor = slots.floor;
            slots.previous.take_if(|slot| slot.counter < floor);
            slots.candidate.take_if(|slot| slot.counter < floor);
        })
    }

    /// Goes back to the previous package of `model`; the one that ran becomes the candidate.
    ///
    /// # Errors
    /// [`StoreError::NoModel`], `EmptySlot`, `BelowFloor`, or those of writing.
    pub fn rollback(&mut self, model: &str) -> Result<Slot, StoreError> {
        let previous = self.admissible(model, SlotName::Previous)?;
        let chosen = previous.clone();
        self.change(model, |slots| {
            slots.previous = None;
            slots.candidate = slots.active.replace(chosen);
            slots.probation = None;
        })?;
        Ok(previous)
    }

    /// Counts a start of the daemon against the active package, if it is on probation and could be gone back from; where
    /// none is left, goes back to the previous one and returns it.
    ///
    /// # Errors
    /// [`StoreError::NoModel`], `BelowFloor`, or those of writing.
    pub fn begin_start(&mut self, model: &str) -> Result<Option<Slot>, StoreError> {
        match self.slots(model)?.trial().map(|trial| trial.starts_left) {
            None => Ok(None),
            Some(0) => self.rollback(model).map(Some),
            Some(left) => {
                self.set_starts(model, left - 1)?;
                Ok(None)
            }
        }
    }

    /// A start that ended in order counts no more against an active package on probation.
    ///
    /// # Errors
    /// [`StoreError::NoModel`], or those of writing.
    pub fn end_start(&mut self, model: &str) -> Result<(), StoreError> {
        let whole = Probation::default().starts_left;
        match self.slots(model)?.trial() {
            Some(trial) if trial.starts_left < whole => self.set_starts(model, whole),
            _ => Ok(()),
        }
    }

    fn set_starts(&mut self, model: &str, starts_left: u32) -> Result<(), StoreError> {
        self.change(model, |slots| slots.probation = Some(Probation { starts_left }))
    }

    fn admissible(&self, model: &str, slot: SlotName) -> Result<Slot, StoreError> {
        let found = self.slot(model, slot)?.clone();
        let (counter, floor) = (found.counter, self.slots(model)?.floor);
        if counter < floor {
            return Err(StoreError::BelowFloor { model: model.into(), slot, counter, floor });
        }
        Ok(found)
    }

    fn change(&mut self, model: &str, edit: impl FnOnce(&mut Slots)) -> Result<(), StoreError> {
        let mut next = self.state.clone();
        edit(next.models.entry(model.into()).or_default());
        self.commit_state(next)
    }
}
