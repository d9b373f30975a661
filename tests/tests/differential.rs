//! The same random configurations on our plugins and on the reference's: what a container gets has to be the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::nightly::{self, Dice};
use tests::lab::{Container, Lab, Plugins};

#[test]
#[ignore = "needs root"]
fn containers_get_what_the_reference_gives_them() {
    let mut dice = Dice::new();
    for number in 0..nightly::amount(12, 200) {
        let case = Case::random(&mut dice);
        let [ours, theirs] =
            [Plugins::ours(), Plugins::reference()].map(|plugins| case.story(&Lab::new(plugins)));
        let first = ours.iter().zip(&theirs).find(|(our, their)| our.seen != their.seen);
        if let Some((our, their)) = first {
            panic!("case {number}: {case}\n\nours: {our}\n\nthe reference: {their}");
        }
    }
}

/// One network and the arguments of its callers.
struct Case {
    conf: Value,
    args: &'static str,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CNI_ARGS={:?} {}", self.args, self.conf)
    }
}

/// What can be seen after one call, and what the plugin said.
struct Step {
    seen: String,
    said: String,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}", self.seen, self.said)
    }
}

impl Case {
    fn random(dice: &mut Dice) -> Case {
        let mut conf = json!({"cniVersion": pick(dice, &["0.3.1", "0.4.0", "1.0.0"]), "name": "net",
            "type": "bridge", "bridge": "br0", "ipam": {"type": "host-local", "ranges": ranges(dice)}});
        for (key, values) in KEYS {
            if let Some(value) = sometimes(dice, values) {
                conf[key] = serde_json::from_str(value).unwrap();
            }
        }
        if let Some(routes) = sometimes(dice, &ROUTES) {
            conf["ipam"]["routes"] = serde_json::from_str(routes).unwrap();
        }
        Case { conf, args: pick(dice, &ARGS) }
    }

    /// What happens to three containers. The bridge is there already, and keeps its MAC: the reference would stumble
    /// over one that a failed ADD has left without ports.
    fn story(&self, lab: &Lab) -> Vec<Step> {
        lab.host().sh("ip link add br0 address 02:00:00:00:00:01 type bridge");
        let containers = ["c1", "c2", "c3"].map(|id| lab.container(id));
        let calls = [("ADD", 0), ("ADD", 1), ("DEL", 0), ("ADD", 2), ("ADD", 0), ("DEL", 2), ("DEL", 1)];
        calls.map(|(verb, who)| self.step(lab, verb, &containers[who])).into()
    }

    /// A failed call is followed by a DEL, as runtimes do. Whether DEL bears a configuration that no ADD would is for
    /// each plugin to say.
    fn step(&self, lab: &Lab, verb: &str, container: &Container) -> Step {
        let bridge = lab.plugin("bridge");
        let args = if container.id == "c2" { "" } else { self.args };
        let outcome = bridge.on(verb, container, &self.conf).args(args).run();
        let told = match (outcome.succeeded(), verb) {
            (true, "ADD") => essence(&outcome.ok()),
            (true, _) => String::new(),
            (false, _) => {
                bridge.del(container, &self.conf);
                if verb == "ADD" { "fails".into() } else { String::new() }
            }
        };
        let seen = format!("{verb} {}: {told}\n{}", container.id, inside(lab, &container.id));
        Step { seen, said: outcome.to_string() }
    }
}

