//! `net-ctl network` over a recording plugin: what it says, how it ends, what plugins are asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod lab;

use std::fs;
use std::process::Stdio;

use lab::Lab;
use serde_json::json;

#[test]
fn add_shows_the_addresses() {
    let lab = Lab::new();
    let added = lab.add("web");
    assert_eq!(
        added.text(0),
        "attached web to front as eth0\n\nINTERFACE  ADDRESS      GATEWAY\neth0       10.9.0.2/24  10.9.0.1\n"
    );
}

#[test]
fn add_gives_programs_the_result_of_the_specification() {
    let lab = Lab::new();
    let added = lab.net_ctl(&["network", "add", "front", "web", "--netns", "/proc/self/ns/net", "--json"]);
    assert_eq!(added.exit, 0, "{added:?}");
    assert_eq!(
        added.json(),
        json!({
            "attachment": {"container": "web", "ifname": "eth0", "netns": "/proc/self/ns/net", "network": "front"},
            "result": {
                "cniVersion": "1.1.0", "interfaces": [{"name": "eth0", "sandbox": "/x"}],
                "ips": [{"address": "10.9.0.2/24", "gateway": "10.9.0.1", "interface": 0}],
            },
        })
    );
}

#[test]
fn a_failed_add_names_cause_and_next_step_and_leaves_nothing() {
    let lab = Lab::new();
    lab.plugin_fails("ADD", 999, "no such bridge");
    let added = lab.add("web");
    assert_eq!(
        added.text(1),
        concat!(
            "net-ctl: could not attach container web to network front as eth0\n",
            "  cause: plugin type=\"one\" failed (add): no such bridge\n",
            "  try:   the same after mending the cause; nothing was left behind\n",
        )
    );
    assert!(lab.calls()[1].starts_with("DEL one web eth0"));
    let added = lab.net_ctl(&["network", "add", "front", "web", "--netns", "/proc/self/ns/net", "--json"]);
    assert_eq!((added.exit, added.err.as_str()), (1, ""));
    assert_eq!(
        added.json(),
        json!({"error": {
            "what": "attach container web to network front as eth0",
            "cause": "plugin type=\"one\" failed (add): no such bridge",
            "next": "the same after mending the cause; nothing was left behind",
            "exit": 1,
        }})
    );
    lab.plugin_fails("DEL", 7, "stuck");
    let options = ["--ifname", "net1", "--netns", "/proc/self/ns/net", "--args", "K=a b"];
    let added = lab.net_ctl(&[&["network", "add", "front", "web"][..], &options].concat());
    let next = "try:   net-ctl network del front web --ifname net1 --netns /proc/self/ns/net --args 'K=a b' \
                --netns-dir LAB/netns --cache-dir LAB/cache\n";
    let text = lab.plain(added.text(1));
    assert!(text.contains("made could not be deleted") && text.ends_with(next), "{text}");
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let lab = Lab::new();
    lab.plugin_fails("ADD", 11, "being moved");
    assert!(lab.add("web").text(7).contains("cause: plugin type=\"one\" failed (add): being moved"));
    fs::remove_file(lab.path("plugins/one.ADD.error")).unwrap();
    lab.add("web").text(0);
    let twice = lab.add("web");
    assert!(twice.text(8).contains("net-ctl network del front web"), "{twice:?}");
    lab.plugin_fails("CHECK", 100, "no address");
    let checked = lab.net_ctl(&["network", "check", "front", "web"]);
    assert!(checked.text(5).contains("failed (check): no address"), "{checked:?}");
    lab.plugin_fails("STATUS", 50, "pool is full");
    let status = lab.net_ctl(&["network", "status", "front"]);
    assert_eq!(
        lab.plain(status.text(6)),
        concat!(
            "net-ctl: network front is not ready\n",
            "  cause: plugin type=\"one\" failed (status): pool is full\n",
            "  try:   net-ctl network status front --cache-dir LAB/cache, after mending the cause\n",
        )
    );
}

