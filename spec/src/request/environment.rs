//! The environment of a request: which variables a verb needs, and what they hold.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Attachment, Caller};
use crate::error::{Error, Result};
use crate::names::NameError;

/// The verbs of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Add,
    Del,
    Check,
    Gc,
    Status,
    Version,
}

impl Command {
    pub(crate) fn parse(text: &str) -> Result<Command> {
        match text {
            "ADD" => Ok(Command::Add),
            "DEL" => Ok(Command::Del),
            "CHECK" => Ok(Command::Check),
            "GC" => Ok(Command::Gc),
            "STATUS" => Ok(Command::Status),
            "VERSION" => Ok(Command::Version),
            other => Err(Error::invalid_environment(format!("unknown CNI_COMMAND: {other}"))),
        }
    }

    /// The variables without which the verb cannot be served (specification, "CNI operations").
    fn required(self) -> &'static [&'static str] {
        match self {
            Command::Add | Command::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"],
            Command::Del => &["CNI_CONTAINERID", "CNI_IFNAME"],
            Command::Gc => &["CNI_PATH"],
            Command::Status | Command::Version => &[],
        }
    }
}

/// Looks a variable up by its name.
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// The environment of a request.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) target: Target,
    pub(crate) caller: Caller,
}

/// The verb together with what it works on.
#[derive(Debug)]
pub(crate) enum Target {
    Add(Attachment, PathBuf),
    Check(Attachment, PathBuf),
    Del(Attachment, Option<PathBuf>),
    Gc,
    Status,
    Version,
}

impl Environment {
    /// Checks the environment; all missing variables are named at once.
    pub(crate) fn read(command: Command, lookup: &Lookup<'_>) -> Result<Environment> {
        all_present(command.required(), lookup)?;
        Ok(Environment { target: Target::read(command, lookup)?, caller: Caller::read(lookup) })
    }
}

impl Target {
    fn read(command: Command, lookup: &Lookup<'_>) -> Result<Target> {
        let netns = || lookup("CNI_NETNS").filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(match command {
            Command::Add => Target::Add(Attachment::read(lookup)?, netns().unwrap_or_default()),
            Command::Check => Target::Check(Attachment::read(lookup)?, netns().unwrap_or_default()),
            Command::Del => Target::Del(Attachment::read(lookup)?, netns()),
            Command::Gc => Target::Gc,
            Command::Status => Target::Status,
            Command::Version => Target::Version,
        })
    }
}

impl Attachment {
    fn read(lookup: &Lookup<'_>) -> Result<Attachment> {
        Ok(Attachment {
            container: text(lookup, "CNI_CONTAINERID").try_into().map_err(refused)?,
            ifname: text(lookup, "CNI_IFNAME").try_into().map_err(refused)?,
        })
    }
}

impl Caller {
    fn read(lookup: &Lookup<'_>) -> Caller {
        Caller {
            args: text(lookup, "CNI_ARGS"),
            path: directories(lookup("CNI_PATH")),
            netns_override: matches!(
                text(lookup, "CNI_NETNS_OVERRIDE").to_ascii_lowercase().as_str(),
                "1" | "true"
            ),
        }
    }
}

/// The directories of a search path; empty ones are left out, they would mean the working directory.
fn directories(path: Option<OsString>) -> Vec<PathBuf> {
    let Some(path) = path else { return Vec::new() };
    std::env::split_paths(&path).filter(|directory| !directory.as_os_str().is_empty()).collect()
}

fn all_present(names: &[&str], lookup: &Lookup<'_>) -> Result<()> {
    let is_missing = |name: &&&str| lookup(name).is_none_or(|value| value.is_empty());
    let missing: Vec<&str> = names.iter().filter(is_missing).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::invalid_environment(format!("required env variables [{}] missing", missing.join(","))))
}

