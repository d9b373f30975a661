//! Reading JSON by Go's rules: keys match whatever their case, and null counts as absent.
//!
//! Users have files with wrong case that work today, and containerd sends capability keys capitalised. A
//! struct tells its field names to the deserializer, so each field is looked up, the exact spelling first.
//! What a struct does not know is never looked at. An error names the path of the key,
//! `ipam.ranges[0].subnet`; the path is put together on the way out, so that it costs nothing as long as all
//! is well.
//!
//! `flatten` and untagged enums take their fields verbatim, without these rules: avoid them.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value, map};

/// Reads a typed value out of JSON by Go's rules.
pub(crate) fn read<'de, T: de::Deserialize<'de>>(value: &'de Value) -> Result<T, Error> {
    T::deserialize(Folding(value))
}

/// The member that Go's decoder would take for `key`: exact case first, null is none.
pub(crate) fn member<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let exact = object.get(key).filter(|value| !value.is_null());
    exact.or_else(|| {
        let mut others = object.iter().rev();
        others
            .find(|(other, value)| other.eq_ignore_ascii_case(key) && !value.is_null())
            .map(|(_, value)| value)
    })
}

/// Where in the document, and what is wrong there.
#[derive(Debug)]
pub(crate) struct Error {
    path: String,
    cause: String,
}

impl Error {
    fn under_key(mut self, key: &str) -> Error {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{separator}{}", self.path);
        self
    }

    fn under_index(mut self, index: usize) -> Error {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("[{index}]{separator}{}", self.path);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.cause)
        } else {
            write!(f, "{}: {}", self.path, self.cause)
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(cause: T) -> Error {
        Error { path: String::new(), cause: cause.to_string() }
    }
}

/// A JSON value that is read by Go's rules.
#[derive(Clone, Copy)]
struct Folding<'de>(&'de Value);

impl<'de> Folding<'de> {
    /// serde's own deserializer for scalars; its error already says what was found and what expected.
    fn scalar<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        Deserializer::deserialize_any(self.0, visitor)
            .map_err(|cause: serde_json::Error| de::Error::custom(cause))
    }

    fn items<V: Visitor<'de>>(items: &'de [Value], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { items, next: 0 })
    }
}

impl<'de> Deserializer<'de> for Folding<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => Folding::items(items, visitor),
            Value::Object(object) => visitor.visit_map(Members::all(object)),
            _ => self.scalar(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { Folding::items(&[], visitor) } else { self.deserialize_any(visitor) }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_map(Members::none()),
            Value::Object(object) => visitor.visit_map(Members::present(object)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_map(Members::none()),
            Value::Object(object) => visitor.visit_map(Members::of_fields(object, fields)),
            // serde would fill a struct from an array in order of its fields; Go does not.
            Value::Array(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &visitor)),
            _ => self.scalar(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(variant) => visitor.visit_enum(variant.as_str().into_deserializer()),
            _ => self.scalar(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct identifier
    }
}

/// The elements of an array, counted for the path of an error.
struct Items<'de> {
    items: &'de [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(Folding(item)).map(Some).map_err(|error| error.under_index(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

/// The members of an object as somebody wants to see them.
struct Members<'de> {
    from: From<'de>,
    value: Option<(&'de str, &'de Value)>,
}

