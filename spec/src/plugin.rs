//! The one `main` of all plugins: read, check, call, print.

mod process;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{Config, Draft};
use crate::error::{Error, Result};
use crate::fold;
use crate::request::{Add, Check, Command, Del, Environment, Gc, Status, Target};
use crate::result::Success;
use crate::version::{Number, Version};

/// A plugin: the verbs of the specification, each with its request already parsed and checked.
pub trait Plugin {
    /// The file name of the executable.
    const NAME: &'static str;
    /// The versions that the plugin speaks, oldest first.
    const VERSIONS: &'static [Version] = &Version::ALL;
    /// One line about the plugin, for who starts it by hand.
    const ABOUT: &'static str;

    /// Makes the attachment; the result is printed in the version of the request.
    ///
    /// # Errors
    /// Whatever kept it from being made; nothing of it is left then.
    fn add(call: &Add) -> Result<Success>;

    /// Removes the attachment; what is gone already is fine.
    ///
    /// # Errors
    /// Whatever could not be removed, after everything else was.
    fn del(call: &Del) -> Result<()>;

    /// Looks whether the attachment is as ADD made it; changes nothing.
    ///
    /// # Errors
    /// What is missing or different.
    fn check(call: &Check) -> Result<()>;

    /// Removes what belongs to no valid attachment of the network.
    ///
    /// # Errors
    /// Everything that could not be removed.
    fn gc(call: &Gc) -> Result<()>;

    /// Says whether an ADD could be served.
    ///
    /// # Errors
    /// Code 50 or 51 with the reason why not.
    fn status(call: &Status) -> Result<()>;
}

/// What a plugin sees of the world besides the kernel: its process, or what a test puts in its place.
pub struct World<'a> {
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// The request.
    pub stdin: &'a mut dyn Read,
    /// Where the one JSON document goes.
    pub stdout: &'a mut dyn Write,
    /// Where remarks for people go.
    pub stderr: &'a mut dyn Write,
    /// Whether the path is the network namespace that the plugin itself runs in.
    pub own_netns: fn(&Path) -> io::Result<bool>,
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// The largest configuration that is read.
const LARGEST_CONFIG: usize = 1 << 20;
/// The same for GC, whose configuration lists every attachment of the network.
const LARGEST_GC_CONFIG: usize = 16 << 20;

/// `main` of a plugin: [`run`] in the world of this process.
pub fn main<P: Plugin>() -> ExitCode {
    let mut world = World {
        env: &|name| std::env::var_os(name),
        stdin: &mut process::Stdin,
        stdout: &mut process::Stdout,
        stderr: &mut io::stderr(),
        own_netns: process::own_netns,
    };
    ExitCode::from(run::<P>(&mut world))
}

/// Serves one request; gives the exit status.
pub fn run<P: Plugin>(world: &mut World<'_>) -> u8 {
    let Some(command) = (world.env)("CNI_COMMAND").filter(|command| !command.is_empty()) else {
        return about::<P>(world);
    };
    let mut version = None;
    let output = match serve::<P>(&command.to_string_lossy(), world, &mut version) {
        Ok(output) => return print(world, &output),
        Err(error) => error.to_json(version),
    };
    print(world, output.as_bytes());
    1
}

/// Does what is asked for and gives what is to be printed. `version` becomes the request's as soon as it is
/// known.
///
/// The order of the checks is that of the reference, but for the namespace: that one is looked at before
/// anything is done.
fn serve<P: Plugin>(command: &str, world: &mut World<'_>, version: &mut Option<Version>) -> Result<Vec<u8>> {
    let command = Command::parse(command)?;
    let environment = Environment::read(command, world.env)?;
    if command == Command::Version {
        return versions::<P>(world.stdin);
    }
    let draft = Draft::parse(read(command, world.stdin)?)?;
    *version = draft.version_text().parse().ok();
    let name = draft.name()?;
    let spoken = agree::<P>(command, draft.version_text())?;
    *version = Some(spoken);
    refuse_own_netns(&environment, world.own_netns)?;
    let prev_result = prev_result(&draft, command, spoken, world.stderr)?;
    call::<P>(environment, draft.finish(name, spoken, prev_result)?)
}

fn call<P: Plugin>(environment: Environment, config: Config) -> Result<Vec<u8>> {
    let Environment { target, caller } = environment;
    let version = config.version;
    match target {
        Target::Add(attachment, netns) => {
            return add::<P>(&Add { attachment, netns, caller, config }, version);
        }
        Target::Check(attachment, netns) => P::check(&Check { attachment, netns, caller, config })?,
        Target::Del(attachment, netns) => P::del(&Del { attachment, netns, caller, config })?,
        Target::Gc => P::gc(&Gc { caller, config })?,
        Target::Status => P::status(&Status { caller, config })?,
        Target::Version => {}
    }
    Ok(Vec::new())
}

/// A result that the caller's version cannot express was made for nothing, so it is taken back.
fn add<P: Plugin>(call: &Add, version: Version) -> Result<Vec<u8>> {
    let result = P::add(call)?;
    result.to_json(version).map_err(|error| match P::del(&call.to_del()) {
        Ok(()) => error,
        Err(left) => error.with_details(format!("and what was made could not be removed: {left}")),
    })
}

