//! The arguments of a call, taken one by one. What is of the wrong kind, out of bounds or not known is refused with a
//! message that says what would be right: a model reads it and tries again.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::failure::Failure;

/// The arguments that have not been taken yet.
#[derive(Debug, Default)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Those of a call.
    #[must_use]
    pub fn new(arguments: Option<Map<String, Value>>) -> Self {
        Self(arguments.unwrap_or_default())
    }

    /// One of any kind; `null` is as good as none.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// A text.
    ///
    /// # Errors
    /// It is something else.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "must be a string")),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// It is not, or is something else.
    pub fn needed_text(&mut self, name: &str) -> Result<String, Failure> {
        self.text(name)?.ok_or_else(|| wrong(name, "is needed"))
    }

    /// True or false.
    ///
    /// # Errors
    /// It is something else.
    pub fn flag(&mut self, name: &str) -> Result<bool, Failure> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is something else, or out of bounds.
    pub fn count(&mut self, name: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>, Failure> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let (least, most) = (bounds.start(), bounds.end());
        let count = value.as_u64().or_else(|| whole(value.as_f64()?)).filter(|count| bounds.contains(count));
        count.map(Some).ok_or_else(|| wrong(name, &format!("must be a whole number from {least} to {most}")))
    }

    /// A span of seconds, parts of them included.
    ///
    /// # Errors
    /// It is something else, or too long.
    pub fn seconds(&mut self, name: &str, most: u64) -> Result<Option<std::time::Duration>, Failure> {
        let Some(value) = self.take(name) else { return Ok(None) };
        #[expect(clippy::cast_precision_loss, reason = "limits are small")]
        let seconds = value.as_f64().filter(|seconds| (0.0..=most as f64).contains(seconds));
        let span = seconds.map(std::time::Duration::from_secs_f64);
        span.map(Some).ok_or_else(|| wrong(name, &format!("must be a number of seconds from 0 to {most}")))
    }

    /// A list of texts; one text alone is a list of one where that cannot be misunderstood.
    ///
    /// # Errors
    /// It is something else.
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let list = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(wrong(name, "must be a list of strings, as [\"make\", \"-j8\"]")),
        };
        list.into_iter()
            .map(|value| match value {
                Value::String(text) => Ok(text),
                _ => Err(wrong(name, "must be a list of strings")),
            })
            .collect()
    }

    /// Names with their values.
    ///
    /// # Errors
    /// It is something else.
    pub fn pairs(&mut self, name: &str) -> Result<Vec<(String, String)>, Failure> {
        let map = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Object(map)) => map,
            Some(_) => return Err(wrong(name, "must be an object of strings, as {\"LEVEL\": \"2\"}")),
        };
        map.into_iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key, text)),
                _ => Err(wrong(name, "must be an object of strings")),
            })
            .collect()
    }

    /// Nothing else was given.
    ///
    /// # Errors
    /// Something was.
    pub fn end(self) -> Result<(), Failure> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(60).collect();
                Err(Failure::usage(format!("there is no argument '{name}'"))
                    .hint("the tool's input schema lists its arguments"))
            }
        }
    }
}

/// A number that some client writes as `5.0`.
fn whole(number: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what does not fit is no whole number"
    )]
    let count = number as u64;
    #[expect(clippy::cast_precision_loss, reason = "only equality counts")]
    let is_whole = count as f64 == number;
    is_whole.then_some(count)
}

/// The failure of an argument.
#[must_use]
pub fn wrong(name: &str, why: &str) -> Failure {
    Failure::usage(format!("the argument '{name}' {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: Value) -> Arguments {
        Arguments::new(value.as_object().cloned())
    }

    #[test]
    fn arguments_are_taken_one_by_one() -> Result<(), Failure> {
        let mut given = arguments(json!({
            "a": "x", "b": true, "c": 5.0, "d": ["y"], "e": {"k": "v"}, "f": null, "g": 0.5
        }));
        assert_eq!(given.text("a")?.as_deref(), Some("x"));
        assert!(given.flag("b")?);
        assert_eq!(given.count("c", 1..=9)?, Some(5));
        assert_eq!(given.texts("d")?, ["y"]);
        assert_eq!(given.pairs("e")?, [("k".to_owned(), "v".to_owned())]);
        assert_eq!(given.text("f")?, None);
        assert_eq!(given.seconds("g", 1)?, Some(std::time::Duration::from_millis(500)));
        assert_eq!(given.count("z", 0..=1)?, None);
        given.end()
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let mut given = arguments(json!({
            "a": 1, "b": "yes", "c": -1, "c2": 10, "c3": 1.5, "d": "make", "d2": [1], "e": {"k": 1}, "g": "1", "g2": 1e300
        }));
        assert!(given.text("a").is_err());
        assert!(given.flag("b").is_err());
        for name in ["c", "c2", "c3"] {
            let message = given.count(name, 0..=9).err().map(|failure| failure.message().to_owned());
            assert!(message.is_some_and(|text| text.ends_with("a whole number from 0 to 9")), "{name}");
        }
        assert!(given.texts("d").is_err());
        assert!(given.texts("d2").is_err());
        assert!(given.pairs("e").is_err());
        assert!(given.seconds("g", 9).is_err());
        assert!(given.seconds("g2", 9).is_err());
        assert!(given.needed_text("none").is_err());
        assert!(arguments(json!({"other": 1})).end().is_err());
    }
}
