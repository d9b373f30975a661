//! The mark by which rules and links are known to belong to one attachment of one network.
//!
//! The text has the form that the reference plugins give their nftables comments: two hashes to compare, then
//! words for people. A mark survives truncation, because the hashes come first.

use sha2::{Digest, Sha512};
use spec::config::Config;
use spec::names::NetworkName;
use spec::request::Attachment;
use std::fmt::Write;

/// Longest comment that `nft` prints, in bytes.
const COMMENT_MAX: usize = 128;
/// Longest alias that the kernel keeps for a link, in bytes (`IFALIASZ` less its NUL).
const ALIAS_MAX: usize = 255;

/// The mark of one attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Network, container id, interface: what the mark is made of.
    names: (NetworkName, String, String),
    network: String,
    attachment: String,
    words: String,
    /// Network and container without separator, as the reference plugins hash them for iptables.
    chain_seed: String,
    iptables_comment: String,
}

impl Label {
    /// The mark of this attachment on this network.
    pub fn new(config: &Config, attachment: &Attachment) -> Label {
        Label::of(&config.name, attachment.container.as_str(), attachment.ifname.as_str())
    }

    /// The mark from its three names, as GC has them.
    pub fn of(network: &NetworkName, container: &str, ifname: &str) -> Label {
        let words = format!("net: {network}, if: {ifname}, id: {container}").replace('"', "");
        Label {
            names: (network.clone(), container.to_owned(), ifname.to_owned()),
            network: network_hash(network),
            attachment: attachment_hash(container, ifname),
            words,
            chain_seed: format!("{network}{container}"),
            iptables_comment: format!(r#"name: \"{network}\" id: \"{container}\""#),
        }
    }

    /// What the mark is made of: network, container id, interface.
    pub fn names(&self) -> (&NetworkName, &str, &str) {
        let (network, container, ifname) = &self.names;
        (network, container, ifname)
    }

    /// The comment of a rule or element in nftables.
    pub fn comment(&self) -> String {
        self.text(COMMENT_MAX)
    }

    /// The alias of a link (`ip link` shows it).
    pub fn alias(&self) -> String {
        self.text(ALIAS_MAX)
    }

    /// What the reference plugins hash for the names of chains and links: network and container id, without the
    /// interface and without a separator.
    pub fn seed(&self) -> &str {
        &self.chain_seed
    }

    /// The container's chain in table nat of iptables, named as the reference plugins name it.
    pub fn iptables_chain(&self) -> String {
        format!("CNI-{}", hash_prefix(&self.chain_seed, 12))
    }

    /// The comment of the container's iptables rules, quoted for `iptables-restore`.
    pub fn iptables_comment(&self) -> &str {
        &self.iptables_comment
    }

    /// Whether a comment or alias read back carries this mark.
    pub fn marks(&self, text: &str) -> bool {
        text.strip_prefix(&self.key()).is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
    }

    /// The same of a comment or alias that may not be there.
    pub fn is_on(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| self.marks(text))
    }

    /// The mark's two hashes, the part that is compared.
    pub fn key(&self) -> String {
        format!("{}-{}", self.network, self.attachment)
    }

    /// Name of the host's end of the veth pair: `veth` and eight hexadecimal digits, always the same for one
    /// attachment, so that DEL finds it when the namespace is gone. `attempt` gives another name when a
    /// stranger has that one.
    pub fn host_ifname(&self, attempt: u32) -> String {
        format!("veth{}", hash_prefix(&format!("{}/{attempt}", self.key()), 4))
    }

    fn text(&self, limit: usize) -> String {
        let mut text = format!("{}, {}", self.key(), self.words);
        let mut end = limit.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }
}

/// The first hash of every mark of this network, for GC to recognise what is the network's.
pub fn network_hash(network: &NetworkName) -> String {
    hash_prefix(network.as_str(), 8)
}

/// Whether a comment or alias read back is a mark, whoever's: words of a person are none.
pub fn is_mark(text: &str) -> bool {
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    let key = text.split(',').next().unwrap_or_default();
    key.split_once('-').is_some_and(|(network, attachment)| is_hash(network) && is_hash(attachment))
}

/// Whether a comment or alias read back belongs to this network.
pub fn of_network(network: &NetworkName, text: &str) -> bool {
    text.strip_prefix(&network_hash(network)).is_some_and(|rest| rest.starts_with('-'))
}

fn attachment_hash(container: &str, ifname: &str) -> String {
    hash_prefix(&format!("{ifname}:{container}"), 8)
}

/// The first `bytes` bytes of the SHA-512 of `text`, in hexadecimal.
pub fn hash_prefix(text: &str, bytes: usize) -> String {
    let digest = Sha512::digest(text.as_bytes());
    digest.iter().take(bytes).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn label(container: &str) -> Label {
        Label::of(&"mynet".parse().unwrap(), container, "eth0")
    }

    #[test]
    fn the_comment_is_the_reference_plugins_own() {
        assert_eq!(
            label("abc123").comment(),
            "d23676b4f2d9fe04-ebce0e3dd4dafae3, net: mynet, if: eth0, id: abc123"
        );
    }

    #[test]
    fn a_long_id_is_cut_but_still_recognised() {
        let long = label(&"a".repeat(300));
        assert_eq!(long.comment().len(), 128);
        assert_eq!(long.alias().len(), 255);
        assert!(long.marks(&long.comment()));
        assert!(!label("abc123").marks(&long.comment()));
    }

    #[test]
    fn marks_of_a_network_are_told_from_others() {
        let comment = label("abc123").comment();
        assert!(of_network(&"mynet".parse().unwrap(), &comment));
        assert!(!of_network(&"other".parse().unwrap(), &comment));
        assert!(!of_network(&"mynet".parse().unwrap(), ""));
        assert!(is_mark(&comment) && !is_mark("uplink-2, the old one") && !is_mark(""));
    }

    #[test]
    fn the_host_name_is_stable_and_fits() {
        assert_eq!(label("abc123").host_ifname(0), label("abc123").host_ifname(0));
        assert_ne!(label("abc123").host_ifname(0), label("abc123").host_ifname(1));
        assert_eq!(label("abc123").host_ifname(0).len(), 12);
    }
}