/// Reads all of stdin, up to a limit.
fn read(command: Command, stdin: &mut dyn Read) -> Result<Vec<u8>> {
    let limit = if command == Command::Gc { LARGEST_GC_CONFIG } else { LARGEST_CONFIG };
    let mut bytes = Vec::with_capacity(8 << 10);
    let read = stdin.take(limit as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|cause| Error::io(format!("read network configuration from stdin: {cause}")))?;
    if bytes.len() > limit {
        return Err(Error::decoding(format!("network configuration on stdin is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// The version to talk in, if the plugin speaks it and it knows the verb.
fn agree<P: Plugin>(command: Command, text: &str) -> Result<Version> {
    let text = if text.is_empty() { Version::V0_1_0.as_str() } else { text };
    let (name, since) = match command {
        Command::Check => ("CHECK", Version::V0_4_0),
        Command::Gc => ("GC", Version::V1_1_0),
        Command::Status => ("STATUS", Version::V1_1_0),
        _ => ("", Version::V0_1_0),
    };
    if !name.is_empty() && Number::parse(text).is_some_and(|number| !number.reaches(since)) {
        return Err(Error::incompatible_version(format!("config version does not allow {name}")));
    }
    P::VERSIONS
        .iter()
        .copied()
        .find(|version| version.as_str() == text)
        .ok_or_else(|| incompatible::<P>(text))
}

fn incompatible<P: Plugin>(text: &str) -> Error {
    let spoken: Vec<String> = P::VERSIONS.iter().map(|version| format!("\"{version}\"")).collect();
    Error::incompatible_version("incompatible CNI versions")
        .with_details(format!("config is {text:?}, plugin supports [{}]", spoken.join(" ")))
}

/// Refuses to work in the plugin's own namespace, before anything is done.
///
/// A path that cannot be looked at passes: the verb says more about it, and DEL takes it for gone.
fn refuse_own_netns(environment: &Environment, own_netns: fn(&Path) -> io::Result<bool>) -> Result<()> {
    let netns = match &environment.target {
        Target::Add(_, netns) | Target::Check(_, netns) | Target::Del(_, Some(netns)) => netns,
        _ => return Ok(()),
    };
    if environment.caller.netns_override || !own_netns(netns).unwrap_or(false) {
        return Ok(());
    }
    Err(Error::invalid_netns("plugin's netns and netns from CNI_NETNS should not be the same"))
}

/// The previous result. DEL, GC and STATUS do not fail for one that nobody can read: a runtime that lost its
/// cache, or was upgraded, has to get rid of its containers all the same.
fn prev_result(
    draft: &Draft,
    command: Command,
    version: Version,
    stderr: &mut dyn Write,
) -> Result<Option<Success>> {
    let result = draft.prev_result(version);
    match (result, command) {
        (Err(error), Command::Del | Command::Gc | Command::Status) => {
            // A remark only: who cannot be told need not be.
            let _ = writeln!(stderr, "go on without prevResult: {error}");
            Ok(None)
        }
        (result, _) => result,
    }
}

/// VERSION: what is spoken here. Nothing about stdin can make it fail.
fn versions<P: Plugin>(stdin: &mut dyn Read) -> Result<Vec<u8>> {
    #[derive(serde::Serialize)]
    struct Versions {
        #[serde(rename = "cniVersion")]
        version: Version,
        #[serde(rename = "supportedVersions")]
        supported: &'static [Version],
    }
    let version = asked_version(stdin).unwrap_or(Version::NEWEST);
    let mut line = serde_json::to_vec(&Versions { version, supported: P::VERSIONS })?;
    line.push(b'\n');
    Ok(line)
}

/// The `cniVersion` that came with a VERSION request, if any. Reading ends with the first JSON document, so a
/// caller that keeps the pipe open after it is served too.
fn asked_version(stdin: &mut dyn Read) -> Option<Version> {
    let stdin = io::BufReader::new(stdin.take(LARGEST_CONFIG as u64));
    let document =
        serde_json::Deserializer::from_reader(stdin).into_iter::<serde_json::Value>().next()?.ok()?;
    fold::member(document.as_object()?, "cniVersion")?.as_str()?.parse().ok()
}

/// Started by hand: say what this is.
fn about<P: Plugin>(world: &mut World<'_>) -> u8 {
    let versions: Vec<&str> = P::VERSIONS.iter().map(|version| version.as_str()).collect();
    let versions = versions.join(", ");
    // Nothing depends on this text, so a closed stderr is no failure.
    let _ = writeln!(world.stderr, "{}\nCNI protocol versions supported: {versions}", P::ABOUT);
    0
}

/// Prints the one document. When it cannot be printed the runtime knows nothing of what was done: the exit
/// status tells it so, and it owes us a DEL, which is what takes an ADD back.
fn print(world: &mut World<'_>, document: &[u8]) -> u8 {
    if document.is_empty() {
        return 0;
    }
    let Err(cause) = world.stdout.write_all(document).and_then(|()| world.stdout.flush()) else { return 0 };
    // stdout is gone; if stderr is too, the exit status has to do.
    let _ = writeln!(world.stderr, "write to stdout: {cause}");
    1
}

#[cfg(test)]
mod tests;
