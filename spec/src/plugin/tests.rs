//! The skeleton in an injected world, with a plugin that writes down what it is asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod recorder;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use recorder::{ADD, Broken, Choosy, Recorder, Run, Untouchable, answer, fail, serve_from, serve_with, with};

#[test]
fn an_add_is_handed_over_and_its_result_printed_in_the_version_of_the_request() {
    let run = serve_with(ADD, r#"{"cniVersion":"0.2.0","name":"front","type":"recorder"}"#);
    assert_eq!(
        run.calls,
        ["ADD abc123 eth0 /run/netns/web front args=IgnoreUnknown=1 path=[\"/opt/cni/bin\"]"]
    );
    assert_eq!(
        (run.status, run.stdout.as_str()),
        (
            0,
            "{\n    \"cniVersion\": \"0.2.0\",\n    \"ip4\": {\n        \"ip\": \"10.0.0.2/24\"\n    },\n    \"dns\": {}\n}"
        )
    );
}

#[test]
fn every_version_gets_its_own_form() {
    for version in Version::ALL {
        let run = serve_with(ADD, &format!(r#"{{"cniVersion":"{version}","name":"n"}}"#));
        assert_eq!((run.status, &run.json()["cniVersion"]), (0, &json!(version.as_str())));
        assert_eq!(run.json().get("ip4").is_some(), version < Version::V0_3_0);
    }
    for text in [r#"{"name":"n"}"#, r#"{"cniVersion":"","name":"n"}"#] {
        assert_eq!(serve_with(ADD, text).json()["cniVersion"], "0.1.0");
    }
}

#[test]
fn the_other_verbs_print_nothing_on_success() {
    for verb in ["DEL", "CHECK", "GC", "STATUS"] {
        let run = serve_with(&with(ADD, "CNI_COMMAND", verb), r#"{"cniVersion":"1.1.0","name":"n"}"#);
        assert_eq!((run.status, run.stdout.as_str()), (0, ""), "{verb}");
        assert_eq!(run.calls.len(), 1, "{verb}");
        assert!(run.calls[0].starts_with(verb), "{verb}: {:?}", run.calls);
    }
}

#[test]
fn an_error_of_the_plugin_is_printed_as_it_is_with_the_version() {
    fail(Some(Error::new(crate::Code::Plugin(123), "it broke").with_details("badly")));
    let run = serve_with(ADD, r#"{"cniVersion":"1.0.0","name":"n"}"#);
    assert_eq!(run.status, 1);
    assert_eq!(
        run.json(),
        json!({"cniVersion": "1.0.0", "code": 123, "msg": "it broke", "details": "badly"})
    );
}

#[test]
fn bad_environments_are_refused_before_anything_is_read() {
    for (variables, msg, details) in [
        (with(ADD, "CNI_COMMAND", "PURGE"), "unknown CNI_COMMAND: PURGE", None),
        (with(ADD, "CNI_COMMAND", "add"), "unknown CNI_COMMAND: add", None),
        (with(ADD, "CNI_CONTAINERID", "-a"), "invalid characters in containerID", Some("-a")),
        (with(ADD, "CNI_CONTAINERID", "../../etc"), "invalid characters in containerID", Some("../../etc")),
        (with(ADD, "CNI_CONTAINERID", "a b"), "invalid characters in containerID", Some("a b")),
        (
            with(ADD, "CNI_IFNAME", "a/b"),
            "interface name contains / or : or whitespace characters",
            Some("a/b"),
        ),
        (
            with(ADD, "CNI_IFNAME", "a b"),
            "interface name contains / or : or whitespace characters",
            Some("a b"),
        ),
        (with(ADD, "CNI_IFNAME", ".."), "interface name is . or ..", Some("..")),
        (
            with(ADD, "CNI_IFNAME", "sixteen-bytes-xy"),
            "interface name is longer than 15 bytes",
            Some("sixteen-bytes-xy"),
        ),
        (
            vec![("CNI_COMMAND", "ADD")],
            "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing",
            None,
        ),
        (
            vec![("CNI_COMMAND", "CHECK"), ("CNI_IFNAME", "")],
            "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing",
            None,
        ),
        (
            vec![("CNI_COMMAND", "DEL"), ("CNI_IFNAME", "a")],
            "required env variables [CNI_CONTAINERID] missing",
            None,
        ),
        (vec![("CNI_COMMAND", "GC")], "required env variables [CNI_PATH] missing", None),
    ] {
        let run = serve_from(&variables, &mut Untouchable);
        assert_eq!(run.refusal(), (4, msg.to_owned(), details.map(str::to_owned)));
    }
}

#[test]
fn bad_configurations_are_refused_with_the_contracts_codes() {
    let huge = format!(r#"{{"name":"n","x":"{}"}}"#, "x".repeat(LARGEST_CONFIG));
    let deep = format!(r#"{{"name":"n","x":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    for (stdin, code, msg) in [
        ("", 6, "parse network configuration: EOF while parsing a value"),
        ("{", 6, "parse network configuration: EOF while parsing an object"),
        (r#"{"name":"n","#, 6, "parse network configuration: EOF while parsing a value"),
        ("not json", 6, "parse network configuration: expected ident"),
        ("\u{0}", 6, "parse network configuration: expected value"),
        ("[]", 6, "read network configuration: invalid type: sequence, expected an object"),
        (huge.as_str(), 6, "network configuration on stdin is larger than 1048576 bytes"),
        (deep.as_str(), 6, "parse network configuration: recursion limit exceeded"),
        (r#"{"name":[]}"#, 6, "read network configuration: name: invalid type"),
        (r#"{"cniVersion":1,"name":"n"}"#, 6, "read network configuration: cniVersion: invalid type"),
        (r#"{"cniVersion":"1.1.0"}"#, 7, "missing network name"),
        (r#"{"name":"a b"}"#, 7, "invalid characters found in network name"),
        (r#"{"name":"../x"}"#, 7, "invalid characters found in network name"),
        (r#"{"name":"n","type":"../bridge"}"#, 7, "type: invalid plugin name, must not contain a path"),
        (
            r#"{"name":"n","ipam":{"type":"/bin/sh"}}"#,
            7,
            "ipam.type: invalid plugin name, must not contain a path",
        ),
        (r#"{"cniVersion":"9.9.9","name":"n"}"#, 1, "incompatible CNI versions"),
        (
            r#"{"name":"n","prevResult":{"cniVersion":"x"}}"#,
            1,
            "prevResult: unsupported CNI result version \"x\"",
        ),
        (r#"{"name":"n","prevResult":5}"#, 6, "prevResult: read CNI result: invalid type"),
    ] {
        let run = serve_with(ADD, stdin);
        let (found, text, _) = run.refusal();
        assert_eq!(found, code, "{text}");
        assert!(text.starts_with(msg), "{text}");
    }
}

#[test]
fn a_network_name_too_long_for_a_file_is_refused() {
    let run = serve_with(ADD, &format!(r#"{{"name":"{}"}}"#, "n".repeat(256)));
    assert_eq!((run.refusal().0, run.refusal().1.as_str()), (7, "network name is longer than 255 bytes"));
}

#[test]
fn checks_come_in_the_order_of_the_reference() {
    let status = with(ADD, "CNI_COMMAND", "STATUS");
    // JSON before name before verb before version before namespace.
    assert_eq!(serve_with(&status, "{").refusal().0, 6);
    assert_eq!(serve_with(&status, r#"{"cniVersion":"9.9.9"}"#).refusal().0, 7);
    let old = serve_with(&status, r#"{"cniVersion":"0.5.0","name":"n"}"#);
    assert_eq!(old.refusal().1, "config version does not allow STATUS");
    let own = with(ADD, "CNI_NETNS", "/own");
    assert_eq!(serve_with(&own, r#"{"cniVersion":"9.9.9","name":"n"}"#).refusal().0, 1);
    assert_eq!(serve_with(&own, r#"{"name":"n"}"#).refusal().0, 8);
}

#[test]
fn verbs_need_the_version_that_brought_them() {
    for (verb, since) in [("CHECK", Version::V0_4_0), ("GC", Version::V1_1_0), ("STATUS", Version::V1_1_0)] {
        for version in Version::ALL {
            let config = format!(r#"{{"cniVersion":"{version}","name":"n"}}"#);
            let run = serve_with(&with(ADD, "CNI_COMMAND", verb), &config);
            if version >= since {
                assert_eq!((run.status, run.calls.len()), (0, 1), "{verb} {version}");
            } else {
                let expected = format!("config version does not allow {verb}");
                assert_eq!(run.refusal(), (1, expected, None), "{verb} {version}");
            }
        }
    }
}

#[test]
fn an_unknown_version_is_told_together_with_the_known_ones() {
    let run = serve_with(ADD, r#"{"cniVersion":"9.9.9","name":"n"}"#);
    let details =
        r#"config is "9.9.9", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]"#;
    assert_eq!(run.refusal(), (1, "incompatible CNI versions".to_owned(), Some(details.to_owned())));
}

#[test]
fn a_plugin_may_speak_fewer_versions() {
    let run = answer::<Choosy>(ADD, &mut r#"{"cniVersion":"0.3.1","name":"n"}"#.as_bytes(), &mut Vec::new());
    let details = r#"config is "0.3.1", plugin supports ["0.4.0" "1.0.0"]"#;
    assert_eq!(run.refusal().2.as_deref(), Some(details));
    let run = answer::<Choosy>(ADD, &mut r#"{"cniVersion":"0.4.0","name":"n"}"#.as_bytes(), &mut Vec::new());
    assert_eq!(run.status, 0);
    let version = answer::<Choosy>(&[("CNI_COMMAND", "VERSION")], &mut io::empty(), &mut Vec::new());
    assert_eq!(version.stdout, "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\"]}\n");
}

#[test]
fn the_plugins_own_namespace_is_refused_before_anything_is_done() {
    for verb in ["ADD", "DEL", "CHECK"] {
        let variables = with(&with(ADD, "CNI_COMMAND", verb), "CNI_NETNS", "/own");
        let run = serve_with(&variables, r#"{"cniVersion":"1.0.0","name":"n"}"#);
        let expected = "plugin's netns and netns from CNI_NETNS should not be the same";
        assert_eq!(run.refusal(), (8, expected.to_owned(), None), "{verb}");
    }
}

#[test]
fn the_plugins_own_namespace_passes_when_the_runtime_says_so() {
    for (value, passes) in [("1", true), ("TRUE", true), ("0", false), ("", false)] {
        let mut variables = with(ADD, "CNI_NETNS", "/own");
        variables.push(("CNI_NETNS_OVERRIDE", value));
        assert_eq!(serve_with(&variables, r#"{"name":"n"}"#).status == 0, passes, "{value:?}");
    }
}

#[test]
fn a_namespace_that_cannot_be_looked_at_is_left_to_the_plugin() {
    assert_eq!(serve_with(&with(ADD, "CNI_NETNS", "/gone"), r#"{"name":"n"}"#).calls.len(), 1);
}

#[test]
fn the_own_namespace_is_told_by_its_inode() {
    let own = |path: &str| process::own_netns(Path::new(path));
    assert!(own("/proc/self/ns/net").unwrap());
    assert!(!own("/proc/self/ns/uts").unwrap() && !own("/etc").unwrap());
    assert!(own("/nonexistent").is_err());
}

#[test]
fn a_del_bears_a_missing_namespace_and_a_previous_result_nobody_can_read() {
    let variables = with(&with(ADD, "CNI_COMMAND", "DEL"), "CNI_NETNS", "");
    let run = serve_with(&variables, r#"{"name":"n","prevResult":{"cniVersion":"7.0.0"}}"#);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""));
    assert_eq!(run.calls, ["DEL abc123 eth0 None prevResult=false"]);
    assert!(run.stderr.contains("go on without prevResult"), "{}", run.stderr);
}

#[test]
fn a_gc_may_be_larger_than_other_requests() {
    let one = r#"{"containerID":"0123456789abcdef","ifname":"eth0"},"#;
    let attachments = |count: usize| {
        let list = one.repeat(count);
        format!(
            r#"{{"cniVersion":"1.1.0","name":"n","cni.dev/valid-attachments":[{}]}}"#,
            list.trim_end_matches(',')
        )
    };
    let gc = with(ADD, "CNI_COMMAND", "GC");
    assert_eq!(serve_with(&gc, &attachments(100_000)).calls, ["GC n Some(100000)"]);
    let (code, msg, _) = serve_with(&gc, &attachments(400_000)).refusal();
    assert_eq!((code, msg.as_str()), (6, "network configuration on stdin is larger than 16777216 bytes"));
}

#[test]
fn version_tells_the_versions_whatever_stdin_holds() {
    const ALL: &str = r#"["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]"#;
    let huge = "x".repeat(3 << 20);
    for (stdin, version) in [
        ("", "1.1.0"),
        ("garbage", "1.1.0"),
        ("{", "1.1.0"),
        ("[]", "1.1.0"),
        ("null", "1.1.0"),
        (huge.as_str(), "1.1.0"),
        (r#"{"cniVersion":"9.9.9"}"#, "1.1.0"),
        (r#"{"cniVersion":7}"#, "1.1.0"),
        (r#"{"cniVersion":"0.4.0"}"#, "0.4.0"),
        (r#"{"cniVersion":"1.0.0"} and more"#, "1.0.0"),
    ] {
        let run = serve_with(&[("CNI_COMMAND", "VERSION")], stdin);
        let expected = format!("{{\"cniVersion\":\"{version}\",\"supportedVersions\":{ALL}}}\n");
        assert_eq!((run.status, run.stdout), (0, expected));
    }
}

#[test]
fn version_does_not_wait_for_the_end_of_stdin() {
    let mut held_open = br#"{"cniVersion":"1.0.0"}"#.chain(Untouchable);
    let run = serve_from(&[("CNI_COMMAND", "VERSION")], &mut held_open);
    assert_eq!((run.status, &run.json()["cniVersion"]), (0, &json!("1.0.0")));
}

#[test]
fn without_a_command_the_plugin_says_what_it_is() {
    for variables in [&[][..], &[("CNI_COMMAND", "")][..]] {
        let run = serve_from(variables, &mut Untouchable);
        assert_eq!((run.status, run.stdout.as_str()), (0, ""));
        assert_eq!(
            run.stderr,
            "writes down its calls\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n"
        );
    }
}

#[test]
fn stdin_that_cannot_be_read_is_an_io_error() {
    let run = serve_from(ADD, &mut Broken);
    assert_eq!(
        (run.refusal().0, run.refusal().1.as_str()),
        (5, "read network configuration from stdin: broken pipe")
    );
}

#[test]
fn a_result_that_cannot_be_printed_is_a_failure_and_no_panic() {
    let run = answer::<Recorder>(ADD, &mut r#"{"name":"n"}"#.as_bytes(), &mut Broken);
    assert_eq!((run.status, run.stderr.as_str()), (1, "write to stdout: broken pipe\n"));
    let run = answer::<Recorder>(ADD, &mut "{".as_bytes(), &mut Broken);
    assert_eq!(run.status, 1);
    let nothing_to_print = with(ADD, "CNI_COMMAND", "DEL");
    assert_eq!(
        answer::<Recorder>(&nothing_to_print, &mut r#"{"name":"n"}"#.as_bytes(), &mut Broken).status,
        0
    );
}

proptest! {
    #[test]
    fn any_request_ends_with_one_json_document_or_none(
        verb in "ADD|DEL|CHECK|GC|STATUS|VERSION|[A-Z]{1,3}",
        id in "[a-z0-9]{1,4}|.{0,3}",
        stdin: Vec<u8>,
    ) {
        let variables = with(&with(ADD, "CNI_COMMAND", &verb), "CNI_CONTAINERID", &id);
        check_one_document(&serve_from(&variables, &mut stdin.as_slice()))?;
    }

    #[test]
    fn a_damaged_configuration_ends_so_too(position in 0..400usize, byte: u8, cut: bool) {
        let mut stdin = br#"{"cniVersion":"1.1.0","name":"n","type":"t","ipam":{"type":"host-local"},"dns":{"search":["x"]},
            "prevResult":{"interfaces":[{"name":"eth0"}],"ips":[{"address":"10.0.0.2/24","interface":0}],"routes":[]}}"#.to_vec();
        let position = position % stdin.len();
        if cut { stdin.truncate(position) } else { stdin[position] = byte }
        check_one_document(&serve_from(ADD, &mut stdin.as_slice()))?;
    }
}

fn check_one_document(run: &Run) -> std::result::Result<(), TestCaseError> {
    match (run.status, run.stdout.as_str()) {
        (0, "") => {}
        (0, _) => prop_assert!(run.json()["cniVersion"].is_string()),
        (1, _) => {
            prop_assert!(run.json()["code"].as_u64().is_some_and(|code| code > 0));
            prop_assert!(run.calls.is_empty());
        }
        (status, _) => prop_assert!(false, "status {status}"),
    }
    Ok(())
}
