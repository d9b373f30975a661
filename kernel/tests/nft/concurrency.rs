//! Many processes at once, on one table that each of them may have to build.

use crate::lab;
use crate::masquerade::put;
use kernel::nft::{Family, Nft, Table};
use std::net::Ipv4Addr;
use std::process::Command;

const WORKERS: u8 = 8;
const EACH: u8 = 200;
const WORKER: &str = "TIDEWATER_TEST_WORKER";

#[test]
#[ignore = "needs root"]
fn eight_processes_put_and_remove_their_containers_at_once() {
    let name = "concurrency::eight_processes_put_and_remove_their_containers_at_once";
    if let Some(worker) = std::env::var_os(WORKER) {
        return work(worker.to_str().unwrap().parse().unwrap());
    }
    lab::alone(name, || {
        let start = |worker: u8| {
            Command::new(std::env::current_exe().unwrap())
                .args([name, "--exact", "--include-ignored", "--nocapture"])
                .env(WORKER, worker.to_string())
                .spawn()
                .unwrap()
        };
        let workers: Vec<_> = (0..WORKERS).map(start).collect();
        for mut worker in workers {
            assert!(worker.wait().unwrap().success());
        }
        let mut nft = Nft::open().unwrap();
        let table = Table::new(Family::Inet, "tidewater");
        let left = nft.elements(table.set("masquerade-10.1.0.0-16")).unwrap();
        assert_eq!(left.len(), usize::from(WORKERS) * usize::from(EACH) / 2, "every second one stays");
        assert_eq!(nft.rules(table.chain("postrouting")).unwrap().len(), 3, "built once");
    });
}

/// Each process opens a socket for each of its containers, as a plugin does and lists now and then: a list has to be
/// whole although the others change the ruleset under it.
fn work(worker: u8) {
    for n in 0..EACH {
        let mut nft = Nft::open().unwrap();
        let address = Ipv4Addr::new(10, 1, worker, n);
        let set = put(&mut nft, address);
        assert!(nft.element(set, address).unwrap().is_some());
        if n % 2 == 0 {
            assert!(nft.remove_element(set, address).unwrap());
        }
        if n % 20 == 0 {
            nft.elements(set).unwrap();
            nft.rules_of_table(set.table).unwrap();
        }
    }
}
