//! What the tests of real runtimes share: images, directories of plugins, a recorder of calls.
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Lab, Netns, PINS, Plugins, command, fake};

/// A file of tests/runtimes.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("runtimes").join(name)
}

/// Debian's python3, which finds Debian's modules; another one may come first on PATH.
pub fn python(script: &str, words: &[&str]) -> Command {
    command::needs(&["/usr/bin/python3"]);
    let mut python = Command::new("/usr/bin/python3");
    python.arg(file(script)).args(words);
    python
}

/// Runs a command that has to succeed within two minutes; its standard output, trimmed.
pub fn succeed(command: &mut Command) -> String {
    let done = command::finish(command, b"", Duration::from_secs(120));
    assert!(done.status.success(), "{command:?}: {}\n{}\n{}", done.status, done.stdout, done.stderr);
    done.stdout.trim().to_owned()
}

/// Runs a command that has to fail within two minutes; its standard error.
pub fn fail(command: &mut Command) -> String {
    let done = command::finish(command, b"", Duration::from_secs(120));
    assert!(!done.status.success(), "{command:?} has to fail: {}", done.stdout);
    done.stderr
}

/// What runtimes call themselves; delegates are found through CNI_PATH by the plugin.
const RECORDED: [&str; 2] = ["bridge", "loopback"];

/// A directory with the lab's plugins, and the reference's where the lab has none. Each call of bridge and loopback
/// leaves a line in the file `calls`: plugin, verb and interface.
pub fn recorded_plugins(lab: &Lab) -> PathBuf {
    let dir = fake::program(lab, ".keep", "");
    let ours = lab.plugins().dir();
    for entry in std::fs::read_dir(Plugins::reference().dir()).expect("list the plugins").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if RECORDED.contains(&name.as_str()) {
            let record = format!("echo \"{name} $CNI_COMMAND $CNI_IFNAME\" >> /run/lab/calls");
            fake::program(lab, &name, &format!("{record}\nexec {}", ours.join(&name).display()));
        } else {
            let plugin = Some(ours.join(&name)).filter(|ours| ours.exists()).unwrap_or(entry.path());
            symlink(plugin, dir.join(name)).expect("link a plugin");
        }
    }
    dir
}

/// How often a line of the record says exactly this.
pub fn recorded(line: &str) -> usize {
    let record = std::fs::read_to_string("/run/lab/calls").unwrap_or_default();
    record.lines().filter(|found| *found == line).count()
}

/// Writes a configuration list into a directory of its own and returns that directory.
pub fn conflist(lab: &Lab, list: &Value) -> PathBuf {
    let dir = lab.dir("net.d");
    std::fs::write(dir.join("10-test.conflist"), list.to_string()).expect("write a conflist");
    dir
}

/// The pinned namespace that has this address.
pub fn namespace_with(ip: &str) -> Netns {
    let pins =
        std::fs::read_dir(PINS).expect("list the namespaces").flatten().map(|pin| Netns::at(pin.path()));
    let wanted = format!(" {ip}/");
    let mut found = pins.filter(|netns| netns.sh("ip -o address show").contains(&wanted));
    found.next().unwrap_or_else(|| panic!("no namespace has the address {ip}"))
}
