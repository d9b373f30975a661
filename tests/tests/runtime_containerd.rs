//! containerd's CRI runs pods on our plugins: they talk, stop again and again, survive a restart, and fail cleanly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::daemon::Daemon;
use tests::lab::netns::eventually;
use tests::lab::{Lab, command, fake, runtimes, skip, traffic};

const SOCKET: &str = "/run/containerd/containerd.sock";

tests::conformance! {
    both: [
        two_pods_talk_and_go,
        pods_survive_a_restart_of_the_daemon,
        a_failing_add_leaves_nothing,
    ]
    ours: []
}

/// containerd in the lab, with one network.
struct Containerd<'a> {
    lab: &'a Lab,
    bin: PathBuf,
    daemon: Option<Daemon>,
    cgroup: String,
}

impl<'a> Containerd<'a> {
    /// None where a runtime cannot work.
    fn new(lab: &'a Lab) -> Option<Containerd<'a>> {
        if skip::without_real_root() {
            return None;
        }
        command::needs(&["containerd", "runc", "ctr", "/bin/busybox"]);
        let bin = runtimes::recorded_plugins(lab);
        let cgroup = format!("/tidewater-lab-{}", lab.host().inode());
        let mut containerd = Containerd { lab, bin, daemon: None, cgroup };
        containerd.network(&json!([]));
        containerd.start();
        containerd.import_pause();
        eventually("the network is ready", Duration::from_secs(5), || containerd.try_cri(&["ready"]).is_ok());
        Some(containerd)
    }

    fn network(&self, after: &Value) {
        let mut plugins = vec![conf::dual_stack("pods").with("ipMasq", true)];
        plugins.extend(after.as_array().unwrap().iter().cloned());
        let list = json!({"cniVersion": conf::COMMON, "name": "pods", "plugins": plugins});
        runtimes::conflist(self.lab, &list);
    }

    fn start(&mut self) {
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
        let (bin, lab) = (self.bin.display(), tests::lab::HOME);
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

    fn try_cri(&self, words: &[&str]) -> Result<String, String> {
        let mut client = runtimes::python("cri.py", &[&[SOCKET], words].concat());
        let done = command::finish(&mut client, b"", Duration::from_secs(90));
        if done.status.success() { Ok(done.stdout.trim().into()) } else { Err(done.stderr + &done.stdout) }
    }

    fn cri(&self, words: &[&str]) -> String {
        self.try_cri(words).unwrap_or_else(|cause| panic!("cri {words:?}: {cause}"))
    }

    fn pod(&self, name: &str) -> Pod {
        let id = self.cri(&["run", name, &self.cgroup]);
        let ips = self.cri(&["ip", &id]).lines().map(str::to_owned).collect();
        Pod { id, ips }
    }

    fn remove(&self, pod: &Pod) {
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

struct Pod {
    id: String,
    ips: Vec<String>,
}

fn talk(one: &Pod, two: &Pod) {
    let netns = [one, two].map(|pod| runtimes::namespace_with(&pod.ips[0]));
    assert_eq!(two.ips.len(), 2, "one address of each family: {:?}", two.ips);
    for (from, to) in one.ips.iter().zip(&two.ips) {
        assert!(traffic::ping(&netns[0], to), "ping {to}");
        assert_eq!(traffic::tcp(&netns[0], &netns[1], to).unwrap().to_string(), *from);
    }
}

fn two_pods_talk_and_go(lab: &Lab) {
    let Some(containerd) = Containerd::new(lab) else { return };
    let pods = ["pod1", "pod2"].map(|name| containerd.pod(name));
    talk(&pods[0], &pods[1]);
    assert!(traffic::ping(lab.host(), &pods[0].ips[0]));
    pods.iter().for_each(|pod| containerd.remove(pod));
    lab.state().assert_nothing_attached();
    assert_eq!(containerd.cri(&["list"]), "");
    if !lab.plugins().are_reference() {
        assert_eq!((runtimes::recorded("bridge ADD eth0"), runtimes::recorded("loopback ADD lo")), (2, 2));
        assert!(runtimes::recorded("bridge DEL eth0") >= 6, "DEL is called again and again");
    }
}

fn pods_survive_a_restart_of_the_daemon(lab: &Lab) {
    let Some(mut containerd) = Containerd::new(lab) else { return };
    let pods = ["pod1", "pod2"].map(|name| containerd.pod(name));
    containerd.daemon = None;
    talk(&pods[0], &pods[1]);
    containerd.start();
    talk(&pods[1], &pods[0]);
    let list = containerd.cri(&["list"]);
    assert_eq!(list.lines().filter(|line| line.ends_with(" ready")).count(), 2, "{list}");
    pods.iter().for_each(|pod| containerd.remove(pod));
    lab.state().assert_nothing_attached();
}

fn a_failing_add_leaves_nothing(lab: &Lab) {
    let Some(containerd) = Containerd::new(lab) else { return };
    let script = r#"[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion": "1.0.0", "code": 11, "msg": "the weather is bad"}'; exit 1"#;
    fake::program(lab, "fake-fails", script);
    containerd.network(&json!([{"type": "fake-fails"}]));
    let mut refusal = String::new();
    eventually("the changed network is used", Duration::from_secs(10), || {
        match containerd.try_cri(&["run", "pod1", &containerd.cgroup]) {
            Ok(id) => {
                containerd.remove(&Pod { id, ips: vec![] });
                false
            }
            Err(text) => {
                refusal = text;
                true
            }
        }
    });
    assert!(refusal.contains("the weather is bad"), "{refusal}");
    lab.state().assert_nothing_attached();
    containerd.network(&json!([]));
    eventually("pods run again", Duration::from_secs(10), || {
        let pod = containerd.try_cri(&["run", "pod1", &containerd.cgroup]);
        pod.is_ok_and(|id| containerd.try_cri(&["remove", &id]).is_ok())
    });
    lab.state().assert_nothing_attached();
}