/// A variable as text. What is not UTF-8 gets replacement characters, which no name allows.
fn text(lookup: &Lookup<'_>, name: &str) -> String {
    lookup(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}

fn refused(error: NameError) -> Error {
    Error::invalid_environment(error.reason).with_details(error.name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::error::Code;

    fn read(command: Command, variables: &[(&str, &str)]) -> Result<Environment> {
        let variables: Vec<(String, OsString)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        Environment::read(command, &move |name| {
            variables.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
        })
    }

    fn complaint(command: Command, variables: &[(&str, &str)]) -> (Code, String, String) {
        let error = read(command, variables).unwrap_err();
        (error.code, error.msg, error.details)
    }

    #[test]
    fn all_missing_variables_are_named_at_once() {
        let missing = |command, names: &str| {
            let expected = format!("required env variables [{names}] missing");
            assert_eq!(complaint(command, &[]), (Code::InvalidEnvironment, expected, String::new()));
        };
        missing(Command::Add, "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME");
        missing(Command::Check, "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME");
        missing(Command::Del, "CNI_CONTAINERID,CNI_IFNAME");
        missing(Command::Gc, "CNI_PATH");
    }

    #[test]
    fn an_empty_variable_is_missing() {
        let variables = [("CNI_CONTAINERID", "a"), ("CNI_NETNS", ""), ("CNI_IFNAME", "eth0")];
        assert_eq!(complaint(Command::Add, &variables).1, "required env variables [CNI_NETNS] missing");
        assert!(read(Command::Del, &variables).is_ok());
    }

    #[test]
    fn status_and_version_need_nothing() {
        assert!(read(Command::Status, &[]).is_ok());
        assert!(read(Command::Version, &[]).is_ok());
    }

    #[test]
    fn bad_names_are_told_with_the_name_in_the_details() {
        let del = |id: &str, ifname: &str| {
            complaint(Command::Del, &[("CNI_CONTAINERID", id), ("CNI_IFNAME", ifname)])
        };
        let environment = Code::InvalidEnvironment;
        assert_eq!(del("-a", "eth0"), (environment, "invalid characters in containerID".into(), "-a".into()));
        let too_long = "interface name is longer than 15 bytes";
        assert_eq!(del("a", "sixteen-bytes-xy"), (environment, too_long.into(), "sixteen-bytes-xy".into()));
    }

    #[test]
    fn the_path_is_split_and_empty_directories_are_left_out() {
        let path = |text: &str| read(Command::Gc, &[("CNI_PATH", text)]).unwrap().caller.path;
        assert_eq!(path("/a:/b c"), [PathBuf::from("/a"), PathBuf::from("/b c")]);
        assert_eq!(path(":/a:"), [PathBuf::from("/a")]);
    }

    #[test]
    fn the_namespace_of_a_del_may_be_unknown() {
        let variables = [("CNI_CONTAINERID", "a"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", "")];
        let Target::Del(_, netns) = read(Command::Del, &variables).unwrap().target else {
            panic!("not a DEL")
        };
        assert_eq!(netns, None);
    }

    #[test]
    fn the_override_is_1_or_true() {
        let overridden = |value: &str| {
            read(Command::Status, &[("CNI_NETNS_OVERRIDE", value)]).unwrap().caller.netns_override
        };
        assert!(overridden("1") && overridden("true") && overridden("TRUE"));
        assert!(!overridden("") && !overridden("0") && !overridden("yes"));
    }

    #[test]
    fn verbs_are_upper_case_and_known() {
        for (text, command) in [("ADD", Command::Add), ("GC", Command::Gc), ("VERSION", Command::Version)] {
            assert_eq!(Command::parse(text).unwrap(), command);
        }
        for text in ["add", "PURGE", " ADD", "ADD\n"] {
            let error = Command::parse(text).unwrap_err();
            assert_eq!(
                (error.code, error.msg),
                (Code::InvalidEnvironment, format!("unknown CNI_COMMAND: {text}"))
            );
        }
    }
}
