//! The hot path: one element, into a table whose static part is nearly always there.

use super::{Element, Nft, Set, Transaction};
use crate::error::Result;
use rustix::io::Errno;

/// How often an element is tried to be put where others put and remove the same one.
const ATTEMPTS: u32 = 8;

impl Nft {
    /// Puts an element in, whatever was there: in place of one with the same key, and with the static part that it
    /// needs where that is missing. `build` adds the static part to a transaction; each of its requests has to be
    /// fine where the object is there already (`add`; `flush` before rules), as others may build at the same time.
    ///
    /// One round trip where the static part is there and the key is not: whether it is there is not asked but
    /// seen from the answer.
    ///
    /// # Errors
    /// Of the request that the kernel refused.
    pub fn put_element(&mut self, set: Set<'_>, element: &Element<'_>, build: impl Fn(&mut Transaction)) -> Result<()> {
        let create = set.create_elements(std::slice::from_ref(element));
        let mut outcome = self.apply(create.iter().cloned());
        for _ in 0..ATTEMPTS {
            let mut transaction = Transaction::new();
            match &outcome {
                // The table, the map or the chain of the verdict is missing: never built, or flushed by somebody.
                Err(error) if error.errno() == Errno::NOENT => build(&mut transaction),
                // The address had another owner whose removal never came.
                Err(error) if error.errno() == Errno::EXIST => {
                    transaction.extend(set.delete_elements(std::slice::from_ref(element)));
                }
                _ => return outcome,
            }
            transaction.extend(create.iter().cloned());
            outcome = self.commit(&transaction);
        }
        outcome
    }
}
