//! The versions of the CNI specification that this house speaks.

use std::fmt;
use std::str::FromStr;

use crate::error::{Code, Error, Result};

/// A released version of the CNI specification, older before newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each variant is spelled out by its own name")]
pub enum Version {
    V0_1_0,
    V0_2_0,
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl Version {
    /// Every version, oldest first.
    pub const ALL: [Version; 7] = [
        Version::V0_1_0,
        Version::V0_2_0,
        Version::V0_3_0,
        Version::V0_3_1,
        Version::V0_4_0,
        Version::V1_0_0,
        Version::V1_1_0,
    ];

    /// The newest version that is spoken here.
    pub const NEWEST: Version = Version::V1_1_0;

    /// The version as it stands in `cniVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::V0_1_0 => "0.1.0",
            Version::V0_2_0 => "0.2.0",
            Version::V0_3_0 => "0.3.0",
            Version::V0_3_1 => "0.3.1",
            Version::V0_4_0 => "0.4.0",
            Version::V1_0_0 => "1.0.0",
            Version::V1_1_0 => "1.1.0",
        }
    }

    /// The version that a configuration means by its `cniVersion`: absent and empty stand for 0.1.0.
    pub(crate) fn of_config(text: &str) -> Result<Version> {
        if text.is_empty() { Ok(Version::V0_1_0) } else { text.parse() }
    }

    fn number(self) -> Number {
        match self {
            Version::V0_1_0 => Number(0, 1, 0),
            Version::V0_2_0 => Number(0, 2, 0),
            Version::V0_3_0 => Number(0, 3, 0),
            Version::V0_3_1 => Number(0, 3, 1),
            Version::V0_4_0 => Number(0, 4, 0),
            Version::V1_0_0 => Number(1, 0, 0),
            Version::V1_1_0 => Number(1, 1, 0),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Version> {
        Version::ALL
            .into_iter()
            .find(|version| version.as_str() == text)
            .ok_or_else(|| Error::new(Code::IncompatibleVersion, format!("unknown CNI version {text:?}")))
    }
}

impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Any version number, also one that nobody has released yet; "1" is 1.0.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(u64, u64, u64);

impl Number {
    /// At most three integers with dots between; the error is the text that is none.
    pub(crate) fn parse(text: &str) -> Option<Number> {
        let mut parts = text.split('.').map(integer);
        let number =
            Number(parts.next()??, parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?);
        if parts.next().is_some() { None } else { Some(number) }
    }

    /// The released version with this number.
    pub(crate) fn released(self) -> Option<Version> {
        Version::ALL.into_iter().find(|version| version.number() == self)
    }

    /// Whether a configuration of this version may ask for what came with `version`.
    pub(crate) fn reaches(self, version: Version) -> bool {
        self >= version.number()
    }
}

/// Digits only: `str::parse` would let a sign pass.
fn integer(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_version_reads_back_as_itself() {
        for version in Version::ALL {
            assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
            assert_eq!(Number::parse(version.as_str()).unwrap().released(), Some(version));
        }
        assert!(Version::ALL.is_sorted());
        assert_eq!(Version::ALL.last(), Some(&Version::NEWEST));
    }

    #[test]
    fn an_unknown_version_is_code_1() {
        for text in ["", "1", "1.1", "1.1.0 ", "v1.1.0", "9.9.9"] {
            assert_eq!(text.parse::<Version>().unwrap_err().code, Code::IncompatibleVersion, "{text:?}");
        }
    }

    #[test]
    fn a_configuration_without_version_is_of_0_1_0() {
        assert_eq!(Version::of_config("").unwrap(), Version::V0_1_0);
    }

    #[test]
    fn numbers_are_filled_up_with_zeros_and_compared_as_numbers() {
        assert_eq!(Number::parse("1").unwrap().released(), Some(Version::V1_0_0));
        assert_eq!(Number::parse("1.1").unwrap().released(), Some(Version::V1_1_0));
        assert!(Number::parse("0.10.0") > Number::parse("0.4.0"));
        assert!(Number::parse("0.3.1").is_some_and(|number| !number.reaches(Version::V0_4_0)));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", ".", "1.", "1..0", "1.2.3.4", "a", "1.x", "-1", "+1", " 1", "99999999999999999999"] {
            assert_eq!(Number::parse(text), None, "{text:?}");
        }
    }
}
