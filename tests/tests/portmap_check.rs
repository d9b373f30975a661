//! CHECK of mappings: exact in what it misses, and it changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use tests::lab::Lab;
use tests::lab::conf::Change;
use tests::lab::portmap::{Scene, mappings, tcp, udp};

tests::conformance! {
    both: []
    ours: [
        one_family,
        both_families,
        every_single_thing_is_missed,
        what_is_anothers_is_not_ones_own,
        what_leads_elsewhere_is_missed,
        without_prev_result,
    ]
}

fn one_family(lab: &Lab) {
    let scene = Scene::v4_only(lab);
    let c1 = scene.publish("c1", &json!([tcp(8080, 80), udp(8080, 80)]));
    let before = lab.state();
    c1.check().quiet();
    before.assert_same(&lab.state(), "CHECK");
}

fn every_single_thing_is_missed(lab: &Lab) {
    let scene = Scene::new(lab).with("masqAll", true);
    let c1 = scene.publish("c1", &mappings(8000));
    let whole = format!("flush ruleset\n{}", lab.host().sh("nft -s list ruleset"));
    let count = losses(lab).len();
    assert!(count > 40, "{count} things to lose");
    for number in 0..count {
        let loss = &losses(lab)[number];
        script(lab, loss);
        let before = lab.state();
        let outcome = c1.check();
        assert!(!outcome.succeeded(), "CHECK has to miss: {loss}");
        before.assert_same(&lab.state(), &format!("CHECK after {loss}"));
        c1.add().ok();
        assert!(c1.check().succeeded(), "ADD puts back what went by {loss}: {}", c1.check());
        script(lab, &whole);
        c1.check().quiet();
    }
}

/// Each thing of portmap's in the table, as the script that deletes nothing else.
fn losses(lab: &Lab) -> Vec<String> {
    let listed: Value = serde_json::from_str(&lab.host().sh("nft -j -a list table inet tidewater")).unwrap();
    let mut losses = Vec::new();
    for object in listed["nftables"].as_array().unwrap() {
        let word = |kind: &str, key: &str| object[kind][key].as_str().unwrap_or_default().to_owned();
        let of_bridge =
            [word("rule", "chain"), word("chain", "name"), word("set", "name")].iter().any(|name| {
                name == "postrouting" || (name.starts_with("masquerade-") && !name.contains("-all-"))
            });
        let is_note = word("set", "name").ends_with("-some");
        if of_bridge || is_note {
            continue;
        }
        if object["rule"].is_object() {
            let handle = &object["rule"]["handle"];
            losses.push(format!("delete rule inet tidewater {} handle {handle}", word("rule", "chain")));
        } else if object["chain"].is_object() {
            losses.push(format!("flush chain inet tidewater {}", word("chain", "name")));
        }
        for kind in ["set", "map"] {
            for element in object[kind]["elem"].as_array().into_iter().flatten() {
                let element = element_text(if kind == "map" { &element[0] } else { element });
                losses.push(format!("delete element inet tidewater {} {{ {element} }}", word(kind, "name")));
            }
        }
    }
    losses
}

/// `tcp . 8080`, as nft reads it.
fn element_text(element: &Value) -> String {
    let field = |field: &Value| match field["range"].as_array() {
        Some(ends) => format!("{}-{}", ends[0], ends[1]),
        None => field.as_str().map_or_else(|| field.to_string(), str::to_owned),
    };
    let value = &element["elem"]["val"];
    match value["concat"].as_array() {
        Some(fields) => fields.iter().map(field).collect::<Vec<_>>().join(" . "),
        None => field(value),
    }
}

fn script(lab: &Lab, orders: &str) {
    let file = lab.dir("nft").join("script");
    std::fs::write(&file, orders).unwrap();
    lab.host().sh(&format!("nft -f {}", file.display()));
}

fn what_is_anothers_is_not_ones_own(lab: &Lab) {
    let scene = Scene::new(lab);
    let _c1 = scene.publish("c1", &json!([tcp(8080, 80)]));
    let c2 = scene.attach("c2", &json!([tcp(8080, 80)]));
    c2.check().fails(999, &["8080/tcp"]);
    let c2 = c2.asking_for(&json!([]));
    c2.check().quiet();
}

fn what_leads_elsewhere_is_missed(lab: &Lab) {
    let scene = Scene::v4_only(lab);
    let c1 = scene.publish("c1", &json!([tcp(8080, 80)]));
    c1.clone().asking_for(&json!([tcp(8080, 81)])).check().fails(999, &["8080/tcp"]);
    c1.clone().asking_for(&json!([tcp(8081, 80)])).check().fails(999, &["8081/tcp"]);
    let scene = scene.clone().with("masqAll", true);
    let conf = c1.conf.clone().with("masqAll", scene.portmap["masqAll"].clone());
    c1.call("CHECK").conf(&conf).run().fails(999, &["0x2000: all"]);
}

fn both_families(lab: &Lab) {
    let scene = Scene::new(lab);
    let (c1, c2) = (scene.publish("c1", &mappings(8000)), scene.publish("c2", &mappings(9000)));
    let before = lab.state();
    c1.check().quiet();
    c2.check().quiet();
    before.assert_same(&lab.state(), "CHECK");
}

fn without_prev_result(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &mappings(8000));
    let conf = c1.conf.clone().without("prevResult");
    c1.call("CHECK").conf(&conf).run().fails(7, &["prevResult"]);
}
