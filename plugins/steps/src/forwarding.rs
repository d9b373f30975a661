//! Forwarding of packets between interfaces, which a gateway needs.

use kernel::sysctl;
use spec::error::Result;
use std::net::IpAddr;

/// Switches forwarding on for the families of these gateways; nothing is written where it is on already.
///
/// # Errors
/// The sysctl that could not be read or written.
pub fn enable(gateways: impl Iterator<Item = IpAddr>) -> Result<()> {
    let (mut v4, mut v6) = (false, false);
    for gateway in gateways {
        v4 |= gateway.is_ipv4();
        v6 |= gateway.is_ipv6();
    }
    if v4 {
        sysctl::set("net/ipv4/ip_forward", "1")?;
    }
    if v6 {
        sysctl::set("net/ipv6/conf/all/forwarding", "1")?;
    }
    Ok(())
}
