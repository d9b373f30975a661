//! A plugin that writes down its calls, and a world to call it in.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::{Plugin, World, run};
use crate::error::{Error, Result};
use crate::request::{Add, Check, Del, Gc, Status};
use crate::result::{Ip, Success};
use crate::version::Version;

/// The environment of an ADD.
pub(super) const ADD: &[(&str, &str)] = &[
    ("CNI_COMMAND", "ADD"),
    ("CNI_CONTAINERID", "abc123"),
    ("CNI_NETNS", "/run/netns/web"),
    ("CNI_IFNAME", "eth0"),
    ("CNI_ARGS", "IgnoreUnknown=1"),
    ("CNI_PATH", "/opt/cni/bin"),
];

thread_local! {
    static CALLS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static FAILURE: Cell<Option<Error>> = const { Cell::new(None) };
}

/// Writes down its calls; fails once when told so by `fail`.
pub(super) struct Recorder;

/// The same with fewer versions.
pub(super) struct Choosy;

pub(super) fn fail(error: Option<Error>) {
    FAILURE.set(error);
}

fn record(call: String) -> Result<()> {
    CALLS.with_borrow_mut(|calls| calls.push(call));
    FAILURE.take().map_or(Ok(()), Err)
}

impl Plugin for Recorder {
    const NAME: &'static str = "recorder";
    const ABOUT: &'static str = "writes down its calls";

    fn add(call: &Add) -> Result<Success> {
        let Add { attachment, netns, caller, config } = call;
        let (id, ifname, netns) = (&attachment.container, &attachment.ifname, netns.display());
        let (args, path) = (&caller.args, &caller.path);
        record(format!("ADD {id} {ifname} {netns} {} args={args} path={path:?}", config.name))?;
        let ip = Ip { address: "10.0.0.2/24".parse().unwrap(), gateway: None, interface: None };
        Ok(Success { ips: vec![ip], ..Success::default() })
    }

    fn del(call: &Del) -> Result<()> {
        let (id, ifname) = (&call.attachment.container, &call.attachment.ifname);
        let (netns, result): (Option<&PathBuf>, _) = (call.netns.as_ref(), call.config.prev_result.is_some());
        record(format!("DEL {id} {ifname} {netns:?} prevResult={result}"))
    }

    fn check(call: &Check) -> Result<()> {
        record(format!("CHECK {}", call.attachment.ifname))
    }

    fn gc(call: &Gc) -> Result<()> {
        record(format!("GC {} {:?}", call.config.name, call.config.valid_attachments.as_ref().map(Vec::len)))
    }

    fn status(call: &Status) -> Result<()> {
        record(format!("STATUS {}", call.config.name))
    }
}

impl Plugin for Choosy {
    const NAME: &'static str = "choosy";
    const VERSIONS: &'static [Version] = &[Version::V0_4_0, Version::V1_0_0];
    const ABOUT: &'static str = "speaks two versions";

    fn add(call: &Add) -> Result<Success> {
        Recorder::add(call)
    }

    fn del(call: &Del) -> Result<()> {
        Recorder::del(call)
    }

    fn check(call: &Check) -> Result<()> {
        Recorder::check(call)
    }

    fn gc(call: &Gc) -> Result<()> {
        Recorder::gc(call)
    }

    fn status(call: &Status) -> Result<()> {
        Recorder::status(call)
    }
}

/// What came of a request.
pub(super) struct Run {
    pub(super) status: u8,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) calls: Vec<String>,
}

impl Run {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Code, message and details of a request that did not get as far as the plugin.
    pub(super) fn refusal(&self) -> (u64, String, Option<String>) {
        assert_eq!((self.status, self.calls.as_slice()), (1, &[][..]), "{}", self.stdout);
        let error = self.json();
        let text = |key: &str| error.get(key).map(|value| value.as_str().unwrap().to_owned());
        (error["code"].as_u64().unwrap(), text("msg").unwrap(), text("details"))
    }
}

pub(super) fn serve_with(variables: &[(&str, &str)], stdin: &str) -> Run {
    serve_from(variables, &mut stdin.as_bytes())
}

pub(super) fn serve_from(variables: &[(&str, &str)], stdin: &mut dyn Read) -> Run {
    answer::<Recorder>(variables, stdin, &mut Vec::new())
}

pub(super) fn answer<P: Plugin>(
    variables: &[(&str, &str)],
    stdin: &mut dyn Read,
    stdout: &mut dyn Write,
) -> Run {
    let mut written = Vec::new();
    let mut stderr = Vec::new();
    let env = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into());
    let mut stdout = Tee { first: &mut written, second: stdout };
    let own_netns = |path: &Path| match path.to_str() {
        Some("/gone") => Err(io::ErrorKind::NotFound.into()),
        path => Ok(path == Some("/own")),
    };
    let mut world = World { env: &env, stdin, stdout: &mut stdout, stderr: &mut stderr, own_netns };
    let status = run::<P>(&mut world);
    let [stdout, stderr] = [written, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    Run { status, stdout, stderr, calls: CALLS.take() }
}

/// The variables with one of them changed.
pub(super) fn with<'a>(
    variables: &[(&'a str, &'a str)],
    name: &str,
    value: &'a str,
) -> Vec<(&'a str, &'a str)> {
    variables.iter().map(|(other, old)| (*other, if *other == name { value } else { old })).collect()
}

/// A stream that nobody may use.
pub(super) struct Untouchable;

impl Read for Untouchable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("stdin was read")
    }
}

/// A stream that is broken.
pub(super) struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to a buffer what the stream behind takes.
struct Tee<'a> {
    first: &'a mut Vec<u8>,
    second: &'a mut dyn Write,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.second.write(bytes)?;
        self.first.extend_from_slice(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.second.flush()
    }
}
