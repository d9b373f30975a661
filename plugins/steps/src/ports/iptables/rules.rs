//! The rules themselves, in the words and the order of the reference plugins.

use super::super::{Mark, Ports, Protocol, Side, Source};
use super::standing::Missing;
use crate::iptables::Tool;
use crate::label::{Label, hash_prefix};
use std::fmt::Write as _;
use std::net::IpAddr;

pub(super) const TABLE: &str = "nat";
/// What leads to the containers' chains.
pub(super) const DNAT: &str = "CNI-HOSTPORT-DNAT";
/// Marks what is to be masqueraded.
pub(super) const SETMARK: &str = "CNI-HOSTPORT-SETMARK";
/// Masquerades what is marked.
pub(super) const MASQ: &str = "CNI-HOSTPORT-MASQ";
/// What the name of every container's chain begins with.
pub(super) const PREFIX: &str = "CNI-DN-";
/// So many ports does the match `multiport` take.
const PORTS_OF_A_RULE: usize = 15;
/// A longer comment is cut to less and three dots.
const COMMENT_MAX: usize = 255;
const COMMENT_CUT: usize = 253;

/// The container's chain: 28 characters, the most that iptables takes.
pub(super) fn chain_of(label: &Label) -> String {
    let hash = hash_prefix(label.seed(), 11);
    format!("{PREFIX}{}", &hash[..21])
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) chain: String,
    pub(super) words: String,
    /// Before all others of its chain.
    first: bool,
}

/// What is to stand in one family's table nat for one container.
#[derive(Debug)]
pub(super) struct Rules {
    /// The container's chain.
    pub(super) chain: String,
    /// The shared chains.
    pub(super) shared_chains: Vec<&'static str>,
    /// Rules that all containers share.
    pub(super) shared: Vec<Rule>,
    /// The container's, and those that lead to its chain; none where it has no mapping in this family.
    pub(super) own: Vec<Rule>,
    /// The mark bits of the shared rules, for who looks for them.
    pub(super) masks: Vec<u32>,
}

impl Rule {
    fn new(chain: impl Into<String>, words: impl Into<String>) -> Rule {
        Rule { chain: chain.into(), words: words.into(), first: false }
    }

    fn add(&self) -> String {
        format!("{} {} {}", if self.first { "-I" } else { "-A" }, self.chain, self.words)
    }
}

impl Rules {
    /// Of all these attachments, which share the container's chain.
    pub(super) fn of(tool: &Tool, label: &Label, sharing: &[&Ports]) -> Rules {
        let chain = chain_of(label);
        let mut rules = Rules {
            chain,
            shared_chains: vec![DNAT],
            shared: Vec::new(),
            own: Vec::new(),
            masks: Vec::new(),
        };
        for ports in sharing {
            for side in ports.sides.iter().filter(|side| side.container.addr().is_ipv4() == tool.v4) {
                rules.share_marks(&ports.source);
                rules.translate(side, &ports.source);
                rules.enter(side, label);
            }
        }
        rules.shared.extend(
            ["PREROUTING", "OUTPUT"]
                .map(|hook| Rule::new(hook, format!("-m addrtype --dst-type LOCAL -j {DNAT}"))),
        );
        rules
    }

    /// The rules of a mark bit; of another chain's marks none.
    fn share_marks(&mut self, source: &Source) {
        let mask = source.mark.mask();
        if !source.snat || mask == 0 || self.masks.contains(&mask) {
            return;
        }
        let marking = format!(
            "-m comment --comment \"CNI portfwd masquerade mark\" -j MARK --set-xmark {mask:#x}/{mask:#x}"
        );
        self.shared.push(Rule::new(SETMARK, marking));
        self.shared.push(Rule::new(MASQ, format!("-m mark --mark {mask:#x}/{mask:#x} -j MASQUERADE")));
        if self.masks.is_empty() {
            self.shared_chains.splice(0..0, [SETMARK, MASQ]);
            // Before the masquerade of containers' subnets, which would end the packet's way.
            let entry = format!("-m comment --comment \"CNI portfwd requiring masquerade\" -j {MASQ}");
            self.shared.push(Rule { first: true, ..Rule::new("POSTROUTING", entry) });
        }
        self.masks.push(mask);
    }

