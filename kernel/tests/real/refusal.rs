//! What the kernel refuses is told with its own words, and the socket stays usable.

use super::lab::Lab;
use kernel::addr::Address;
use kernel::error::Errno;
use kernel::link;

#[test]
#[ignore = "needs root"]
fn the_first_refused_request_of_a_batch_is_the_error_and_the_others_are_done() {
    let mut lab = Lab::new();
    let (_, container) = lab.pair(None);
    let index = container.index;
    let address = |ip: &str| Address { ip: ip.parse().unwrap(), index, nodad: true };
    let batch = vec![
        link::set_up(index),
        address("10.1.0.2/24").add(),
        address("10.1.0.2/24").add(),
        link::set_mtu(index, 1),
        address("10.2.0.2/24").add(),
    ];
    let refused = lab.container.batch(batch).unwrap_err();
    assert_eq!((refused.op.as_str(), refused.errno()), ("add address", Errno::EXIST));
    let found = kernel::addr::list(&mut lab.container, index).unwrap();
    assert_eq!(found.iter().filter(|address| address.net.addr().is_ipv4()).count(), 2);
}

#[test]
#[ignore = "needs root"]
fn the_kernel_s_own_words_are_appended() {
    let mut lab = Lab::new();
    let (_, container) = lab.pair(None);
    let refused = lab.container.request(link::set_mtu(container.index, 1)).unwrap_err();
    let expected = format!("set MTU of link {} to 1: Invalid argument (os error 22)", container.index);
    assert_eq!(refused.to_string(), format!("{expected} (kernel: mtu less than device minimum)"));
}

#[test]
#[ignore = "needs root"]
fn a_batch_larger_than_the_socket_s_queue_is_answered_whole() {
    let mut lab = Lab::new();
    let (_, container) = lab.pair(None);
    let address = |i: u32| {
        let ip = std::net::Ipv4Addr::from(0x0a01_0000 + i);
        let ip = ipnet::IpNet::new(ip.into(), 32).unwrap();
        Address { ip, index: container.index, nodad: true }.add()
    };
    lab.container.batch((1..=2000).map(address).collect()).unwrap();
    assert_eq!(kernel::addr::list(&mut lab.container, container.index).unwrap().len(), 2000);
    lab.container.batch(vec![]).unwrap();
}

#[test]
#[ignore = "needs root"]
fn a_list_that_changes_meanwhile_has_all_that_stays() {
    let mut lab = Lab::new();
    let (_, container) = lab.pair(None);
    let index = container.index;
    let address = move |i: u32| {
        let ip = ipnet::IpNet::new(std::net::Ipv4Addr::from(0x0a01_0000 + i).into(), 32).unwrap();
        Address { ip, index, nodad: true }
    };
    lab.container.batch((1..=1000).map(|i| address(i).add()).collect()).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut other = kernel::rtnl::Rtnl::open_in(&lab.container_ns).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                other.batch(vec![address(5000).add(), address(5000).remove()]).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        for _ in 0..200 {
            let found = kernel::addr::list(&mut lab.container, index).unwrap();
            assert!((1000..=1001).contains(&found.len()), "{}", found.len());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
