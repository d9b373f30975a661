//! Settings of a link, read back.

use super::lab::{Lab, run};
use kernel::link::{self, LinkRef, LinkUp, Mac};
use kernel::sysctl;

#[test]
#[ignore = "needs root"]
fn up_and_arp_notify_go_in_one_message() {
    let mut lab = Lab::new();
    let (_, container) = lab.pair(None);
    let read = || sysctl::get("net/ipv4/conf/eth0/arp_notify").unwrap();
    assert_eq!(lab.container_ns.run(read).unwrap(), "0");
    lab.container.request(LinkUp { index: container.index, arp_notify: true }.request()).unwrap();
    assert_eq!(lab.container_ns.run(read).unwrap(), "1");
    assert!(lab.container_link("eth0").up);
}

#[test]
#[ignore = "needs root"]
fn each_setting_is_read_back() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    let (host, _) = lab.pair(None);
    let mac: Mac = "02:42:0a:01:00:02".parse().unwrap();
    let changes = vec![
        link::set_down(host.index),
        link::set_mac(host.index, mac),
        link::set_mtu(host.index, 1300),
        link::set_alias(host.index, "who is it for"),
        link::set_promisc(host.index, true),
        link::set_master(host.index, Some(bridge.index)),
    ];
    lab.host.batch(changes).unwrap();
    let changed = lab.host_link("p0");
    assert_eq!((changed.up, changed.mac, changed.mtu, changed.promisc), (false, Some(mac), 1300, true));
    assert_eq!((changed.alias.as_deref(), changed.master), (Some("who is it for"), Some(bridge.index)));

    let back = vec![
        link::set_alias(host.index, ""),
        link::set_promisc(host.index, false),
        link::set_master(host.index, None),
    ];
    lab.host.batch(back).unwrap();
    let changed = lab.host_link("p0");
    assert_eq!((changed.alias, changed.promisc, changed.master, changed.port), (None, false, None, None));
}

#[test]
#[ignore = "needs root"]
fn setting_the_mac_again_announces_the_addresses() {
    let mut lab = Lab::new();
    let (_, container) = lab.pair(None);
    let ip = "10.1.0.2/24".parse().unwrap();
    let address = kernel::addr::Address { ip, index: container.index, nodad: false };
    let up = LinkUp { index: container.index, arp_notify: true };
    lab.container.batch(vec![up.request(), address.add()]).unwrap();
    lab.container_link("eth0");
    let before = received(&lab);
    lab.container.request(link::set_mac(container.index, super::lab::CONTAINER)).unwrap();
    assert_eq!(received(&lab) - before, 1, "one gratuitous ARP reaches the other end");
}

fn received(lab: &Lab) -> u64 {
    let read = || std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let table = lab.host_ns.run(read).unwrap();
    let line = table.lines().find(|line| line.trim_start().starts_with("p0:")).unwrap();
    line.split_whitespace().nth(2).unwrap().parse().unwrap()
}

#[test]
#[ignore = "needs root"]
fn links_are_listed_and_removed() {
    let mut lab = Lab::new();
    lab.pair(None);
    let names: Vec<String> = link::list(&mut lab.host).unwrap().into_iter().map(|link| link.name).collect();
    assert_eq!(names, ["lo", "p0"]);
    assert_eq!(link::remove(&mut lab.host, LinkRef::Name("p0")), Ok(true));
    assert_eq!(link::remove(&mut lab.host, LinkRef::Name("p0")), Ok(false), "removing twice is fine");
    assert_eq!(link::get(&mut lab.container, LinkRef::Name("eth0")), Ok(None), "the other end goes with it");
}

#[test]
#[ignore = "needs root"]
fn a_list_of_many_links_is_whole() {
    let lab = Lab::new();
    let make = || (0..40).for_each(|i| drop(run(&format!("ip link add d{i} type bridge"))));
    lab.host_ns.run(make).unwrap();
    let mut host = lab.host;
    assert_eq!(link::list(&mut host).unwrap().len(), 41, "they do not fit in one datagram");
}
