//! Which sysctls a configuration may set: the administrator's list, or all where there is none.

use crate::sysctl::Sysctl;
use regex_lite::Regex;
use spec::error::{Error, Result};
use std::io::ErrorKind;

/// One regular expression a line, found anywhere in the key as it is written: the reference plugin's file.
const ALLOWLIST: &str = "/etc/cni/tuning/allowlist.conf";

/// Lets pass what the list allows. Without sysctls the list is not even opened.
///
/// # Errors
/// Code 7 for a sysctl that is not allowed and for an expression that is none, code 5 for a list that cannot
/// be read.
pub(crate) fn permit(sysctls: &[Sysctl]) -> Result<()> {
    if sysctls.is_empty() {
        return Ok(());
    }
    match std::fs::read_to_string(ALLOWLIST) {
        Ok(list) => permit_by(&list, sysctls),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Error::io(format!("read the list of allowed sysctls {ALLOWLIST}: {cause}"))),
    }
}

fn permit_by(list: &str, sysctls: &[Sysctl]) -> Result<()> {
    let lines: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let expressions = lines.iter().map(|line| expression(line)).collect::<Result<Vec<_>>>()?;
    let is_allowed = |key: &str| expressions.iter().any(|expression| expression.is_match(key));
    match sysctls.iter().find(|sysctl| !is_allowed(&sysctl.key)) {
        None => Ok(()),
        Some(refused) => Err(Error::invalid_config(format!(
            "Sysctl {} is not allowed. Only the following sysctls are allowed: [{}]",
            refused.key,
            lines.join(" ")
        ))),
    }
}

fn expression(line: &str) -> Result<Regex> {
    Regex::new(line).map_err(|cause| {
        Error::invalid_config(format!(
            "read the list of allowed sysctls {ALLOWLIST}: {line:?} is no regular expression: {cause}"
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::sysctl::{Pairs, resolve};

    fn permitted(list: &str, key: &str) -> Result<()> {
        let pairs = Pairs::of(&[(key, "1")]);
        permit_by(list, &resolve(&pairs, &Pairs::default(), &"eth0".parse().unwrap()).unwrap())
    }

    #[test]
    fn an_expression_is_found_anywhere_in_the_key_as_written() {
        let list = "^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$\n\n  net.core  \n";
        for allowed in ["net.ipv4.conf.IFNAME.log_martians", "net.core.somaxconn", "net/core/somaxconn"] {
            permitted(list, allowed).unwrap();
        }
        let error = permitted(list, "net.ipv4.conf.eth0.log_martians").unwrap_err();
        assert_eq!(
            error.msg,
            "Sysctl net.ipv4.conf.eth0.log_martians is not allowed. Only the following sysctls are allowed: \
             [^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$ net.core]"
        );
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        assert!(permitted("\n \n", "net.core.somaxconn").is_err());
    }

    #[test]
    fn a_bad_expression_is_named() {
        let error = permitted("net.core\n[a-", "net.core.somaxconn").unwrap_err();
        assert!(error.msg.contains("\"[a-\" is no regular expression"), "{error}");
    }
}
