//! The nf_tables rules of a namespace; elements of sets, which the kernel lists in hash order, are sorted.
use super::super::command;

/// The tables that iptables keeps in nf_tables: how nft prints them depends on its version, so iptables shows them.
const OF_IPTABLES: [(&str, &str); 2] =
    [("table ip nat {", "iptables-save -t nat"), ("table ip6 nat {", "ip6tables-save -t nat")];

/// All rules without counters, sets sorted.
pub(super) fn describe() -> String {
    let ruleset = command::run("nft -s list ruleset");
    ruleset.split_inclusive("\n}\n").map(table).collect()
}

fn table(text: &str) -> String {
    let of_iptables = OF_IPTABLES.iter().find(|(begin, _)| text.starts_with(begin));
    of_iptables.map_or_else(|| sorted(text), |(_, save)| saved(&command::run(save)))
}

/// Chains and rules; comments with the time and counters are left out.
fn saved(text: &str) -> String {
    let lines = text.lines().filter(|line| line.starts_with([':', '-', '*']));
    lines.map(|line| format!("{}\n", line.split(" [").next().unwrap_or(line))).collect()
}

fn sorted(ruleset: &str) -> String {
    let mut out = String::new();
    let mut rest = ruleset;
    while let Some((before, after)) = rest.split_once("elements = {") {
        let (block, behind) = split_outside_quotes(after, '}');
        out += &format!("{before}elements = {{{}\n\t\t}}", elements(block));
        rest = behind;
    }
    out + rest
}

fn elements(mut block: &str) -> String {
    let mut all = Vec::new();
    while !block.trim().is_empty() {
        let (element, rest) = split_outside_quotes(block, ',');
        all.push(element.split_whitespace().collect::<Vec<_>>().join(" "));
        block = rest;
    }
    all.sort();
    all.iter().map(|element| format!("\n\t\t\t{element}")).collect()
}

/// What stands before and after the first `mark` that is not inside a quoted comment.
fn split_outside_quotes(text: &str, mark: char) -> (&str, &str) {
    let mut quoted = false;
    for (place, letter) in text.char_indices() {
        quoted ^= letter == '"';
        if letter == mark && !quoted {
            return (&text[..place], &text[place + 1..]);
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::sorted;

    #[test]
    fn elements_are_sorted_and_comments_stay_whole() {
        let listed = "set s {\n\t\telements = { 10.1.0.3 comment \"b, {c}\",\n\t\t\t 10.1.0.2 }\n\t}\n";
        let wanted =
            "set s {\n\t\telements = {\n\t\t\t10.1.0.2\n\t\t\t10.1.0.3 comment \"b, {c}\"\n\t\t}\n\t}\n";
        assert_eq!(sorted(listed), wanted);
    }
}
