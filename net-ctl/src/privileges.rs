//! Whether this process may change networks at all.

/// What to do without.
pub(crate) const ADVICE: &str =
    "the same with sudo; or, to play, in a user namespace of your own: unshare --map-root-user --net --mount";

/// What to do where all capabilities are there, but only inside a user namespace.
pub(crate) const ADVICE_INSIDE: &str = "the same with sudo outside of this user namespace";

/// CAP_SYS_ADMIN, CAP_NET_ADMIN: to enter namespaces, and to change what is in them.
const NEEDED: u64 = 1 << 21 | 1 << 12;

/// Whether this process has the capabilities that namespaces and interfaces ask for.
///
/// Answers yes where /proc does not tell: the kernel's own refusal then says it.
pub(crate) fn suffice() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| effective(&status))
        .is_none_or(|has| has & NEEDED == NEEDED)
}

/// What to do about a refusal; nothing where this process has all that root has.
pub(crate) fn advice() -> &'static str {
    match (suffice(), is_confined()) {
        (false, _) => ADVICE,
        (true, true) => ADVICE_INSIDE,
        (true, false) => "",
    }
}

/// Whether this is a user namespace that somebody made: the first one maps every id to itself.
fn is_confined() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !maps_all(&map))
}

fn maps_all(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The line `CapEff:` of proc(5).
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{effective, maps_all};

    #[test]
    fn the_effective_set_is_read_from_proc() {
        assert_eq!(effective("Name:\tx\nCapPrm:\t0\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("Name:\tx\n"), None);
    }

    #[test]
    fn only_the_first_user_namespace_maps_all_ids() {
        assert!(maps_all("         0          0 4294967295\n"));
        assert!(!maps_all("         0       1000          1\n"));
    }
}
