//! Rate limits and redirection, as `tc` shows them and as traffic meets them.

use super::lab::{Lab, run};
use kernel::error::Errno;
use kernel::link::ifb::{self, Ifb};
use kernel::link::{self, LinkRef};
use kernel::tc::redirect::{self, filters, ingress};
use kernel::tc::tbf::{self, Tbf};
use kernel::tc::{self, Place, Qdisc, fq_codel};

const LIMIT: Tbf = Tbf { rate: 1_000_000, buffer: 1_562_500, limit: 125_000 };

fn shown(lab: &Lab, line: &str) -> String {
    lab.host_ns.run(|| run(line)).unwrap()
}

#[test]
#[ignore = "needs root"]
fn an_ifb_is_born_up_with_its_mark_and_told_at_once() {
    let mut lab = Lab::new();
    let made = Ifb { name: "bwp0", mtu: 1400 }.create_marked(&mut lab.host, "whose it is").unwrap();
    let found = lab.host_link("bwp0");
    assert_eq!((made.index, made.mac, made.mtu), (found.index, found.mac, 1400));
    assert_eq!((found.kind.as_deref(), found.up, found.tx_queue_len), (Some("ifb"), true, 0));
    assert_eq!(found.alias.as_deref(), Some("whose it is"));
    let again = Ifb { name: "bwp0", mtu: 1400 }.create_marked(&mut lab.host, "whose it is").unwrap_err();
    assert_eq!(again.errno(), Errno::EXIST);
}

#[test]
#[ignore = "needs root"]
fn a_rate_limit_reads_back_as_it_was_made() {
    let mut lab = Lab::new();
    let (host, _) = lab.pair(None);
    assert_eq!(tc::get(&mut lab.host, host.index, Place::Root).unwrap().and_then(|qdisc| qdisc.tbf), None);
    let large = Tbf { rate: 5_000_000_000, buffer: 15_625, limit: 300_000_000 };
    for (wanted, text) in [(LIMIT, "rate 8Mbit burst 100000b lat 25ms"), (large, "rate 40Gbit burst")] {
        lab.host.request(wanted.create(host.index)).unwrap();
        let found = tc::get(&mut lab.host, host.index, Place::Root).unwrap();
        assert_eq!(found, Some(Qdisc { kind: "tbf".into(), handle: tbf::HANDLE, tbf: Some(wanted) }));
        let shown = shown(&lab, "tc qdisc show dev p0");
        assert!(shown.contains(text), "{shown}");
        assert_eq!(lab.host.request(wanted.create(host.index)).unwrap_err().errno(), Errno::EXIST);
        assert_eq!(tc::remove(&mut lab.host, host.index, Place::Root), Ok(true));
        assert_eq!(tc::remove(&mut lab.host, host.index, Place::Root), Ok(false));
    }
}

#[test]
#[ignore = "needs root"]
fn a_kernel_with_fq_codel_queues_by_it_and_one_without_is_forgiven() {
    let mut lab = Lab::new();
    let (host, _) = lab.pair(None);
    lab.host.request(LIMIT.create(host.index)).unwrap();
    let made = fq_codel::queue_in(&mut lab.host, host.index).unwrap();
    let shown = shown(&lab, "tc qdisc show dev p0");
    assert_eq!(shown.contains("fq_codel 10: parent 1:1"), made, "{shown}");
}

