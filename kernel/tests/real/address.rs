//! Addresses, added, listed and removed.

use super::lab::Lab;
use kernel::addr::{self, Address};
use kernel::error::Errno;
use kernel::link;

#[test]
#[ignore = "needs root"]
fn an_address_is_added_once_listed_and_removed() {
    let mut lab = Lab::new();
    let (_, container) = lab.pair(None);
    let address = Address { ip: "10.1.0.2/24".parse().unwrap(), index: container.index, nodad: false };
    lab.container.request(address.add()).unwrap();
    let again = lab.container.request(address.add()).unwrap_err();
    let start = format!("add address 10.1.0.2/24 on link {}: File exists (os error 17)", container.index);
    assert!(again.to_string().starts_with(&start), "{again}");

    let found = addr::list(&mut lab.container, container.index).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].net, found[0].permanent, found[0].scope), (address.ip, true, 0));
    let shown = lab.container_ns.run(|| super::lab::run("ip -4 -o address show dev eth0")).unwrap();
    assert!(shown.contains("inet 10.1.0.2/24 brd 10.1.0.255 scope global eth0"), "{shown}");

    lab.container.request(address.remove()).unwrap();
    assert_eq!(addr::list(&mut lab.container, container.index), Ok(vec![]));
    assert_eq!(lab.container.request(address.remove()).unwrap_err().errno(), Errno::ADDRNOTAVAIL);
}

#[test]
#[ignore = "needs root"]
fn ipv6_is_usable_at_once_without_duplicate_detection() {
    let mut lab = Lab::new();
    let (_, container) = lab.pair(None);
    let at_once = Address { ip: "fd00::2/64".parse().unwrap(), index: container.index, nodad: true };
    let asking = Address { ip: "fd00::3/64".parse().unwrap(), nodad: false, ..at_once };
    lab.container.batch(vec![link::set_up(container.index), at_once.add(), asking.add()]).unwrap();
    let found = addr::list(&mut lab.container, container.index).unwrap();
    let tentative = |ip: &str| found.iter().find(|a| a.net.addr().to_string() == ip).unwrap().tentative;
    assert_eq!((tentative("fd00::2"), tentative("fd00::3")), (false, true));
}

#[test]
#[ignore = "needs root"]
fn the_addresses_of_all_links_are_listed_at_once() {
    let mut lab = Lab::new();
    let (host, _) = lab.pair(None);
    let bridge = lab.bridge();
    let address = |ip: &str, index| Address { ip: ip.parse().unwrap(), index, nodad: true }.add();
    let both = vec![address("10.1.0.1/24", host.index), address("fd00::1/64", bridge.index)];
    lab.host.batch([both, vec![link::set_up(bridge.index)]].concat()).unwrap();
    let found = addr::list_all(&mut lab.host).unwrap();
    let global: Vec<_> =
        found.iter().filter(|found| found.scope == 0).map(|found| found.net.to_string()).collect();
    assert_eq!(global, ["10.1.0.1/24", "fd00::1/64"]);
}

#[test]
#[ignore = "needs root"]
fn a_link_that_is_gone_is_an_error_and_not_a_list_of_nothing() {
    let mut lab = Lab::new();
    let refused = addr::list(&mut lab.container, 4711).unwrap_err();
    assert_eq!(refused.errno(), Errno::NODEV);
}
