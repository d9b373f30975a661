//! Random requests, by us and by somebody else, against a model that fits on a page.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::calls::Net;

/// Host numbers of a /28 less network, broadcast and gateway.
const HOSTS: std::ops::RangeInclusive<u8> = 2..=14;
const IDS: u8 = 16;

#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    Del(u8),
    Check(u8),
    Gc(Vec<u8>),
    /// The reference plugin's ADD and DEL: they know nothing of what stands beside.
    ForeignAdd(u8),
    ForeignDel(u8),
    /// The reference plugin, killed between creating and writing a lease.
    ForeignKilled,
    /// One of us, killed between creating a lease and all the rest.
    Killed(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..IDS;
    prop_oneof![
        6 => id().prop_map(Step::Add),
        3 => id().prop_map(Step::Del),
        2 => id().prop_map(Step::Check),
        1 => vec(id(), 0..8).prop_map(Step::Gc),
        2 => id().prop_map(Step::ForeignAdd),
        2 => id().prop_map(Step::ForeignDel),
        1 => Just(Step::ForeignKilled),
        1 => id().prop_map(Step::Killed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn leases_are_those_of_the_model(steps in vec(step(), 1..60)) {
        let net = Net::new(json!([[{"subnet": "10.1.0.0/28"}]]));
        let mut model = Model::default();
        for step in &steps {
            model.walk(&net, step);
            prop_assert_eq!(net.leases(), model.files(), "after {:?} of {:?}", step, &steps);
        }
    }
}

/// Who has which host number.
#[derive(Default)]
struct Model {
    leases: BTreeMap<u8, u8>,
    /// A file without content.
    unfinished: Option<u8>,
    last: Option<u8>,
}

impl Model {
    fn walk(&mut self, net: &Net, step: &Step) {
        match step {
            Step::Add(id) => self.add(net, *id),
            Step::Del(id) => {
                net.del(&name(*id)).unwrap();
                self.release(*id);
                self.seen(net);
            }
            Step::Check(id) => {
                // A CHECK before anything was leased has no directory to look into.
                assert_eq!(net.check(&name(*id)).is_ok(), self.has(*id));
                self.seen(net);
            }
            Step::Gc(valid) => {
                let names: Vec<String> = valid.iter().map(|id| name(*id)).collect();
                let list: Vec<_> = names.iter().map(|name| (name.as_str(), "eth0")).collect();
                net.gc(&list).unwrap();
                self.leases.retain(|_, id| valid.contains(id));
                self.seen(net);
            }
            Step::ForeignAdd(id) => self.create(net, *id, true),
            Step::Killed(id) => self.create(net, *id, false),
            Step::ForeignDel(id) => {
                for (host, _) in self.leases.iter().filter(|(_, owner)| *owner == id) {
                    std::fs::remove_file(net.leases_dir().join(ip(*host))).unwrap();
                }
                self.release(*id);
            }
            Step::ForeignKilled => {
                let Some(host) = self.next().filter(|_| self.unfinished.is_none()) else { return };
                net.put(&ip(host), "");
                self.unfinished = Some(host);
            }
        }
    }

    fn add(&mut self, net: &Net, id: u8) {
        let result = net.add(&name(id));
        self.unfinished = None;
        let expected = self.next().filter(|_| !self.has(id));
        let given = result.map(|result| result.ips[0].address.addr().to_string());
        assert_eq!(given.ok(), expected.map(ip));
        if let Some(host) = expected {
            self.leases.insert(host, id);
            self.last = Some(host);
        }
        self.seen(net);
    }

    /// A lease by somebody who leaves no trace beside it.
    fn create(&mut self, net: &Net, id: u8, moves_round_robin: bool) {
        let Some(host) = self.next().filter(|_| !self.has(id)) else { return };
        net.put(&ip(host), &format!("{}\r\neth0", name(id)));
        if moves_round_robin {
            net.put("last_reserved_ip.0", &ip(host));
            self.last = Some(host);
        }
        self.leases.insert(host, id);
    }

    /// The reference's search: from the one after the last, once around.
    fn next(&self) -> Option<u8> {
        let start = self.last.map_or(0, |last| last - 1);
        let hosts = HOSTS.cycle().skip(usize::from(start)).take(HOSTS.count());
        hosts.into_iter().find(|host| !self.leases.contains_key(host) && self.unfinished != Some(*host))
    }

    fn has(&self, id: u8) -> bool {
        self.leases.values().any(|owner| *owner == id)
    }

    fn release(&mut self, id: u8) {
        self.leases.retain(|_, owner| *owner != id);
    }

    /// One of us has been here: nothing unfinished is left, and every lease has its owner file.
    fn seen(&mut self, net: &Net) {
        if net.leases_dir().exists() {
            self.unfinished = None;
        }
        let mut owners: Vec<String> = self.leases.values().map(|id| format!("{}:eth0", name(*id))).collect();
        owners.sort();
        assert_eq!(net.owners(), owners);
    }

    fn files(&self) -> BTreeMap<String, String> {
        let leases = self.leases.iter().map(|(host, id)| (ip(*host), format!("{}\r\neth0", name(*id))));
        leases.chain(self.unfinished.map(|host| (ip(host), String::new()))).collect()
    }
}

fn ip(host: u8) -> String {
    format!("10.1.0.{host}")
}

fn name(id: u8) -> String {
    format!("c{id}")
}
