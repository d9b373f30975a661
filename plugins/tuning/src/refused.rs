//! Why a sysctl cannot be set, and what to do about it.

use crate::sysctl::Sysctl;
use kernel::error::Errno;
use kernel::sysctl;
use spec::error::Error;

/// A sysctl that could not be set in the container.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What was asked for.
    pub sysctl: Sysctl,
    /// The kernel's answer.
    pub cause: kernel::Error,
}

impl Refused {
    /// Why, and what to do about it. To be called on the host, whose sysctls are looked at.
    pub(crate) fn explain(self) -> Error {
        let why = match self.cause.errno() {
            Errno::NOENT | Errno::NOTDIR => self.why_not_there(),
            Errno::ACCESS | Errno::PERM => {
                "a container's network namespace has it for reading only, because it is \
                 a setting of the whole machine: set it on the host"
                    .to_owned()
            }
            Errno::ROFS => {
                "/proc/sys is mounted read-only: run the container runtime where it is not".to_owned()
            }
            Errno::INVAL | Errno::RANGE => "it does not take this value".to_owned(),
            _ => "the kernel refuses".to_owned(),
        };
        let Sysctl { key, value, .. } = &self.sysctl;
        Error::invalid_config(format!("set sysctl {key} to {value:?}: {why}"))
            .with_details(self.cause.to_string())
    }

    fn why_not_there(&self) -> String {
        let path = &self.sysctl.path;
        if let Some(interface) = interface(path) {
            return format!(
                "the container has no /proc/sys/{path}, most likely because it has no interface {interface}; \
                 IFNAME stands for its own, and a dot in a name is written net/ipv4/conf/eth0.100/forwarding"
            );
        }
        if sysctl::get_whole(path).is_ok() {
            return "it is a setting of the whole machine, which a container's network namespace does not have: \
                    set it on the host"
                .to_owned();
        }
        format!("there is no /proc/sys/{path}: it may be misspelled, or its kernel module not loaded")
    }
}

/// The interface that a path speaks of.
fn interface(path: &str) -> Option<&str> {
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().position(|part| ["conf", "neigh"].contains(part))?;
    parts.get(at + 1..)?.first().copied()
}
