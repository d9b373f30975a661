//! Garbage: attachments that no living container has any more.

use std::collections::BTreeSet;

use spec::{Attachment, NetworkList, NetworkName, ValidAttachment, Version};

use crate::cache::Entry;
use crate::error::{Error, Result};
use crate::runtime::Runtime;

/// What a garbage collection did.
#[derive(Debug, Default)]
pub struct Collected {
    /// Remembered attachments that were deleted.
    pub deleted: Vec<Attachment>,
    /// Whether the plugins were sent the verb GC.
    pub asked: bool,
    /// What went wrong; the rest was done all the same.
    pub errors: Vec<Error>,
}

impl Runtime {
    /// The remembered attachments of a network.
    ///
    /// # Errors
    /// The cache cannot be read.
    pub fn attachments(&self, network: &NetworkName) -> Result<Vec<Entry>> {
        let mut entries = self.cache.entries()?;
        entries.retain(|entry| entry.network == *network);
        Ok(entries)
    }

    /// GC: a full DEL of what is remembered and not valid, with the arguments of its ADD; then, from 1.1.0 on, the
    /// verb GC to every plugin, for what nobody remembers. Nothing is done if the configuration says `disableGC`.
    ///
    /// The caller's list has to hold whatever it attaches while it waits for this: the list is older than the lock.
    ///
    /// # Errors
    /// Nothing could be begun: the lock was not to be had, or the cache cannot be read.
    pub fn gc(&self, network: &NetworkList, valid: &[Attachment]) -> Result<Collected> {
        self.gc_unless(network, valid, |entry| valid.contains(&entry.endpoint.attachment))
    }

    /// The same, where `lives` decides on what is remembered, under the lock; `valid` names others, which are not
    /// remembered here, for the plugins to spare.
    ///
    /// # Errors
    /// As [`gc`](Self::gc).
    pub fn gc_unless(
        &self,
        network: &NetworkList,
        valid: &[Attachment],
        lives: impl FnMut(&Entry) -> bool,
    ) -> Result<Collected> {
        self.gc_where(network, valid, lives, true)
    }

    /// The same for a caller who may not be the only one to attach: where nothing of the network is remembered the
    /// plugins are not asked, for an empty list would have them remove what all others have.
    ///
    /// # Errors
    /// As [`gc`](Self::gc).
    pub fn gc_remembered(
        &self,
        network: &NetworkList,
        valid: &[Attachment],
        lives: impl FnMut(&Entry) -> bool,
    ) -> Result<Collected> {
        self.gc_where(network, valid, lives, false)
    }

    fn gc_where(
        &self,
        network: &NetworkList,
        valid: &[Attachment],
        mut lives: impl FnMut(&Entry) -> bool,
        unremembered: bool,
    ) -> Result<Collected> {
        let mut collected = Collected::default();
        if network.disable_gc {
            return Ok(collected);
        }
        let _lock = self.locks.whole_network(&network.name)?;
        let (living, stale): (Vec<_>, Vec<_>) =
            self.attachments(&network.name)?.into_iter().partition(|entry| lives(entry));
        let known = !living.is_empty() || !stale.is_empty() || unremembered;
        for entry in stale {
            match self.collect(network, &entry) {
                Ok(()) => collected.deleted.push(entry.endpoint.attachment),
                Err(error) => collected.errors.push(error),
            }
        }
        if network.version >= Version::V1_1_0 && known {
            collected.asked = true;
            let living = living.iter().map(|entry| &entry.endpoint.attachment);
            let valid: BTreeSet<_> = living.chain(valid).map(on_the_wire).collect();
            collected.errors.extend(self.chain(network).gc(&Vec::from_iter(valid)));
        }
        Ok(collected)
    }

    fn collect(&self, network: &NetworkList, entry: &Entry) -> Result<()> {
        let _lock = self.locks.container(&entry.endpoint.attachment.container)?;
        self.del_locked(&entry.list_of_add(network.clone()), &entry.endpoint)
    }
}

fn on_the_wire(Attachment { container, ifname }: &Attachment) -> ValidAttachment {
    ValidAttachment { container_id: container.to_string(), ifname: ifname.to_string() }
}
