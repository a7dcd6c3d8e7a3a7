//! What one line says about how far a command is.

use crate::task::Progress;

/// What was seen in one line. What it does not say is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// How much is done.
    pub current: Option<u64>,
    /// How much there is to do.
    pub total: Option<u64>,
    /// Hundredths that are done.
    pub percent: Option<f64>,
    /// What is being done.
    pub message: Option<String>,
    /// Which piece of the work is under way.
    pub unit: Option<String>,
    /// A piece of the work that is done now.
    pub done: Option<String>,
}

impl Sight {
    /// So many of so many.
    #[must_use]
    pub fn counted(current: u64, total: u64) -> Self {
        Self { current: Some(current), total: Some(total), ..Self::default() }
    }

    /// So many hundredths.
    #[must_use]
    pub fn percent(percent: f64) -> Self {
        Self { percent: Some(percent), ..Self::default() }
    }

    /// A piece that is done.
    #[must_use]
    pub fn done(name: &str) -> Self {
        Self { done: Some(name.to_owned()), ..Self::default() }
    }

    /// The same with words about what is being done, if there are any.
    #[must_use]
    pub fn saying(mut self, message: &str) -> Self {
        let message = message.trim();
        self.message = (!message.is_empty()).then(|| message.to_owned());
        self
    }

    /// The same with the name of what is under way.
    #[must_use]
    pub fn of(mut self, unit: &str) -> Self {
        self.unit = Some(unit.to_owned());
        self
    }

    /// Whether it can be: not more than there is.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let counted =
            self.current.zip(self.total).is_none_or(|(current, total)| current <= total && total > 0);
        counted && self.percent.is_none_or(|percent| (0.0..=100.0).contains(&percent))
    }

    /// As the record has it, seen by `source`.
    #[must_use]
    pub fn to_progress(&self, source: &str) -> Progress {
        Progress {
            current: self.current,
            total: self.total,
            percent: self.percent,
            message: self.message.clone(),
            unit: self.unit.clone(),
            source: Some(source.to_owned()),
        }
    }
}
