//! Names that are valid by construction: whoever holds one need not check it again.
//!
//! The rules are those of the specification ("Parameters", "Network configuration") and of the kernel.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names become file names, and no file name of Linux is longer.
const LONGEST_FILE_NAME: usize = 255;

/// IFNAMSIZ less the closing NUL.
const LONGEST_INTERFACE_NAME: usize = 15;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    /// What is wrong, as the reference words it.
    pub reason: &'static str,
    /// The text that was refused.
    pub name: String,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.reason, self.name)
    }
}

impl std::error::Error for NameError {}

/// Declares one kind of name: a string that passed `check`.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                match $check(&name) {
                    Ok(()) => Ok(Self(name)),
                    Err(reason) => Err(NameError { reason, name }),
                }
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::try_from(name.to_owned())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// `CNI_CONTAINERID`: a letter or digit, then letters, digits, `_`, `.` and `-`; at most 255 bytes.
    ContainerId, check_container_id
}

name! {
    /// `CNI_IFNAME`: 1 to 15 bytes, not `.` or `..`, without `/`, `:`, white space and NUL.
    IfName, check_interface_name
}

name! {
    /// The name of a network: spelled as a [`ContainerId`].
    NetworkName, check_network_name
}

name! {
    /// The `type` of a plugin: the file name of its executable, never a path.
    PluginType, check_plugin_type
}

fn check_container_id(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("missing containerID"),
        _ if !is_identifier(name) => Err("invalid characters in containerID"),
        _ if name.len() > LONGEST_FILE_NAME => Err("containerID is longer than 255 bytes"),
        _ => Ok(()),
    }
}

fn check_network_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("missing network name"),
        _ if !is_identifier(name) => Err("invalid characters found in network name"),
        _ if name.len() > LONGEST_FILE_NAME => Err("network name is longer than 255 bytes"),
        _ => Ok(()),
    }
}

fn check_interface_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("interface name is empty"),
        "." | ".." => Err("interface name is . or .."),
        _ if name.len() > LONGEST_INTERFACE_NAME => Err("interface name is longer than 15 bytes"),
        _ if name.contains(|c: char| matches!(c, '/' | ':' | '\0') || c.is_whitespace()) => {
            Err("interface name contains / or : or whitespace characters")
        }
        // The kernel takes `%d` for a place to put a number, and would make an interface of another name.
        _ if name.contains('%') => Err("interface name contains %"),
        _ => Ok(()),
    }
}

fn check_plugin_type(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("no plugin name provided"),
        "." | ".." => Err("invalid plugin name"),
        _ if name.contains(['/', '\0']) => Err("invalid plugin name, must not contain a path"),
        _ if name.len() > LONGEST_FILE_NAME => Err("plugin name is longer than 255 bytes"),
        _ => Ok(()),
    }
}

/// `^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$`
fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    fn reason<T: FromStr<Err = NameError> + fmt::Debug>(name: &str) -> &'static str {
        name.parse::<T>().unwrap_err().reason
    }

    #[test]
    fn names_as_runtimes_give_them_are_taken() {
        for id in ["a", "0", "cnitool-df26705e2e4ffd095eb1", "k8s.io-abc_d.e", &"f".repeat(255)] {
            assert_eq!(id.parse::<ContainerId>().unwrap().as_str(), id);
            assert_eq!(id.parse::<NetworkName>().unwrap().as_str(), id);
        }
        for name in ["lo", "eth0", "veth0a1b2c3d", "fifteen-bytes-x", "a.b", "-", "ünï"] {
            assert_eq!(name.parse::<IfName>().unwrap().as_str(), name);
        }
        for plugin in ["bridge", "host-local", "my plugin", "a..b"] {
            assert_eq!(plugin.parse::<PluginType>().unwrap().as_str(), plugin);
        }
    }

    #[test]
    fn container_ids_and_network_names_have_no_path_characters_and_no_white_space() {
        for id in ["-a", ".", "..", "../x", "a/b", "a b", "a\n", " a", "ä", "_a", "a:b", "a\0"] {
            assert_eq!(reason::<ContainerId>(id), "invalid characters in containerID", "{id:?}");
            assert_eq!(reason::<NetworkName>(id), "invalid characters found in network name", "{id:?}");
        }
        assert_eq!(reason::<ContainerId>(""), "missing containerID");
        assert_eq!(reason::<NetworkName>(""), "missing network name");
        assert_eq!(reason::<ContainerId>(&"a".repeat(256)), "containerID is longer than 255 bytes");
        assert_eq!(reason::<NetworkName>(&"a".repeat(256)), "network name is longer than 255 bytes");
    }

    #[test]
    fn interface_names_are_those_of_the_kernel() {
        for name in ["a/b", "a:b", "a b", "a\tb", "a\u{a0}b", "\u{2003}", "a\0b"] {
            assert_eq!(
                reason::<IfName>(name),
                "interface name contains / or : or whitespace characters",
                "{name:?}"
            );
        }
        assert_eq!(reason::<IfName>(""), "interface name is empty");
        assert_eq!(reason::<IfName>(".."), "interface name is . or ..");
        assert_eq!(reason::<IfName>("sixteen-bytes-xy"), "interface name is longer than 15 bytes");
        assert_eq!(reason::<IfName>("ääääääää"), "interface name is longer than 15 bytes");
    }

    #[test]
    fn a_plugin_type_is_never_a_path() {
        for plugin in ["/bin/sh", "../bridge", "a/b", "bridge/", "a\0"] {
            assert_eq!(reason::<PluginType>(plugin), "invalid plugin name, must not contain a path");
        }
        assert_eq!(reason::<PluginType>(".."), "invalid plugin name");
        assert_eq!(reason::<PluginType>(""), "no plugin name provided");
    }

    #[test]
    fn json_is_checked_too_and_the_error_shows_the_name() {
        let error = serde_json::from_str::<IfName>(r#""a/b""#).unwrap_err().to_string();
        assert!(
            error.starts_with(r#"interface name contains / or : or whitespace characters: "a/b""#),
            "{error}"
        );
        assert_eq!(serde_json::to_string(&"eth0".parse::<IfName>().unwrap()).unwrap(), r#""eth0""#);
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_as_a_file_name_and_comes_back_unchanged(name in ".{0,300}") {
            let names = [
                name.parse::<ContainerId>().map(|n| n.to_string()),
                name.parse::<NetworkName>().map(|n| n.to_string()),
                name.parse::<PluginType>().map(|n| n.to_string()),
                name.parse::<IfName>().map(|n| n.to_string()),
            ];
            for accepted in names.into_iter().flatten() {
                prop_assert_eq!(&accepted, &name);
                prop_assert!(!name.is_empty() && name.len() <= 255);
                prop_assert!(!name.contains(['/', '\0']) && name != "." && name != "..");
            }
        }

        #[test]
        fn every_identifier_is_accepted(name in "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}") {
            prop_assert!(name.parse::<ContainerId>().is_ok());
            prop_assert!(name.parse::<NetworkName>().is_ok());
        }
    }
}
