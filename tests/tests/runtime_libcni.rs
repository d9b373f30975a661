//! A runtime built on libcni, and net-ctl, work on the same attachments: each reads what the other remembered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tests::lab::conf::{self, Change};
use tests::lab::{Container, Lab, answer, command, runtimes, traffic};

tests::conformance! {
    both: [
        libcni_adds_checks_and_deletes,
        capability_arguments_reach_the_plugin_again_on_del,
    ]
    ours: [
        net_ctl_takes_over_what_libcni_attached,
        libcni_takes_over_what_net_ctl_attached,
    ]
}

const CACHE: &str = "/var/lib/cni";

/// The small runtime of tests/runtimes/libcni.go with one network.
struct Libcni {
    program: PathBuf,
    list: PathBuf,
    plugins: String,
}

impl Libcni {
    fn new(lab: &Lab, after: &Value) -> Libcni {
        let mut plugins =
            vec![conf::dual_stack("net").with("ipMasq", true).without("name").without("cniVersion")];
        plugins.extend(after.as_array().unwrap().iter().cloned());
        let list = json!({"cniVersion": conf::COMMON, "name": "net", "plugins": plugins});
        let list = runtimes::conflist(lab, &list).join("10-test.conflist");
        let plugins = format!("{}:/usr/lib/cni", lab.plugins().dir().display());
        Libcni { program: build(), list, plugins }
    }

    fn call(&self, verb: &str, container: &Container) -> Command {
        let mut call = Command::new(&self.program);
        call.arg(verb).arg(&self.list).arg(&container.id).arg(container.netns.path()).env_clear();
        call.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("CNI_PATH", &self.plugins)
            .env("CNI_CACHE", CACHE);
        call
    }

    fn add(&self, container: &Container) -> Value {
        serde_json::from_str(&runtimes::succeed(&mut self.call("add", container))).unwrap()
    }

    fn run(&self, verb: &str, container: &Container) {
        assert_eq!(runtimes::succeed(&mut self.call(verb, container)), "");
    }

    fn net_ctl(&self, lab: &Lab, verb: &str, container: &Container) -> String {
        let mut call = Command::new(lab.plugins().net_ctl());
        call.args(["--json", "network", verb, "net", &container.id]).arg("--config").arg(&self.list);
        call.arg("--netns").arg(container.netns.path()).env_clear();
        runtimes::succeed(call.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("CNI_PATH", &self.plugins))
    }
}

/// Built once for all tests; Go keeps what it has compiled.
fn build() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(compile).clone()
}

fn compile() -> PathBuf {
    command::needs(&["go"]);
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = dir.join("libcni");
    let mut go = Command::new("go");
    go.arg("build")
        .arg("-o")
        .arg(&program)
        .arg(runtimes::file("libcni.go"))
        .env_clear()
        .env("CGO_ENABLED", "0");
    go.env("PATH", "/usr/bin:/bin").env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode");
    runtimes::succeed(go.env("GOCACHE", dir.join("go-cache")).env("HOME", dir));
    program
}

fn cache_file(container: &Container) -> PathBuf {
    Path::new(CACHE).join("results").join(format!("net-{}-eth0", container.id))
}

fn libcni_adds_checks_and_deletes(lab: &Lab) {
    let libcni = Libcni::new(lab, &json!([{"type": "tuning", "mac": "02:00:00:00:00:77"}]));
    let containers = [lab.container("c1"), lab.container("c2")];
    let results = containers.each_ref().map(|container| libcni.add(container));
    assert_eq!(answer::interface(&results[1], 2, "mac"), "02:00:00:00:00:77");
    containers.iter().for_each(|container| libcni.run("check", container));
    lab.host().sh(&format!("ip link set {} down", answer::host_veth(&results[0])));
    lab.host().sh(&format!("ip link set {} up", answer::host_veth(&results[0])));
    assert!(traffic::ping(lab.host(), &answer::ips(&results[0])[0]));
    for container in &containers {
        libcni.run("del", container);
        libcni.run("del", container);
        assert!(!cache_file(container).exists());
        runtimes::fail(&mut libcni.call("check", container));
    }
    lab.state().assert_nothing_attached();
}

fn capability_arguments_reach_the_plugin_again_on_del(lab: &Lab) {
    let libcni = Libcni::new(lab, &json!([{"type": "portmap", "capabilities": {"portMappings": true}}]));
    let (c1, outside) = (lab.container("c1"), traffic::outside(lab));
    let mappings = r#"{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}"#;
    let result: Value =
        serde_json::from_str(&runtimes::succeed(libcni.call("add", &c1).env("CNI_CAPABILITIES", mappings)))
            .unwrap();
    let listen = format!("{}:80", answer::ips(&result)[0]);
    let published = format!("{}:8080", traffic::HOST_OUTSIDE[0]);
    traffic::tcp_translated(&outside, &published, &c1.netns, &listen).unwrap();
    runtimes::succeed(libcni.call("del", &c1).env("CNI_CAPABILITIES", mappings));
    lab.state().assert_nothing_attached();
}

fn net_ctl_takes_over_what_libcni_attached(lab: &Lab) {
    let libcni = Libcni::new(lab, &json!([]));
    let c1 = lab.container("c1");
    libcni.add(&c1);
    libcni.net_ctl(lab, "check", &c1);
    libcni.net_ctl(lab, "del", &c1);
    assert!(!cache_file(&c1).exists());
    lab.state().assert_nothing_attached();
}

fn libcni_takes_over_what_net_ctl_attached(lab: &Lab) {
    let libcni = Libcni::new(lab, &json!([]));
    let c1 = lab.container("c1");
    libcni.net_ctl(lab, "add", &c1);
    let cached: Value = serde_json::from_slice(&std::fs::read(cache_file(&c1)).unwrap()).unwrap();
    assert_eq!(cached["kind"], "cniCacheV1");
    libcni.run("check", &c1);
    libcni.run("del", &c1);
    assert!(!cache_file(&c1).exists());
    lab.state().assert_nothing_attached();
}