/// Which members, under which names.
enum From<'de> {
    /// A struct's: found by folding, handed over under the field's own name.
    Fields { object: &'de Map<String, Value>, fields: std::slice::Iter<'static, &'static str> },
    /// A map's: as they are written, null left out.
    Present(map::Iter<'de>),
    /// A JSON value's: everything.
    All(map::Iter<'de>),
    /// Those of null.
    Nothing,
}

impl<'de> Members<'de> {
    fn of_fields(object: &'de Map<String, Value>, fields: &'static [&'static str]) -> Self {
        Members { from: From::Fields { object, fields: fields.iter() }, value: None }
    }

    fn present(object: &'de Map<String, Value>) -> Self {
        Members { from: From::Present(object.iter()), value: None }
    }

    fn all(object: &'de Map<String, Value>) -> Self {
        Members { from: From::All(object.iter()), value: None }
    }

    fn none() -> Self {
        Members { from: From::Nothing, value: None }
    }

    fn advance(&mut self) -> Option<(&'de str, &'de Value)> {
        match &mut self.from {
            From::Fields { object, fields } => {
                fields.find_map(|field| member(object, field).map(|value| (*field, value)))
            }
            From::Present(members) => {
                members.find(|(_, value)| !value.is_null()).map(|(key, value)| (key.as_str(), value))
            }
            From::All(members) => members.next().map(|(key, value)| (key.as_str(), value)),
            From::Nothing => None,
        }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.value = self.advance();
        let Some((key, _)) = self.value else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(key)).map(Some).map_err(|error: Error| error.under_key(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, value)) = self.value.take() else {
            return Err(de::Error::custom("value asked for before its key"));
        };
        seed.deserialize(Folding(value)).map_err(|error| error.under_key(key))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    #[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Outer {
        host_port: Option<u16>,
        flag: bool,
        name: String,
        ranges: Vec<Vec<Inner>>,
        mode: Option<Mode>,
        by_name: HashMap<String, Inner>,
        anything: Option<Value>,
    }

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Inner {
        subnet: String,
    }

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Slow,
    }

    fn outer(value: &Value) -> Outer {
        read(value).unwrap()
    }

    fn complaint(value: &Value) -> String {
        read::<Outer>(value).unwrap_err().to_string()
    }

    #[test]
    fn keys_match_whatever_their_case_at_every_depth() {
        let value = json!({"HostPort": 80, "FLAG": true, "Ranges": [[{"Subnet": "a"}]], "byname": {"X": {"SUBNET": "b"}}});
        let read = outer(&value);
        assert_eq!((read.host_port, read.flag), (Some(80), true));
        assert_eq!(read.ranges, [[Inner { subnet: "a".into() }]]);
        assert_eq!(read.by_name["X"], Inner { subnet: "b".into() });
    }

    #[test]
    fn the_exact_key_wins_over_another_case_unless_it_is_null() {
        assert_eq!(outer(&json!({"NAME": "x", "name": "exact", "nAmE": "y"})).name, "exact");
        assert_eq!(outer(&json!({"NAME": "x", "name": null})).name, "x");
    }

    #[test]
    fn the_last_duplicate_wins() {
        let value: Value = serde_json::from_str(r#"{"name":"a","name":"b"}"#).unwrap();
        assert_eq!(outer(&value).name, "b");
    }

    #[test]
    fn null_is_absent() {
        let nulls = json!({"hostPort": null, "flag": null, "name": null, "ranges": null, "byName": null, "mode": null});
        assert_eq!(outer(&nulls), Outer::default());
        assert_eq!(outer(&Value::Null), Outer::default());
        assert_eq!(outer(&json!({"byName": {"a": null}, "ranges": [null]})).ranges, [[]]);
    }

    #[test]
    fn unknown_keys_are_ignored_whatever_they_hold() {
        assert_eq!(outer(&json!({"unknown": {"deep": [1, {"x": null}]}})), Outer::default());
    }

    #[test]
    fn free_values_are_handed_over_as_they_are() {
        let free = json!({"Key": null, "key": [null, 1.5, -1, {"X": "y"}]});
        assert_eq!(outer(&json!({"ANYTHING": free})).anything, Some(free));
    }

    #[test]
    fn enums_are_strings() {
        assert_eq!(outer(&json!({"mode": "slow"})).mode, Some(Mode::Slow));
        assert_eq!(complaint(&json!({"mode": "x"})), "mode: unknown variant `x`, expected `fast` or `slow`");
    }

    #[test]
    fn an_error_names_the_path_and_what_was_expected() {
        for (value, expected) in [
            (
                json!({"ranges": [[{"subnet": "a"}, {"SUBNET": 5}]]}),
                "ranges[0][1].subnet: invalid type: integer `5`, expected a string",
            ),
            (json!({"ranges": [[{}]]}), "ranges[0][0]: missing field `subnet`"),
            (
                json!({"byName": {"x": {"subnet": true}}}),
                "byName.x.subnet: invalid type: boolean `true`, expected a string",
            ),
            (json!({"flag": "true"}), "flag: invalid type: string \"true\", expected a boolean"),
            (json!({"hostPort": 65536}), "hostPort: invalid value: integer `65536`, expected u16"),
            (json!({"hostPort": -1}), "hostPort: invalid value: integer `-1`, expected u16"),
            (json!({"hostPort": 1.0}), "hostPort: invalid type: floating point `1.0`, expected u16"),
            (json!({"ranges": {}}), "ranges: invalid type: map, expected a sequence"),
            (json!({"ranges": [["x"]]}), "ranges[0][0]: invalid type: string \"x\", expected struct Inner"),
            (json!({"ranges": [[["x"]]]}), "ranges[0][0]: invalid type: sequence, expected struct Inner"),
        ] {
            assert_eq!(complaint(&value), expected);
        }
    }

    /// Any JSON value, not too large.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-zA-Z]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let key = prop_oneof!["(?i)(name|flag|ranges|subnet|mode|byname|hostport)", "[a-z]{0,3}"];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(key, inner, 0..6)
                    .prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_refused(value in any_json()) {
            let _ = read::<Outer>(&value);
            prop_assert_eq!(read::<Option<Value>>(&value).unwrap().unwrap_or_default(), value);
        }

        #[test]
        fn the_case_of_keys_makes_no_difference(port: u16, flag: bool, name in ".*", upper: bool) {
            let key = |key: &str| if upper { key.to_uppercase() } else { key.to_lowercase() };
            let value = json!({key("hostPort"): port, key("flag"): flag, key("name"): name});
            let expected = Outer { host_port: Some(port), flag, name, ..Outer::default() };
            prop_assert_eq!(read::<Outer>(&value).unwrap(), expected);
        }
    }
}
