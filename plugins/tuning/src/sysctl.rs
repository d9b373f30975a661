//! Sysctls: from a key as it is written to a path under `/proc/sys`, and their values.

use crate::refused::Refused;
use kernel::error::Errno;
use kernel::sysctl;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use spec::config::Config;
use spec::error::{Error, Result};
use spec::names::IfName;
use std::fmt;

/// Stands for the container's interface in a key.
pub(crate) const PLACEHOLDER: &str = "IFNAME";

/// Keys and values in the order in which they are written; null is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Pairs, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> std::result::Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = object.next_entry::<String, Option<String>>()? {
                    pairs.extend(value.map(|value| (key, value)));
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Object)
    }
}

/// The key `sysctl` as it stands in the document: in order, and with what is written twice. `lenient` is the
/// same, read by Go's rules, which know no order; it is taken when the key is spelled in another case.
pub(crate) fn in_order(config: &Config, lenient: &Pairs) -> Pairs {
    #[derive(Deserialize)]
    struct Document {
        sysctl: Option<Pairs>,
    }
    if lenient.0.is_empty() {
        return Pairs::default();
    }
    let document: Option<Document> = serde_json::from_slice(config.bytes()).ok();
    document.and_then(|document| document.sysctl).unwrap_or_else(|| lenient.clone())
}

/// A sysctl that is to have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sysctl {
    /// As it is written.
    pub key: String,
    /// Under `/proc/sys`.
    pub path: String,
    /// What it is to be.
    pub value: String,
}

/// The sysctls of a configuration, those of `args.cni` in the place of those that it overrides.
///
/// # Errors
/// Code 7 for a key that is no network sysctl, and for two values for one sysctl. The reference refuses only
/// a key that is written twice, and of two spellings lets chance decide.
pub(crate) fn resolve(own: &Pairs, overrides: &Pairs, ifname: &IfName) -> Result<Vec<Sysctl>> {
    let mut sysctls: Vec<Sysctl> = Vec::new();
    for (place, (key, value)) in own.0.iter().enumerate() {
        if own.0[..place].iter().any(|(other, _)| other == key) {
            return Err(Error::invalid_config(format!("duplicated sysctl keys are not allowed: {key:?}")));
        }
        let sysctl = Sysctl::new(key, value, ifname)?;
        match sysctls.iter().find(|other| other.path == sysctl.path) {
            None => sysctls.push(sysctl),
            Some(other) if other.value == sysctl.value => {}
            Some(other) => return Err(two_values(other, &sysctl)),
        }
    }
    for (key, value) in &overrides.0 {
        let sysctl = Sysctl::new(key, value, ifname)?;
        match sysctls.iter_mut().find(|other| other.path == sysctl.path) {
            None => sysctls.push(sysctl),
            Some(other) => *other = sysctl,
        }
    }
    Ok(sysctls)
}

fn two_values(one: &Sysctl, other: &Sysctl) -> Error {
    Error::invalid_config(format!(
        "duplicated sysctl keys are not allowed: {:?} and {:?} are the same sysctl with two values",
        one.key, other.key
    ))
}

impl Sysctl {
    fn new(key: &str, value: &str, ifname: &IfName) -> Result<Sysctl> {
        Ok(Sysctl { key: key.to_owned(), path: path(key, ifname)?, value: value.to_owned() })
    }

    /// Its value now, in the calling thread's namespace; `None` where it can only be written.
    ///
    /// # Errors
    /// There is none of this name here.
    pub(crate) fn now(&self) -> std::result::Result<Option<String>, Box<Refused>> {
        forgive_unreadable(sysctl::get_whole(&self.path)).map_err(|cause| self.refused(cause))
    }

    /// Gives it the value, in the calling thread's namespace.
    ///
    /// # Errors
    /// The kernel does not let it be written, or does not take the value.
    pub(crate) fn set(&self) -> std::result::Result<(), Box<Refused>> {
        sysctl::overwrite(&self.path, &self.value).map_err(|cause| self.refused(cause))
    }

    fn refused(&self, cause: kernel::Error) -> Box<Refused> {
        Box::new(Refused { sysctl: self.clone(), cause })
    }
}

/// Forgives EACCES and EPERM: what only triggers something (`net.ipv4.route.flush`) cannot be read. Forgives
/// EIO: a secret that nobody has set yet (`stable_secret`).
fn forgive_unreadable(value: kernel::Result<String>) -> kernel::Result<Option<String>> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(error) if [Errno::ACCESS, Errno::PERM, Errno::IO].contains(&error.errno()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the kernel means the same by both: it separates numbers by tabs, and reads `0x10` and `010` as C
/// does.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let (mut ones, mut others) = (one.split_whitespace(), other.split_whitespace());
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return true,
            (Some(one), Some(other))
                if one == other || number(one).is_some_and(|n| number(other) == Some(n)) => {}
            _ => return false,
        }
    }
}

fn number(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (digits, radix) = match (digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")), digits) {
        (Some(hex), _) => (hex, 16),
        (None, "0") => ("0", 10),
        (None, digits) => digits.strip_prefix('0').map_or((digits, 10), |octal| (octal, 8)),
    };
    let plain = digits.bytes().all(|digit| digit.is_ascii_alphanumeric());
    i128::from_str_radix(digits, radix).ok().filter(|_| plain).map(|number| sign * number)
}

