//! How far a task is: what is known of it, and how the record says it.

use serde_json::{Map, Value};

use super::Record;
use super::record::field;

/// How far a task is. What is not known is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// How much is done, in whatever the source counts.
    pub current: Option<u64>,
    /// How much there is to do, in the same.
    pub total: Option<u64>,
    /// Hundredths that are done: 0 to 100.
    pub percent: Option<f64>,
    /// What is being done, in the source's words.
    pub message: Option<String>,
    /// What is counted, or which piece of the work is under way.
    pub unit: Option<String>,
    /// Who says so: the name of a recogniser, `pattern`, `osc`, `notify`, `command`, `units`.
    pub source: Option<String>,
}

impl Progress {
    /// Whether it says in numbers how far it is.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.current.is_some() || self.percent.is_some()
    }

    /// The hundredths that are done: as told, or from what is counted.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        let counted = || match (self.current, self.total) {
            #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
            (Some(current), Some(total)) if total > 0 => Some(current as f64 * 100.0 / total as f64),
            _ => None,
        };
        self.percent.or_else(counted).map(|percent| percent.clamp(0.0, 100.0))
    }

    /// The value of the record's field `progress`: an object with all six members, `null` where nothing is known, the
    /// percentage to a tenth.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let percent = self.percent().map(|percent| (percent * 10.0).round() / 10.0);
        let members: [(&str, Value); 6] = [
            ("current", self.current.into()),
            ("total", self.total.into()),
            ("percent", percent.into()),
            ("message", self.message.clone().into()),
            ("unit", self.unit.clone().into()),
            ("source", self.source.clone().into()),
        ];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
    }

    /// What `record` says, in its field `progress` or, as other tools do, in its units. `None` if it says nothing.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        if let Some(told) = record.fields().get(field::PROGRESS).and_then(Value::as_object) {
            let count = |name: &str| told.get(name).and_then(Value::as_u64);
            let text = |name: &str| told.get(name).and_then(Value::as_str).map(str::to_owned);
            let progress = Self {
                current: count("current"),
                total: count("total"),
                percent: told.get("percent").and_then(Value::as_f64).filter(|p| (0.0..=100.0).contains(p)),
                message: text("message"),
                unit: text("unit"),
                source: text("source"),
            };
            if progress.current.is_some() || progress.percent.is_some() || progress.message.is_some() {
                return Some(progress);
            }
        }
        let done = record.count(field::STACKS_COMPLETED);
        let total = record.count(field::STACKS_TOTAL).filter(|&total| total > 0);
        if total.is_none() && done.is_none_or(|done| done == 0) {
            return None;
        }
        Some(Self { current: Some(done.unwrap_or(0)), total, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::record::NotARecord;

    #[test]
    fn what_is_written_is_read() -> Result<(), NotARecord> {
        let progress = Progress {
            current: Some(1),
            total: Some(3),
            percent: None,
            message: Some("building".to_owned()),
            unit: None,
            source: Some("ninja".to_owned()),
        };
        let mut record = Record::new();
        record.set(field::PROGRESS, progress.to_value());
        let read = Progress::of(&record);
        assert_eq!(read, Some(Progress { percent: Some(33.3), ..progress }));
        Ok(())
    }

    #[test]
    fn what_is_no_progress_is_passed_over() -> Result<(), NotARecord> {
        for (text, percent) in [
            (r#"{}"#, None),
            (r#"{"progress":7,"stacks_completed":1,"stacks_total":4}"#, Some(25.0)),
            (r#"{"progress":{"percent":"x"},"stacks_total":4}"#, Some(0.0)),
            (r#"{"progress":{"percent":12.5}}"#, Some(12.5)),
            (r#"{"progress":{"percent":1e9,"current":3,"total":2}}"#, Some(100.0)),
            (r#"{"stacks_completed":0}"#, None),
            (r#"{"stacks_completed":-3,"stacks_total":"x"}"#, None),
        ] {
            let record = Record::from_bytes(text.as_bytes())?;
            assert_eq!(Progress::of(&record).and_then(|progress| progress.percent()), percent, "{text}");
        }
        Ok(())
    }
}
