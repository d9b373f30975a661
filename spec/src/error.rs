//! What went wrong, in the words of the specification: a code, a message, details.
//!
//! The codes are chosen here and nowhere else: callers name a constructor or let `?` make an internal error.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fold;
use crate::version::Version;

/// What every fallible step of a plugin gives.
pub type Result<T> = std::result::Result<T, Error>;

/// The kinds of failure that a runtime can tell apart (specification, "Error").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// 1: the `cniVersion` is not spoken here, or does not know the verb.
    IncompatibleVersion,
    /// 2: a field of the configuration holds something that cannot be done; the message has key and value.
    UnsupportedField,
    /// 3: the container is not known, so there is nothing that the runtime would have to clean up.
    UnknownContainer,
    /// 4: an environment variable is missing or wrong; the message has its name.
    InvalidEnvironment,
    /// 5: reading or writing failed.
    Io,
    /// 6: the input is not the JSON that was expected.
    Decoding,
    /// 7: the configuration is readable and wrong.
    InvalidConfig,
    /// 8: `CNI_NETNS` is not a namespace to work in (from the reference; not in the specification's table).
    InvalidNetns,
    /// 11: it may work later, without any change.
    TryAgainLater,
    /// 50: STATUS: no ADD can be served.
    NotAvailable,
    /// 51: STATUS: no ADD can be served, and existing containers may have limited connectivity.
    LimitedConnectivity,
    /// 999: everything else, as the reference numbers it.
    Internal,
    /// Any other number, from somebody else's plugin.
    Plugin(u32),
}

impl Code {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Code::IncompatibleVersion => 1,
            Code::UnsupportedField => 2,
            Code::UnknownContainer => 3,
            Code::InvalidEnvironment => 4,
            Code::Io => 5,
            Code::Decoding => 6,
            Code::InvalidConfig => 7,
            Code::InvalidNetns => 8,
            Code::TryAgainLater => 11,
            Code::NotAvailable => 50,
            Code::LimitedConnectivity => 51,
            Code::Internal => 999,
            Code::Plugin(number) => number,
        }
    }

    /// The code behind a number; numbers without a meaning here stay numbers.
    pub const fn from_number(number: u32) -> Code {
        match number {
            1 => Code::IncompatibleVersion,
            2 => Code::UnsupportedField,
            3 => Code::UnknownContainer,
            4 => Code::InvalidEnvironment,
            5 => Code::Io,
            6 => Code::Decoding,
            7 => Code::InvalidConfig,
            8 => Code::InvalidNetns,
            11 => Code::TryAgainLater,
            50 => Code::NotAvailable,
            51 => Code::LimitedConnectivity,
            999 => Code::Internal,
            other => Code::Plugin(other),
        }
    }
}

/// A failure as it is printed for the runtime.
///
/// It is no `std::error::Error` by intent: that leaves room for the blanket `From` below, so that `?` turns
/// the error of any other room into this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The kind.
    pub code: Code,
    /// What was tried on what, and why it did not work; one line.
    pub msg: String,
    /// More of the same for who looks closer; may be empty.
    pub details: String,
}

/// One constructor for each code that is chosen in this house.
macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $code:ident,)*) => {
        $($(#[$doc])* pub fn $name(msg: impl Into<String>) -> Error {
            Error::new(Code::$code, msg)
        })*
    };
}

impl Error {
    /// A failure of the given kind, without details.
    pub fn new(code: Code, msg: impl Into<String>) -> Error {
        Error { code, msg: msg.into(), details: String::new() }
    }

    constructors! {
        /// Code 1: a version that is not spoken here.
        incompatible_version => IncompatibleVersion,
        /// Code 2: a field whose value cannot be honoured; the message must hold key and value.
        unsupported => UnsupportedField,
        /// Code 4: an environment variable is missing or wrong; the message must hold its name.
        invalid_environment => InvalidEnvironment,
        /// Code 5: reading or writing failed.
        io => Io,
        /// Code 6: input that cannot be decoded.
        decoding => Decoding,
        /// Code 7: a configuration that is wrong.
        invalid_config => InvalidConfig,
        /// Code 8: not a namespace to work in.
        invalid_netns => InvalidNetns,
        /// Code 11: may work later.
        try_again => TryAgainLater,
        /// Code 50: STATUS, no ADD can be served.
        not_available => NotAvailable,
        /// Code 51: STATUS, and existing containers suffer too.
        limited_connectivity => LimitedConnectivity,
        /// Code 999: everything else.
        internal => Internal,
    }

    /// The same failure with details.
    pub fn with_details(mut self, details: impl Into<String>) -> Error {
        self.details = details.into();
        self
    }

    /// The same failure, with what was tried in front: `tried: msg`.
    pub fn context(mut self, tried: impl fmt::Display) -> Error {
        self.msg = format!("{tried}: {}", self.msg);
        self
    }

