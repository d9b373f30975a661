//! DEL and GC of mappings, whatever is known of them, and ADDs that fail late or come twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::json;
use tests::lab::conf::Change;
use tests::lab::portmap::{Attached, Scene, mappings, tcp, udp};
use tests::lab::traffic::{self, Answer};
use tests::lab::{Call, Lab, Snapshot};

tests::conformance! {
    both: [
        del_of_what_was_never_added,
        del_of_one_leaves_the_other,
    ]
    ours: [
        del_whatever_the_runtime_still_knows,
        del_whatever_the_record_says,
        del_of_a_configuration_made_invalid,
        del_without_a_table,
        gc_without_and_with_a_list,
        gc_whatever_the_record_says,
        gc_leaves_other_networks,
        an_add_that_fails_late_is_undone,
        an_add_that_is_repeated_changes_nothing,
    ]
}

/// One container that comes and goes, beside one that stays.
struct Pair<'a> {
    stays: Attached<'a>,
    goes: Attached<'a>,
    without: Snapshot,
}

impl<'a> Pair<'a> {
    fn new(scene: &'a Scene<'a>) -> Pair<'a> {
        let stays = scene.publish("stays", &mappings(8000));
        let goes = scene.attach("goes", &mappings(9000));
        Pair { stays, without: scene.lab.state(), goes }
    }

    /// The mappings are made, and then removed by this call.
    fn removed_by(&self, lab: &Lab, what: &str, del: &Call) {
        self.goes.add().ok();
        self.gone_after(lab, what, del);
    }

    /// Twice, because it may come twice.
    fn gone_after(&self, lab: &Lab, what: &str, del: &Call) {
        for what in [what.to_owned(), format!("{what}, again")] {
            del.run().quiet();
            self.without.assert_same(&lab.state(), &what);
        }
        self.stays.check().quiet();
    }
}

fn del_of_what_was_never_added(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.attach("c1", &mappings(9000));
    c1.del().quiet();
    c1.asking_for(&json!([])).del().quiet();
}

fn del_of_one_leaves_the_other(lab: &Lab) {
    let scene = Scene::v4_only(lab);
    let c1 = scene.publish("c1", &json!([tcp(8080, 80), udp(8080, 80)]));
    let c2 = scene.publish("c2", &json!([tcp(8081, 80), udp(8081, 80)]));
    let knock = |to: &str, server: &Attached<'_>| {
        traffic::knock(lab.host(), to, &server.container.netns, &server.at(80)[0])
    };
    c1.del().quiet();
    assert_eq!(knock("10.77.0.1:8080", &c1), Answer::Refused);
    assert_eq!(knock("10.77.0.1:8081", &c2), Answer::Opened);
    c2.del().quiet();
    c1.add().ok();
    assert_eq!(knock("10.77.0.1:8080", &c1), Answer::Opened);
}

fn del_whatever_the_runtime_still_knows(lab: &Lab) {
    let scene = Scene::new(lab);
    let pair = Pair::new(&scene);
    let (del, conf) = (|| pair.goes.call("DEL"), &pair.goes.conf);
    let bare = conf.clone().without("prevResult").without("runtimeConfig");
    let calls = [
        ("with everything", del()),
        ("without the namespace", del().env("CNI_NETNS", "")),
        ("of a namespace that is gone", del().env("CNI_NETNS", "/run/netns/nobody")),
        ("without prevResult", del().conf(&conf.clone().without("prevResult"))),
        ("without runtimeConfig", del().conf(&conf.clone().without("runtimeConfig"))),
        ("with other mappings", del().conf(&pair.goes.clone().asking_for(&mappings(7000)).conf)),
        ("with nothing at all", del().conf(&bare).without_env("CNI_NETNS")),
    ];
    for (what, call) in &calls {
        pair.removed_by(lab, &format!("DEL {what}"), call);
    }
}

/// The files of records of mappings that are not the other container's.
fn records(pair: &Pair<'_>) -> Vec<std::path::PathBuf> {
    let all = std::fs::read_dir("/run/tidewater/rules").unwrap().map(|entry| entry.unwrap().path());
    let is_others = |path: &std::path::Path| {
        std::fs::read_to_string(path).is_ok_and(|text| text.contains(&pair.stays.container.id))
    };
    all.filter(|path| path.extension().is_some_and(|kind| kind == "portmap") && !is_others(path)).collect()
}

/// What may become of a record.
const DAMAGES: [&str; 4] = ["", "garbage", "{\"netns\":1}", "{}"];

fn damage(pair: &Pair<'_>, damage: Option<&str>) {
    let records = records(pair);
    assert_eq!(records.len(), 1, "{records:?}");
    match damage {
        Some(text) => std::fs::write(&records[0], text).unwrap(),
        None => std::fs::remove_file(&records[0]).unwrap(),
    }
}