/// Keys of the bridge, each with values that are tried now and then.
const KEYS: [(&str, &[&str]); 8] = [
    ("isGateway", &["true", "false"]),
    ("isDefaultGateway", &["true", "false"]),
    ("forceAddress", &["true"]),
    ("hairpinMode", &["true", "false"]),
    ("promiscMode", &["true", "false"]),
    ("mtu", &["0", "1280", "1400", "9000"]),
    ("vlan", &["0", "5000"]),
    ("ISGATEWAY", &["true"]),
];
const V4: [&str; 9] = [
    r#"[{"subnet": "10.77.0.0/24"}]"#,
    r#"[{"subnet": "10.77.0.0/29"}]"#,
    r#"[{"subnet": "10.77.0.0/30"}]"#,
    r#"[{"subnet": "10.77.0.0/31"}]"#,
    r#"[{"subnet": "10.77.0.0/24", "rangeStart": "10.77.0.50", "rangeEnd": "10.77.0.51"}]"#,
    r#"[{"subnet": "10.77.0.0/24", "gateway": "10.77.0.254"}]"#,
    r#"[{"subnet": "10.77.0.0/24", "gateway": "10.77.0.2"}]"#,
    r#"[{"subnet": "10.77.0.0/24", "rangeStart": "10.77.0.9"}, {"subnet": "10.78.0.0/24"}]"#,
    r#"[{"subnet": "10.77.0.8/29", "rangeEnd": "10.77.0.10"}, {"subnet": "10.78.0.0/24"}]"#,
];
const V6: [&str; 3] = [
    r#"[{"subnet": "fd77::/64"}]"#,
    r#"[{"subnet": "fd77::/126"}]"#,
    r#"[{"subnet": "fd77::/64", "rangeStart": "fd77::a:0", "gateway": "fd77::ffff"}]"#,
];
const ROUTES: [&str; 6] = [
    "[]",
    r#"[{"dst": "0.0.0.0/0"}]"#,
    r#"[{"dst": "0.0.0.0/0", "gw": "10.77.0.3"}]"#,
    r#"[{"dst": "198.51.100.0/24"}, {"dst": "203.0.113.0/25", "gw": "10.77.0.1"}]"#,
    r#"[{"dst": "::/0"}]"#,
    r#"[{"dst": "2001:db8::/32"}]"#,
];
const ARGS: [&str; 9] = [
    "",
    "",
    "",
    "IgnoreUnknown=1",
    "IgnoreUnknown=1;IP=10.77.0.9",
    "IgnoreUnknown=true;MAC=02:00:00:00:00:07",
    "IgnoreUnknown=1;IP=fd77::a:5",
    "FOO=BAR",
    "IgnoreUnknown=1;",
];

/// One set of each family at most: the reference puts only one IPv4 gateway on a bridge.
fn ranges(dice: &mut Dice) -> Value {
    let families: &[&[&str]] = match dice.roll(4) {
        1 => &[&V4],
        2 => &[&V6],
        3 => &[&V4, &V6],
        _ => &[&V6, &V4],
    };
    let sets = families.iter().map(|family| serde_json::from_str(pick(dice, family)).unwrap());
    Value::Array(sets.collect())
}

fn pick<T: Copy>(dice: &mut Dice, from: &[T]) -> T {
    from[dice.roll(from.len()) - 1]
}

fn sometimes<'a>(dice: &mut Dice, from: &[&'a str]) -> Option<&'a str> {
    (dice.roll(4) == 1).then(|| pick(dice, from))
}

/// What does not depend on chance.
fn essence(result: &Value) -> String {
    let interfaces = result["interfaces"].as_array().map_or(0, Vec::len);
    let shown = json!({"ips": result["ips"], "routes": result["routes"], "interfaces": interfaces});
    shown.to_string()
}

/// Links, addresses and routes of a container, and its leases.
fn inside(lab: &Lab, id: &str) -> String {
    let picture = lab.state();
    let mut lines = Vec::new();
    let mut here = false;
    for line in picture.text().lines() {
        here = if line.starts_with("== ") { line == format!("== container {id}") } else { here };
        let lease = line.contains(&format!(" {id}\\r\\n"));
        let shown = ["link eth0", "    addr", "route"].iter().any(|word| line.starts_with(word));
        if lease || here && shown {
            lines.push(without_chance(line));
        }
    }
    lines.join("\n")
}

/// Without a MAC that nobody asked for, and without scopes: ours says of a route without gateway that it is on the link.
fn without_chance(line: &str) -> String {
    let words: Vec<_> = line
        .replace(" nodad", "")
        .replace(" scope global", "")
        .replace(" scope link", "")
        .split(' ')
        .map(str::to_owned)
        .collect();
    let chosen = |word: &&String| word.len() != 17 || word.starts_with("02:00:00:00:00:");
    words.iter().filter(chosen).cloned().collect::<Vec<_>>().join(" ")
}