    /// The error object of the specification, indented as the reference does it.
    ///
    /// The specification wants the version of the request in it, the reference leaves it out: it is written
    /// whenever it is known.
    pub fn to_json(&self, version: Option<Version>) -> String {
        let mut members = Vec::with_capacity(4);
        members.extend(version.map(|version| ("cniVersion", Value::from(version.as_str()))));
        members.push(("code", Value::from(self.code.number())));
        members.push(("msg", Value::from(self.msg.as_str())));
        if !self.details.is_empty() {
            members.push(("details", Value::from(self.details.as_str())));
        }
        let lines: Vec<String> =
            members.iter().map(|(key, value)| format!("    \"{key}\": {value}")).collect();
        format!("{{\n{}\n}}", lines.join(",\n"))
    }

    /// The failure that another plugin printed, or why it is none.
    pub fn from_json(bytes: &[u8]) -> std::result::Result<Error, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|cause| cause.to_string())?;
        let object: ErrorObject = fold::read(&value).map_err(|cause| cause.to_string())?;
        Ok(Error { code: Code::from_number(object.code), msg: object.msg, details: object.details })
    }
}

/// The error object on the wire.
#[derive(Deserialize, Serialize)]
struct ErrorObject {
    #[serde(default)]
    code: u32,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    details: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.msg.as_str(), self.details.as_str()) {
            (msg, "") => f.write_str(msg),
            ("", details) => f.write_str(details),
            (msg, details) => write!(f, "{msg}; {details}"),
        }
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Error {
        Error::internal(chain(&error))
    }
}

/// The error and its causes as "a: b: c"; a cause that its parent has already printed is not said twice.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use proptest::prelude::*;

    /// An error with a cause, which it may or may not print itself.
    #[derive(Debug)]
    struct Outer(&'static str, std::io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.1)
        }
    }

    #[test]
    fn the_object_is_indented_as_the_reference_does_it() {
        let error = Error::invalid_environment("invalid characters in containerID").with_details("-a");
        assert_eq!(
            error.to_json(None),
            "{\n    \"code\": 4,\n    \"msg\": \"invalid characters in containerID\",\n    \"details\": \"-a\"\n}"
        );
    }

    #[test]
    fn the_version_is_told_and_empty_details_are_not() {
        assert_eq!(
            Error::decoding("x \"y\"\n").to_json(Some(Version::V1_0_0)),
            "{\n    \"cniVersion\": \"1.0.0\",\n    \"code\": 6,\n    \"msg\": \"x \\\"y\\\"\\n\"\n}"
        );
    }

    #[test]
    fn any_error_becomes_an_internal_one_that_tells_its_causes_once() {
        let cause = || std::io::Error::other("disk on fire");
        let internal = |msg: &str| Error { code: Code::Internal, msg: msg.into(), details: String::new() };
        assert_eq!(Error::from(Outer("open lease", cause())), internal("open lease: disk on fire"));
        assert_eq!(Error::from(Outer("open: disk on fire", cause())), internal("open: disk on fire"));
    }

    #[test]
    fn context_stands_in_front_and_keeps_code_and_details() {
        let error = Error::try_again("busy").with_details("d").context("lease address");
        assert_eq!(error, Error::new(Code::TryAgainLater, "lease address: busy").with_details("d"));
        assert_eq!(error.to_string(), "lease address: busy; d");
    }

    #[test]
    fn numbers_and_codes_belong_together() {
        for number in 0..1100 {
            assert_eq!(Code::from_number(number).number(), number);
        }
        assert_eq!(Code::from_number(50), Code::NotAvailable);
        assert_eq!(Code::from_number(123), Code::Plugin(123));
    }

    #[test]
    fn an_error_of_another_plugin_is_read_with_and_without_version_and_in_any_case() {
        let expected = Error::new(Code::Plugin(123), "m").with_details("d");
        for text in [
            r#"{"code":123,"msg":"m","details":"d"}"#,
            r#"{"cniVersion":"1.1.0","code":123,"msg":"m","details":"d","more":[1]}"#,
            r#"{"Code":123,"Msg":"m","Details":"d"}"#,
        ] {
            assert_eq!(Error::from_json(text.as_bytes()).unwrap(), expected);
        }
        for text in ["", "panic: oh", "[]", r#"{"code":"x"}"#, r#"{"code":1"#] {
            assert!(Error::from_json(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_said_comes_through_json(number: u32, msg in ".*", details in ".*") {
            let error = Error::new(Code::from_number(number), msg).with_details(details);
            prop_assert_eq!(Error::from_json(error.to_json(Some(Version::NEWEST)).as_bytes()).unwrap(), error);
        }
    }
}