fn del_whatever_the_record_says(lab: &Lab) {
    let scene = Scene::new(lab);
    let pair = Pair::new(&scene);
    let known = pair.goes.call("DEL");
    let unknown = pair.goes.call("DEL").conf(&pair.goes.conf.clone().without("prevResult"));
    for damaged in DAMAGES.map(Some).into_iter().chain([None]) {
        for del in [&known, &unknown] {
            pair.goes.add().ok();
            damage(&pair, damaged);
            pair.gone_after(lab, &format!("DEL with record {damaged:?}"), del);
        }
    }
}

fn del_of_a_configuration_made_invalid(lab: &Lab) {
    let scene = Scene::new(lab);
    let pair = Pair::new(&scene);
    let changes = [
        ("backend", json!("none")),
        ("markMasqBit", json!(99)),
        ("snat", json!("yes")),
        ("runtimeConfig", json!({"portMappings": [tcp(0, 0)]})),
        ("runtimeConfig", json!({"portMappings": "8080:80"})),
    ];
    for (key, value) in changes {
        let call = pair.goes.call("DEL").conf(&pair.goes.conf.clone().with(key, value.clone()));
        pair.removed_by(lab, &format!("DEL with {key} {value}"), &call);
        pair.goes.add().ok();
        damage(&pair, None);
        pair.gone_after(lab, &format!("DEL with {key} {value} and without a record"), &call);
    }
}

fn del_without_a_table(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &mappings(8000));
    for order in ["flush table inet tidewater", "delete table inet tidewater", "flush ruleset"] {
        c1.add().ok();
        lab.host().sh(&format!("nft {order}"));
        c1.del().quiet();
        assert!(!lab.state().text().contains(".portmap "), "after {order} and DEL no record stays");
    }
}

fn gc_without_and_with_a_list(lab: &Lab) {
    let scene = Scene::new(lab);
    let pair = Pair::new(&scene);
    pair.goes.add().ok();
    let with = lab.state();
    lab.plugin("portmap").gc(&scene.portmap, &["goes", "stays"]).quiet();
    with.assert_same(&lab.state(), "GC with both on the list");
    lab.plugin("portmap").gc(&scene.portmap, &["stays"]).quiet();
    pair.without.assert_same(&lab.state(), "GC with one on the list");
    pair.stays.check().quiet();
    pair.goes.add().ok();
    lab.plugin("portmap").call("GC").conf(&scene.portmap).run().quiet();
    assert!(!lab.state().text().contains(".portmap "), "GC without a list");
    pair.stays.check().fails(999, &["no such element"]);
}

fn gc_whatever_the_record_says(lab: &Lab) {
    let scene = Scene::new(lab);
    let pair = Pair::new(&scene);
    for damaged in DAMAGES.map(Some).into_iter().chain([None]) {
        pair.goes.add().ok();
        damage(&pair, damaged);
        lab.plugin("portmap").gc(&scene.portmap, &["stays"]).quiet();
        pair.without.assert_same(&lab.state(), &format!("GC with record {damaged:?}"));
    }
}

fn gc_leaves_other_networks(lab: &Lab) {
    let scene = Scene::new(lab);
    let c1 = scene.publish("c1", &mappings(8000));
    let before = lab.state();
    lab.plugin("portmap").gc(&scene.portmap.clone().with("name", "other"), &[]).quiet();
    before.assert_same(&lab.state(), "GC of another network");
    c1.check().quiet();
}

/// The conditions are handed to nft last of all.
fn an_add_that_fails_late_is_undone(lab: &Lab) {
    let scene = Scene::new(lab);
    scene.publish("c0", &mappings(8000)).del().quiet();
    let scene = scene.with("conditionsV4", json!(["ip", "saddr", "nonsense"]));
    let c1 = scene.attach("c1", &mappings(8000));
    let before = lab.state();
    c1.add().fails(7, &["conditionsV4", "nonsense"]);
    before.assert_same(&lab.state(), "ADD that fails at the conditions");
    let without_nft = scene.attach("c2", &mappings(8000));
    let conf = without_nft.conf.clone().with("conditionsV4", json!(["ip", "saddr", "10.0.0.0/8"]));
    let before = lab.state();
    without_nft
        .call("ADD")
        .conf(&conf)
        .env("PATH", "/nowhere")
        .run()
        .fails(999, &["nft", "install nftables"]);
    before.assert_same(&lab.state(), "ADD that finds no nft");
}

fn an_add_that_is_repeated_changes_nothing(lab: &Lab) {
    let scene = Scene::new(lab).with("conditionsV4", json!(["ip", "saddr", "10.0.0.0/8"]));
    let c1 = scene.publish("c1", &mappings(8000));
    let once = lab.state();
    c1.add().ok();
    once.assert_same(&lab.state(), "ADD again");
}
