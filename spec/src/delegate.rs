//! Delegation: another plugin, mostly for IPAM, does a part of the work (specification, section 4).
//!
//! It gets the same environment and the same stdin, to the byte; its error is ours.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::exec::patience;
pub use crate::exec::{exec, exec_within};
use crate::names::PluginType;
use crate::request::{Add, Attachment, Caller, Check, Del, Gc, Status};
use crate::result::Success;
use crate::version::Version;

/// The executable of a plugin: the first regular file of that name in the directories, links followed.
///
/// # Errors
/// Code 4 without any directory; libcni's `failed to find plugin "X" in path [a b]`.
pub fn find(plugin: &PluginType, path: &[PathBuf]) -> Result<PathBuf> {
    if path.is_empty() {
        let missing = "required env variables [CNI_PATH] missing";
        return Err(Error::invalid_environment(format!("find plugin {:?}: {missing}", plugin.as_str())));
    }
    let candidates = path.iter().map(|directory| directory.join(plugin.as_str()));
    candidates.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        let path: Vec<String> = path.iter().map(|directory| directory.display().to_string()).collect();
        Error::internal(format!("failed to find plugin {:?} in path [{}]", plugin.as_str(), path.join(" ")))
    })
}

/// A plugin to which verbs are delegated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    /// Its executable.
    pub binary: PathBuf,
}

/// The plugin for IPAM, as found on the caller's `CNI_PATH`.
///
/// # Errors
/// As [`find`].
pub fn ipam(caller: &Caller, plugin: &PluginType) -> Result<Delegate> {
    Ok(Delegate { binary: find(plugin, &caller.path)? })
}

impl Delegate {
    /// Has the delegate do its part of an ADD.
    ///
    /// # Errors
    /// The delegate's own; code 6 when it succeeded and printed no result. It has to be sent a DEL after
    /// either.
    pub fn add(&self, call: &Add) -> Result<Success> {
        let env = environment(&call.caller, Some(&call.attachment), Some(&call.netns));
        let answer = self.run("ADD", &env, call.config.bytes())?;
        result(&self.binary, &answer, call.config.version)
    }

    /// Has the delegate do its part of a CHECK.
    ///
    /// # Errors
    /// The delegate's own.
    pub fn check(&self, call: &Check) -> Result<()> {
        let env = environment(&call.caller, Some(&call.attachment), Some(&call.netns));
        self.run("CHECK", &env, call.config.bytes()).map(drop)
    }

    /// Has the delegate do its part of a DEL.
    ///
    /// # Errors
    /// The delegate's own.
    pub fn del(&self, call: &Del) -> Result<()> {
        let env = environment(&call.caller, Some(&call.attachment), call.netns.as_deref());
        self.run("DEL", &env, call.config.bytes()).map(drop)
    }

    /// Has the delegate do its part of a GC.
    ///
    /// # Errors
    /// The delegate's own.
    pub fn gc(&self, call: &Gc) -> Result<()> {
        self.run("GC", &environment(&call.caller, None, None), call.config.bytes()).map(drop)
    }

    /// Asks the delegate whether an ADD could be served.
    ///
    /// # Errors
    /// The delegate's own.
    pub fn status(&self, call: &Status) -> Result<()> {
        self.run("STATUS", &environment(&call.caller, None, None), call.config.bytes()).map(drop)
    }
}

impl Delegate {
    /// Executes the delegate; it has 100 s, or `TIDEWATER_DELEGATE_TIMEOUT` seconds.
    ///
    /// Once one took too long, what follows in this process is the way back out of the request, for which our
    /// own caller will not wait as long again.
    fn run(&self, command: &str, env: &[(&str, OsString)], stdin: &[u8]) -> Result<Vec<u8>> {
        static HUNG: AtomicBool = AtomicBool::new(false);
        let limit = if HUNG.load(Ordering::Relaxed) { patience().min(WAY_BACK) } else { patience() };
        let started = Instant::now();
        let answer = exec_within(limit, &self.binary, command, env, stdin);
        HUNG.fetch_or(started.elapsed() >= limit, Ordering::Relaxed);
        answer
    }
}

/// How long a delegate may take after one hung.
const WAY_BACK: Duration = Duration::from_secs(10);

/// The result that a plugin printed.
///
/// # Errors
/// Code 6 when it is none.
pub fn result(binary: &Path, answer: &[u8], assumed: Version) -> Result<Success> {
    let tried = || format!("read result of {}", binary.display());
    let value: Value = serde_json::from_slice(answer)
        .map_err(|cause| Error::decoding(format!("{}: {cause}: {}", tried(), crate::exec::quote(answer))))?;
    Success::from_value(&value, assumed).map_err(|error| error.context(tried()))
}

