//! The interface whose settings are changed. All of this happens inside its namespace.

use crate::link::LinkSettings;
use kernel::link::{self, Link, LinkRef};
use kernel::rtnl::Rtnl;
use spec::error::{Error, Result};
use spec::names::IfName;

/// The interface, and how it was found.
#[derive(Debug)]
pub(crate) struct Target {
    route: Rtnl,
    link: Link,
    /// The settings that were asked for, as they were found.
    pub old: LinkSettings,
}

impl Target {
    /// Looks the interface up; `None` when no setting is asked for, because then it need not be there.
    ///
    /// # Errors
    /// It is not there, or has not what is asked for.
    pub(crate) fn find(asked: &LinkSettings, name: &IfName) -> Result<Option<Target>> {
        if asked.is_empty() {
            return Ok(None);
        }
        let mut route = Rtnl::open()?;
        let link = link::get(&mut route, LinkRef::Name(name.as_str()))?.ok_or_else(|| {
            Error::internal(format!(
                "tune interface {name}: the container has none of that name; the plugin before this one in the list \
                 has to make it"
            ))
        })?;
        let old = asked.now(&link)?;
        Ok(Some(Target { route, link, old }))
    }

    /// Its index in the namespace.
    pub(crate) fn index(&self) -> u32 {
        self.link.index
    }

    /// Sets the link as told.
    ///
    /// # Errors
    /// The first setting that the kernel refuses; others may be done.
    pub(crate) fn set(&mut self, settings: &LinkSettings) -> Result<()> {
        let sent = self.route.batch(settings.requests(self.link.index));
        sent.map_err(|error| Error::from(error).context(format!("tune {} in the container", self.link.name)))
    }

    /// What makes these settings again what they were.
    ///
    /// # Errors
    /// As [`LinkSettings::now`].
    pub(crate) fn taking_back(&self, settings: &LinkSettings) -> Result<impl FnOnce() -> Result<()> + use<>> {
        let (old, index) = (settings.now(&self.link)?, self.link.index);
        Ok(move || Ok(Rtnl::open()?.batch(old.requests(index))?))
    }
}
