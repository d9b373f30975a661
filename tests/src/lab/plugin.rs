//! Running a plugin exactly as the specification says: six variables, JSON in, one JSON document out.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::command::{self, Finished};
use super::{Container, Netns};

/// Plugins in a directory, and where they find their delegates.
#[derive(Debug, Clone)]
pub struct Plugins {
    dir: PathBuf,
    path: Vec<PathBuf>,
}

impl Plugins {
    /// Those of this repository: `$TIDEWATER_DIST/cni`, else `dist/cni` of the workspace.
    pub fn ours() -> Plugins {
        let dist = std::env::var_os("TIDEWATER_DIST").map(PathBuf::from);
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let dir = dist.unwrap_or_else(|| workspace.join("dist")).join("cni");
        let dir =
            dir.canonicalize().unwrap_or_else(|cause| panic!("{}: {cause}: run make build", dir.display()));
        Plugins::at(&dir)
    }

    /// Debian's containernetworking-plugins.
    pub fn reference() -> Plugins {
        let dir = Path::new("/usr/lib/cni");
        assert!(dir.join("bridge").exists(), "install containernetworking-plugins (make test does it)");
        Plugins::at(dir)
    }

    /// Those of any directory.
    pub fn at(dir: &Path) -> Plugins {
        Plugins { dir: dir.into(), path: vec![dir.into()] }
    }

    /// The same plugins, which look for delegates in these directories only.
    pub fn delegating_to(mut self, path: &[PathBuf]) -> Plugins {
        self.path = path.to_vec();
        self
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The net-ctl that is shipped beside these plugins.
    pub fn net_ctl(&self) -> PathBuf {
        self.dir.with_file_name("bin").join("net-ctl")
    }

    /// Whether these are Debian's.
    pub fn are_reference(&self) -> bool {
        self.dir == Path::new("/usr/lib/cni")
    }

    /// One of them.
    pub fn plugin(&self, name: &str) -> Plugin {
        let path: Vec<_> = self.path.iter().map(|dir| dir.display().to_string()).collect();
        Plugin { binary: self.dir.join(name), path: path.join(":") }
    }
}

/// One plugin binary.
#[derive(Debug, Clone)]
pub struct Plugin {
    binary: PathBuf,
    path: String,
}

impl Plugin {
    /// The file.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// A call of this verb with CNI_PATH and nothing else.
    pub fn call(&self, verb: &str) -> Call {
        let call = Call { binary: self.binary.clone(), env: BTreeMap::new(), stdin: vec![], under: vec![] };
        call.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("CNI_COMMAND", verb).env("CNI_PATH", &self.path)
    }

    /// A call of this verb for `eth0` of a container.
    pub fn on(&self, verb: &str, container: &Container, conf: &Value) -> Call {
        self.call(verb).id(&container.id).netns(&container.netns).ifname("eth0").conf(conf)
    }

    /// ADD of `eth0`.
    pub fn add(&self, container: &Container, conf: &Value) -> Outcome {
        self.on("ADD", container, conf).run()
    }

    /// DEL of `eth0`.
    pub fn del(&self, container: &Container, conf: &Value) -> Outcome {
        self.on("DEL", container, conf).run()
    }

    /// CHECK of `eth0` with the result of its ADD.
    pub fn check(&self, container: &Container, conf: &Value, added: &Value) -> Outcome {
        self.on("CHECK", container, &super::conf::Change::with_prev(conf.clone(), added)).run()
    }

    /// GC with the ids of the containers whose `eth0` is still valid.
    pub fn gc(&self, conf: &Value, valid: &[&str]) -> Outcome {
        let list: Vec<_> =
            valid.iter().map(|id| serde_json::json!({"containerID": id, "ifname": "eth0"})).collect();
        self.call("GC")
            .conf(&super::conf::Change::with(conf.clone(), "cni.dev/valid-attachments", list))
            .run()
    }

    /// STATUS.
    pub fn status(&self, conf: &Value) -> Outcome {
        self.call("STATUS").conf(conf).run()
    }
}

/// One call of a plugin; may be sent to another thread, which runs it in its own namespaces.
#[derive(Debug, Clone)]
pub struct Call {
    binary: PathBuf,
    env: BTreeMap<String, String>,
    stdin: Vec<u8>,
    under: Vec<String>,
}

impl Call {
    /// CNI_CONTAINERID.
    pub fn id(self, id: &str) -> Call {
        self.env("CNI_CONTAINERID", id)
    }

