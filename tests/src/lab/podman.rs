//! podman in the lab, with its CNI back end.
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::conf::{self, Change};
use super::{Lab, command, runtimes};

/// podman in the lab: /var/lib/containers and /run are the lab's own.
#[derive(Debug)]
pub struct Podman {
    config: PathBuf,
}

impl Podman {
    /// With a network `net`: a bridge, and these plugins after it.
    pub fn with(lab: &Lab, after: &Value) -> Podman {
        command::needs(&["podman", "conmon", "runc", "/bin/busybox"]);
        let bridge = conf::bridge("net").with("ipMasq", true).without("name").without("cniVersion");
        let mut plugins = vec![bridge.with("hairpinMode", true)];
        plugins.extend(after.as_array().unwrap().iter().cloned());
        let list = json!({"cniVersion": "0.4.0", "name": "net", "plugins": plugins});
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

    /// One more network: a bridge of its own, and these plugins after it.
    pub fn network(&self, name: &str, subnet: &str, after: &Value) {
        let bridge = json!({"type": "bridge", "bridge": format!("br-{name}"), "isDefaultGateway": true, "ipMasq": true,
            "hairpinMode": true, "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]]}});
        let mut plugins = vec![bridge];
        plugins.extend(after.as_array().unwrap().iter().cloned());
        let list = json!({"cniVersion": "0.4.0", "name": name, "plugins": plugins});
        std::fs::write(format!("{}/net.d/20-{name}.conflist", super::HOME), list.to_string()).unwrap();
    }

    fn import(&self, lab: &Lab) {
        let tar = lab.dir("images").join("rootfs.tar");
        runtimes::succeed(&mut runtimes::python("image.py", &["rootfs", tar.to_str().unwrap()]));
        self.run(&["import", tar.to_str().unwrap(), "localhost/busybox:1"]);
    }

    /// A command that has to succeed.
    pub fn run(&self, words: &[&str]) -> String {
        let mut podman = Command::new("podman");
        podman.args(["--storage-driver", "overlay"]).args(words).env_clear();
        podman
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/run/lab")
            .env("CONTAINERS_CONF", &self.config);
        runtimes::succeed(&mut podman)
    }

    /// A container with a web server on port 80, and more options of `podman run`.
    pub fn start(&self, name: &str, options: &[&str]) {
        let command = ["localhost/busybox:1", "/bin/httpd", "-f", "-h", "/www"];
        let run = ["run", "-d", "--network", "net", "--name", name];
        self.run(&[&run[..], options, &command[..]].concat());
    }

    /// Its address on `net`.
    pub fn ip(&self, name: &str) -> String {
        self.run(&["inspect", "-f", "{{.NetworkSettings.Networks.net.IPAddress}}", name])
    }

    /// What the web server of one container says to another.
    pub fn fetch(&self, from: &str, to: &str) -> String {
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
