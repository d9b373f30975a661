//! Running programs with a deadline, and saying clearly which one is missing.
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long an ordinary tool may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a program did.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    /// From the start until both pipes were closed and the process had ended.
    pub took: Duration,
}

/// Fails the test, with the way out, when a program is not installed. `make test` installs tests/packages.txt first,
/// so that a missing program is a defect of the set-up and not a reason to skip.
pub fn needs(programs: &[&str]) {
    for program in programs {
        assert!(
            is_installed(program),
            "this test needs the program {program:?}, which is not on this machine: \
             install the packages of tests/packages.txt (make test does it)"
        );
    }
}

fn is_installed(program: &str) -> bool {
    let dirs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    program.starts_with('/') && Path::new(program).exists()
        || dirs.iter().any(|dir| Path::new(dir).join(program).exists())
}

/// Runs a command line (words separated by spaces); it has to succeed. Returns its standard output.
pub fn run(line: &str) -> String {
    try_run(line).unwrap_or_else(|cause| panic!("{cause}"))
}

/// The same, with the failure as a value: command line, status and standard error.
pub fn try_run(line: &str) -> Result<String, String> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("an empty command line"));
    command.args(words);
    let done = finish(&mut command, b"", PATIENCE);
    match done.status.success() {
        true => Ok(done.stdout),
        false => Err(format!("{line}: {}: {}{}", done.status, done.stderr, done.stdout)),
    }
}

/// Runs a program to its end, feeding `stdin`: until it has ended and nobody holds its output any more. When that has not
/// happened at the deadline, the program is killed and the test fails.
pub fn finish(command: &mut Command, stdin: &[u8], deadline: Duration) -> Finished {
    let name = format!("{command:?}");
    let begin = Instant::now();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|cause| panic!("start {name}: {cause}"));
    feed(child.stdin.take(), stdin.to_vec());
    let pipes = [drain(child.stdout.take()), drain(child.stderr.take())];
    let texts = pipes.map(|pipe| pipe.recv_timeout(deadline.saturating_sub(begin.elapsed())).ok());
    let status = ended(&mut child, begin + deadline);
    let (Some(status), [Some(stdout), Some(stderr)]) = (status, texts) else {
        panic!("{name} had not ended and let go of its output after {deadline:?}");
    };
    Finished { status, stdout, stderr, took: begin.elapsed() }
}

fn feed(pipe: Option<ChildStdin>, bytes: Vec<u8>) {
    // A program may end without reading: a broken pipe is its right.
    std::thread::spawn(move || pipe.map(|mut pipe| pipe.write_all(&bytes)));
}

/// Reads on a thread of its own that may be left behind: a pipe ends when the last process that inherited it lets go.
fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (whole, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.expect("a pipe was asked for").read_to_end(&mut bytes).ok();
        whole.send(String::from_utf8_lossy(&bytes).into_owned())
    });
    receiver
}

/// How the child ended; at the deadline it is killed.
pub fn ended(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("wait for a child") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().ok();
    child.wait().ok();
    None
}
