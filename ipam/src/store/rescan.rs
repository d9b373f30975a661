//! Reads all leases once and puts right what is said about them elsewhere.
//!
//! Needed when somebody else has changed the lease directory, when one of us was killed, and after each boot.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kernel::file::FileId;
use spec::Result;

use super::Store;
use super::index::Index;
use super::lease::{Key, Lease};
use super::owner::Owner;

impl Store {
    /// Reads all leases; afterwards the index, the owners and `scanned` say what they say.
    ///
    /// Leases of an earlier boot are removed: no container of theirs lives. So are unfinished ones: under the
    /// lock nobody is about to finish them. A lease that no owner file knows is taken to be of this boot,
    /// never judged by a clock.
    pub(super) fn rescan(&mut self) -> Result<()> {
        let mut owners = BTreeMap::new();
        let mut taken = Vec::new();
        for (ip, lease) in self.leases.list()? {
            match lease {
                Lease::Unfinished => self.leases.remove(ip)?,
                Lease::Unreadable => taken.push(ip),
                Lease::Of(key, identity) => {
                    if self.adopt(&mut owners, key, ip, identity)? {
                        taken.push(ip);
                    }
                }
            }
        }
        self.index = Index::of(self.described()?, taken.into_iter());
        self.changed = true;
        self.made.clear();
        self.write_owners(owners);
        Ok(())
    }

    /// Puts a lease under its owner; false if it is of an earlier boot, and so has been removed.
    fn adopt(
        &self,
        owners: &mut BTreeMap<Key, Found>,
        key: Key,
        ip: IpAddr,
        identity: FileId,
    ) -> Result<bool> {
        let found = owners.entry(key).or_insert_with_key(|key| Found::of(self.owners.read(key)));
        if found.is_over(&self.boot, ip, identity) {
            self.leases.remove(ip)?;
            return Ok(false);
        }
        found.leases.push((ip, identity));
        Ok(true)
    }

    /// Writes the owner files that differ, and removes those without a lease.
    fn write_owners(&mut self, found: BTreeMap<Key, Found>) {
        let alive = found.into_iter().filter(|(_, found)| !found.leases.is_empty());
        let owners = alive.map(|(key, found)| {
            let (before, owner) = found.into_owner(&self.boot);
            (key, before, owner)
        });
        if self.owners.set_all(owners.collect()).is_err() {
            self.index.contradict();
        }
    }
}

/// What is written about an attachment, and what it really holds.
struct Found {
    before: Option<Owner>,
    leases: Vec<(IpAddr, FileId)>,
}

impl Found {
    fn of(before: Option<Owner>) -> Found {
        Found { before, leases: Vec::new() }
    }

    /// Whether exactly this lease file was made, or first seen, in another boot.
    fn is_over(&self, boot: &str, ip: IpAddr, identity: FileId) -> bool {
        let Some(before) = &self.before else { return false };
        let other_boot = before.boot != boot && !before.boot.is_empty() && !boot.is_empty();
        other_boot && before.identity_of(ip) == Some(identity)
    }

    /// What was written, and what is to be. The namespace stays known within its boot.
    fn into_owner(mut self, boot: &str) -> (Option<Owner>, Owner) {
        self.leases.sort_by_key(|(ip, _)| *ip);
        let netns =
            self.before.as_ref().filter(|before| before.boot == boot).and_then(|before| before.netns.clone());
        let owner = Owner { boot: boot.to_owned(), netns, leases: self.leases };
        (self.before, owner)
    }
}
