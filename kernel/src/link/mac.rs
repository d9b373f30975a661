//! Hardware addresses.

use crate::error::Tried;
use std::fmt;
use std::str::FromStr;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A new locally administered unicast address.
    ///
    /// # Errors
    /// The kernel gives no random bytes.
    pub fn random() -> Result<Mac, crate::error::Error> {
        let mut bytes = [0; 6];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .tried("draw", "a random MAC")?;
        bytes[0] = bytes[0] & 0xfc | 0x02;
        Ok(Mac(bytes))
    }
}

/// Text that is not six pairs of hexadecimal digits with colons between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacError;

impl fmt::Display for MacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a hardware address such as 02:42:0a:01:00:02")
    }
}

impl std::error::Error for MacError {}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Mac, MacError> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            *byte = parts.next().and_then(pair).ok_or(MacError)?;
        }
        if parts.next().is_some() { Err(MacError) } else { Ok(Mac(bytes)) }
    }
}

/// Exactly two digits: `from_str_radix` alone would take `+1` and `1`.
fn pair(text: &str) -> Option<u8> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(text, 16).ok().filter(|_| digits)
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<[u8; 6]> for Mac {
    fn from(bytes: [u8; 6]) -> Mac {
        Mac(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let mac = Mac([2, 0x42, 10, 1, 0, 0xff]);
        assert_eq!(mac.to_string(), "02:42:0a:01:00:ff");
        assert_eq!("02:42:0A:01:00:FF".parse(), Ok(mac));
    }

    #[test]
    fn refuses_other_text() {
        for text in
            ["", "02:42:0a:01:00", "02:42:0a:01:00:ff:00", "2:42:0a:01:00:ff", "+2:42:0a:01:00:ff", "zz:"]
        {
            assert_eq!(text.parse::<Mac>(), Err(MacError), "{text}");
        }
    }
}
