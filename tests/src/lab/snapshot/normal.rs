//! Random names made readable: `veth1a2b3c4d` becomes `veth#1`, a MAC address `mac#1`, in order of appearance.

/// Files that hold the boot's id, inode numbers and times: only their names stay.
const OF_THIS_MACHINE: &str = "/var/lib/cni/networks/.tidewater/";

/// What records of the packet filter say of this machine: the namespace's inode number, a MAC address in bytes.
const OF_RECORDS: [(&str, &str); 2] = [(r#"\"netns\":"#, ","), (r#"\"mac\":["#, "]")];

/// Without what is different on every machine in the contents of files.
pub(super) fn without_machine(text: &str) -> String {
    let shorter = |line: &str| match line.starts_with(OF_THIS_MACHINE) {
        true => line.split(' ').next().unwrap_or_default().to_owned() + "\n",
        false => format!("{}\n", without_values(line)),
    };
    text.lines().map(shorter).collect()
}

fn without_values(line: &str) -> String {
    OF_RECORDS.iter().fold(line.to_owned(), |line, (begin, end)| {
        let parts = line.split_once(begin);
        let parts = parts.and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
        parts.map_or(line.clone(), |(before, after)| format!("{before}{begin}#{end}{after}"))
    })
}

/// Numbers all veth names and MAC addresses in the text.
pub(super) fn numbered(text: &str) -> String {
    let (mut veths, mut macs) = (Vec::new(), Vec::new());
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (name, length) = if let Some(veth) = veth(rest, &out) {
            (format!("veth#{}", number(&mut veths, veth)), veth.len())
        } else if let Some(mac) = mac(rest, &out) {
            (format!("mac#{}", number(&mut macs, mac)), mac.len())
        } else {
            (first.to_string(), first.len_utf8())
        };
        out += &name;
        rest = &rest[length..];
    }
    out
}

fn number<'a>(seen: &mut Vec<&'a str>, name: &'a str) -> usize {
    let place = seen.iter().position(|other| *other == name);
    place.unwrap_or_else(|| {
        seen.push(name);
        seen.len() - 1
    }) + 1
}

fn veth<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let name = text.get(..12)?;
    let random = name.strip_prefix("veth")?;
    (random.bytes().all(is_hex) && alone(before, &text[12..])).then_some(name)
}

fn mac<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let mac = text.get(..17)?;
    let form = mac.bytes().enumerate().all(|(i, byte)| if i % 3 == 2 { byte == b':' } else { is_hex(byte) });
    (form && mac != "00:00:00:00:00:00" && alone(before, &text[17..])).then_some(mac)
}

/// Neither in the middle of a longer word nor of an IPv6 address.
fn alone(before: &str, after: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == ':');
    !joins(before.chars().next_back()) && !joins(after.chars().next())
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::{numbered, without_machine};

    #[test]
    fn each_random_name_keeps_its_number() {
        let text = "veth0a1b2c3d 02:00:00:00:00:01 master br0, veth99999999 02:00:00:00:00:02, veth0a1b2c3d";
        assert_eq!(numbered(text), "veth#1 mac#1 master br0, veth#2 mac#2, veth#1");
    }

    #[test]
    fn other_words_stay() {
        let text = "vethernet 00:00:00:00:00:00 fd00:1:2:3:4:5:6:7 veth0a1b2c3d4 10.1.0.2";
        assert_eq!(numbered(text), text);
    }

    #[test]
    fn a_record_does_not_tell_of_the_machine() {
        let record = r#"k.macspoofchk {\"netns\":4026532948,\"port\":\"v\",\"mac\":[2,0,1]}"#;
        let shown = r##"k.macspoofchk {\"netns\":#,\"port\":\"v\",\"mac\":[#]}"##;
        assert_eq!(without_machine(record), format!("{shown}\n"));
    }
}
