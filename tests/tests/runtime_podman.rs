//! podman with its CNI back end runs containers on our plugins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::Command;

use serde_json::json;
use tests::lab::conf::{self, Change};
use tests::lab::{Lab, command, runtimes, skip, traffic};

tests::conformance! {
    both: [
        two_containers_talk_restart_and_go,
    ]
    ours: []
}

/// podman in the lab: /var/lib/containers and /run are the lab's own.
struct Podman {
    config: std::path::PathBuf,
}

impl Podman {
    fn new(lab: &Lab) -> Podman {
        command::needs(&["podman", "conmon", "runc", "/bin/busybox"]);
        let bridge = conf::bridge("net").with("ipMasq", true).without("name").without("cniVersion");
        // podman ends its own lists with tuning.
        let tuning = json!({"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}});
        let list = json!({"cniVersion": "0.4.0", "name": "net", "plugins": [bridge, tuning]});
        let (net, bin) = (runtimes::conflist(lab, &list), runtimes::recorded_plugins(lab));
        let config = lab.dir("podman").join("containers.conf");
        let text = format!(
            "[containers]\npids_limit = 0\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\n\
             [network]\nnetwork_backend = \"cni\"\ncni_plugin_dirs = [{bin:?}]\nnetwork_config_dir = {net:?}\n"
        );
        std::fs::write(&config, text).unwrap();
        let podman = Podman { config };
        podman.import(lab);
        podman
    }

    fn import(&self, lab: &Lab) {
        let tar = lab.dir("images").join("rootfs.tar");
        runtimes::succeed(&mut runtimes::python("image.py", &["rootfs", tar.to_str().unwrap()]));
        self.run(&["import", tar.to_str().unwrap(), "localhost/busybox:1"]);
    }

    fn run(&self, words: &[&str]) -> String {
        let mut podman = Command::new("podman");
        podman.args(["--storage-driver", "overlay"]).args(words).env_clear();
        podman
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/run/lab")
            .env("CONTAINERS_CONF", &self.config);
        runtimes::succeed(&mut podman)
    }

    fn start(&self, name: &str) {
        let command = ["/bin/httpd", "-f", "-h", "/www"];
        let run = ["run", "-d", "--network", "net", "--name", name, "localhost/busybox:1"];
        self.run(&[&run[..], &command[..]].concat());
    }

    fn ip(&self, name: &str) -> String {
        self.run(&["inspect", "-f", "{{.NetworkSettings.Networks.net.IPAddress}}", name])
    }

    /// What the web server of one container says to another.
    fn fetch(&self, from: &str, to: &str) -> String {
        self.run(&["exec", from, "/bin/wget", "-q", "-O", "-", &format!("http://{to}/")])
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.run(&["rm", "-f", "-t", "0", "-a"]);
        for root in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            for group in ["libpod_parent/conmon", "libpod_parent"] {
                std::fs::remove_dir(root.path().join(group)).ok();
            }
        }
    }
}

fn two_containers_talk_restart_and_go(lab: &Lab) {
    if skip::without_real_root() {
        return;
    }
    let podman = Podman::new(lab);
    podman.start("one");
    podman.start("two");
    if !lab.plugins().are_reference() {
        assert!(runtimes::recorded("bridge VERSION dummy") > 0, "podman asks for the versions first");
    }
    let two = podman.ip("two");
    assert_eq!(podman.fetch("one", &two), "hello from the container");
    assert!(traffic::ping(lab.host(), &two));
    assert_eq!(podman.run(&["exec", "two", "/bin/cat", "/proc/sys/net/core/somaxconn"]), "500");
    podman.run(&["restart", "-t", "0", "two"]);
    assert_eq!(podman.fetch("one", &podman.ip("two")), "hello from the container");
    podman.run(&["rm", "-f", "-t", "0", "one", "two"]);
    lab.state().assert_nothing_attached();
}
