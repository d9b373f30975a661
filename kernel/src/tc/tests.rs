//! Bytes of the traffic control requests, each as `tc` (iproute2 6.1) sends them.

use super::redirect::{ingress, redirect};
use super::tbf::{Tbf, ticks};
use super::*;
use crate::netlink::hex;

const HEADER: &str = "00000000 00000000";
/// `tcmsg` of link 3: family, index.
const LINK: &str = "00000000 03000000";

fn shows(request: &Request) -> String {
    hex(request.as_bytes())
}

#[test]
fn a_rate_limit() {
    // tc qdisc add dev v0 root handle 1: tbf rate 8mbit burst 100000 limit 125000, less TCA_TBF_BURST and
    // TCA_TBF_RTAB (and the cell size of that table, ratespec's first byte)
    let tbf = Tbf { rate: 1_000_000, buffer: 1_562_500, limit: 125_000 };
    let parms = "28000100 00010000 ffff0000 40420f00 00000000 00000000 00000000 48e80100 84d71700 00000000";
    let expected = format!(
        "58000000 24000506 {HEADER} {LINK} 00000100 ffffffff 00000000 08000100 74626600 2c000200 {parms}"
    );
    assert_eq!(shows(&tbf.create(3)), expected);
}

#[test]
fn a_rate_limit_of_more_than_32_bits() {
    // tc qdisc add dev v0 root handle 1: tbf rate 40gbit burst 200mb limit 300000000, less the same
    let tbf = Tbf { rate: 5_000_000_000, buffer: 0x000b_a439, limit: 300_000_000 };
    let parms = "28000100 00010000 ffff0000 ffffffff 00000000 00000000 00000000 00a3e111 39a40b00 00000000";
    let expected = format!(
        "64000000 24000506 {HEADER} {LINK} 00000100 ffffffff 00000000 08000100 74626600 38000200 {parms} \
         0c000400 00f2052a 01000000"
    );
    assert_eq!(shows(&tbf.create(3)), expected);
}

#[test]
fn a_queue_inside_it() {
    // tc qdisc add dev v0 parent 1:1 handle 10: fq_codel
    let expected = format!(
        "38000000 24000506 {HEADER} {LINK} 00001000 01000100 00000000 0d000100 66715f63 6f64656c 00000000 04000200"
    );
    assert_eq!(shows(&fq_codel::leaf(3)), expected);
}

#[test]
fn what_arrives_is_redirected() {
    // tc qdisc add dev v0 ingress
    let qdisc =
        format!("30000000 24000506 {HEADER} {LINK} 0000ffff f1ffffff 00000000 0c000100 696e6772 65737300");
    assert_eq!(shows(&ingress(3)), qdisc);
    // tc filter add dev v0 parent ffff: protocol all prio 1 u32 match u8 0 0 flowid 1:1
    //   action mirred egress redirect dev bwp70a29d9dc18b
    let filter = format!(
        "94000000 2c000506 {HEADER} {LINK} 00000000 0000ffff 00030100 08000100 75333200 68000200 \
         08000100 01000100 38000700 34000100 0b000100 6d697272 65640000 24000280 20000200 \
         00000000 00000000 04000000 00000000 00000000 01000000 04000000 24000500 01000100 00000000 \
         00000000 00000000 00000000 00000000 00000000 00000000"
    );
    assert_eq!(shows(&redirect(3, 4)), filter);
}

#[test]
fn removals() {
    // tc qdisc del dev v0 root
    let root = format!("24000000 25000500 {HEADER} {LINK} 00000000 ffffffff 00000000");
    assert_eq!(shows(&removal(3, Place::Root)), root);
    // tc qdisc del dev v0 ingress
    let ingress =
        format!("30000000 25000500 {HEADER} {LINK} 0000ffff f1ffffff 00000000 0c000100 696e6772 65737300");
    assert_eq!(shows(&removal(3, Place::Ingress)), ingress);
    // tc filter del dev v0 parent ffff: protocol all prio 1
    let filter = format!("24000000 2d000500 {HEADER} {LINK} 00000000 0000ffff 00030100");
    assert_eq!(shows(&redirect::removal(3)), filter);
}

#[test]
fn lookups() {
    // tc qdisc show dev v0, of the one rather than of all, which tc cannot ask for
    let root = format!("24000000 26000d00 {HEADER} {LINK} 00000000 ffffffff 00000000");
    assert_eq!(shows(&lookup(3, Place::Root)), root);
    // tc filter show dev v0 parent ffff:
    let filters = format!("24000000 2e000103 {HEADER} {LINK} 00000000 0000ffff 00000000");
    assert_eq!(shows(&redirect::list(3)), filters);
}

#[test]
fn probes() {
    // As tc qdisc add dev lo root handle 1: tbf would be, if tc sent one without options.
    let tbf =
        format!("2c000000 24000506 {HEADER} 00000000 01000000 00000100 ffffffff 00000000 08000100 74626600");
    assert_eq!(shows(&tbf::probe()), tbf);
}

#[test]
fn ticks_are_what_the_reference_plugins_compute() {
    // /proc/net/psched: 000003e8 00000040 000f4240: 15.625 ticks in a microsecond.
    assert_eq!(ticks(100_000), Some(1_562_500));
    assert_eq!((ticks(0), ticks(1)), (Some(0), Some(15)));
    assert_eq!((ticks(274_877_906), ticks(274_877_907)), (Some(4_294_967_281), None));
    assert_eq!(ticks(u64::MAX), None);
}

#[test]
fn a_reply_that_is_cut_short_is_no_qdisc() {
    assert_eq!(parse(&[0; 19]), None);
    assert_eq!(parse(&[]), None);
}
