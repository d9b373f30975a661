//! Side by side with Debian's libcni: what either remembers, the other one checks and deletes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifecycle::sandbox::Sandboxes;
use lifecycle::{Cache, Endpoint, Runtime};
use serde_json::{Value, json};
use spec::{Attachment, NetworkList};

/// Where Debian puts the sources of Go libraries.
const LIBRARIES: &str = "/usr/share/gocode";
/// Where Debian puts the reference plugins.
const PLUGINS: &str = "/usr/lib/cni";

/// One container, one network of the reference plugins, one cache, two runtimes.
struct Lab {
    dir: tempfile::TempDir,
    network: NetworkList,
    ours: Runtime,
    endpoint: Endpoint,
}

impl Lab {
    fn new(name: &str) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        build_libcni(dir.path());
        let sandboxes = Sandboxes::new(dir.path().join("netns"));
        let sandbox = sandboxes.create(&name.parse().unwrap()).unwrap();
        fs::write(dir.path().join("net.conflist"), conflist(name, dir.path()).to_string()).unwrap();
        let attachment = Attachment { container: name.parse().unwrap(), ifname: "eth0".parse().unwrap() };
        let mut endpoint = Endpoint::new(attachment, Some(sandbox.path.to_string_lossy().into_owned()));
        endpoint.args = vec![("IgnoreUnknown".into(), "1".into()), ("NOTE".into(), "<a&b>".into())];
        endpoint.capabilities.insert("mac".into(), json!("c2:11:22:33:44:55"));
        Lab {
            network: NetworkList::load_file(&dir.path().join("net.conflist")).unwrap(),
            ours: Runtime::new(vec![PLUGINS.into()], Cache::new(dir.path().join("cache"))),
            endpoint,
            dir,
        }
    }

    /// Runs a test with this thread, and with it the plugins, in a network namespace that stands for the host.
    fn on_a_host_of_its_own(self, test: impl FnOnce(&Lab)) {
        let sandboxes = Sandboxes::new(self.dir.path().join("netns"));
        let name = "host".parse().unwrap();
        sandboxes.create(&name).unwrap();
        sandboxes.open(&name).unwrap().run(|| test(&self)).unwrap();
    }

    fn theirs(&self, verb: &str) {
        let path = |name: &str| self.dir.path().join(name);
        let output = Command::new(path("libcni"))
            .args([verb.as_ref(), path("net.conflist").as_os_str()])
            .args([
                self.endpoint.attachment.container.as_str(),
                self.endpoint.netns.as_deref().unwrap(),
                PLUGINS,
            ])
            .arg(path("cache"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn cache_file(&self) -> PathBuf {
        self.ours.cache().file(&self.network.name, &self.endpoint.attachment)
    }

    /// The address and the hardware address that the container has now.
    fn inside(&self) -> String {
        let netns = self.endpoint.netns.as_deref().unwrap();
        let show = ["nsenter", "--net", "ip", "-o", "addr", "show", "dev", "eth0"];
        let output =
            Command::new(show[0]).arg(format!("{}={netns}", show[1])).args(&show[2..]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.ours.del(&self.network, &self.endpoint);
        let netns = self.dir.path().join("netns");
        for name in [self.endpoint.attachment.container.as_str(), "host"] {
            let _ = Sandboxes::new(&netns).delete(&name.parse().unwrap());
        }
        let _ = Command::new("umount").arg(&netns).status();
    }
}

/// ptp rather than bridge: it leaves nothing on the host once its containers are gone.
fn conflist(name: &str, dir: &Path) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": format!("{name}-net"),
        "plugins": [
            {"type": "ptp", "ipam": {
                "type": "host-local", "dataDir": dir.join("leases"), "subnet": "10.211.7.0/24",
                "routes": [{"dst": "0.0.0.0/0"}],
            }},
            {"type": "tuning", "capabilities": {"mac": true}, "sysctl": {"net.core.somaxconn": "500"}},
        ],
    })
}

fn build_libcni(dir: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/libcni/main.go");
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(dir.join("libcni"))
        .arg(source)
        .env("GOPATH", LIBRARIES)
        .env("GO111MODULE", "off")
        .env("GOCACHE", std::env::temp_dir().join("tidewater-go-cache"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs root, Debian's golang-go, golang-github-appc-cni-dev and containernetworking-plugins"]
fn what_libcni_added_we_check_and_delete() {
    Lab::new("tw-life-a").on_a_host_of_its_own(|lab| {
        lab.theirs("add");
        assert!(lab.inside().contains("10.211.7."), "{}", lab.inside());
        lab.ours.check(&lab.network, &lab.endpoint).unwrap();
        let entries = lab.ours.cache().entries().unwrap();
        // This libcni does not remember the namespace yet.
        assert_eq!(entries[0].endpoint, Endpoint { netns: None, ..lab.endpoint.clone() });
        lab.ours.del(&lab.network, &lab.endpoint).unwrap();
        assert_eq!((lab.inside(), lab.cache_file().exists()), (String::new(), false));
    });
}

#[test]
#[ignore = "needs root, Debian's golang-go, golang-github-appc-cni-dev and containernetworking-plugins"]
fn what_we_added_libcni_checks_and_deletes() {
    Lab::new("tw-life-b").on_a_host_of_its_own(|lab| {
        lab.ours.add(&lab.network, &lab.endpoint).unwrap();
        assert!(lab.inside().contains("10.211.7."), "{}", lab.inside());
        lab.theirs("check");
        lab.theirs("del");
        assert_eq!((lab.inside(), lab.cache_file().exists()), (String::new(), false));
    });
}

#[test]
#[ignore = "needs root, Debian's golang-go, golang-github-appc-cni-dev and containernetworking-plugins"]
fn both_write_the_same_bytes_but_for_the_namespace() {
    Lab::new("tw-life-c").on_a_host_of_its_own(|lab| {
        let written = |add: &dyn Fn()| {
            add();
            let bytes = fs::read_to_string(lab.cache_file()).unwrap();
            lab.ours.del(&lab.network, &lab.endpoint).unwrap();
            // The next one shall get the same address again.
            let _ = fs::remove_dir_all(lab.dir.path().join("leases"));
            bytes
        };
        let theirs = written(&|| lab.theirs("add"));
        let ours = written(&|| drop(lab.ours.add(&lab.network, &lab.endpoint).unwrap()));
        let netns = format!(r#""netns":"{}","#, lab.endpoint.netns.as_deref().unwrap());
        assert!(ours.contains(&netns));
        assert_eq!(without_random_parts(&ours.replace(&netns, "")), without_random_parts(&theirs));
    });
}

/// The host's end of the veth has a name and an address that are new each time.
fn without_random_parts(file: &str) -> String {
    let value: Value = serde_json::from_str(file).unwrap();
    let random = |interface: &Value| [interface["name"].clone(), interface["mac"].clone()];
    let random: Vec<_> = value["result"]["interfaces"].as_array().unwrap().iter().flat_map(random).collect();
    random
        .iter()
        .filter_map(Value::as_str)
        .filter(|text| *text != "eth0")
        .fold(file.to_owned(), |file, text| file.replace(text, "*"))
}
