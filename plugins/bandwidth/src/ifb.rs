//! The IFB of an attachment: through which the container's own traffic is sent, since only what leaves can be queued.

use kernel::link::ifb::{Ifb, KIND};
use kernel::link::{self, Link, LinkRef};
use kernel::rtnl::Rtnl;
use spec::config::Config;
use spec::error::{Error, Result};
use spec::request::Attachment;
use steps::label::{Label, hash_prefix};

/// What names begin with, as the reference plugin's do.
const PREFIX: &str = "bwp";
/// Bytes of a hash in a name: twice as many digits.
const HASH: usize = 6;

/// The two names that the IFB of an attachment can have.
#[derive(Debug)]
pub(crate) struct Names {
    /// The reference plugin's, which is the same for all interfaces of a container on a network.
    of_container: String,
    /// This interface's own, for the second one.
    of_interface: String,
}

impl Names {
    pub(crate) fn new(config: &Config, attachment: &Attachment, label: &Label) -> Names {
        Names {
            of_container: name(&format!("{}{}", config.name, attachment.container)),
            of_interface: name(&label.key()),
        }
    }

    fn each(&self) -> [&str; 2] {
        [&self.of_container, &self.of_interface]
    }
}

fn name(seed: &str) -> String {
    format!("{PREFIX}{}", hash_prefix(seed, HASH))
}

/// Makes the IFB, up and marked. One that a killed ADD left goes before; somebody else's stays, and the other name
/// is taken.
///
/// # Errors
/// The kernel refuses, or both names are somebody else's.
pub(crate) fn create(host: &mut Rtnl, names: &Names, label: &Label, mtu: u32) -> Result<Link> {
    for name in names.each() {
        // Asked for before it is made, because the mark goes by name.
        match link::get(host, LinkRef::Name(name))? {
            Some(link) if !is_marked(&link, label) => continue,
            Some(link) => {
                link::remove_early(host, link.index, &[])?;
            }
            None => {}
        }
        return Ok(Ifb { name, mtu }.create_marked(host, &label.alias())?);
    }
    Err(Error::internal(format!(
        "create ifb: both names, {} and {}, are taken by links that are not this attachment's",
        names.of_container, names.of_interface
    )))
}

/// The IFB of this attachment: the one with its mark, or else the one that the reference plugin made, which has no
/// mark but the name of the container.
///
/// # Errors
/// The kernel does not answer.
pub(crate) fn find(host: &mut Rtnl, names: &Names, label: &Label) -> Result<Option<Link>> {
    let mut without_mark = None;
    for name in names.each() {
        match link::get(host, LinkRef::Name(name))? {
            Some(link) if is_marked(&link, label) => return Ok(Some(link)),
            Some(link) if name == names.of_container && is_reference_s(&link) => without_mark = Some(link),
            _ => {}
        }
    }
    Ok(without_mark)
}

fn is_marked(link: &Link, label: &Label) -> bool {
    is_ifb(link) && label.is_on(link.alias.as_deref())
}

fn is_reference_s(link: &Link) -> bool {
    is_ifb(link) && link.alias.is_none()
}

pub(crate) fn is_ifb(link: &Link) -> bool {
    link.kind.as_deref() == Some(KIND)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_first_name_is_the_reference_plugin_s_and_the_second_is_the_interface_s_own() {
        let config = Config::parse(br#"{"name":"mynet"}"#.to_vec()).unwrap();
        let names = |ifname: &str| {
            let attachment =
                Attachment { container: "abc123".parse().unwrap(), ifname: ifname.parse().unwrap() };
            Names::new(&config, &attachment, &Label::new(&config, &attachment))
        };
        assert_eq!(names("eth0").of_container, "bwp70a29d9dc18b");
        assert_eq!(names("eth1").of_container, "bwp70a29d9dc18b");
        assert_ne!(names("eth0").of_interface, names("eth1").of_interface);
        assert_eq!(names("eth0").of_interface.len(), 15);
    }
}