    /// CNI_NETNS.
    pub fn netns(self, netns: &Netns) -> Call {
        self.env("CNI_NETNS", &netns.path().display().to_string())
    }

    /// CNI_IFNAME.
    pub fn ifname(self, name: &str) -> Call {
        self.env("CNI_IFNAME", name)
    }

    /// CNI_ARGS.
    pub fn args(self, args: &str) -> Call {
        self.env("CNI_ARGS", args)
    }

    /// Any variable.
    pub fn env(mut self, name: &str, value: &str) -> Call {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Takes a variable away.
    pub fn without_env(mut self, name: &str) -> Call {
        self.env.remove(name);
        self
    }

    /// The configuration on standard input.
    pub fn conf(self, conf: &Value) -> Call {
        self.stdin(conf.to_string())
    }

    /// Any bytes on standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Call {
        self.stdin = bytes.into();
        self
    }

    /// Runs the plugin as the last words of another command line, for example of strace.
    pub fn under(mut self, words: &[&str]) -> Call {
        self.under = words.iter().map(|word| word.to_string()).collect();
        self
    }

    /// All its variables.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// The process, not yet started.
    pub fn command(&self) -> Command {
        let mut words = self.under.iter().map(PathBuf::from).chain([self.binary.clone()]);
        let mut command = Command::new(words.next().expect("at least the plugin"));
        command.args(words).env_clear().envs(&self.env);
        command
    }

    /// Runs it to its end.
    pub fn run(&self) -> Outcome {
        self.run_within(Duration::from_secs(30))
    }

    /// Runs it to its end; a plugin that needs longer is killed and the test fails.
    pub fn run_within(&self, deadline: Duration) -> Outcome {
        let verb = self.env.get("CNI_COMMAND").cloned().unwrap_or_default();
        let call = format!("{} {verb}", self.binary.display());
        Outcome { call, done: command::finish(&mut self.command(), &self.stdin, deadline) }
    }
}

/// What a plugin answered.
#[derive(Debug, Clone)]
pub struct Outcome {
    call: String,
    /// Status, output, time.
    pub done: Finished,
}

/// The error object of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The specification's number.
    pub code: u64,
    /// `msg` and `details`, joined by a colon.
    pub text: String,
}

impl Outcome {
    /// Whether it ended with 0.
    pub fn succeeded(&self) -> bool {
        self.done.status.success()
    }

    /// It has to have succeeded: its document; null when it printed nothing.
    pub fn ok(&self) -> Value {
        assert!(self.succeeded(), "{} has to succeed: {self}", self.call);
        match self.done.stdout.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text)
                .unwrap_or_else(|e| panic!("{}: one JSON document: {e}: {text}", self.call)),
        }
    }

    /// It has to have succeeded without a word on standard output, as DEL, CHECK, GC and STATUS must.
    pub fn quiet(&self) {
        assert_eq!(self.ok(), Value::Null, "{} prints nothing when it succeeds", self.call);
    }

    /// It has to have failed, with status 1 and one error object.
    pub fn failure(&self) -> Failure {
        assert_eq!(self.done.status.code(), Some(1), "{} has to fail with status 1: {self}", self.call);
        let object: Value = serde_json::from_str(&self.done.stdout)
            .unwrap_or_else(|e| panic!("{}: one error object on stdout: {e}: {self}", self.call));
        let code =
            object["code"].as_u64().unwrap_or_else(|| panic!("{}: a code number: {object}", self.call));
        let msg = object["msg"].as_str().unwrap_or_else(|| panic!("{}: a msg: {object}", self.call));
        let details = object["details"].as_str().unwrap_or("");
        Failure { code, text: if details.is_empty() { msg.into() } else { format!("{msg}: {details}") } }
    }

    /// It has to have failed with this code and all these words in its text (any case).
    pub fn fails(&self, code: u64, words: &[&str]) -> Failure {
        let failure = self.failure();
        assert_eq!(failure.code, code, "{}: the code of: {}", self.call, failure.text);
        let text = failure.text.to_lowercase();
        for word in words {
            assert!(
                text.contains(&word.to_lowercase()),
                "{}: {word:?} is missing in: {}",
                self.call,
                failure.text
            );
        }
        failure
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}; stdout: {}; stderr: {}",
            self.done.status,
            self.done.stdout.trim(),
            self.done.stderr.trim()
        )
    }
}