#[test]
#[ignore = "needs root"]
fn what_arrives_is_redirected_until_it_is_removed() {
    let mut lab = Lab::new();
    let (host, _) = lab.pair(None);
    let ifb = Ifb { name: "bwp0", mtu: 1400 }.create_marked(&mut lab.host, "x").unwrap();
    assert_eq!(filters(&mut lab.host, host.index), Ok(vec![]));
    assert_eq!(tc::remove(&mut lab.host, host.index, Place::Ingress), Ok(false));
    lab.host.batch(vec![ingress(host.index), redirect::redirect(host.index, ifb.index)]).unwrap();
    assert_eq!(lab.host.request(ingress(host.index)).unwrap_err().errno(), Errno::EXIST);
    let found = filters(&mut lab.host, host.index).unwrap();
    assert!(found.iter().all(redirect::Filter::stands_first), "{found:?}");
    let targets: Vec<_> = found.iter().filter_map(|filter| filter.redirects_to).collect();
    assert_eq!(targets, [ifb.index]);
    let text = shown(&lab, "tc filter show dev p0 parent ffff:");
    assert!(text.contains("match 00000000/00000000 at 0"), "{text}");
    assert!(text.contains("mirred (Egress Redirect to device bwp0) stolen"), "{text}");

    link::remove(&mut lab.host, LinkRef::Index(ifb.index)).unwrap();
    let found = filters(&mut lab.host, host.index).unwrap();
    assert!(found.iter().any(|filter| filter.redirects_to == Some(0)), "leads nowhere: {found:?}");
    assert_eq!(redirect::remove(&mut lab.host, host.index), Ok(true));
    assert_eq!(redirect::remove(&mut lab.host, host.index), Ok(false));
    assert_eq!(filters(&mut lab.host, host.index), Ok(vec![]));
    assert_eq!(tc::remove(&mut lab.host, host.index, Place::Ingress), Ok(true));
}

#[test]
#[ignore = "needs root"]
fn somebody_s_filters_are_told_from_ours_and_stay() {
    let mut lab = Lab::new();
    let (host, _) = lab.pair(None);
    let ifb = Ifb { name: "bwp0", mtu: 1400 }.create_marked(&mut lab.host, "x").unwrap();
    shown(&lab, "tc qdisc add dev p0 ingress");
    shown(&lab, "tc filter add dev p0 parent ffff: protocol ip prio 7 u32 match u8 0 0 flowid 1:7");
    lab.host.request(redirect::redirect(host.index, ifb.index)).unwrap();
    let found = filters(&mut lab.host, host.index).unwrap();
    assert!(found.iter().any(|filter| filter.preference == 7 && !filter.stands_first()), "{found:?}");
    redirect::remove(&mut lab.host, host.index).unwrap();
    let left = filters(&mut lab.host, host.index).unwrap();
    assert!(!left.is_empty() && left.iter().all(|filter| filter.preference == 7), "{left:?}");
}

#[test]
#[ignore = "needs root"]
fn a_clsact_is_not_taken_for_an_ingress() {
    let mut lab = Lab::new();
    let (host, _) = lab.pair(None);
    shown(&lab, "tc qdisc add dev p0 clsact");
    assert_eq!(lab.host.request(ingress(host.index)).unwrap_err().errno(), Errno::EXIST);
    assert_eq!(tc::get(&mut lab.host, host.index, Place::Ingress).unwrap().unwrap().kind, "clsact");
    assert_eq!(tc::remove(&mut lab.host, host.index, Place::Ingress), Ok(false));
    assert!(shown(&lab, "tc qdisc show dev p0").contains("clsact"));
}

#[test]
#[ignore = "needs root"]
fn asking_whether_the_kernel_can_leaves_nothing() {
    let mut lab = Lab::new();
    let before = shown(&lab, "ip link") + &shown(&lab, "tc qdisc");
    assert_eq!(ifb::is_supported(&mut lab.host), Ok(true));
    assert_eq!(tbf::is_supported(&mut lab.host), Ok(true));
    assert_eq!(shown(&lab, "ip link") + &shown(&lab, "tc qdisc"), before);
}

#[test]
#[ignore = "needs root"]
fn a_link_that_is_gone_is_an_error() {
    let mut lab = Lab::new();
    for error in [
        tc::get(&mut lab.host, 4711, Place::Root).unwrap_err(),
        tc::remove(&mut lab.host, 4711, Place::Root).unwrap_err(),
        lab.host.request(LIMIT.create(4711)).unwrap_err(),
    ] {
        assert_eq!(error.errno(), Errno::NODEV, "{error}");
    }
}