#[test]
fn what_the_first_plugin_finds_wrong_is_a_mistake_and_made_nothing() {
    let lab = Lab::new();
    lab.plugin_fails("DEL", 999, "stuck");
    for code in [4, 6, 7] {
        lab.plugin_fails("ADD", code, "no subnet");
        let added = lab.add("web");
        let text = added.text(2);
        assert!(text.contains("failed (add): no subnet\n") && text.contains("nothing was made"), "{text}");
    }
}

#[test]
fn an_exhausted_pool_is_not_a_matter_of_waiting() {
    let lab = Lab::new();
    lab.plugin_fails("ADD", 11, "failed to allocate for range 0: no IP addresses available in range set: x");
    let added = lab.add("web");
    let next =
        "try:   delete containers; net-ctl network gc front --netns-dir LAB/netns --cache-dir LAB/cache, for";
    assert!(lab.plain(added.text(7)).contains(next), "{added:?}");
}

#[test]
fn add_is_refused_while_the_container_has_that_interface_on_any_network() {
    let lab = Lab::new();
    lab.network(
        "20-back.conflist",
        &json!({"cniVersion": "1.1.0", "name": "back", "plugins": [{"type": "one"}]}),
    );
    let add = |network: &str, ifname: &str| {
        lab.net_ctl(&["network", "add", network, "web", "--netns", "/proc/self/ns/net", "--ifname", ifname])
    };
    add("front", "eth0").text(0);
    add("front", "eth1").text(0);
    lab.calls();
    let refused = add("back", "eth0");
    let text = lab.plain(refused.text(8));
    assert!(text.contains("cause: container web is attached to network front as eth0 already"), "{text}");
    let next =
        "try:   --ifname eth2; or detach it first: net-ctl network del front web --netns-dir LAB/netns";
    assert!(text.contains(next), "{text}");
    assert!(lab.calls().is_empty());
    add("back", "eth2").text(0);
}

#[test]
fn del_of_what_is_not_remembered_says_so_and_names_what_is() {
    let lab = Lab::new();
    lab.net_ctl(&["network", "add", "front", "web", "--netns", "/proc/self/ns/net", "--ifname", "net1"])
        .text(0);
    lab.calls();
    let deleted = lab.net_ctl(&["network", "rm", "front", "web", "--netns", "/proc/self/ns/net"]);
    assert_eq!(
        deleted.text(0),
        "nothing was remembered of web on front as eth0; asked the plugins to remove whatever is left\n"
    );
    let note =
        "note: web is attached to front as net1; to detach that: net-ctl network del front web --ifname net1";
    assert!(deleted.err.starts_with(note), "{deleted:?}");
    assert!(lab.calls()[0].starts_with("DEL one web eth0"));
    let deleted = lab.net_ctl(&["network", "delete", "front", "web", "--json"]).json();
    assert_eq!((&deleted["remembered"], &deleted["others"][0]["ifname"]), (&json!(false), &json!("net1")));
    let deleted = lab.net_ctl(&["network", "del", "front", "web", "--ifname", "net1", "--json"]).json();
    assert_eq!(deleted["remembered"], true);
}

#[test]
fn unknown_arguments_are_to_be_ignored_unless_the_caller_says_otherwise() {
    let lab = Lab::new();
    lab.add("web").text(0);
    let strict = ["--netns", "/proc/self/ns/net", "--args", "IgnoreUnknown=0"];
    lab.net_ctl(&[&["network", "add", "front", "db"][..], &strict].concat()).text(0);
    let calls = lab.calls();
    assert!(calls[0].starts_with("ADD one web eth0 IgnoreUnknown=1 {"), "{calls:?}");
    assert!(calls[1].starts_with("ADD one db eth0 IgnoreUnknown=0 {"), "{calls:?}");
}

