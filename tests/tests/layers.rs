//! Dependencies between the rooms of the house go down a floor, never up and never sideways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// A room: on which floor it is (from where it lies in the repository), and which other rooms it uses.
struct Room {
    floor: Option<u8>,
    uses: Vec<String>,
}

type House = BTreeMap<String, Room>;

#[test]
fn dependencies_go_down_only() {
    let house = this_house();
    assert!(house.contains_key("spec") && house.contains_key("tests"), "the whole workspace is looked at");
    assert_eq!(wrong_arrows(&house), Vec::<String>::new());
}

#[test]
fn an_arrow_up_or_sideways_would_be_found() {
    let house = house(&[
        ("spec", "spec", &[]),
        ("kernel", "kernel", &["spec"]),
        ("ipam", "ipam", &["spec", "kernel"]),
        ("steps", "plugins/steps", &["ipam", "bridge"]),
        ("bridge", "plugins/bridge", &["steps", "loopback"]),
        ("loopback", "plugins/loopback", &[]),
        ("shed", "garden/shed", &["spec"]),
        ("tests", "tests", &["net-ctl", "bridge"]),
        ("net-ctl", "net-ctl", &["spec"]),
    ]);
    let wanted = [
        "bridge (floor 3) uses loopback (floor 3)",
        "kernel (floor 0) uses spec (floor 0)",
        "shed lies on no known floor: tell tests/tests/layers.rs",
        "steps (floor 2) uses bridge (floor 3)",
    ];
    assert_eq!(wrong_arrows(&house), wanted);
}

/// The floor of a directory of the repository.
fn floor(path: &str) -> Option<u8> {
    match path {
        "spec" | "kernel" => Some(0),
        "ipam" => Some(1),
        "plugins/steps" => Some(2),
        "lifecycle" | "dns" | "volume-driver" => Some(3),
        "net-ctl" => Some(4),
        // Tests look at everything, and nothing looks at them.
        "tests" => Some(5),
        _ if path.starts_with("plugins/") => Some(3),
        _ => None,
    }
}

fn wrong_arrows(house: &House) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, room) in house {
        let Some(from) = room.floor else {
            wrong.push(format!("{name} lies on no known floor: tell tests/tests/layers.rs"));
            continue;
        };
        for used in &room.uses {
            let Some(to) = house[used].floor.filter(|to| *to >= from) else { continue };
            wrong.push(format!("{name} (floor {from}) uses {used} (floor {to})"));
        }
    }
    wrong
}

fn house(rooms: &[(&str, &str, &[&str])]) -> House {
    let room = |(name, path, uses): &(&str, &str, &[&str])| {
        let uses = uses.iter().map(|used| used.to_string()).collect();
        (name.to_string(), Room { floor: floor(path), uses })
    };
    rooms.iter().map(room).collect()
}

/// What cargo says about the workspace: every kind of dependency counts.
fn this_house() -> House {
    let metadata = metadata();
    let root = metadata["workspace_root"].as_str().unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: Vec<_> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let room = |package: &Value| {
        let dir = package["manifest_path"].as_str().unwrap().strip_prefix(root).unwrap();
        let dir = dir.trim_start_matches('/').trim_end_matches("/Cargo.toml");
        let used =
            package["dependencies"].as_array().unwrap().iter().map(|used| used["name"].as_str().unwrap());
        let uses = used.filter(|used| names.contains(used)).map(str::to_owned).collect();
        (package["name"].as_str().unwrap().to_owned(), Room { floor: floor(dir), uses })
    };
    packages.iter().map(room).collect()
}

fn metadata() -> Value {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
