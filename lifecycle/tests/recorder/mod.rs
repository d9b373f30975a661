//! Plugins that write down how they were called and answer what the test wants.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part of it")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use lifecycle::{Cache, Endpoint, Runtime};
use serde_json::{Value, json};
use spec::{Attachment, NetworkList};

/// Appends one line for each call, answers with the files beside it: `<type>.<VERB>` or, failing, `<type>.<VERB>.error`.
const SCRIPT: &str = r#"#!/bin/sh
request=$(cat)
printf '{"verb":"%s","plugin":"%s","id":"%s","ifname":"%s","netns":"%s","args":"%s","path":"%s","stdin":%s}\n' \
    "$CNI_COMMAND" "${0##*/}" "$CNI_CONTAINERID" "$CNI_IFNAME" "$CNI_NETNS" "$CNI_ARGS" "$CNI_PATH" "$request" >>"${0%/*}/log"
if [ -f "$0.$CNI_COMMAND.error" ]; then cat "$0.$CNI_COMMAND.error"; exit 1; fi
if [ -f "$0.$CNI_COMMAND" ]; then cat "$0.$CNI_COMMAND"; fi
"#;

/// A plugin directory and a cache directory of their own.
pub(crate) struct Lab {
    dir: tempfile::TempDir,
    pub(crate) runtime: Runtime,
}

impl Lab {
    /// With a recording plugin for each of the types.
    pub(crate) fn with(plugins: &[&str]) -> Lab {
        let dir = tempfile::tempdir().unwrap();
        for plugin in plugins {
            let path = dir.path().join(plugin);
            fs::write(&path, SCRIPT).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let runtime = Runtime::new(vec![dir.path().into()], Cache::new(dir.path().join("cache")));
        Lab { dir, runtime }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn answers(&self, plugin: &str, verb: &str, answer: &Value) {
        fs::write(self.path(&format!("{plugin}.{verb}")), answer.to_string()).unwrap();
    }

    pub(crate) fn fails(&self, plugin: &str, verb: &str, code: u32, msg: &str) {
        let error = json!({"code": code, "msg": msg});
        fs::write(self.path(&format!("{plugin}.{verb}.error")), error.to_string()).unwrap();
    }

    pub(crate) fn works_again(&self, plugin: &str, verb: &str) {
        fs::remove_file(self.path(&format!("{plugin}.{verb}.error"))).unwrap();
    }

    /// Every call since the last look.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let _ = fs::remove_file(self.path("log"));
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// `ADD one`, `ADD two`, …
    pub(crate) fn call_names(&self) -> Vec<String> {
        let name =
            |call: &Value| format!("{} {}", call["verb"].as_str().unwrap(), call["plugin"].as_str().unwrap());
        self.calls().iter().map(name).collect()
    }
}

pub(crate) fn list(value: &Value) -> NetworkList {
    NetworkList::parse(value.to_string().into_bytes()).unwrap()
}

/// A network `front` of version `version` with these plugins.
pub(crate) fn front(version: &str, plugins: &[&str]) -> NetworkList {
    let plugins: Vec<_> = plugins.iter().map(|plugin| json!({"type": plugin})).collect();
    list(&json!({"cniVersion": version, "name": "front", "plugins": plugins}))
}

pub(crate) fn attachment(container: &str, ifname: &str) -> Attachment {
    Attachment { container: container.parse().unwrap(), ifname: ifname.parse().unwrap() }
}

pub(crate) fn endpoint(container: &str) -> Endpoint {
    Endpoint::new(attachment(container, "eth0"), Some(format!("/run/netns/{container}")))
}

pub(crate) fn result(version: &str, address: &str) -> Value {
    json!({"cniVersion": version, "ips": [{"address": address}], "dns": {}})
}