#[test]
fn capabilities_that_no_plugin_declares_are_refused() {
    let lab = Lab::new();
    let options = ["--netns", "/proc/self/ns/net", "--capabilities", r#"{"mac":"x","portMapping":[]}"#];
    let refused = lab.net_ctl(&[&["network", "add", "front", "web"][..], &options].concat());
    let cause = "no plugin of front declares the capability portMapping; declared are: mac";
    assert!(refused.text(2).contains(cause), "{refused:?}");
    assert!(lab.calls().is_empty());
}

#[test]
fn a_plugin_that_is_not_permitted_ends_every_verb_alike() {
    let lab = Lab::new();
    for verb in ["ADD", "DEL", "CHECK"] {
        lab.plugin_fails(verb, 999, "open /var/lib/cni/networks: permission denied");
    }
    lab.add("web").text(4);
    fs::remove_file(lab.path("plugins/one.ADD.error")).unwrap();
    lab.add("web").text(0);
    lab.net_ctl(&["network", "check", "front", "web"]).text(4);
    lab.net_ctl(&["network", "del", "front", "web"]).text(4);
}

#[test]
fn status_of_an_old_list_looks_for_the_binaries_of_plugins_and_ipam() {
    let lab = Lab::new();
    let network = |ipam: &str| {
        let plugin = json!({"type": "one", "ipam": {"type": ipam}});
        lab.network(
            "10-front.conflist",
            &json!({"cniVersion": "1.0.0", "name": "front", "plugins": [plugin]}),
        );
    };
    network("one");
    let status = lab.net_ctl(&["network", "status", "front"]);
    assert_eq!(status.text(0), "front is ready\n");
    assert!(status.err.contains("all plugins are installed; for more STATUS is needed"), "{status:?}");
    network("ghost");
    let status = lab.net_ctl(&["network", "status", "front"]);
    let text = status.text(3);
    assert!(text.starts_with("net-ctl: network front is not ready\n"), "{text}");
    assert!(
        text.contains(r#"plugin type="ghost", ipam of type="one" failed (status): failed to find"#),
        "{text}"
    );
    assert!(lab.calls().is_empty());
}

#[test]
fn a_namespace_is_not_deleted_while_it_is_attached_and_all_that_detaches_it_is_named() {
    let lab = Lab::new();
    fs::write(lab.path("netns/web"), "").unwrap();
    for ifname in ["eth0", "net1"] {
        lab.net_ctl(&["network", "add", "front", "web", "--netns", "/proc/self/ns/net", "--ifname", ifname])
            .text(0);
        let file = lab.path(&format!("cache/results/front-web-{ifname}"));
        let pinned = lab.path("netns/web").to_str().unwrap().to_owned();
        let entry = fs::read_to_string(&file).unwrap().replace("/proc/self/ns/net", &pinned);
        fs::write(&file, entry).unwrap();
    }
    let refused = lab.net_ctl(&["ns", "delete", "web"]);
    let places = "--cache-dir LAB/cache --netns-dir LAB/netns";
    let next = format!(
        "  try:   net-ctl network del front web {places}\n         \
         net-ctl network del front web --ifname net1 {places}\n         or --force\n"
    );
    assert!(lab.plain(refused.text(1)).ends_with(&next), "{refused:?}");
}

#[test]
fn a_file_that_holds_something_is_no_leftover_and_never_deleted() {
    let lab = Lab::new();
    fs::write(lab.path("netns/letter"), "dear reader").unwrap();
    fs::write(lab.path("netns/half"), "").unwrap();
    let states = lab.net_ctl(&["ns", "list", "--json"]).json()["namespaces"].clone();
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&json!("leftover"), &json!("foreign")));
    let listed = lab.net_ctl(&["ns", "list"]);
    assert!(listed.text(0).contains("letter  none: something else, which is left alone"), "{listed:?}");
    for options in [&["ns", "delete", "letter"][..], &["ns", "delete", "letter", "--force"]] {
        assert!(lab.net_ctl(options).text(1).contains("is not a network namespace"));
    }
    assert_eq!(fs::read_to_string(lab.path("netns/letter")).unwrap(), "dear reader");
}

