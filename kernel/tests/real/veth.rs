//! A veth is born with one end in each namespace.

use super::lab::{CONTAINER, HOST, Lab, pair};
use kernel::error::Errno;
use kernel::link::veth::{Clash, clash};
use kernel::link::{self, LinkRef, PortState};

#[test]
#[ignore = "needs root"]
fn both_ends_are_born_in_place() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    let (host, container) = lab.pair(Some(bridge.index));
    assert_eq!((host.mac, host.mtu, host.up, host.master), (Some(HOST), 1400, true, Some(bridge.index)));
    assert_eq!((container.mac, container.mtu, container.up), (Some(CONTAINER), 1400, false));
    assert_eq!((host.kind.as_deref(), container.kind.as_deref()), (Some("veth"), Some("veth")));
    assert_eq!((host.peer_index, container.peer_index), (Some(container.index), Some(host.index)));
    assert!(host.peer_nsid.is_some(), "the other end is elsewhere");
}

#[test]
#[ignore = "needs root"]
fn the_port_forwards_once_both_ends_were_asked_for() {
    for _ in 0..20 {
        let mut lab = Lab::new();
        let bridge = lab.bridge();
        let (_, container) = lab.pair(Some(bridge.index));
        lab.container.request(link::set_up(container.index)).unwrap();
        let container = lab.container_link("eth0");
        let host = lab.host_link("p0");
        assert_eq!(host.port.unwrap().port_state, PortState::Forwarding);
        assert!(host.carrier && container.carrier);
        assert_eq!((host.operstate, container.operstate), (link::OperState::Up, link::OperState::Up));
    }
}

#[test]
#[ignore = "needs root"]
fn a_clash_can_be_told_apart() {
    let mut lab = Lab::new();
    lab.pair(None);
    let again = lab.host.request(pair(&lab.container_ns, None).create()).unwrap_err();
    assert_eq!(again.errno(), Errno::EXIST);
    assert!(
        again
            .to_string()
            .starts_with("create veth p0 with eth0 in its peer namespace: File exists (os error 17)")
    );
    assert_eq!(clash(&mut lab.container, "eth0"), Ok(Clash::Container));

    let netns = super::lab::fresh();
    let mut other = kernel::rtnl::Rtnl::open_in(&netns).unwrap();
    let host_only = lab.host.request(pair(&netns, None).create()).unwrap_err();
    assert_eq!(host_only.errno(), Errno::EXIST);
    assert_eq!(clash(&mut other, "eth0"), Ok(Clash::Host));
    assert_eq!(link::get(&mut other, LinkRef::Name("eth0")), Ok(None), "a refused pair leaves no end");
}

#[test]
#[ignore = "needs root"]
fn a_name_taken_in_the_container_leaves_no_end_at_the_host() {
    let mut lab = Lab::new();
    lab.pair(None);
    let mut second = pair(&lab.container_ns, None);
    second.host_name = "p1";
    let refused = lab.host.request(second.create()).unwrap_err();
    assert_eq!(refused.errno(), Errno::EXIST);
    assert_eq!(link::get(&mut lab.host, LinkRef::Name("p1")), Ok(None));
}
