//! Routes, added, listed and removed.

use super::lab::{Lab, run};
use kernel::addr::Address;
use kernel::error::Errno;
use kernel::link;
use kernel::route::{self, Route};

fn to(dst: &str, gw: Option<&str>, index: u32) -> Route {
    Route {
        dst: dst.parse().unwrap(),
        gw: gw.map(|gw| gw.parse().unwrap()),
        index,
        priority: None,
        table: None,
        scope: None,
        mtu: None,
        advmss: None,
        src: None,
        onlink: false,
    }
}

/// A container with 10.1.0.2/24 and fd00::2/64; its link's index.
fn addressed(lab: &mut Lab) -> u32 {
    let (_, container) = lab.pair(None);
    let index = container.index;
    let address = |ip: &str| Address { ip: ip.parse().unwrap(), index, nodad: true }.add();
    lab.container.batch(vec![link::set_up(index), address("10.1.0.2/24"), address("fd00::2/64")]).unwrap();
    index
}

#[test]
#[ignore = "needs root"]
fn what_is_added_is_what_ip_shows() {
    let mut lab = Lab::new();
    let index = addressed(&mut lab);
    let full = Route {
        priority: Some(5),
        mtu: Some(1300),
        advmss: Some(1200),
        src: "10.1.0.2".parse().ok(),
        ..to("10.9.0.0/16", Some("10.1.0.1"), index)
    };
    let elsewhere = Route { table: Some(300), ..to("10.8.0.0/16", None, index) };
    let default = to("0.0.0.0/0", Some("10.1.0.1"), index);
    let default_v6 = to("::/0", Some("fd00::1"), index);
    lab.container.batch([full, elsewhere, default, default_v6].map(|route| route.add()).to_vec()).unwrap();
    let shown = lab.container_ns.run(|| run("ip route show table all dev eth0 proto boot")).unwrap();
    let mut lines: Vec<&str> = shown.lines().map(str::trim).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "10.8.0.0/16 table 300 scope link",
            "10.9.0.0/16 via 10.1.0.1 src 10.1.0.2 metric 5 mtu 1300 advmss 1200",
            "default via 10.1.0.1",
            "default via fd00::1 metric 1024 pref medium",
        ]
    );
}

#[test]
#[ignore = "needs root"]
fn what_is_added_is_listed_and_removed() {
    let mut lab = Lab::new();
    let index = addressed(&mut lab);
    let wanted = Route { table: Some(300), mtu: Some(1300), ..to("10.9.0.0/16", Some("10.1.0.1"), index) };
    lab.container.request(wanted.add()).unwrap();
    assert_eq!(lab.container.request(wanted.add()).unwrap_err().errno(), Errno::EXIST);
    let listed = route::list(&mut lab.container, false).unwrap();
    let found = listed.iter().find(|found| found.dst == wanted.dst).unwrap();
    assert_eq!((found.gw, found.index, found.table, found.mtu), (wanted.gw, Some(index), 300, Some(1300)));

    lab.container.request(wanted.remove()).unwrap();
    let listed = route::list(&mut lab.container, false).unwrap();
    assert!(listed.iter().all(|found| found.dst != wanted.dst));
    assert_eq!(lab.container.request(wanted.remove()).unwrap_err().errno(), Errno::SRCH);
}

#[test]
#[ignore = "needs root"]
fn the_way_to_an_address_is_found_and_nowhere_is_none() {
    let mut lab = Lab::new();
    let index = addressed(&mut lab);
    lab.container.request(to("10.9.0.0/16", Some("10.1.0.1"), index).add()).unwrap();
    let mut way = |ip: &str| route::to(&mut lab.container, ip.parse().unwrap()).unwrap();
    let near = way("10.1.0.7").unwrap();
    assert_eq!((near.index, near.gw, near.src), (Some(index), None, "10.1.0.2".parse().ok()));
    let far = way("10.9.0.7").unwrap();
    assert_eq!((far.index, far.gw), (Some(index), "10.1.0.1".parse().ok()));
    assert_eq!(way("fd00::7").unwrap().index, Some(index));
    assert_eq!(way("10.2.0.7"), None);
    for (kind, to) in
        [("unreachable", "10.3.0.0/16"), ("prohibit", "10.4.0.0/16"), ("blackhole", "10.5.0.0/16")]
    {
        lab.container_ns.run(|| run(&format!("ip route add {kind} {to}"))).unwrap();
    }
    let mut way = |ip: &str| route::to(&mut lab.container, ip.parse().unwrap()).unwrap();
    assert_eq!([way("10.3.0.7"), way("10.4.0.7"), way("10.5.0.7")], [None; 3]);
}

#[test]
#[ignore = "needs root"]
fn a_second_gateway_stands_beside_the_first() {
    let mut lab = Lab::new();
    let index = addressed(&mut lab);
    let gateways = ["fd00::1", "fd00::9"];
    lab.container.batch(gateways.map(|gw| to("fd01::/64", Some(gw), index).add()).to_vec()).unwrap();
    let listed = route::list(&mut lab.container, true).unwrap();
    let mut found: Vec<_> = listed.iter().filter(|route| route.dst.to_string() == "fd01::/64").collect();
    found.sort_by_key(|route| route.gw);
    let found: Vec<String> = found.iter().map(|route| route.gw.unwrap().to_string()).collect();
    assert_eq!(found, gateways);
}
