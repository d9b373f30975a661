//! Calls that break the rules of the specification get its error codes, and nothing is done.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use tests::lab::conf::{self, Change};
use tests::lab::{Call, Lab};

tests::conformance! {
    both: [
        unknown_verbs,
        missing_variables_are_all_named_at_once,
        container_ids_with_other_characters,
        interface_names_that_the_kernel_would_not_take,
        network_names_with_other_characters,
        text_that_is_not_json,
        a_configuration_without_a_name,
        a_version_that_nobody_knows,
        check_of_a_version_without_check,
        a_very_deep_configuration,
        arguments_that_nobody_knows,
    ]
    ours: [
        gc_and_status_of_versions_without_them,
        a_very_large_configuration,
        values_of_the_wrong_type_are_named,
        the_namespace_of_the_host_is_refused_before_anything_is_done,
        a_path_that_is_no_namespace,
        a_plugin_type_with_a_path_in_it,
    ]
}

/// Runs a spoiled ADD for each plugin: it has to fail with the code and words and to leave the host as it was.
fn refused(lab: &Lab, code: u64, words: &[&str], spoil: impl Fn(Call) -> Call) {
    let container = lab.container("c1");
    let before = lab.state();
    let confs = [
        ("bridge", conf::bridge("net")),
        ("ptp", conf::ptp("net")),
        ("host-local", conf::host_local("net", "10.77.0.0/24")),
    ];
    // ptp knows no arguments and does not look at any, as the reference.
    let asked = |plugin: &str| plugin != "ptp" || !words.iter().any(|word| word.starts_with("ARGS"));
    for (plugin, conf) in confs.into_iter().filter(|(plugin, _)| asked(plugin)) {
        spoil(lab.plugin(plugin).on("ADD", &container, &conf)).run().fails(code, words);
        before.assert_same(&lab.state(), plugin);
    }
    lab.delete_container(&container);
}

fn unknown_verbs(lab: &Lab) {
    for verb in ["FROB", "add", "ADD "] {
        refused(lab, 4, &[&format!("unknown CNI_COMMAND: {verb}")], |call| call.env("CNI_COMMAND", verb));
    }
}

fn missing_variables_are_all_named_at_once(lab: &Lab) {
    let words = ["required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing"];
    refused(lab, 4, &words, |call| {
        call.without_env("CNI_CONTAINERID").env("CNI_NETNS", "").without_env("CNI_IFNAME")
    });
    let call =
        lab.plugin("bridge").on("ADD", &lab.container("c1"), &conf::bridge("net")).without_env("CNI_PATH");
    call.run().fails(4, &["CNI_PATH"]);
}

fn container_ids_with_other_characters(lab: &Lab) {
    for id in ["-a", "../c1", "c 1", "c1\n", "é", "c/1"] {
        refused(lab, 4, &["invalid characters in containerID"], |call| call.id(id));
    }
}

fn interface_names_that_the_kernel_would_not_take(lab: &Lab) {
    for name in [".", "..", "a/b", "a:b", "a b", "a\tb", "sixteen-letters-", "a\u{2003}b"] {
        refused(lab, 4, &["interface name"], |call| call.ifname(name));
    }
}

fn network_names_with_other_characters(lab: &Lab) {
    for name in ["../net", "a b", "-net", "net/1", "nét"] {
        refused(lab, 7, &["invalid characters"], |call| call.conf(&conf::bridge(name)));
    }
}

fn a_configuration_without_a_name(lab: &Lab) {
    refused(lab, 7, &["missing network name"], |call| call.conf(&conf::bridge("net").without("name")));
    refused(lab, 7, &["missing network name"], |call| call.conf(&conf::bridge("")));
}

fn text_that_is_not_json(lab: &Lab) {
    let whole = conf::bridge("net").to_string();
    for text in ["", "{", "hello", &whole[..whole.len() - 1], &whole[..40], "\0\0\0", "{\"name\": \"net\",}"]
    {
        refused(lab, 6, &[], |call| call.stdin(text));
    }
}

fn a_version_that_nobody_knows(lab: &Lab) {
    for version in ["9.9.9", "0.5.0", "1.0"] {
        let conf = conf::bridge("net").with("cniVersion", version);
        refused(lab, 1, &["incompatible CNI versions", &format!("config is {version:?}")], |call| {
            call.conf(&conf)
        });
    }
}

