//! A bridge and its ports.

use super::lab::{Lab, fresh, pair};
use kernel::error::Errno;
use kernel::link::bridge::{Bridge, port_flags, vlans};
use kernel::link::{self, Mac};
use kernel::rtnl::Rtnl;

#[test]
#[ignore = "needs root"]
fn it_has_its_mac_from_the_first_moment_and_keeps_it() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    assert_eq!((bridge.kind.as_deref(), bridge.up, bridge.promisc), (Some("bridge"), true, false));
    let (port, _) = lab.pair(Some(bridge.index));
    assert!(port.mac < bridge.mac, "a port with a lower MAC would take over");
    assert_eq!(lab.host_link("br0").mac, bridge.mac);
}

#[test]
#[ignore = "needs root"]
fn promiscuity_and_mtu_are_set_at_birth() {
    let mut host = Rtnl::open_in(&fresh()).unwrap();
    let mac = Mac([2, 0, 0, 0, 0, 9]);
    let bridge = Bridge { name: "br1", mac, mtu: Some(1400), vlan_filtering: false, promisc: true };
    host.request(bridge.create()).unwrap();
    let found = link::get(&mut host, link::LinkRef::Name("br1")).unwrap().unwrap();
    assert_eq!((found.promisc, found.mtu, found.vlan_filtering), (true, 1400, Some(false)));
    assert_eq!(host.request(bridge.create()).unwrap_err().errno(), Errno::EXIST);
}

#[test]
#[ignore = "needs root"]
fn a_port_is_made_hairpin_and_isolated() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    let (port, _) = lab.pair(Some(bridge.index));
    lab.host.request(port_flags(port.index, true, true)).unwrap();
    let set = lab.host_link("p0").port.unwrap();
    assert_eq!((set.hairpin, set.isolated), (true, true));
    lab.host.request(port_flags(port.index, false, false)).unwrap();
    let unset = lab.host_link("p0").port.unwrap();
    assert_eq!((unset.hairpin, unset.isolated), (false, false));
}

#[test]
#[ignore = "needs root"]
fn only_its_own_ports_are_listed() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    lab.pair(Some(bridge.index));
    let elsewhere = fresh();
    let mut stray = pair(&elsewhere, None);
    stray.host_name = "p1";
    lab.host.request(stray.create()).unwrap();
    let ports = link::ports_of(&mut lab.host, bridge.index).unwrap();
    let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(names, ["p0"]);
}

#[test]
#[ignore = "needs root"]
fn a_kernel_without_vlan_filtering_says_so() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    match vlans(&mut lab.host, bridge.index) {
        Ok(found) => {
            assert!(found.iter().any(|vlan| vlan.id == 1 && vlan.pvid), "VLAN 1 is there from the start");
        }
        Err(error) => assert_eq!(error.errno(), Errno::OPNOTSUPP),
    }
}
