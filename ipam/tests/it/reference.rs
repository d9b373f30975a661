//! Side by side with the reference plugin: the same addresses, the same bytes, the same lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::json;

use crate::calls::{Net, OURS, THEIRS};

#[test]
#[ignore = "needs the reference plugins (Debian: containernetworking-plugins)"]
fn the_same_requests_give_the_same_addresses_and_files() {
    let ranges = json!([
        [{"subnet": "10.1.0.0/29"}, {"subnet": "10.3.0.0/28", "rangeStart": "10.3.0.4", "rangeEnd": "10.3.0.9", "gateway": "10.3.0.6"}],
        [{"subnet": "fd00::/124"}],
    ]);
    let (ours, theirs) = (net(ranges.clone()), net(ranges));
    for (verb, id) in requests(200) {
        let [a, b] = [(&ours, OURS), (&theirs, THEIRS)].map(|(net, binary)| net.run(binary, verb, &id).ok());
        assert_eq!(a, b, "{verb} {id}");
        assert_eq!(compatible(&ours), compatible(&theirs), "after {verb} {id}");
    }
}

#[test]
#[ignore = "needs the reference plugins (Debian: containernetworking-plugins)"]
fn what_one_leases_the_other_honours_checks_and_releases() {
    let net = net(json!([[{"subnet": "10.1.0.0/28"}]]));
    let mut leased: BTreeMap<String, String> = BTreeMap::new();
    let (mut turn, binaries) = (0, [OURS, THEIRS]);
    for (verb, id) in requests(300) {
        turn += if verb == "ADD" { 1 } else { 2 };
        let result = net.run(binaries[turn / 2 % 2], verb, &id);
        match (verb, leased.contains_key(&id)) {
            ("ADD", false) => match result {
                Ok(ip) => {
                    assert!(leased.insert(id.clone(), ip.clone()).is_none() && !taken_twice(&leased), "{ip}");
                }
                Err(text) => {
                    assert!(leased.len() == 13 && text.contains("no IP addresses available"), "{text}");
                }
            },
            ("ADD", true) => assert!(result.unwrap_err().contains("duplicate allocation is not allowed")),
            ("CHECK", known) => assert_eq!(result.is_ok(), known, "{id}"),
            _ => {
                result.unwrap();
                leased.remove(&id);
            }
        }
        assert_eq!(net.leases().len(), leased.len());
    }
}

#[test]
#[ignore = "needs the reference plugins (Debian: containernetworking-plugins)"]
fn eight_writers_of_both_kinds_never_share_an_address() {
    let net = net(json!([[{"subnet": "10.1.0.0/26"}]]));
    eight_writers(&net, |writer| [OURS, THEIRS][writer % 2]);
}

#[test]
fn eight_writers_never_share_an_address() {
    eight_writers(&net(json!([[{"subnet": "10.1.0.0/26"}]])), |_| OURS);
}

/// Eight at once add and delete; each address is written down while it is held.
fn eight_writers(net: &Net, binary: impl Fn(usize) -> &'static str + Sync) {
    let held = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (held, binary) = (&held, binary(writer));
            scope.spawn(move || {
                for round in 0..20 {
                    let id = format!("w{writer}-{round}");
                    let ip = net.run(binary, "ADD", &id).unwrap();
                    assert!(held.lock().unwrap().insert(ip.clone()), "{ip} twice");
                    if round % 4 != 0 {
                        held.lock().unwrap().remove(&ip);
                        net.run(binary, "DEL", &id).unwrap();
                    }
                }
            });
        }
    });
    let held = held.into_inner().unwrap();
    assert_eq!(held.len(), 40);
    assert_eq!(net.leases().into_keys().collect::<BTreeSet<_>>(), held);
    net.gc(&[]).unwrap();
    assert_eq!(net.state().len(), 0);
}

/// A network in a version that the reference plugin of any distribution speaks.
fn net(ranges: serde_json::Value) -> Net {
    let mut net = Net::new(ranges);
    net.conf["cniVersion"] = json!("0.4.0");
    net.conf["prevResult"] = json!({"cniVersion": "0.4.0", "ips": []});
    net
}

/// A fixed sequence, so that a failure can be had again.
fn requests(count: usize) -> Vec<(&'static str, String)> {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut below = |limit: u32| random.next_u32() % limit;
    (0..count)
        .map(|_| (["ADD", "ADD", "DEL", "CHECK"][below(4) as usize], format!("c{}", below(18))))
        .collect()
}

fn taken_twice(leased: &BTreeMap<String, String>) -> bool {
    leased.values().collect::<BTreeSet<_>>().len() < leased.len()
}

/// All of the compatible directory.
fn compatible(net: &Net) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(net.leases_dir()).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| (name.clone(), std::fs::read_to_string(net.leases_dir().join(name)).unwrap())).collect()
}