fn check_of_a_version_without_check(lab: &Lab) {
    let conf = conf::bridge("net").with("cniVersion", "0.3.1");
    refused(lab, 1, &["config version does not allow CHECK"], |call| {
        call.env("CNI_COMMAND", "CHECK").conf(&conf)
    });
}

fn gc_and_status_of_versions_without_them(lab: &Lab) {
    for verb in ["GC", "STATUS"] {
        let words = format!("config version does not allow {verb}");
        refused(lab, 1, &[&words], |call| call.env("CNI_COMMAND", verb));
    }
}

fn a_very_large_configuration(lab: &Lab) {
    let text = conf::bridge("net").with("filler", "x".repeat(1 << 20)).to_string();
    let before = lab.state();
    let container = lab.container("c1");
    for plugin in ["bridge", "host-local"] {
        let outcome =
            lab.plugin(plugin).on("ADD", &container, &conf::bridge("net")).stdin(text.clone()).run();
        let failure = outcome.failure();
        assert!([5, 6, 7].contains(&failure.code), "{failure:?}");
        assert!(
            failure.text.contains("1 MiB") || failure.text.contains("1048576"),
            "names the limit: {failure:?}"
        );
    }
    lab.delete_container(&container);
    before.assert_same(&lab.state(), "a large configuration");
}

fn a_very_deep_configuration(lab: &Lab) {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let whole = conf::bridge("net").to_string();
    let text = format!("{},\"deep\":{deep}}}", &whole[..whole.len() - 1]);
    refused(lab, 6, &[], |call| call.stdin(text.clone()));
}

fn values_of_the_wrong_type_are_named(lab: &Lab) {
    let container = lab.container("c1");
    let before = lab.state();
    for (key, value) in [("mtu", "\"big\""), ("isGateway", "\"maybe\""), ("vlanTrunk", "7"), ("bridge", "[]")]
    {
        let conf = conf::bridge("net").with(key, serde_json::from_str::<serde_json::Value>(value).unwrap());
        lab.plugin("bridge").add(&container, &conf).fails(6, &[key]);
    }
    let conf = conf::bridge("net").with_at("ipam.ranges", "10.0.0.0/8");
    lab.plugin("bridge").add(&container, &conf).fails(6, &["ranges"]);
    before.assert_same(&lab.state(), "values of the wrong type");
}

fn the_namespace_of_the_host_is_refused_before_anything_is_done(lab: &Lab) {
    let words = ["plugin's netns and netns from CNI_NETNS should not be the same"];
    refused(lab, 8, &words, |call| call.netns(lab.host()));
}

fn a_path_that_is_no_namespace(lab: &Lab) {
    std::fs::write("/run/lab/file", "").unwrap();
    std::fs::create_dir("/run/lab/directory").unwrap();
    let container = lab.container("c1");
    let before = lab.state();
    for path in [
        "/run/lab/file",
        "/run/lab/directory",
        "/run/lab/missing",
        "/dev/null",
        "/proc/self/ns/uts",
        "relative",
    ] {
        let call = lab.plugin("bridge").on("ADD", &container, &conf::bridge("net")).env("CNI_NETNS", path);
        call.run().fails(8, &[path]);
        before.assert_same(&lab.state(), path);
    }
}

fn a_plugin_type_with_a_path_in_it(lab: &Lab) {
    let container = lab.container("c1");
    let before = lab.state();
    for name in ["../host-local", "/bin/sh", "a/b", ".."] {
        let conf = conf::bridge("net").with_at("ipam.type", name);
        lab.plugin("bridge").add(&container, &conf).fails(7, &[name]);
        before.assert_same(&lab.state(), name);
    }
}

fn arguments_that_nobody_knows(lab: &Lab) {
    refused(lab, 999, &["ARGS: unknown args [\"FOO=BAR\"]"], |call| call.args("FOO=BAR"));
    let container = lab.container("c1");
    let call = lab.plugin("bridge").on("ADD", &container, &conf::bridge("net"));
    call.args("IgnoreUnknown=true;FOO=BAR;K8S_POD_NAME=pod").run().ok();
}
