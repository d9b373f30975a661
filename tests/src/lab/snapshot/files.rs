//! The files that plugins keep: all of the lab's private /run and /var/lib.
use std::fmt::Write;
use std::path::Path;

/// Where runtimes keep images and containers: large, and no business of a plugin's.
const OF_RUNTIMES: [&str; 6] = ["containerd", "containers", "crun", "libpod", "lock", "runc"];
/// No state file of a plugin is larger; of larger ones only the size counts.
const LARGEST: u64 = 16 * 1024;

/// One line for each file: its path and its content. Round-robin marks and indexes are named without their content: where
/// the next search begins, and what only repeats the lease files, is no state that anybody has to give back.
pub(super) fn describe() -> String {
    let mut text = String::new();
    for root in ["/run", "/var/lib"] {
        walk(Path::new(root), &mut text);
    }
    text
}

fn walk(dir: &Path, text: &mut String) {
    for name in names(dir) {
        let path = dir.join(&name);
        let of_lab = path == Path::new(super::super::HOME) || path == Path::new(super::PINS);
        // A spare file waits to become the next lease: whether there is one is chance.
        if of_lab || OF_RUNTIMES.contains(&name.as_str()) || name.starts_with("spare-") {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            walk(&path, text);
        } else {
            line(&path, &name, text);
        }
    }
}

fn line(path: &Path, name: &str, text: &mut String) {
    if name.starts_with("last_reserved_ip.") || name == "index" {
        writeln!(text, "{}", path.display()).ok();
    } else if let Some(size) = size(path).filter(|size| *size > LARGEST) {
        writeln!(text, "{} of {size} bytes", path.display()).ok();
    } else if let Ok(bytes) = std::fs::read(path) {
        writeln!(text, "{} {}", path.display(), String::from_utf8_lossy(&bytes).escape_debug()).ok();
    }
}

fn size(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|found| found.len())
}

/// The sorted names in a directory; none when there is no such directory.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