    /// For each port: who calls from where no answer finds back is marked, then all are led to the container.
    fn translate(&mut self, side: &Side, source: &Source) {
        let marking = match &source.mark {
            Mark::Bit(_) => SETMARK,
            Mark::Chain(chain) => chain,
        };
        let callers = marked_callers(side, source);
        for mapping in &side.mappings {
            for (host, container) in mapping.pairs() {
                let mut base = format!("-p {} --dport {host}", mapping.protocol);
                if let Some(address) = mapping.address {
                    // Writing to a String cannot fail.
                    let _ = write!(base, " -d {address}");
                }
                for caller in &callers {
                    self.own.push(Rule::new(&self.chain, format!("{base} -s {caller} -j {marking}")));
                }
                let to = endpoint(side.container.addr(), container);
                self.own.push(Rule::new(&self.chain, format!("{base} -j DNAT --to-destination {to}")));
            }
        }
    }

    /// What leads to the container's chain, protocols by their names.
    fn enter(&mut self, side: &Side, label: &Label) {
        let conditions: String = side.conditions.iter().map(|word| format!(" {}", quoted(word))).collect();
        let comment = quoted(&comment(label));
        for protocol in [Protocol::Sctp, Protocol::Tcp, Protocol::Udp] {
            let mappings = side.mappings.iter().filter(|mapping| mapping.protocol == protocol);
            let ports: Vec<String> =
                mappings.flat_map(|mapping| mapping.host.each()).map(|port| port.to_string()).collect();
            for ports in ports.chunks(PORTS_OF_A_RULE) {
                let ports = ports.join(",");
                self.own.push(Rule::new(
                    DNAT,
                    format!(
                        "-m comment --comment {comment} -m multiport -p {protocol} --destination-ports {ports}{conditions} -j {}",
                        self.chain
                    ),
                ));
            }
        }
    }

    /// What makes all of it, where this is missing of the shared part. A chain that is missing is created (`-N`), so
    /// that one made by somebody else at this moment is an error and is not emptied.
    pub(super) fn script(&self, missing: &Missing) -> String {
        let mut text = format!("*{TABLE}\n");
        for chain in &missing.chains {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "-N {chain}");
        }
        let _ = writeln!(text, ":{} - [0:0]", self.chain);
        for rule in missing.rules.iter().chain(&self.own) {
            let _ = writeln!(text, "{}", rule.add());
        }
        text + "COMMIT\n"
    }

    /// What fails unless all of it stands, and changes nothing.
    pub(super) fn check_script(&self) -> String {
        let mut text = format!("*{TABLE}\n");
        for rule in self.shared.iter().chain(&self.own) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "-C {} {}", rule.chain, rule.words);
        }
        text + "COMMIT\n"
    }
}

/// The container's own neighbours and, where there is such a thing as routing it, the loopback.
fn marked_callers(side: &Side, source: &Source) -> Vec<String> {
    match (source.snat, source.masquerade_all, side.container.addr()) {
        (false, _, _) => vec![],
        (true, true, IpAddr::V4(_)) => vec!["0.0.0.0/0".to_owned()],
        (true, true, IpAddr::V6(_)) => vec!["::/0".to_owned()],
        (true, false, IpAddr::V4(_)) => vec![side.container.trunc().to_string(), "127.0.0.1".to_owned()],
        (true, false, IpAddr::V6(_)) => vec![side.container.trunc().to_string()],
    }
}

fn endpoint(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

fn comment(label: &Label) -> String {
    let (network, container, _) = label.names();
    let comment = format!("dnat name: \"{network}\" id: \"{container}\"");
    if comment.len() <= COMMENT_MAX {
        return comment;
    }
    let end = (0..=COMMENT_CUT).rev().find(|end| comment.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", &comment[..end])
}

/// A word as `iptables-restore` reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,!+=%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
