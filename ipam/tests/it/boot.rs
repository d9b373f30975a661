//! Leases and the boot they belong to, and what stands beside them.

use std::path::Path;

use crate::calls::Net;

#[test]
fn a_lease_knows_its_boot_and_its_namespace() {
    let net = Net::of("10.1.0.0/24");
    net.add("a").unwrap();
    let owner = std::fs::read_to_string(net.owners_dir().join("a:eth0")).unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(owner.contains(&format!("boot {boot}")), "{owner}");
    assert!(owner.contains(" /proc/self/ns/net\n"), "{owner}");
}

#[test]
fn leases_of_an_earlier_boot_are_dropped() {
    let net = Net::of("10.1.0.0/29");
    for id in ["a", "b", "c", "d", "e"] {
        net.add(id).unwrap();
    }
    reboot(&net);
    net.put("10.1.0.4", "runs");
    assert_eq!(net.add_ip("new"), "10.1.0.2");
    assert_eq!(net.leases().into_values().collect::<Vec<_>>(), ["new\r\neth0", "runs"]);
    assert_eq!(net.owners(), ["new:eth0", "runs:"]);
}

#[test]
fn a_lease_that_somebody_else_made_in_this_boot_is_not_taken_for_the_earlier_one() {
    let net = Net::of("10.1.0.0/29");
    net.add("a").unwrap();
    reboot(&net);
    std::fs::remove_file(net.leases_dir().join("10.1.0.2")).unwrap();
    net.put("10.1.0.2", "a\r\neth0");
    net.check("a").unwrap();
    assert_eq!(net.add_ip("b"), "10.1.0.3");
}

#[test]
fn a_foreign_lease_counts_as_of_the_boot_in_which_it_was_first_seen() {
    let net = Net::of("10.1.0.0/29");
    net.put("10.1.0.3", "foreign\r\neth0");
    net.check("foreign").unwrap();
    reboot(&net);
    net.add("a").unwrap();
    assert_eq!(net.leases().into_values().collect::<Vec<_>>(), ["a\r\neth0"]);
}

#[test]
fn a_lease_without_content_is_taken_back() {
    let net = Net::of("10.1.0.0/30");
    net.put("10.1.0.2", "");
    assert_eq!(net.add_ip("a"), "10.1.0.2");
}

#[test]
fn what_others_do_to_the_leases_is_seen() {
    let net = Net::of("10.1.0.0/24");
    net.add("a").unwrap();
    net.put("10.1.0.3", "foreign\r\neth0");
    assert_eq!(net.add_ip("b"), "10.1.0.4");
    std::fs::remove_file(net.leases_dir().join("10.1.0.2")).unwrap();
    assert!(net.check("a").is_err());
    net.check("foreign").unwrap();
    net.del("foreign").unwrap();
    assert_eq!(net.leases().into_keys().collect::<Vec<_>>(), ["10.1.0.4"]);
    assert_eq!(net.owners(), ["b:eth0"]);
}

#[test]
fn a_lease_whose_content_was_changed_is_not_released_by_its_old_owner() {
    let net = Net::of("10.1.0.0/24");
    net.add("a").unwrap();
    net.put("10.1.0.2", "b\r\neth0");
    net.del("a").unwrap();
    assert_eq!(net.leases().into_values().collect::<Vec<_>>(), ["b\r\neth0"]);
    net.del("b").unwrap();
    assert_eq!(net.state().len(), 0);
}

#[test]
fn without_the_side_directory_everything_works() {
    for side_is_file in [false, true] {
        let net = Net::of("10.1.0.0/29");
        let side = net.dir.path().join(".tidewater");
        for id in ["a", "b", "c"] {
            lose(&side, side_is_file);
            net.add(id).unwrap();
        }
        lose(&side, side_is_file);
        net.check("b").unwrap();
        net.del("a").unwrap();
        assert_eq!(net.leases().into_values().collect::<Vec<_>>(), ["b\r\neth0", "c\r\neth0"]);
        lose(&side, side_is_file);
        net.gc(&[("c", "eth0")]).unwrap();
        assert_eq!(net.leases().into_values().collect::<Vec<_>>(), ["c\r\neth0"]);
    }
}

#[test]
fn a_spoilt_index_is_made_anew() {
    let net = Net::of("10.1.0.0/24");
    let index = net.dir.path().join(".tidewater/net/index");
    net.add("a").unwrap();
    let whole = std::fs::read(&index).unwrap();
    for length in [0, 7, 100, 4095, 4096, 5000] {
        std::fs::write(&index, &whole[..length]).unwrap();
        assert_eq!(net.add_ip("b"), "10.1.0.3", "{length}");
        net.check("a").unwrap();
        net.del("b").unwrap();
        net.put("last_reserved_ip.0", "10.1.0.2");
    }
}

#[test]
fn a_torn_owner_file_hides_no_lease() {
    let net = Net::of("10.1.0.0/24");
    net.add("a").unwrap();
    std::fs::write(net.owners_dir().join("a:eth0"), "").unwrap();
    net.check("a").unwrap();
    std::fs::write(net.owners_dir().join("a:eth0"), "boot").unwrap();
    net.del("a").unwrap();
    assert_eq!(net.state().len(), 0);
}

#[test]
fn directories_and_strange_names_are_left_alone() {
    let net = Net::of("10.1.0.0/24");
    std::fs::create_dir_all(net.leases_dir().join("10.1.0.2")).unwrap();
    for name in ["010.1.0.4", "10.1.0.5 ", "FD00::1", "10.1.0.6~"] {
        net.put(name, "x\r\neth0");
    }
    assert_eq!(net.add_ip("a"), "10.1.0.3");
    net.del("x").unwrap();
    net.gc(&[]).unwrap();
    assert_eq!(net.state().len(), 4);
    assert!(net.leases_dir().join("10.1.0.2").is_dir());
}

#[test]
fn an_id_too_long_for_a_file_name_goes_by_its_hash() {
    let net = Net::of("10.1.0.0/24");
    let id = "x".repeat(255);
    net.add(&id).unwrap();
    net.check(&id).unwrap();
    assert!(net.owners()[0].starts_with('~') && net.owners()[0].ends_with(":eth0"));
    net.del(&id).unwrap();
    assert_eq!(net.state().len(), 0);
}

/// Makes everything that is remembered be of another boot.
fn reboot(net: &Net) {
    let mut files = vec![net.dir.path().join(".tidewater/net/index")];
    files.extend(net.owners().iter().map(|name| net.owners_dir().join(name)));
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let other = boot.trim().chars().rev().collect::<String>();
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let at = bytes.windows(36).position(|window| window == boot.trim().as_bytes()).unwrap();
        let bytes = [&bytes[..at], other.as_bytes(), &bytes[at + 36..]].concat();
        std::fs::write(&file, bytes).unwrap();
    }
}

fn lose(side: &Path, leave_file: bool) {
    let _ = std::fs::remove_dir_all(side);
    if leave_file {
        std::fs::write(side, "").unwrap();
    }
}
