//! net-ctl as a program, with directories and plugins of the test's own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Writes down `VERB plugin id stdin`, answers with the files beside it.
const SCRIPT: &str = r#"#!/bin/sh
printf '%s %s %s %s %s %s\n' "$CNI_COMMAND" "${0##*/}" "$CNI_CONTAINERID" "$CNI_IFNAME" "$CNI_ARGS" "$(cat)" >>"${0%/*}/log"
if [ -f "$0.$CNI_COMMAND.error" ]; then cat "$0.$CNI_COMMAND.error"; exit 1; fi
if [ -f "$0.$CNI_COMMAND" ]; then cat "$0.$CNI_COMMAND"; fi
"#;

/// What a run of net-ctl came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text for people, where the run went as `exit` says.
    pub(crate) fn text(&self, exit: i32) -> &str {
        assert_eq!(self.exit, exit, "{self:?}");
        if exit == 0 { &self.out } else { &self.err }
    }
}

/// A directory with `plugins`, `net.d`, `netns` and `cache`.
pub(crate) struct Lab {
    pub(crate) dir: tempfile::TempDir,
}

impl Lab {
    /// With a network `front` of one recording plugin.
    pub(crate) fn new() -> Lab {
        let lab = Lab { dir: tempfile::tempdir().unwrap() };
        for dir in ["plugins", "net.d", "netns"] {
            fs::create_dir(lab.path(dir)).unwrap();
        }
        fs::write(lab.path("plugins/one"), SCRIPT).unwrap();
        fs::set_permissions(lab.path("plugins/one"), fs::Permissions::from_mode(0o755)).unwrap();
        let result = json!({
            "cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "/x"}],
            "ips": [{"address": "10.9.0.2/24", "gateway": "10.9.0.1", "interface": 0}],
        });
        lab.write("plugins/one.ADD", &result);
        lab.network(
            "10-front.conflist",
            &json!({"cniVersion": "1.1.0", "name": "front", "plugins": [
                {"type": "one", "capabilities": {"mac": true}},
            ]}),
        );
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, value: &Value) {
        fs::write(self.path(name), value.to_string()).unwrap();
    }

    pub(crate) fn network(&self, file: &str, list: &Value) {
        self.write(&format!("net.d/{file}"), list);
    }

    pub(crate) fn plugin_fails(&self, verb: &str, code: u32, msg: &str) {
        self.write(&format!("plugins/one.{verb}.error"), &json!({"code": code, "msg": msg}));
    }

    /// Attaches a container in this process's own namespace: recording plugins do nothing to it.
    pub(crate) fn add(&self, container: &str) -> Outcome {
        self.net_ctl(&["network", "add", "front", container, "--netns", "/proc/self/ns/net"])
    }

    /// Runs net-ctl with the lab's directories.
    pub(crate) fn net_ctl(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).stdin(Stdio::null()).output().unwrap();
        Outcome {
            exit: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_net-ctl"));
        command.env("CNI_PATH", self.path("plugins")).env("NETCONFPATH", self.path("net.d"));
        command.args(&arguments[..2]);
        match arguments[..2] {
            ["network", "add" | "check" | "del" | "delete" | "rm"] => {
                command.arg("--netns-dir").arg(self.path("netns"))
            }
            ["ns", _] => command.arg("--netns-dir").arg(self.path("netns")),
            _ => &mut command,
        };
        if !matches!(arguments[..2], ["ns", "create" | "list" | "exec"]) {
            command.arg("--cache-dir").arg(self.path("cache"));
        }
        command.args(&arguments[2..]);
        command
    }

    /// What the plugins were asked since the last look.
    pub(crate) fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("plugins/log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("plugins/log"));
        log.lines().map(str::to_owned).collect()
    }

    /// The text with the lab's directory as `LAB`.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&*self.dir.path().to_string_lossy(), "LAB")
    }
}