/// All variables of a request. Those that do not apply are set to nothing, so that none comes from elsewhere.
fn environment(
    caller: &Caller,
    attachment: Option<&Attachment>,
    netns: Option<&Path>,
) -> [(&'static str, OsString); 5] {
    let container = attachment.map(|attachment| attachment.container.as_str());
    let ifname = attachment.map(|attachment| attachment.ifname.as_str());
    [
        ("CNI_CONTAINERID", container.unwrap_or_default().into()),
        ("CNI_IFNAME", ifname.unwrap_or_default().into()),
        ("CNI_NETNS", netns.map(|path| path.as_os_str().to_owned()).unwrap_or_default()),
        ("CNI_ARGS", caller.args.clone().into()),
        ("CNI_PATH", std::env::join_paths(&caller.path).unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Config;
    use crate::error::Code;

    #[test]
    fn a_plugin_is_found_in_the_first_directory_that_has_it_as_a_file() {
        let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        fs::create_dir(first.path().join("ipam")).unwrap();
        fs::write(second.path().join("real"), "").unwrap();
        std::os::unix::fs::symlink("real", second.path().join("ipam")).unwrap();
        let path = [first.path().to_owned(), second.path().to_owned()];
        assert_eq!(find(&"ipam".parse().unwrap(), &path).unwrap(), second.path().join("ipam"));
    }

    #[test]
    fn a_plugin_that_is_nowhere_is_told_with_the_path() {
        let path = [PathBuf::from("/nonexistent/a"), PathBuf::from("/nonexistent/b")];
        let error = find(&"ipam".parse().unwrap(), &path).unwrap_err();
        assert_eq!(error.msg, "failed to find plugin \"ipam\" in path [/nonexistent/a /nonexistent/b]");
        let error = find(&"ipam".parse().unwrap(), &[]).unwrap_err();
        assert_eq!(error.msg, "find plugin \"ipam\": required env variables [CNI_PATH] missing");
        assert_eq!(error.code, Code::InvalidEnvironment);
    }

    #[test]
    fn the_delegate_gets_the_whole_request_unchanged() {
        let config = r#"{ "cniVersion":"1.1.0", "name":"n","ipam":{"type":"ipam"} , "z":1,"a":2}"#;
        let (directory, call) = call(
            r#"cat > "$0.stdin"; echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS $CNI_ARGS $CNI_PATH" > "$0.env"
            echo '{"ips":[{"address":"10.0.0.2/24"}]}'"#,
            config,
        );
        let delegate = ipam(&call.caller, call.config.ipam.as_ref().unwrap()).unwrap();
        let read = |file: &str| fs::read_to_string(directory.path().join(file)).unwrap();
        assert_eq!(delegate.add(&call).unwrap().ips[0].address.to_string(), "10.0.0.2/24");
        assert_eq!(read("ipam.stdin"), config);
        let rest = format!("abc eth0 /run/netns/x A=b {}\n", directory.path().display());
        assert_eq!(read("ipam.env"), format!("ADD {rest}"));
        delegate.del(&call.to_del()).unwrap();
        assert_eq!(read("ipam.env"), format!("DEL {rest}"));
        delegate.status(&Status { caller: call.caller.clone(), config: call.config.clone() }).unwrap();
        assert_eq!(read("ipam.env"), format!("STATUS    A=b {}\n", directory.path().display()));
    }

    #[test]
    fn the_delegates_error_is_ours() {
        let (_directory, call) = call(
            r#"echo '{"code":11,"msg":"later","details":"d"}'; exit 1"#,
            r#"{"name":"n","ipam":{"type":"ipam"}}"#,
        );
        let delegate = ipam(&call.caller, call.config.ipam.as_ref().unwrap()).unwrap();
        assert_eq!(delegate.add(&call).unwrap_err(), Error::try_again("later").with_details("d"));
        assert_eq!(delegate.del(&call.to_del()).unwrap_err().code, Code::TryAgainLater);
    }

    #[test]
    fn a_success_without_a_result_is_an_error_unless_it_is_null() {
        let answer = |text: &str| result(Path::new("/x/ipam"), text.as_bytes(), Version::V0_2_0);
        assert_eq!(answer("null").unwrap(), Success::default());
        assert_eq!(answer(r#"{"ip4":{"ip":"10.0.0.2/24"}}"#).unwrap().ips.len(), 1);
        for (text, msg) in [
            ("", "read result of /x/ipam: EOF while parsing a value at line 1 column 0: \"\""),
            ("hello", "read result of /x/ipam: expected value at line 1 column 1: \"hello\""),
            ("[]", "read result of /x/ipam: read CNI result: invalid type: sequence, expected an object"),
        ] {
            let error = answer(text).unwrap_err();
            assert_eq!((error.code, error.msg.as_str()), (Code::Decoding, msg));
        }
    }

    /// An ADD that can find a plugin called "ipam", which is this shell script.
    fn call(body: &str, config: &str) -> (tempfile::TempDir, Add) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ipam");
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let attachment = Attachment { container: "abc".parse().unwrap(), ifname: "eth0".parse().unwrap() };
        let caller =
            Caller { args: "A=b".into(), path: vec![directory.path().to_owned()], netns_override: false };
        let config = Config::parse(config.as_bytes().to_vec()).unwrap();
        (directory, Add { attachment, netns: "/run/netns/x".into(), caller, config })
    }
}
