//! The hot path: one element, into a set whose surroundings are nearly always there.
//!
//! It asks before it acts. A question costs 2 us; a transaction that fails waits for an RCU grace period
//! (4-28 ms here) with the ruleset locked, so that every other process waits with it.

use super::{Element, Nft, Request, Set, Transaction};
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
        missing: impl FnMut(&mut Nft) -> Result<Transaction>,
    ) -> Result<()> {
        self.put_elements(&[(set, element.clone())], missing)
    }

    /// As [`Nft::put_element`], for several elements by one transaction: all of them are there afterwards, and
    /// none was before another.
    ///
    /// # Errors
    /// As [`Nft::put_element`].
    pub fn put_elements(
        &mut self,
        elements: &[(Set<'_>, Element<'_>)],
        mut missing: impl FnMut(&mut Nft) -> Result<Transaction>,
    ) -> Result<()> {
        let mut incomplete = false;
        let mut attempt = 1;
        loop {
            let changes = self.changes(elements)?;
            if changes.is_empty() {
                return Ok(());
            }
            let mut transaction = match !incomplete && self.can_take_all(elements)? {
                true => Transaction::new(),
                false => missing(self)?,
            };
            transaction.extend(changes);
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

    /// What has to be done for those elements that are not there as they should be.
    fn changes(&mut self, elements: &[(Set<'_>, Element<'_>)]) -> Result<Vec<Request>> {
        let mut changes = Vec::new();
        for (set, element) in elements {
            let one = std::slice::from_ref(element);
            match self.element(*set, element.key().clone())? {
                Some(found) if element.is_the_same_as(&found) => continue,
                // The address had another owner whose removal never came.
                Some(_) => changes.extend(set.delete_elements(one)),
                None => {}
            }
            changes.extend(set.create_elements(one));
        }
        Ok(changes)
    }

    fn can_take_all(&mut self, elements: &[(Set<'_>, Element<'_>)]) -> Result<bool> {
        let mut asked: Vec<Set<'_>> = Vec::new();
        for (set, element) in elements {
            if asked.contains(set) && element.target().is_none() {
                continue;
            }
            if !self.can_take(*set, element)? {
                return Ok(false);
            }
            asked.push(*set);
        }
        Ok(true)
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
