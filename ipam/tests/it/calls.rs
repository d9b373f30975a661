//! Requests to host-local on a network of the test's own, in process and as processes.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ipam::host_local::HostLocal;
use serde_json::{Value, json};
use spec::{Add, Attachment, Caller, Check, Config, Del, Gc, Plugin, Result, Status, Success};

pub(crate) const OURS: &str = env!("CARGO_BIN_EXE_host-local");
pub(crate) const THEIRS: &str = "/usr/lib/cni/host-local";

/// A network with its data directory, removed with the test.
pub(crate) struct Net {
    pub(crate) dir: tempfile::TempDir,
    /// The configuration; `ipam` and all else can be changed.
    pub(crate) conf: Value,
    pub(crate) args: String,
}

impl Net {
    /// A network with these range sets.
    pub(crate) fn new(ranges: Value) -> Net {
        let dir = tempfile::tempdir().unwrap();
        let ipam = json!({"type": "host-local", "ranges": ranges, "dataDir": dir.path()});
        let conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": ipam});
        Net { dir, conf, args: String::new() }
    }

    /// A network with the one subnet.
    pub(crate) fn of(subnet: &str) -> Net {
        Net::new(json!([[{"subnet": subnet}]]))
    }

    pub(crate) fn add(&self, id: &str) -> Result<Success> {
        self.add_if(id, "eth0")
    }

    pub(crate) fn add_if(&self, id: &str, ifname: &str) -> Result<Success> {
        let (attachment, netns) = (attachment(id, ifname), "/proc/self/ns/net".into());
        HostLocal::add(&Add { attachment, netns, caller: self.caller(), config: self.config() })
    }

    /// ADD, of which only the first address is wanted.
    pub(crate) fn add_ip(&self, id: &str) -> String {
        self.add(id).unwrap().ips[0].address.addr().to_string()
    }

    /// The message of an ADD that must fail.
    pub(crate) fn refuse(&self, id: &str) -> (u32, String) {
        let error = self.add(id).unwrap_err();
        (error.code.number(), error.msg)
    }

    pub(crate) fn del(&self, id: &str) -> Result<()> {
        HostLocal::del(&self.del_call(id, "eth0"))
    }

    pub(crate) fn del_call(&self, id: &str, ifname: &str) -> Del {
        let attachment = attachment(id, ifname);
        Del { attachment, netns: None, caller: self.caller(), config: self.config() }
    }

    pub(crate) fn check(&self, id: &str) -> Result<()> {
        let (attachment, netns) = (attachment(id, "eth0"), "/nowhere".into());
        HostLocal::check(&Check { attachment, netns, caller: self.caller(), config: self.config() })
    }

    pub(crate) fn gc(&self, valid: &[(&str, &str)]) -> Result<()> {
        let list = valid.iter().map(|(id, ifname)| json!({"containerID": id, "ifname": ifname}));
        let mut conf = self.conf.clone();
        conf["cni.dev/valid-attachments"] = list.collect();
        HostLocal::gc(&Gc { caller: self.caller(), config: config(&conf) })
    }

    pub(crate) fn status(&self) -> Result<()> {
        HostLocal::status(&Status { caller: self.caller(), config: self.config() })
    }

    fn caller(&self) -> Caller {
        Caller { args: self.args.clone(), ..Caller::default() }
    }

    fn config(&self) -> Config {
        config(&self.conf)
    }

    /// A process of some host-local.
    pub(crate) fn command(&self, binary: &str, verb: &str, id: &str) -> Command {
        let mut command = Command::new(binary);
        command.env_clear().env("CNI_COMMAND", verb).env("CNI_CONTAINERID", id).env("CNI_IFNAME", "eth0");
        command.env("CNI_NETNS", "/nowhere").env("CNI_PATH", "/usr/lib/cni");
        command
    }

    /// Runs a host-local, or a tracer of it.
    pub(crate) fn feed(&self, mut command: Command) -> Output {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // Somebody who is killed before reading all is what some tests are about.
        let _ = child.stdin.take().unwrap().write_all(self.conf.to_string().as_bytes());
        child.wait_with_output().unwrap()
    }

    /// A verb by some binary: the first address for an ADD that succeeded, else the output.
    pub(crate) fn run(&self, binary: &str, verb: &str, id: &str) -> std::result::Result<String, String> {
        let output = self.feed(self.command(binary, verb, id));
        let text = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() {
            return Err(text);
        }
        let result: Value = serde_json::from_str(&text).unwrap_or_default();
        let address = result["ips"][0]["address"].as_str().unwrap_or_default();
        Ok(address.split('/').next().unwrap_or_default().to_owned())
    }

    /// The lease directory.
    pub(crate) fn leases_dir(&self) -> PathBuf {
        self.dir.path().join("net")
    }

    pub(crate) fn owners_dir(&self) -> PathBuf {
        self.dir.path().join(".tidewater/net/owners")
    }

    /// All leases with their content.
    pub(crate) fn leases(&self) -> BTreeMap<String, String> {
        let mut leases = files(&self.leases_dir());
        leases.retain(|name, _| name.parse::<IpAddr>().is_ok());
        leases
    }

    /// The names of all owner files.
    pub(crate) fn owners(&self) -> Vec<String> {
        files(&self.owners_dir()).into_keys().collect()
    }

    /// Writes a file into the lease directory as somebody else would.
    pub(crate) fn put(&self, name: &str, content: &str) {
        std::fs::create_dir_all(self.leases_dir()).unwrap();
        std::fs::write(self.leases_dir().join(name), content).unwrap();
    }

    /// Everything that must not change by an ADD that comes to nothing: all but lock, round robin and index.
    pub(crate) fn state(&self) -> BTreeMap<String, String> {
        let mut state = files(&self.leases_dir());
        state.retain(|name, _| name != "lock" && !name.starts_with("last_reserved_ip."));
        state.extend(
            files(&self.owners_dir()).into_iter().map(|(name, text)| (format!("owner {name}"), text)),
        );
        state
    }
}

fn attachment(id: &str, ifname: &str) -> Attachment {
    Attachment { container: id.parse().unwrap(), ifname: ifname.parse().unwrap() }
}

fn config(conf: &Value) -> Config {
    Config::parse(conf.to_string().into_bytes()).unwrap()
}

/// The plain files of a directory, if it is there.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return BTreeMap::new() };
    let entries = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    entries
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}
