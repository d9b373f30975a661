//! containerd in the lab, driven through its CRI as a kubelet drives it.
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::conf::{self, Change};
use super::daemon::Daemon;
use super::netns::eventually;
use super::{Lab, command, runtimes, skip};

const SOCKET: &str = "/run/containerd/containerd.sock";

/// A daemon with one network of the plugins under test.
#[derive(Debug)]
pub struct Containerd<'a> {
    lab: &'a Lab,
    bin: PathBuf,
    /// None while it is down.
    pub daemon: Option<Daemon>,
    /// Parent of the pods' cgroups.
    pub cgroup: String,
}

impl<'a> Containerd<'a> {
    /// None where a runtime cannot work.
    pub fn new(lab: &'a Lab) -> Option<Containerd<'a>> {
        Containerd::with(lab, &json!([]))
    }

    /// The same with more plugins after the bridge.
    pub fn with(lab: &'a Lab, after: &Value) -> Option<Containerd<'a>> {
        if skip::without_real_root() {
            return None;
        }
        command::needs(&["containerd", "runc", "ctr", "/bin/busybox"]);
        let bin = runtimes::recorded_plugins(lab);
        let cgroup = format!("/tidewater-lab-{}", lab.host().inode());
        let mut containerd = Containerd { lab, bin, daemon: None, cgroup };
        containerd.network(after);
        containerd.start();
        containerd.import_pause();
        eventually("the network is ready", Duration::from_secs(5), || containerd.try_cri(&["ready"]).is_ok());
        Some(containerd)
    }

    /// Writes the network anew: our bridge and what comes after it.
    pub fn network(&self, after: &Value) {
        let mut plugins = vec![conf::dual_stack("pods").with("ipMasq", true)];
        plugins.extend(after.as_array().unwrap().iter().cloned());
        let list = json!({"cniVersion": conf::COMMON, "name": "pods", "plugins": plugins});
        runtimes::conflist(self.lab, &list);
    }

    /// Starts the daemon.
    pub fn start(&mut self) {
        let config = self.lab.dir("containerd").join("config.toml");
        std::fs::write(&config, self.config()).unwrap();
        let mut daemon = Command::new("containerd");
        daemon.arg("-c").arg(&config).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let log = self.lab.dir("containerd").join("log");
        self.daemon = Some(Daemon::start(&mut daemon, &log, || {
            command::try_run(&format!("ctr -a {SOCKET} --timeout 2s version")).is_ok()
        }));
    }

    /// On machines without CAP_SYS_RESOURCE the score of the out-of-memory killer cannot be lowered.
    fn config(&self) -> String {
        let (bin, lab) = (self.bin.display(), super::HOME);
        format!(
            r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{lab}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{bin}"
    conf_dir = "{lab}/net.d"
"#
        )
    }

    fn import_pause(&self) {
        let tar = self.lab.dir("images").join("pause.tar");
        let words = ["oci", tar.to_str().unwrap(), "localhost/pause:1", "/bin/sleep", "100000"];
        runtimes::succeed(&mut runtimes::python("image.py", &words));
        command::run(&format!("ctr -a {SOCKET} -n k8s.io images import {}", tar.display()));
    }

    /// A call of the client `cri.py`: what it printed, or its failure.
    pub fn try_cri(&self, words: &[&str]) -> Result<String, String> {
        let mut client = runtimes::python("cri.py", &[&[SOCKET], words].concat());
        let done = command::finish(&mut client, b"", Duration::from_secs(90));
        if done.status.success() { Ok(done.stdout.trim().into()) } else { Err(done.stderr + &done.stdout) }
    }

    /// A call that has to succeed.
    pub fn cri(&self, words: &[&str]) -> String {
        self.try_cri(words).unwrap_or_else(|cause| panic!("cri {words:?}: {cause}"))
    }

    /// Runs a pod.
    pub fn pod(&self, name: &str) -> Pod {
        self.annotated(name, &[])
    }

    /// Runs a pod with annotations, each `KEY=VALUE`, and host ports, each `port=PROTOCOL:HOST:CONTAINER`.
    pub fn annotated(&self, name: &str, wishes: &[&str]) -> Pod {
        let id = self.cri(&[&["run", name, &self.cgroup], wishes].concat());
        let ips = self.cri(&["ip", &id]).lines().map(str::to_owned).collect();
        Pod { id, ips }
    }

    /// Stops and removes a pod, each twice, as a kubelet may.
    pub fn remove(&self, pod: &Pod) {
        for verb in ["stop", "stop", "remove", "remove"] {
            self.cri(&[verb, &pod.id]);
        }
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        for line in self.try_cri(&["list"]).unwrap_or_default().lines() {
            let id = line.split(' ').next().unwrap_or_default();
            self.try_cri(&["stop", id]).and_then(|_| self.try_cri(&["remove", id])).ok();
        }
        self.daemon = None;
        for root in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            std::fs::remove_dir(root.path().join(self.cgroup.trim_start_matches('/'))).ok();
        }
    }
}

/// A pod sandbox.
#[derive(Debug, Clone)]
pub struct Pod {
    /// The sandbox's id, which is CNI_CONTAINERID.
    pub id: String,
    /// Its addresses.
    pub ips: Vec<String>,
}
