//! The backend firewalld, with a real firewalld on a bus of the lab's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::lab::conf::Change;
use tests::lab::daemon::Daemon;
use tests::lab::{Container, Lab, command, skip};

tests::conformance! {
    both: [the_addresses_are_sources_of_the_zone]
    ours: [
        a_missing_source_is_seen,
        a_source_of_another_zone_is_refused_and_stays,
        without_firewalld_status_and_add_say_so,
        what_their_firewall_added_goes,
    ]
}

const CONFIG: &str = r#"<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<auth>EXTERNAL</auth><policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy></busconfig>"#;

fn bus(lab: &Lab) -> Daemon {
    std::fs::create_dir_all("/run/dbus").unwrap();
    let config = lab.dir("bus").join("config");
    std::fs::write(&config, CONFIG).unwrap();
    let mut bus = Command::new("dbus-daemon");
    bus.args(["--nofork", "--nopidfile", "--config-file"]).arg(config);
    Daemon::start(&mut bus, &lab.dir("bus").join("log"), || Path::new("/run/dbus/system_bus_socket").exists())
}

/// Both daemons; the first that is dropped is firewalld. `None` where they are not installed.
fn firewalld(lab: &Lab) -> Option<(Daemon, Daemon)> {
    if !Path::new("/usr/sbin/firewalld").exists() || !Path::new("/usr/bin/dbus-daemon").exists() {
        skip::because("firewalld and dbus are not installed");
        return None;
    }
    let bus = bus(lab);
    let mut firewalld = Command::new("firewalld");
    firewalld.args(["--nofork", "--nopid"]);
    let running = || command::try_run("firewall-cmd --state").is_ok();
    Some((Daemon::start(&mut firewalld, &lab.dir("bus").join("firewalld.log"), running), bus))
}

/// An attachment as an earlier plugin reports it, and the request; the plugin finds firewalld by itself.
fn attachment(lab: &Lab) -> (Container, Value, Value) {
    let c1 = lab.container("c1");
    let result = json!({"cniVersion": "1.0.0", "interfaces": [{"name": "br0"},
        {"name": "eth0", "sandbox": c1.netns.path().to_str().unwrap()}],
        "ips": [{"address": "10.77.0.2/24", "interface": 1}, {"address": "fd77::2/64", "interface": 1}]});
    let conf = json!({"cniVersion": "1.0.0", "name": "net", "type": "firewall", "firewalldZone": "trusted"});
    (c1, conf.with_prev(&result), result)
}

fn sources(lab: &Lab, zone: &str) -> String {
    lab.host().sh(&format!("firewall-cmd --zone={zone} --list-sources")).trim().to_owned()
}

fn the_addresses_are_sources_of_the_zone(lab: &Lab) {
    let Some(_daemons) = firewalld(lab) else { return };
    let (c1, conf, result) = attachment(lab);
    let plugin = lab.plugin("firewall");
    for _ in 0..2 {
        assert_eq!(plugin.add(&c1, &conf).ok()["ips"], result["ips"]);
        assert_eq!(sources(lab, "trusted"), "10.77.0.2/32 fd77::2/128");
        plugin.check(&c1, &conf, &result).quiet();
    }
    for _ in 0..2 {
        plugin.del(&c1, &conf).quiet();
        assert_eq!(sources(lab, "trusted"), "");
    }
}

fn a_missing_source_is_seen(lab: &Lab) {
    let Some(_daemons) = firewalld(lab) else { return };
    let (c1, conf, result) = attachment(lab);
    let plugin = lab.plugin("firewall");
    plugin.add(&c1, &conf).ok();
    lab.host().sh("firewall-cmd --zone=trusted --remove-source=fd77::2/128");
    let refused = plugin.check(&c1, &conf, &result).failure();
    assert!(refused.text.contains("fd77::2/128"), "{}", refused.text);
    plugin.status(&conf.clone().with("cniVersion", "1.1.0")).quiet();
    // Its record knows the zone.
    plugin.del(&c1, &conf.clone().without("prevResult").without("firewalldZone")).quiet();
    assert_eq!(sources(lab, "trusted"), "");
}

fn a_source_of_another_zone_is_refused_and_stays(lab: &Lab) {
    let Some(_daemons) = firewalld(lab) else { return };
    let (c1, conf, _) = attachment(lab);
    lab.host().sh("firewall-cmd --zone=home --add-source=10.77.0.2/32");
    lab.plugin("firewall").add(&c1, &conf).fails(999, &["10.77.0.2/32", "trusted", "zone"]);
    assert_eq!((sources(lab, "home").as_str(), sources(lab, "trusted").as_str()), ("10.77.0.2/32", ""));
    assert!(!lab.state().text().contains("/run/tidewater/rules"), "a failed ADD leaves no record");
}

fn without_firewalld_status_and_add_say_so(lab: &Lab) {
    if !Path::new("/usr/bin/dbus-daemon").exists() {
        return skip::because("dbus is not installed");
    }
    let _bus = bus(lab);
    let (c1, conf, _) = attachment(lab);
    let conf = conf.with("backend", "firewalld");
    lab.plugin("firewall").add(&c1, &conf).failure();
    lab.plugin("firewall")
        .status(&conf.clone().with("cniVersion", "1.1.0"))
        .fails(50, &["firewalld does not run"]);
    lab.plugin("firewall").del(&c1, &conf).quiet();
}

fn what_their_firewall_added_goes(lab: &Lab) {
    let Some(_daemons) = firewalld(lab) else { return };
    let (c1, conf, _) = attachment(lab);
    tests::lab::Plugins::reference().plugin("firewall").add(&c1, &conf).ok();
    assert_eq!(sources(lab, "trusted"), "10.77.0.2/32 fd77::2/128");
    lab.plugin("firewall").del(&c1, &conf).quiet();
    assert_eq!(sources(lab, "trusted"), "");
}
