//! Killed at every system call: nothing is lost, nothing is given twice, and DEL and GC put all right.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::json;

use crate::calls::{Net, OURS};

#[test]
#[ignore = "needs strace"]
fn an_add_killed_anywhere_is_undone_by_del() {
    at_every_call("ADD", peace, |net| net.del("x").unwrap());
}

#[test]
#[ignore = "needs strace"]
fn an_add_killed_anywhere_is_undone_by_gc() {
    at_every_call("ADD", peace, |net| net.gc(&[("a", "eth0"), ("b", "eth0")]).unwrap());
}

#[test]
#[ignore = "needs strace"]
fn a_del_killed_anywhere_is_finished_by_del() {
    let with_x = |net: &Net| {
        peace(net);
        net.add("x").unwrap();
    };
    at_every_call("DEL", with_x, |net| net.del("x").unwrap());
}

#[test]
#[ignore = "needs strace"]
fn a_rescan_killed_anywhere_is_done_by_the_next() {
    at_every_call("ADD", after_others, |net| net.del("x").unwrap());
    let with_x = |net: &Net| {
        after_others(net);
        net.put("10.1.0.8", "x\r\neth0");
        net.put("fd00::8", "x");
    };
    at_every_call("DEL", with_x, |net| {
        net.del("x").unwrap();
        net.del("x").unwrap();
    });
}

#[test]
#[ignore = "needs strace"]
fn the_first_add_of_all_killed_anywhere_leaves_what_gc_removes() {
    for point in points("ADD", |_| {}) {
        let net = prepared(|_| {});
        kill(&net, "ADD", &point);
        net.gc(&[]).unwrap();
        assert_eq!(net.state(), BTreeMap::new(), "{point:?}");
        fill(&net, 0);
    }
}

/// Two others hold addresses.
fn peace(net: &Net) {
    net.add("a").unwrap();
    net.add("b").unwrap();
}

/// The same, and others have been here: unfinished leases, an owner without leases, leases without owner.
fn after_others(net: &Net) {
    peace(net);
    net.put("10.1.0.9", "");
    std::fs::write(net.owners_dir().join("gone:eth0"), "boot x").unwrap();
    std::fs::remove_file(net.owners_dir().join("a:eth0")).unwrap();
}

/// Kills a verb of x at each of its calls, each time on a network of its own; in the end only a and b hold
/// addresses.
fn at_every_call(verb: &str, prepare: impl Fn(&Net), put_right: impl Fn(&Net)) {
    let points = points(verb, &prepare);
    assert!(points.len() > 40, "{points:?}");
    for point in points {
        let net = prepared(&prepare);
        kill(&net, verb, &point);
        let leases = net.leases();
        let bystander = net.add("y").unwrap();
        assert!(bystander.ips.iter().all(|ip| is_new(&leases, &ip.address.addr().to_string())), "{point:?}");
        net.check("a").unwrap();
        net.check("b").unwrap();
        net.del("y").unwrap();
        put_right(&net);
        assert_eq!(net.leases(), of_a_and_b(), "{point:?}");
        assert_eq!(net.owners(), ["a:eth0", "b:eth0"], "{point:?}");
        fill(&net, 2);
    }
}

/// Nobody holds the address; an unfinished lease is nobody's.
fn is_new(leases: &BTreeMap<String, String>, ip: &str) -> bool {
    leases.get(ip).is_none_or(String::is_empty)
}

fn of_a_and_b() -> BTreeMap<String, String> {
    let leases = [("10.1.0.2", "a"), ("10.1.0.3", "b"), ("fd00::2", "a"), ("fd00::3", "b")];
    leases.into_iter().map(|(ip, id)| (ip.to_owned(), format!("{id}\r\neth0"))).collect()
}

/// As many as there are addresses get one each, and no one more.
fn fill(net: &Net, present: usize) {
    for i in present..13 {
        net.add(&format!("f{i}")).unwrap();
    }
    assert_eq!(net.leases().len(), 2 * 13);
    assert_eq!(net.refuse("z").0, 11);
}

fn prepared(prepare: impl Fn(&Net)) -> Net {
    let net =
        Net::new(json!([[{"subnet": "10.1.0.0/28"}], [{"subnet": "fd00::/124", "rangeEnd": "fd00::e"}]]));
    prepare(&net);
    net
}

/// A system call by name, and the how manieth of this name.
type Point = (String, usize);

/// All system calls of a verb, in their order.
fn points(verb: &str, prepare: impl Fn(&Net)) -> Vec<Point> {
    let net = prepared(prepare);
    let trace = net.dir.path().join("trace");
    let mut strace = Command::new("strace");
    strace.arg("-o").arg(&trace).arg(OURS);
    assert!(net.feed(environment(&net, strace, verb)).status.success());
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let calls = std::fs::read_to_string(trace).unwrap();
    let names = calls.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name.to_owned());
    // The first is the execve of strace itself.
    names
        .skip(1)
        .map(|name| {
            let count = counts.entry(name.clone()).or_default();
            *count += 1;
            (name, *count)
        })
        .collect()
}

fn kill(net: &Net, verb: &str, (name, count): &Point) {
    let mut strace = Command::new("strace");
    strace.args(["-o", "/dev/null", "-e", &format!("trace={name}")]);
    strace.args(["-e", &format!("inject={name}:signal=SIGKILL:when={count}"), OURS]);
    let output = net.feed(environment(net, strace, verb));
    assert!(!output.status.success(), "not killed at {name} {count}");
}

/// The tracer with the environment of a request; it passes it on.
fn environment(net: &Net, mut strace: Command, verb: &str) -> Command {
    let request = net.command(OURS, verb, "x");
    strace.env_clear().envs(request.get_envs().filter_map(|(key, value)| Some((key, value?))));
    strace.env("PATH", "/usr/bin:/bin");
    strace
}
