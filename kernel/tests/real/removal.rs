//! The early-returning removal: when it returns, the link is gone.

use super::lab::{Lab, fresh};
use kernel::error::Errno;
use kernel::link::{self, LinkRef, remove_early};
use kernel::rtnl::Rtnl;
use kernel::watch::RemovalWatch;
use std::time::{Duration, Instant};

#[test]
#[ignore = "needs root"]
fn both_ends_are_gone_and_their_names_free_at_once() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    for round in 0..50 {
        let (host, container) = lab.pair(Some(bridge.index));
        let removed = if round % 2 == 0 {
            remove_early(&mut lab.host, host.index, &[])
        } else {
            remove_early(&mut lab.container, container.index, &[])
        };
        assert_eq!(removed, Ok(true));
        assert_eq!(link::get(&mut lab.container, LinkRef::Name("eth0")), Ok(None));
        assert_eq!(link::get(&mut lab.host, LinkRef::Name("p0")), Ok(None));
    }
}

#[test]
#[ignore = "needs root"]
fn it_returns_before_the_kernel_s_answer() {
    let mut lab = Lab::new();
    let mut least = |early: bool| {
        let round = |_| {
            let (host, _) = lab.pair(None);
            let start = Instant::now();
            let removed = match early {
                true => remove_early(&mut lab.host, host.index, &[]),
                false => link::remove(&mut lab.host, LinkRef::Index(host.index)),
            };
            assert_eq!(removed, Ok(true));
            start.elapsed()
        };
        (0..20).map(round).min().unwrap()
    };
    let (plain, early) = (least(false), least(true));
    assert!(early < plain, "early {early:?}, plain {plain:?}");
}

#[test]
#[ignore = "needs root"]
fn a_link_that_is_gone_already_is_fine() {
    let mut lab = Lab::new();
    let start = Instant::now();
    assert_eq!(remove_early(&mut lab.host, 4711, &[]), Ok(false));
    assert!(start.elapsed() < Duration::from_secs(1), "the kernel's word is not waited for");
}

#[test]
#[ignore = "needs root"]
fn a_refusal_is_told_at_once_in_the_kernel_s_words() {
    let mut lab = Lab::new();
    let lo = lab.host_link("lo");
    let start = Instant::now();
    let early = remove_early(&mut lab.host, lo.index, &[]).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(early.errno(), Errno::OPNOTSUPP);
    assert_eq!(early, link::remove(&mut lab.host, LinkRef::Index(lo.index)).unwrap_err());
}

#[test]
#[ignore = "needs root"]
fn two_at_once_remove_it_once() {
    let mut lab = Lab::new();
    for _ in 0..20 {
        let (host, _) = lab.pair(None);
        let mut other = Rtnl::open_in(&lab.host_ns).unwrap();
        let index = host.index;
        let second = std::thread::spawn(move || remove_early(&mut other, index, &[]));
        remove_early(&mut lab.host, index, &[]).unwrap();
        second.join().unwrap().unwrap();
        assert_eq!(link::get(&mut lab.host, LinkRef::Index(index)), Ok(None));
    }
}

#[test]
#[ignore = "needs root"]
fn the_socket_is_as_good_as_before() {
    let mut lab = Lab::new();
    for _ in 0..20 {
        let (host, _) = lab.pair(None);
        remove_early(&mut lab.host, host.index, &[]).unwrap();
        assert_eq!(lab.host_link("lo").name, "lo");
        assert_eq!(link::list(&mut lab.host).unwrap().len(), 1);
    }
}

#[test]
#[ignore = "needs root"]
fn the_namespace_may_end_right_after() {
    for _ in 0..10 {
        let mut lab = Lab::new();
        let (_, container) = lab.pair(None);
        assert_eq!(remove_early(&mut lab.container, container.index, &[]), Ok(true));
        let Lab { container_ns, container, mut host, .. } = lab;
        drop((container_ns, container));
        assert_eq!(link::get(&mut host, LinkRef::Name("p0")), Ok(None));
    }
}

#[test]
#[ignore = "needs root"]
fn a_watch_sees_the_link_go_and_not_before() {
    let mut lab = Lab::new();
    let bridge = lab.bridge();
    let (host, _) = lab.pair(Some(bridge.index));
    let mut watch = RemovalWatch::open_in(Some(&lab.host_ns), host.index).unwrap();
    let soon = || Instant::now() + Duration::from_millis(30);
    lab.host.request(link::set_master(host.index, None)).unwrap();
    assert_eq!(watch.wait(soon()), Ok(false), "leaving a bridge is not going");
    link::remove(&mut lab.host, LinkRef::Index(host.index)).unwrap();
    assert_eq!(watch.wait(soon()), Ok(true));
}

#[test]
#[ignore = "needs root"]
fn a_watch_that_lost_notifications_asks() {
    let mut lab = Lab::new();
    let (host, _) = lab.pair(None);
    let mut watch = RemovalWatch::open_in(Some(&lab.host_ns), host.index).unwrap();
    // Some 2000 notifications of a kilobyte and more, in a queue of 200 KiB.
    for mtu in (1000..2000).cycle().take(2000) {
        lab.host.request(link::set_mtu(host.index, mtu)).unwrap();
    }
    link::remove(&mut lab.host, LinkRef::Index(host.index)).unwrap();
    assert_eq!(watch.wait(Instant::now() + Duration::from_secs(5)), Ok(true));
}

#[test]
#[ignore = "needs root"]
fn a_watch_elsewhere_sees_nothing() {
    let mut lab = Lab::new();
    let (host, _) = lab.pair(None);
    let mut watch = RemovalWatch::open_in(Some(&fresh()), host.index).unwrap();
    link::remove(&mut lab.host, LinkRef::Index(host.index)).unwrap();
    assert_eq!(watch.wait(Instant::now() + Duration::from_millis(30)), Ok(false));
}
