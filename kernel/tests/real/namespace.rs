//! Entering a namespace and coming back; what is none.

use super::lab::{apart, fresh};
use kernel::error::Errno;
use kernel::netns::NetNs;
use rustix::thread::UnshareFlags;
use std::path::Path;

fn here() -> kernel::netns::Identity {
    NetNs::current().unwrap().identity().unwrap()
}

#[test]
#[ignore = "needs root"]
fn run_is_inside_and_comes_back() {
    let netns = fresh();
    let before = here();
    assert_eq!(netns.run(here).unwrap(), netns.identity().unwrap());
    assert_eq!(here(), before);
    assert_ne!(before, netns.identity().unwrap());
}

#[test]
#[ignore = "needs root"]
fn run_comes_back_from_a_panic() {
    let netns = fresh();
    let before = here();
    let panicked = std::panic::catch_unwind(|| netns.run(|| panic!("on purpose")));
    assert!(panicked.is_err());
    assert_eq!(here(), before);
}

#[test]
fn what_is_no_network_namespace_is_said_to_be_none() {
    let other = "/proc/self/ns/uts";
    for path in ["/proc/self/status", "/dev/null", "/tmp", other] {
        let error = NetNs::open(Path::new(path)).unwrap_err();
        assert_eq!(error.to_string(), format!("open network namespace: {path} is not a network namespace"));
    }
    let missing = NetNs::open(Path::new("/nonexistent/ns")).unwrap_err();
    assert_eq!(missing.errno(), Errno::NOENT);
    let text = "open network namespace /nonexistent/ns: No such file or directory (os error 2)";
    assert_eq!(missing.to_string(), text);
}

#[test]
fn a_fifo_does_not_hang_the_caller() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    assert!(NetNs::open(&fifo).unwrap_err().to_string().ends_with("is not a network namespace"));
}

#[test]
fn the_own_namespace_has_the_identity_of_its_path() {
    let opened = NetNs::open(Path::new("/proc/self/ns/net")).unwrap();
    assert_eq!(opened.identity().unwrap(), here());
}

#[test]
#[ignore = "needs root"]
fn sysctls_are_those_of_the_calling_thread() {
    apart(UnshareFlags::NEWNET, || {
        let key = "net/ipv4/conf/lo/arp_notify";
        kernel::sysctl::set(key, "1").unwrap();
        assert_eq!(kernel::sysctl::get(key).unwrap(), "1");
        let other = fresh().run(|| kernel::sysctl::get(key)).unwrap();
        assert_eq!(other.unwrap(), "0");
        let missing = kernel::sysctl::set("net/ipv4/conf/eth9/arp_notify", "1").unwrap_err();
        let text = "read sysctl net/ipv4/conf/eth9/arp_notify: No such file or directory (os error 2)";
        assert_eq!(missing.to_string(), text);
        let refused = kernel::sysctl::set(key, "many").unwrap_err();
        assert_eq!(refused.to_string(), format!("set sysctl {key} to many: Invalid argument (os error 22)"));
    });
}
