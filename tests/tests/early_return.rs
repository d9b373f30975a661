//! DEL may answer before the kernel has finished; nobody may notice, whatever comes next.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests::lab::conf::{self, Change};
use tests::lab::netns::eventually;
use tests::lab::{Lab, command, nightly, processes, skip};

tests::conformance! {
    both: [
        the_name_is_free_at_once,
        the_namespace_may_go_right_after_del,
        a_caller_that_waits_for_the_pipes_returns_promptly,
        killing_the_callers_process_group_undoes_nothing,
        killing_the_callers_cgroup_undoes_nothing,
        many_deletions_leave_no_pile_of_processes,
        many_lives_at_once_leave_nothing,
    ]
    ours: []
}

fn network() -> Value {
    conf::dual_stack("net").with("ipMasq", true)
}

fn the_name_is_free_at_once(lab: &Lab) {
    let (c1, bridge) = (lab.container("c1"), lab.plugin("bridge"));
    bridge.add(&c1, &network()).ok();
    for _ in 0..30 {
        bridge.del(&c1, &network()).quiet();
        let result = bridge.add(&c1, &network()).ok();
        if !lab.plugins().are_reference() {
            bridge.check(&c1, &network(), &result).quiet();
        }
    }
    assert_eq!(lab.host().sh("ip -o link show master br0").lines().count(), 1);
}

fn the_namespace_may_go_right_after_del(lab: &Lab) {
    let bridge = lab.plugin("bridge");
    for _ in 0..20 {
        let c1 = lab.container("c1");
        bridge.add(&c1, &network()).ok();
        bridge.del(&c1, &network()).quiet();
        lab.delete_container(&c1);
    }
    nothing_left(lab);
}

fn a_caller_that_waits_for_the_pipes_returns_promptly(lab: &Lab) {
    let (c1, bridge) = (lab.container("c1"), lab.plugin("bridge"));
    for _ in 0..5 {
        bridge.add(&c1, &network()).ok();
        let outcome = bridge.del(&c1, &network());
        outcome.quiet();
        assert!(
            outcome.done.took < Duration::from_secs(2),
            "DEL held its output for {:?}",
            outcome.done.took
        );
    }
}

/// A shell that runs the call and then does `last`, in a process group of its own.
fn shell_around(lab: &Lab, verb: &str, last: &str) -> Command {
    let c1 = tests::lab::Container { id: "c1".into(), netns: tests::lab::Netns::at("/run/netns/c1") };
    let call = lab.plugin("bridge").on(verb, &c1, &network());
    let conf = lab.dir("shell").join("conf");
    std::fs::write(&conf, network().to_string()).unwrap();
    let script =
        format!("{} < {} || exit 9; {last}", lab.plugin("bridge").binary().display(), conf.display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script]).process_group(0).env_clear().envs(call.environment());
    shell
}

fn killing_the_callers_process_group_undoes_nothing(lab: &Lab) {
    let c1 = lab.container("c1");
    for _ in 0..5 {
        lab.plugin("bridge").add(&c1, &network()).ok();
        let done = command::finish(&mut shell_around(lab, "DEL", "kill -9 0"), b"", Duration::from_secs(20));
        assert_eq!(done.status.signal(), Some(9), "DEL succeeds, then all are killed: {done:?}");
    }
    nothing_left(lab);
    lab.plugin("bridge").add(&c1, &network()).ok();
}

fn killing_the_callers_cgroup_undoes_nothing(lab: &Lab) {
    let Some(group) = own_cgroup(lab) else {
        skip::because("cgroup version 2 cannot be written here");
        return;
    };
    let c1 = lab.container("c1");
    lab.plugin("bridge").add(&c1, &network()).ok();
    let last = format!("echo 1 > {}/cgroup.kill", group.display());
    let shell = shell_around(lab, "DEL", &last);
    let enter = format!("echo $$ > {}/cgroup.procs; ", group.display());
    let script = enter + shell.get_args().nth(1).unwrap().to_str().unwrap();
    let mut inside = Command::new("/bin/sh");
    inside.args(["-c", &script]).env_clear();
    inside.envs(shell.get_envs().map(|(key, value)| (key, value.unwrap())));
    let done = command::finish(&mut inside, b"", Duration::from_secs(20));
    assert_eq!(done.status.signal(), Some(9), "DEL succeeds, then all are killed: {done:?}");
    eventually("the cgroup is empty", Duration::from_secs(5), || std::fs::remove_dir(&group).is_ok());
    nothing_left(lab);
    lab.plugin("bridge").add(&c1, &network()).ok();
}

/// A new cgroup, where this machine lets us make one.
fn own_cgroup(lab: &Lab) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    let unified = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let root = PathBuf::from(unified.split(' ').nth(4)?);
    let group = root.join(format!("tidewater-lab-{}-{}", std::process::id(), lab.host().inode()));
    std::fs::create_dir(&group).ok()?;
    let usable = group.join("cgroup.kill").exists();
    if !usable {
        std::fs::remove_dir(&group).ok();
    }
    usable.then_some(group)
}

fn many_deletions_leave_no_pile_of_processes(lab: &Lab) {
    let (c1, bridge) = (lab.container("c1"), lab.plugin("bridge"));
    let mut most = 0;
    for _ in 0..nightly::amount(60, 1000) {
        bridge.add(&c1, &network()).ok();
        bridge.del(&c1, &network()).quiet();
        most = most.max(processes::inside(lab.host()).len());
    }
    assert!(most < 20, "{most} processes at once");
    nothing_left(lab);
}

fn many_lives_at_once_leave_nothing(lab: &Lab) {
    let containers: Vec<_> = (0..12).map(|n| lab.container(&format!("c{n}"))).collect();
    let bridge = lab.plugin("bridge");
    let calls = containers.iter().map(|c| ["ADD", "DEL"].map(|verb| bridge.on(verb, c, &network())));
    let calls: Vec<_> = calls.collect();
    std::thread::scope(|scope| {
        for [add, del] in &calls {
            scope.spawn(|| {
                for _ in 0..nightly::amount(4, 40) {
                    add.run().ok();
                    del.run().quiet();
                }
            });
        }
    });
    nothing_left(lab);
    lab.state().assert_nothing_attached();
}

/// No port, and after a moment no process of the plugin.
fn nothing_left(lab: &Lab) {
    let ports = lab.host().sh("ip -o link show master br0");
    assert!(ports.is_empty(), "{ports}");
    eventually("all its processes end", Duration::from_secs(3), || processes::inside(lab.host()).is_empty());
}
