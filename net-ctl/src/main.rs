//! net-ctl: Tidewater's command line. One file for each subcommand.

mod answer;
mod failure;
mod firewall;
mod network;
mod ns;
mod places;
mod privileges;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::answer::Answer;
use crate::failure::{Exit, Failure};

/// Container networking by hand: network namespaces, and their attachments to CNI networks.
///
/// A container is a network namespace with a name; a network is a CNI configuration list (.conflist):
///
///   net-ctl ns create web                      make a namespace
///   net-ctl network list                       see which networks there are
///   net-ctl network add front web              attach it: interface eth0, addresses, routes
///   net-ctl ns exec web -- ip address          look at it from inside
///   net-ctl network del front web              detach it
///   net-ctl ns delete web                      take the namespace away
#[derive(Parser)]
#[command(name = "net-ctl", version, verbatim_doc_comment, after_long_help = failure::EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true, propagate_version = true)]
struct Cli {
    /// Print one JSON document on stdout, whether a result or {"error":{"what","cause","next","exit"}}
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Network namespaces that have a name, as `ip netns` has them
    #[command(subcommand, after_long_help = failure::SEE_EXIT_CODES)]
    Ns(ns::Command),
    /// Attachments of containers to CNI networks
    ///
    /// A network is a file NAME.conflist in /etc/cni/net.d, for example:
    ///
    ///   { "cniVersion": "1.1.0", "name": "front",
    ///     "plugins": [ { "type": "bridge", "bridge": "br-front", "isGateway": true, "ipMasq": true,
    ///                    "ipam": { "type": "host-local", "ranges": [ [ { "subnet": "10.9.0.0/24" } ] ],
    ///                              "routes": [ { "dst": "0.0.0.0/0" } ] } } ] }
    ///
    /// The plugins are programs of those names in the plugin directories.
    #[command(subcommand, verbatim_doc_comment, after_long_help = failure::SEE_EXIT_CODES)]
    Network(Box<network::Command>),
    /// What attachments have in the packet filter: masquerade, port mappings, firewall, spoof checks
    #[command(subcommand, after_long_help = failure::SEE_EXIT_CODES)]
    Firewall(firewall::Command),
}

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => {
            let outcome = match &cli.command {
                Command::Ns(command) => command.run(),
                Command::Network(command) => command.run(),
                Command::Firewall(command) => command.run(),
            };
            finish(cli.json, outcome)
        }
        Err(error) => unparsed(&error),
    }
}

fn finish(json: bool, outcome: Result<Answer, Failure>) -> ExitCode {
    match outcome {
        Ok(answer) => {
            answer.print(json);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            failure.print(json);
            failure.exit.into()
        }
    }
}

/// Help and version are answers; anything else is a mistake on the command line.
fn unparsed(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || !std::env::args().any(|argument| argument == "--json") {
        // Nobody is left to be told when the terminal is gone.
        let _ = error.print();
        return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
    }
    let text = error.to_string();
    // Below the first paragraph is the usage, which --help has too.
    let cause: Vec<_> = text
        .trim_start_matches("error: ")
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    finish(
        true,
        Err(Failure::new(Exit::Usage, "read the command line", cause.join(" ")).next("net-ctl --help")),
    )
}
