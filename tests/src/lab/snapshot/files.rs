//! The files that plugins keep: all of the lab's private /run and /var/lib.
use std::fmt::Write;
use std::path::Path;

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
        if path == Path::new(super::super::HOME) || path == Path::new(super::PINS) {
            continue;
        }
        if path.is_dir() {
            walk(&path, text);
        } else {
            line(&path, &name, text);
        }
    }
}

fn line(path: &Path, name: &str, text: &mut String) {
    if name.starts_with("last_reserved_ip.") || name == "index" {
        writeln!(text, "{}", path.display()).ok();
    } else if let Ok(bytes) = std::fs::read(path) {
        writeln!(text, "{} {}", path.display(), String::from_utf8_lossy(&bytes).escape_debug()).ok();
    }
}

/// The sorted names in a directory; none when there is no such directory.
pub(super) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
