//! What a chained plugin takes from `prevResult`.

use ipnet::IpNet;
use spec::config::Config;
use spec::error::{Error, Result};
use spec::request::Attachment;
use spec::result::Success;
use std::net::IpAddr;

/// The result of the plugins before, which a chained plugin passes on.
///
/// # Errors
/// Code 7 when the plugin is the first of its list.
pub fn prev_result(config: &Config) -> Result<&Success> {
    config.prev_result.as_ref().ok_or_else(|| {
        Error::invalid_config(
            "must be called as chained plugin: there is no prevResult; put it after the plugin that makes the interface",
        )
    })
}

/// The addresses of the attachment's interface: those that point at an interface of its name inside a sandbox,
/// and those that point at none.
pub fn addresses(attachment: &Attachment, result: &Success) -> Vec<IpNet> {
    let inside = |position: usize| {
        result
            .interfaces
            .get(position)
            .is_some_and(|interface| interface.name == attachment.ifname.as_str() && !interface.is_on_host())
    };
    result.ips.iter().filter(|ip| ip.interface.is_none_or(inside)).map(|ip| ip.address).collect()
}

/// The first address of each family.
pub fn first_of_each_family(addresses: &[IpNet]) -> (Option<IpNet>, Option<IpNet>) {
    let first = |v4: bool| addresses.iter().copied().find(|address| address.addr().is_ipv4() == v4);
    (first(true), first(false))
}

/// The addresses without their prefix lengths.
pub fn hosts(addresses: &[IpNet]) -> Vec<IpAddr> {
    addresses.iter().map(IpNet::addr).collect()
}
