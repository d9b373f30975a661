//! `CNI_ARGS`: `K=V;K2=V2`, read as the reference reads it.

use super::Caller;
use crate::error::{Error, Result};

impl Caller {
    /// The pairs of `CNI_ARGS` whose keys are `known`, in order; `IgnoreUnknown` is always known.
    ///
    /// # Errors
    /// `ARGS: …` for a pair without exactly one `=`, and for unknown keys unless `IgnoreUnknown` is true.
    /// They have code 999 as in the reference, which runtimes' tests rely on.
    pub fn args(&self, known: &[&str]) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        let mut unknown = Vec::new();
        let mut ignore_unknown = false;
        for pair in self.args.split(';').filter(|_| !self.args.is_empty()) {
            let (key, value) = key_and_value(pair)?;
            match key {
                "IgnoreUnknown" => ignore_unknown = boolean(pair, value)?,
                _ if known.contains(&key) => found.push((key.to_owned(), value.to_owned())),
                _ => unknown.push(pair),
            }
        }
        if unknown.is_empty() || ignore_unknown { Ok(found) } else { Err(unknown_args(&unknown)) }
    }
}

fn key_and_value(pair: &str) -> Result<(&str, &str)> {
    pair.split_once('=')
        .filter(|(_, value)| !value.contains('='))
        .ok_or_else(|| Error::internal(format!("ARGS: invalid pair {pair:?}")))
}

fn boolean(pair: &str, value: &str) -> Result<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Error::internal(format!("ARGS: parse value of pair {pair:?}: want true, false, 1 or 0"))),
    }
}

fn unknown_args(pairs: &[&str]) -> Error {
    let quoted: Vec<String> = pairs.iter().map(|pair| format!("{pair:?}")).collect();
    Error::internal(format!("ARGS: unknown args [{}]", quoted.join(" ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;
    use crate::error::Code;
    use proptest::prelude::*;

    fn args(text: &str) -> Result<Vec<(String, String)>> {
        Caller { args: text.to_owned(), ..Caller::default() }.args(&["IP", "MAC"])
    }

    fn complaint(text: &str) -> String {
        let error = args(text).unwrap_err();
        assert_eq!(error.code, Code::Internal);
        error.msg
    }

    #[test]
    fn known_pairs_are_given_in_order() {
        let pairs = [("MAC".to_owned(), "02:00:00:00:00:01".to_owned()), ("IP".to_owned(), String::new())];
        assert_eq!(args("MAC=02:00:00:00:00:01;IP=").unwrap(), pairs);
        assert_eq!(args("").unwrap(), []);
    }

    #[test]
    fn unknown_pairs_are_refused_unless_they_are_to_be_ignored() {
        assert_eq!(complaint("FOO=BAR"), r#"ARGS: unknown args ["FOO=BAR"]"#);
        assert_eq!(complaint("A=1;IP=x;ip=y;IgnoreUnknown=0"), r#"ARGS: unknown args ["A=1" "ip=y"]"#);
        for ignore in ["1", "true", "TRUE"] {
            assert_eq!(args(&format!("K8S_POD_NAME=p;IgnoreUnknown={ignore};IP=x")).unwrap().len(), 1);
        }
    }

    #[test]
    fn a_pair_has_exactly_one_equals_sign() {
        assert_eq!(complaint("IP=1;"), r#"ARGS: invalid pair """#);
        assert_eq!(complaint("IP"), r#"ARGS: invalid pair "IP""#);
        assert_eq!(complaint("IgnoreUnknown=1;A=b=c"), r#"ARGS: invalid pair "A=b=c""#);
    }

    #[test]
    fn ignore_unknown_is_a_boolean() {
        assert!(
            complaint("IgnoreUnknown=yes").starts_with(r#"ARGS: parse value of pair "IgnoreUnknown=yes""#)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = args(&text);
        }

        #[test]
        fn well_formed_pairs_all_come_back(values in proptest::collection::vec("[^=;]*", 0..5)) {
            let text: Vec<String> = values.iter().map(|value| format!("IP={value}")).collect();
            let found: Vec<String> = args(&text.join(";")).unwrap().into_iter().map(|(_, value)| value).collect();
            prop_assert_eq!(found, values);
        }
    }
}
