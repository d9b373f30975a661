//! net-ctl on real namespaces, with the reference plugins.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use kernel::netns::NetNs;
use lab::Lab;
use serde_json::json;

/// A lab whose plugins are Debian's; its namespaces end with it.
struct RealLab(Lab);

impl RealLab {
    fn new() -> RealLab {
        let lab = Lab::new();
        lab.network(
            "10-front.conflist",
            &json!({"cniVersion": "1.0.0", "name": "front", "plugins": [{
                "type": "bridge", "bridge": "br-front", "isGateway": true,
                "ipam": {"type": "host-local", "dataDir": lab.path("leases"), "subnet": "10.9.0.0/24"},
            }]}),
        );
        RealLab(lab)
    }

    /// Runs a test with this thread, and with it net-ctl and plugins, in a namespace that stands for the host.
    fn on_a_host_of_its_own(self, test: impl FnOnce(&Lab)) {
        let host = self.0.path("netns/host");
        let netns = NetNs::create_pinned(&host).unwrap();
        netns.run(|| test(&self.0)).unwrap();
    }
}

impl Drop for RealLab {
    fn drop(&mut self) {
        for file in fs::read_dir(self.0.path("netns")).unwrap() {
            let _ = NetNs::remove_pinned(&file.unwrap().path());
        }
        let _ = Command::new("umount").arg(self.0.path("netns")).status();
    }
}

#[test]
#[ignore = "needs root"]
fn a_namespace_is_made_entered_and_deleted() {
    RealLab::new().on_a_host_of_its_own(|lab| {
        let created = lab.net_ctl(&["ns", "create", "web"]);
        assert_eq!(lab.plain(created.text(0)), "created LAB/netns/web\n");
        assert!(lab.net_ctl(&["ns", "create", "web"]).text(8).contains("net-ctl ns delete web"));
        let links = lab.net_ctl(&["ns", "exec", "web", "--", "ip", "-o", "link"]);
        assert_eq!(links.text(0).lines().count(), 1);
        let listed = lab.net_ctl(&["ns", "list", "--json"]).json();
        let inside = lab.net_ctl(&["ns", "exec", "web", "readlink", "/proc/self/ns/net"]);
        assert_eq!(inside.text(0).trim(), format!("net:[{}]", listed["namespaces"][1]["inode"]));
        lab.net_ctl(&["ns", "delete", "web"]).text(0);
        lab.net_ctl(&["ns", "delete", "web"]).text(3);
        lab.net_ctl(&["ns", "exec", "web", "true"]).text(3);
    });
}

#[test]
#[ignore = "needs root"]
fn exec_ends_as_the_command_does() {
    RealLab::new().on_a_host_of_its_own(|lab| {
        let exec = |command: &[&str]| lab.net_ctl(&[&["ns", "exec", "host", "--"], command].concat());
        exec(&["sh", "-c", "exit 42"]).text(42);
        exec(&["no-such-command"]).text(127);
        exec(&["/etc"]).text(126);
        assert_eq!(exec(&["ls", "/sys/fs/cgroup"]).text(0), run("ls", &["/sys/fs/cgroup"]));
    });
}

#[test]
#[ignore = "needs root and Debian's containernetworking-plugins"]
fn two_containers_on_a_bridge_talk_and_leave_nothing() {
    RealLab::new().on_a_host_of_its_own(|lab| {
        let network = |verb: &str, container: &str| {
            lab.net_ctl(&["network", verb, "front", container, "--plugin-dir", "/usr/lib/cni"])
        };
        for container in ["web", "db"] {
            lab.net_ctl(&["ns", "create", container]).text(0);
            network("add", container).text(0);
            network("check", container).text(0);
        }
        lab.net_ctl(&["ns", "exec", "web", "--", "ping", "-c1", "-W5", "10.9.0.3"]).text(0);
        let refused = lab.net_ctl(&["ns", "delete", "web"]);
        assert!(refused.text(1).contains("it is attached to front as eth0"), "{refused:?}");

        lab.net_ctl(&["ns", "exec", "web", "ip", "addr", "flush", "dev", "eth0"]).text(0);
        network("check", "web").text(5);
        network("del", "web").text(0);
        lab.net_ctl(&["ns", "delete", "web"]).text(0);
        lab.net_ctl(&["ns", "delete", "db", "--force"]).text(0);
        let collected = lab.net_ctl(&["network", "gc", "front", "--plugin-dir", "/usr/lib/cni"]);
        assert!(
            collected.text(0).contains("db         eth0       deleted  namespace is gone"),
            "{collected:?}"
        );
        let leases = fs::read_dir(lab.path("leases/front"))
            .unwrap()
            .filter_map(|file| file.unwrap().file_name().into_string().ok());
        assert_eq!(leases.filter(|name| name.starts_with("10.")).count(), 0);
    });
}

#[test]
#[ignore = "needs root"]
fn without_privilege_it_says_so() {
    let lab = Lab::new();
    let binary = lab.path("net-ctl");
    fs::copy(env!("CARGO_BIN_EXE_net-ctl"), &binary).unwrap();
    fs::set_permissions(lab.dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(lab.path("netns"), fs::Permissions::from_mode(0o777)).unwrap();
    let output = Command::new(binary)
        .args(["ns", "create", "web", "--netns-dir"])
        .arg(lab.path("netns"))
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("Operation not permitted") && text.contains("try:   the same with sudo"), "{text}");
    assert_eq!(fs::read_dir(lab.path("netns")).unwrap().count(), 0);
}

fn run(command: &str, arguments: &[&str]) -> String {
    String::from_utf8(Command::new(command).args(arguments).output().unwrap().stdout).unwrap()
}
