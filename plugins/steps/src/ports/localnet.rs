//! The host's own loopback as a caller: its packets leave it only where the kernel is told to let them.

use kernel::link::{self, LinkRef};
use kernel::rtnl::Rtnl;
use kernel::{route, sysctl};
use spec::error::Result;
use std::net::{IpAddr, Ipv4Addr};

/// Lets packets with addresses of 127.0.0.0/8 through the link that leads to the container (`route_localnet`): a
/// client at 127.0.0.1 keeps that source until postrouting masquerades it. Nothing is written where it is so
/// already, and nothing to do where no link leads there.
///
/// # Errors
/// The kernel does not answer, or the sysctl cannot be set.
pub(super) fn allow_from_loopback(container: Ipv4Addr) -> Result<()> {
    let mut rtnl = Rtnl::open()?;
    let index = route::to(&mut rtnl, IpAddr::V4(container))?.and_then(|route| route.index);
    let Some(index) = index else { return Ok(()) };
    let Some(link) = link::get(&mut rtnl, LinkRef::Index(index))? else { return Ok(()) };
    Ok(sysctl::set(&format!("net/ipv4/conf/{}/route_localnet", link.name), "1")?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::ports::lab::{container, host};

    #[test]
    #[ignore = "needs root"]
    fn only_the_link_towards_the_container_lets_the_loopback_through() {
        host(|| {
            container("10.1.0.1/24");
            let state = |link: &str| sysctl::get(&format!("net/ipv4/conf/{link}/route_localnet")).unwrap();
            assert_eq!(state("to.container"), "0");
            allow_from_loopback(Ipv4Addr::new(10, 1, 0, 5)).unwrap();
            assert_eq!(
                (state("to.container"), state("lo"), state("all")),
                ("1".into(), "0".into(), "0".into())
            );
            allow_from_loopback(Ipv4Addr::new(10, 1, 0, 5)).unwrap();
        });
    }

    #[test]
    #[ignore = "needs root"]
    fn a_container_that_no_link_leads_to_is_no_error() {
        host(|| allow_from_loopback(Ipv4Addr::new(10, 1, 0, 5)).unwrap());
    }
}