#[test]
fn what_is_not_there_is_said_with_where_it_was_looked_for() {
    let lab = Lab::new();
    let said = |arguments: &[&str], words: &[&str]| {
        let outcome = lab.net_ctl(arguments);
        let text = lab.plain(outcome.text(3));
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    said(&["network", "add", "front", "web"], &["LAB/netns/web", "try:   net-ctl ns create web"]);
    said(&["network", "add", "front", "web", "--netns", "db"], &["LAB/netns/db", "net-ctl ns create db"]);
    said(&["network", "add", "back", "web"], &["not in LAB/net.d; networks there: front", "--config"]);
    said(
        &["network", "status", "front", "--config", "/none"],
        &["read configuration /none", "No such file", "--config-dir DIR"],
    );
    said(&["network", "check", "front", "web"], &["no such attachment is remembered in LAB/cache"]);
    said(&["network", "status", "front", "--plugin-dir", "/none"], &["in path [/none]", "--plugin-dir DIR"]);
    said(&["network", "del", "back", "web"], &["not in LAB/net.d"]);
}

#[test]
fn what_is_wrong_on_the_command_line_is_said_before_anything_is_tried() {
    let lab = Lab::new();
    for (arguments, word) in [
        (&["network", "add", ".front", "web"][..], "'.front' for '<NETWORK>'"),
        (&["network", "add", "front", "a/b"], "'a/b' for '<CONTAINER>'"),
        (&["network", "add", "front", "web", "--ifname", "a b"], "white space"),
        (&["network", "add", "front", "web", "--ifname", "0123456789abcdef"], "15 bytes"),
        (&["network", "add", "front", "web", "--args", "IP"], "KEY=VALUE"),
        (&["network", "add", "front", "web", "--args", "A=1;B=2"], "KEY=VALUE"),
        (&["network", "add", "front", "web", "--capabilities", "[1]"], "JSON object"),
        (&["network", "gc", "front", "--keep", "web:a/b"], "ID:IFNAME"),
        (&["network", "gc", "front", "--keep", "web", "--all"], "cannot be used with"),
    ] {
        let outcome = lab.net_ctl(arguments);
        assert!(outcome.text(2).contains(word), "{outcome:?}");
        let outcome = lab.net_ctl(&[arguments, &["--json"]].concat());
        assert_eq!((outcome.exit, &outcome.json()["error"]["exit"]), (2, &json!(2)));
    }
    assert!(lab.calls().is_empty());
}

#[test]
fn check_and_del_need_not_be_told_again_what_add_was_told() {
    let lab = Lab::new();
    let mac = r#"{"mac":"c2:11:22:33:44:55"}"#;
    let options = ["--netns", "/proc/self/ns/net", "--args", "K=V", "--args", "L=W", "--capabilities", mac];
    lab.net_ctl(&[&["network", "add", "front", "web"][..], &options].concat()).text(0);
    assert_eq!(
        lab.net_ctl(&["network", "check", "front", "web"]).text(0),
        "web on front is as it was made\n"
    );
    assert_eq!(lab.net_ctl(&["network", "del", "front", "web"]).text(0), "detached web from front\n");
    let calls = lab.calls();
    assert_eq!(calls.len(), 3);
    for call in calls {
        assert!(
            call.contains(" one web eth0 IgnoreUnknown=1;K=V;L=W ")
                && call.contains(r#""runtimeConfig":{"mac":"c2:"#),
            "{call}"
        );
    }
}

#[test]
fn del_works_when_the_configuration_is_gone_and_when_repeated() {
    let lab = Lab::new();
    lab.add("web").text(0);
    fs::rename(lab.path("net.d/10-front.conflist"), lab.path("kept")).unwrap();
    fs::write(lab.path("net.d/20-broken.conflist"), "{").unwrap();
    let deleted = lab.net_ctl(&["network", "del", "front", "web"]);
    assert_eq!(deleted.text(0), "detached web from front\n");
    assert_eq!(
        deleted.err,
        "note: front has no readable configuration any more: used that of the time of add\n"
    );
    fs::rename(lab.path("kept"), lab.path("net.d/10-front.conflist")).unwrap();
    lab.net_ctl(&["network", "del", "front", "web"]).text(0);
}

#[test]
fn del_goes_by_the_configuration_of_add_unless_told_otherwise() {
    let lab = Lab::new();
    lab.add("web").text(0);
    lab.calls();
    let edited =
        json!({"cniVersion": "1.1.0", "name": "front", "plugins": [{"type": "one", "edited": true}]});
    lab.network("10-front.conflist", &edited);
    let file = lab.path("net.d/10-front.conflist");
    lab.net_ctl(&["network", "check", "front", "web", "--config", file.to_str().unwrap()]).text(0);
    lab.net_ctl(&["network", "del", "front", "web"]).text(0);
    let edited: Vec<_> = lab.calls().iter().map(|call| call.contains("edited")).collect();
    assert_eq!(edited, [true, false]);
}

/// `living` in this process's namespace, `gone` in one that is no more.
fn with_a_dead_one() -> Lab {
    let lab = Lab::new();
    for container in ["gone", "living"] {
        lab.add(container).text(0);
    }
    let file = lab.path("cache/results/front-gone-eth0");
    let entry = fs::read_to_string(&file).unwrap().replace("/proc/self/ns/net", "/run/netns/surely-gone");
    fs::write(&file, entry).unwrap();
    lab.calls();
    lab
}

#[test]
fn gc_keeps_what_lives_and_tells_the_plugins() {
    let lab = with_a_dead_one();
    let dry = lab.net_ctl(&["network", "gc", "front", "--dry-run"]);
    assert_eq!(
        dry.text(0),
        concat!(
            "CONTAINER  INTERFACE  ACTION            WHY\n",
            "gone       eth0       would be deleted  namespace is gone\n",
            "living     eth0       kept              namespace exists\n",
        )
    );
    assert!(lab.calls().is_empty());
    let collected = lab.net_ctl(&["network", "gc", "front", "--json"]);
    assert_eq!(
        collected.json(),
        json!({"network": "front", "dryRun": false, "attachments": [
            {"container": "gone", "ifname": "eth0", "action": "deleted", "why": "namespace is gone"},
            {"container": "living", "ifname": "eth0", "action": "kept", "why": "namespace exists"},
        ], "plugins": "asked"})
    );
    let calls = lab.calls();
    assert!(calls[0].starts_with("DEL one gone eth0") && calls[1].starts_with("GC one"), "{calls:?}");
    let valid = r#""cni.dev/valid-attachments":[{"containerID":"living","ifname":"eth0"}]"#;
    assert!(calls[1].contains(valid), "{calls:?}");
}

#[test]
fn gc_obeys_keep_and_all() {
    let lab = with_a_dead_one();
    lab.net_ctl(&["network", "gc", "front", "--keep", "gone"]).text(0);
    let calls = lab.calls();
    assert!(calls[0].starts_with("DEL one living"), "{calls:?}");
    let valid = r#""cni.dev/valid-attachments":[{"containerID":"gone","ifname":"eth0"}]"#;
    assert!(calls[1].contains(valid), "{calls:?}");
    lab.net_ctl(&["network", "gc", "front", "--all"]).text(0);
    assert!(lab.calls()[1].contains(r#""cni.dev/valid-attachments":[]"#));
}

#[test]
fn gc_asks_plugins_about_a_network_of_which_nothing_is_remembered_only_with_all() {
    let lab = Lab::new();
    let gc = |options: &[&str]| lab.net_ctl(&[&["network", "gc", "front"], options].concat());
    assert_eq!(
        gc(&[]).text(0),
        "no attachments of front are remembered; the plugins were not asked, since others may have attached \
         containers: --all has them remove what they have of any container on front\n"
    );
    assert!(gc(&["--dry-run"]).text(0).contains("the plugins would not be asked, since"));
    assert_eq!(gc(&["--json"]).json()["plugins"], "not asked");
    assert_eq!(gc(&["--json", "--dry-run", "--all"]).json()["plugins"], "would be asked");
    assert!(lab.calls().is_empty());
    assert_eq!(
        gc(&["--all"]).text(0),
        "no attachments of front are remembered; the plugins were asked to remove what they have of any\n"
    );
    assert!(lab.calls()[0].contains(r#""cni.dev/valid-attachments":[]"#));
}

#[test]
fn gc_refuses_to_keep_what_is_not_remembered() {
    let lab = with_a_dead_one();
    for keep in ["livign", "living:eth1"] {
        let refused = lab.net_ctl(&["network", "gc", "front", "--keep", "gone", "--keep", keep]);
        let cause = format!("--keep {keep}: not remembered on front; remembered are: gone:eth0, living:eth0");
        assert!(refused.text(2).contains(&cause), "{refused:?}");
    }
    assert!(lab.calls().is_empty());
}

#[test]
fn gc_that_is_not_permitted_says_so() {
    let lab = with_a_dead_one();
    lab.plugin_fails("DEL", 999, "delete eth0: Operation not permitted (os error 1)");
    lab.net_ctl(&["network", "gc", "front"]).text(4);
}

#[test]
fn gc_that_fails_in_part_says_both_what_was_done_and_what_was_not() {
    let lab = with_a_dead_one();
    lab.plugin_fails("DEL", 11, "later");
    let collected = lab.net_ctl(&["network", "gc", "front", "--json"]);
    assert_eq!(collected.exit, 1);
    assert_eq!(collected.json()["attachments"][0]["action"], "not deleted");
    assert_eq!(collected.json()["error"]["cause"], "plugin type=\"one\" failed (delete): later");
}

#[test]
fn list_counts_attachments_and_notes_files_that_are_no_use() {
    let lab = Lab::new();
    lab.network(
        "20-again.conflist",
        &json!({"cniVersion": "1.0.0", "name": "front", "plugins": [{"type": "x"}]}),
    );
    lab.network(
        "30-back.conflist",
        &json!({"cniVersion": "0.4.0", "name": "back", "plugins": [{"type": "a"}, {"type": "b"}]}),
    );
    fs::write(lab.path("net.d/40-broken.conflist"), "{").unwrap();
    lab.add("web").text(0);
    let listed = lab.net_ctl(&["network", "list"]);
    assert_eq!(
        lab.plain(listed.text(0)),
        concat!(
            "NETWORK  VERSION  PLUGINS  ATTACHMENTS  FILE\n",
            "front    1.1.0    one      1            LAB/net.d/10-front.conflist\n",
            "back     0.4.0    a,b      0            LAB/net.d/30-back.conflist\n",
        )
    );
    let notes: Vec<_> = listed.err.lines().collect();
    assert!(
        notes[0].contains("20-again.conflist is never used") && notes[1].contains("40-broken.conflist"),
        "{notes:?}"
    );
    let attached = lab.net_ctl(&["network", "list", "--attachments"]);
    assert_eq!(
        attached.text(0),
        concat!(
            "NETWORK  CONTAINER  INTERFACE  ADDRESSES    NAMESPACE\n",
            "front    web        eth0       10.9.0.2/24  /proc/self/ns/net\n",
        )
    );
    let attached = lab.net_ctl(&["network", "list", "--attachments", "--json"]);
    assert_eq!(
        attached.json(),
        json!({"attachments": [{
            "network": "front", "container": "web", "ifname": "eth0", "netns": "/proc/self/ns/net",
            "addresses": ["10.9.0.2/24"],
        }]})
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let lab = Lab::new();
    let mut child =
        lab.command(&["network", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn a_next_step_repeats_the_places_that_were_given() {
    let lab = Lab::new();
    let file = lab.path("net.d/10-front.conflist");
    let places = [("--config", file), ("--plugin-dir", lab.path("plugins"))];
    let places: Vec<_> = places.iter().flat_map(|(option, path)| [*option, path.to_str().unwrap()]).collect();
    let add = [&["network", "add", "front", "web", "--netns", "/proc/self/ns/net"][..], &places].concat();
    lab.net_ctl(&add).text(0);
    let twice = lab.net_ctl(&add);
    let next = "net-ctl network del front web --config LAB/net.d/10-front.conflist --plugin-dir LAB/plugins \
                --netns-dir LAB/netns --cache-dir LAB/cache\n";
    assert!(lab.plain(twice.text(8)).ends_with(next), "{twice:?}");
    let dir = lab.path("net.d");
    let list = lab.net_ctl(&[
        "network",
        "status",
        "front",
        "--config-dir",
        dir.to_str().unwrap(),
        "--plugin-dir",
        "/none",
    ]);
    assert!(list.text(3).contains("try:   --plugin-dir DIR"), "{list:?}");
    let created = lab.net_ctl(&["network", "add", "front", "ghost"]);
    assert!(lab.plain(created.text(3)).ends_with("net-ctl ns create ghost --netns-dir LAB/netns\n"));
}