/// From a key to the path under `/proc/sys`.
///
/// Dots and slashes both separate, as in the reference plugin, but for the name of an interface, which may hold
/// dots: it stays whole where slashes enclose it (`net/ipv4/conf/eth0.100/forwarding`), where [`PLACEHOLDER`]
/// stands for it, and where it is the container's own.
fn path(key: &str, ifname: &IfName) -> Result<String> {
    let own = format!(".{ifname}.");
    let key =
        if own[1..own.len() - 1].contains('.') { key.replacen(&own, ".IFNAME.", 1) } else { key.to_owned() };
    let between_slashes: Vec<&str> = key.split('/').collect();
    let mut parts = Vec::new();
    for (place, part) in between_slashes.iter().enumerate() {
        let holds_interfaces = place > 0 && ["conf", "neigh"].contains(&between_slashes[place - 1]);
        match holds_interfaces && place + 1 < between_slashes.len() {
            true => parts.push(*part),
            false => parts.extend(part.split('.').filter(|part| !part.is_empty())),
        }
    }
    let climbs = between_slashes.iter().any(|part| [".", ".."].contains(part));
    let path = parts.join("/").replacen(PLACEHOLDER, ifname.as_str(), 1);
    if climbs || parts.len() < 2 || parts[0] != "net" {
        return Err(Error::invalid_config(format!("invalid net sysctl key: {:?}", key.replace('.', "/"))));
    }
    Ok(path)
}

#[cfg(test)]
impl Pairs {
    /// For tests.
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Pairs {
        Pairs(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn path_of(key: &str, ifname: &str) -> String {
        path(key, &ifname.parse().unwrap()).unwrap()
    }

    #[test]
    fn dots_become_slashes_and_the_first_placeholder_the_interface() {
        for (key, expected) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("/net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net..ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net.ipv4.conf.IFNAME.IFNAME", "net/ipv4/conf/eth0/IFNAME"),
            ("net/ipv6/neigh/IFNAME/retrans_time_ms", "net/ipv6/neigh/eth0/retrans_time_ms"),
        ] {
            assert_eq!(path_of(key, "eth0"), expected, "{key}");
        }
    }

    #[test]
    fn an_interface_s_name_keeps_its_dots() {
        for (key, ifname) in [
            ("net.ipv4.conf.IFNAME.forwarding", "eth0.100"),
            ("net.ipv4.conf.eth0.100.forwarding", "eth0.100"),
            ("net/ipv4/conf/eth0.100/forwarding", "eth0.100"),
            ("net/ipv4/conf/eth0.100/forwarding", "eth1"),
        ] {
            assert_eq!(path_of(key, ifname), "net/ipv4/conf/eth0.100/forwarding", "{key}");
        }
        assert_eq!(path_of("net.ipv4.conf.eth0.100.forwarding", "eth1"), "net/ipv4/conf/eth0/100/forwarding");
        assert_eq!(path_of("net/ipv4/conf.all.forwarding", "a.b"), "net/ipv4/conf/all/forwarding");
    }

    #[test]
    fn what_is_not_under_net_is_refused() {
        for key in [
            "",
            "net",
            "net.",
            "kernel.hostname",
            "networks.x",
            "net/../kernel/hostname",
            "../net/x",
            "net/ipv4/conf/../x",
        ] {
            let error = path(key, &"eth0".parse().unwrap()).unwrap_err();
            assert!(error.msg.starts_with("invalid net sysctl key: "), "{key}: {error}");
        }
    }

    fn resolved(own: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<Vec<String>> {
        let sysctls = resolve(&Pairs::of(own), &Pairs::of(overrides), &"eth0".parse().unwrap())?;
        Ok(sysctls.iter().map(|sysctl| format!("{}={}", sysctl.path, sysctl.value)).collect())
    }

    #[test]
    fn the_order_is_kept_and_overrides_take_their_place() {
        let own = [("net.b.x", "1"), ("net.a.x", "2")];
        assert_eq!(
            resolved(&own, &[("net/b/x", "3"), ("net.c.x", "4")]).unwrap(),
            ["net/b/x=3", "net/a/x=2", "net/c/x=4"]
        );
    }

    #[test]
    fn one_sysctl_has_one_value() {
        assert!(resolved(&[("net.a.x", "1"), ("net.a.x", "1")], &[]).is_err());
        assert!(resolved(&[("net.a.x", "1"), ("net/a/x", "2")], &[]).is_err());
        assert_eq!(resolved(&[("net.a.x", "1"), ("net/a/x", "1")], &[]).unwrap(), ["net/a/x=1"]);
    }

    #[test]
    fn duplicates_are_seen_in_the_document_itself() {
        let text = r#"{"name":"n","sysctl":{"net.b.x":"1","net.a.x":"2","net.b.x":"3","net.c.x":null}}"#;
        let config = Config::parse(text.as_bytes().to_vec()).unwrap();
        let lenient = Pairs::of(&[("net.a.x", "2")]);
        assert_eq!(
            in_order(&config, &lenient),
            Pairs::of(&[("net.b.x", "1"), ("net.a.x", "2"), ("net.b.x", "3")])
        );
        let config = Config::parse(br#"{"name":"n","Sysctl":{"net.b.x":"1"}}"#.to_vec()).unwrap();
        assert_eq!(in_order(&config, &lenient), lenient);
    }

    #[test]
    fn values_are_the_same_when_the_kernel_means_the_same() {
        for (one, other) in
            [("4096 87380\n", "4096\t87380"), ("0x10", "16"), ("010", "8"), ("-1", "-1"), ("", " ")]
        {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [("1", "2"), ("1 2", "1"), ("cubic", "reno"), ("10", "010"), ("+1", "-1")] {
            assert!(!same(one, other), "{one} {other}");
        }
    }
}
