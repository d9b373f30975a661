//! Sets of nftables that belong to one subnet, by their names: `masquerade-10.1.0.0-16`.

use ipnet::IpNet;

/// `masquerade-10.1.0.0-16`, `masquerade-fd00_1__-64`: slash and colon would not be read back by `nft` in a
/// name. The prefix ends in a dash.
pub(crate) fn name(prefix: &str, address: IpNet) -> String {
    let subnet = address.trunc();
    format!("{prefix}{}-{}", subnet.addr(), subnet.prefix_len()).replace(':', "_")
}

/// The subnet in such a name; `None` for another's name.
pub(crate) fn subnet(prefix: &str, name: &str) -> Option<IpNet> {
    let (address, length) = name.strip_prefix(prefix)?.rsplit_once('-')?;
    IpNet::new(address.replace('_', ":").parse().ok()?, length.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_set_is_named_after_its_subnet_in_a_form_that_nft_reads() {
        for (address, of_masquerade, subnet_text) in [
            ("10.1.0.5/16", "masquerade-10.1.0.0-16", "10.1.0.0/16"),
            ("fd00:1::5/64", "masquerade-fd00_1__-64", "fd00:1::/64"),
        ] {
            assert_eq!(name("masquerade-", address.parse().unwrap()), of_masquerade);
            assert_eq!(subnet("masquerade-", of_masquerade), Some(subnet_text.parse().unwrap()));
        }
        assert_eq!(subnet("masquerade-", "masquerade-somebody"), None);
    }
}
