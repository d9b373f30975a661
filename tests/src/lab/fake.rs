//! Plugins that misbehave: small scripts in a directory of the lab.
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{Lab, Plugins};

/// A directory with one program: a shell script.
pub fn program(lab: &Lab, name: &str, script: &str) -> PathBuf {
    let dir = lab.dir("fake");
    let file = dir.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("write a fake plugin");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
        .expect("make a fake plugin executable");
    dir
}

/// The lab's plugins, which find this script as the delegate `name`.
pub fn delegate(lab: &Lab, name: &str, script: &str) -> Plugins {
    let dir = program(lab, name, script);
    lab.plugins().clone().delegating_to(&[dir, lab.plugins().dir().into()])
}
