//! What the kernel refuses is told by the request that it refused, and nothing of the transaction stays.

use crate::lab;
use kernel::nft::{
    Base, ChainKind, Element, Family, Hook, Nft, Policy, SetSpec, Table, Transaction, Type, Verdict, priority,
};
use rustix::io::Errno;
use std::net::Ipv4Addr;

const TABLE: Table<'static> = Table::new(Family::Inet, "refused");

#[test]
#[ignore = "needs root"]
fn the_first_refused_request_is_named_and_nothing_stays() {
    lab::alone("errors::the_first_refused_request_is_named_and_nothing_stays", || {
        let mut nft = Nft::open().unwrap();
        let missing = TABLE.chain("missing");
        let jump = TABLE.chain("c").rule().verdict(Verdict::jump("missing"));
        let outcome = nft.apply([
            TABLE.add(),
            TABLE.chain("c").add(),
            jump.add(),
            missing.delete(),
            TABLE.chain("d").add(),
        ]);
        let error = outcome.unwrap_err();
        assert_eq!(error.errno(), Errno::NOENT);
        assert!(
            error.to_string().starts_with("add rule to inet refused c: No such file or directory"),
            "{error}"
        );
        assert!(!nft.has_table(TABLE).unwrap());
        nft.apply([TABLE.add()]).unwrap();
    });
}

#[test]
#[ignore = "needs root"]
fn a_loop_of_jumps_is_refused() {
    lab::alone("errors::a_loop_of_jumps_is_refused", || {
        let mut nft = Nft::open().unwrap();
        let (hooked, first, second) = (TABLE.chain("hooked"), TABLE.chain("first"), TABLE.chain("second"));
        let base = Base {
            kind: ChainKind::Filter,
            hook: Hook::Input,
            priority: priority::FILTER,
            policy: Policy::Accept,
        };
        let to = |name: &str| Verdict::jump(name);
        let outcome = nft.apply([
            TABLE.add(),
            hooked.add_base(&base),
            first.add(),
            second.add(),
            hooked.rule().verdict(to("first")).add(),
            first.rule().verdict(to("second")).add(),
            second.rule().verdict(to("first")).add(),
        ]);
        let text = "add rule to inet refused second: Too many links (os error 31)";
        assert_eq!(outcome.unwrap_err().to_string(), text);
        assert!(!nft.has_table(TABLE).unwrap());
    });
}

#[test]
#[ignore = "needs root"]
fn an_element_that_is_there_is_not_created_again() {
    lab::alone("errors::an_element_that_is_there_is_not_created_again", || {
        let mut nft = Nft::open().unwrap();
        let set = TABLE.set("s");
        let element = Element::new(Ipv4Addr::new(10, 1, 0, 5)).to(Verdict::Accept);
        nft.apply([TABLE.add(), set.add(&SetSpec::verdict_map(&[Type::Ipv4Addr]))]).unwrap();
        let one = std::slice::from_ref(&element);
        nft.apply(set.create_elements(one)).unwrap();
        nft.apply(set.add_elements(one)).unwrap();
        let error = nft.apply(set.create_elements(one)).unwrap_err();
        assert_eq!(error.to_string(), "create element 10.1.0.5 of inet refused s: File exists (os error 17)");
        let other = [Element::new(Ipv4Addr::new(10, 1, 0, 5)).to(Verdict::Drop)];
        assert_eq!(nft.apply(set.add_elements(&other)).unwrap_err().errno(), Errno::EXIST);
    });
}

#[test]
#[ignore = "needs root"]
fn thousands_of_refusals_overflow_the_queue_and_are_still_an_error() {
    lab::alone("errors::thousands_of_refusals_overflow_the_queue_and_are_still_an_error", || {
        let mut nft = Nft::open().unwrap();
        let refused: Transaction = (0..5_000).map(|_| TABLE.chain("missing").delete()).collect();
        assert_eq!(nft.commit(&refused).unwrap_err().errno(), Errno::NOENT);
        nft.apply([TABLE.add()]).unwrap();
        assert!(nft.has_table(TABLE).unwrap());
    });
}

#[test]
#[ignore = "needs root"]
fn removing_what_is_gone_is_fine() {
    lab::alone("errors::removing_what_is_gone_is_fine", || {
        let mut nft = Nft::open().unwrap();
        let (set, chain) = (TABLE.set("s"), TABLE.chain("c"));
        let address = |last| Ipv4Addr::new(10, 0, 0, last);
        for _ in 0..2 {
            assert!(!nft.remove_element(set, address(1)).unwrap());
            assert!(!nft.remove_set(set).unwrap());
            assert!(!nft.remove_chain(chain).unwrap());
            assert!(!nft.remove_rule(chain, 1).unwrap());
            assert!(!nft.remove_table(TABLE).unwrap());
        }
        nft.apply([
            TABLE.add(),
            chain.add(),
            set.add(&SetSpec::set(&[Type::Ipv4Addr])),
            chain.rule().counter().add(),
        ])
        .unwrap();
        nft.apply(set.add_elements(&[Element::new(address(1)), Element::new(address(3))])).unwrap();
        let three: Vec<_> = (1..=3).map(|last| Element::new(address(last))).collect();
        assert_eq!(nft.remove_elements(set, &three).unwrap(), 2);
        let handle = nft.rules(chain).unwrap()[0].handle;
        assert!(nft.remove_rule(chain, handle).unwrap());
        assert_eq!(nft.remove(vec![chain.delete(), chain.delete_rule(handle), set.delete()]).unwrap(), 2);
        assert!(nft.remove_table(TABLE).unwrap());
    });
}

#[test]
#[ignore = "needs root"]
fn without_the_capability_the_whole_is_refused() {
    let name = "errors::without_the_capability_the_whole_is_refused";
    const POWERLESS: &str = "TIDEWATER_TEST_POWERLESS";
    if std::env::var_os(POWERLESS).is_some() {
        let mut nft = Nft::open().unwrap();
        let text = "commit nf_tables transaction: Operation not permitted (os error 1)";
        assert_eq!(nft.apply([TABLE.add(), TABLE.chain("c").add()]).unwrap_err().to_string(), text);
        assert_eq!(nft.has_table(TABLE).unwrap_err().errno(), Errno::PERM);
        assert_eq!(nft.tables().unwrap_err().errno(), Errno::PERM);
        return;
    }
    lab::alone(name, || {
        let setpriv = ["--bounding-set=-net_admin", "--inh-caps=-net_admin"];
        let status = std::process::Command::new("setpriv")
            .args(setpriv)
            .arg(std::env::current_exe().unwrap())
            .args([name, "--exact", "--include-ignored", "--nocapture"])
            .env(POWERLESS, "1")
            .status();
        assert!(status.unwrap().success());
    });
}
