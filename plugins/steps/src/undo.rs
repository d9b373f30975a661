//! The undo list of one ADD: what was made is taken back, newest first, unless the ADD commits.
//!
//! It covers errors, not SIGKILL: DEL and GC find by themselves what a killed ADD left.

use spec::error::Result;

type Step<'a> = (&'static str, Box<dyn FnOnce() -> Result<()> + 'a>);

/// What to take back when the ADD does not reach [`Undo::commit`].
#[derive(Default)]
pub struct Undo<'a> {
    steps: Vec<Step<'a>>,
}

impl<'a> Undo<'a> {
    /// An empty list.
    pub fn new() -> Undo<'a> {
        Undo { steps: Vec::new() }
    }

    /// Notes how to take back what was just made. `what` names the step in the log line of a failed undo.
    pub fn track(&mut self, what: &'static str, take_back: impl FnOnce() -> Result<()> + 'a) {
        self.steps.push((what, Box::new(take_back)));
    }

    /// Keeps everything: the ADD succeeded.
    pub fn commit(mut self) {
        self.steps.clear();
    }
}

impl Drop for Undo<'_> {
    /// Goes on after a failing step: one thing that cannot be removed is no reason to leave the others.
    fn drop(&mut self) {
        while let Some((what, take_back)) = self.steps.pop() {
            if let Err(error) = take_back() {
                eprintln!("undo of {what}: {error}");
            }
        }
    }
}

impl std::fmt::Debug for Undo<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|(what, _)| what)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn a_dropped_list_reverts_newest_first_and_goes_on_after_a_failure() {
        let order = RefCell::new(Vec::new());
        let mut undo = Undo::new();
        for step in ["first", "second", "third"] {
            let order = &order;
            undo.track(step, move || {
                order.borrow_mut().push(step);
                if step == "second" { Err(spec::error::Error::internal("cannot")) } else { Ok(()) }
            });
        }
        drop(undo);
        assert_eq!(*order.borrow(), ["third", "second", "first"]);
    }

    #[test]
    fn a_committed_list_reverts_nothing() {
        let reverted = RefCell::new(false);
        let mut undo = Undo::new();
        undo.track("step", || {
            *reverted.borrow_mut() = true;
            Ok(())
        });
        undo.commit();
        assert!(!*reverted.borrow());
    }
}
