//! The hot path: one element, into a set whose surroundings are nearly always there.
//!
//! It asks before it acts. A question costs 2 us; a transaction that fails waits for an RCU grace period
//! (4-28 ms here) with the ruleset locked, so that every other process waits with it.

use super::{Element, Nft, Set, Transaction};
use crate::error::Result;
use rustix::io::Errno;

/// How often an element is tried to be put where others put, remove and build the same.
const ATTEMPTS: u32 = 8;

impl Nft {
    /// Puts an element in, whatever was there: nothing is done where it is there already, one with the same
    /// key but other data or comment is replaced, and what it needs is built where the set is missing.
    ///
    /// `missing` gives the transaction that builds the set and its surroundings. Others may build at the same
    /// time: its requests either are fine where the object is there already (`add`, `flush` before rules), or
    /// fail as a whole (`create`), and then it is asked again.
    ///
    /// # Errors
    /// Of the request that the kernel refused, or of `missing`.
    pub fn put_element(
        &mut self,
        set: Set<'_>,
        element: &Element<'_>,
        mut missing: impl FnMut(&mut Nft) -> Result<Transaction>,
    ) -> Result<()> {
        let mut incomplete = false;
        let mut attempt = 1;
        loop {
            let mut transaction = match self.element(set, element.key().clone())? {
                Some(found) if element.is_the_same_as(&found) => return Ok(()),
                // The address had another owner whose removal never came.
                Some(_) => set.delete_elements(std::slice::from_ref(element)).into_iter().collect(),
                None if !incomplete && self.can_take(set, element)? => Transaction::new(),
                None => missing(self)?,
            };
            transaction.extend(set.create_elements(std::slice::from_ref(element)));
            match self.commit(&transaction) {
                Err(error) if attempt < ATTEMPTS && overtaken(error.errno()) => {
                    // It seemed complete, and was not, or is no longer: asked once more, it might seem so
                    // again.
                    incomplete = error.errno() == Errno::NOENT;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Whether the set is there, and the chain that the element's verdict leads to.
    fn can_take(&mut self, set: Set<'_>, element: &Element<'_>) -> Result<bool> {
        let there = self.has_set(set)?;
        match element.target() {
            Some(chain) if there => Ok(self.chain(set.table.chain(chain))?.is_some()),
            _ => Ok(there),
        }
    }
}

/// Whether somebody else acted between the question and the transaction: put the same key or built the set
/// (`EEXIST`), removed the key or flushed the ruleset (`ENOENT`).
fn overtaken(errno: Errno) -> bool {
    matches!(errno, Errno::EXIST | Errno::NOENT)
}
