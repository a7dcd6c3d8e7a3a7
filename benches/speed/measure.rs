//! What was measured, and what stands for many measurements. Pure.

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Bytes,
}

/// What a row brought.
#[derive(Debug)]
pub enum Reading {
    /// gco and another program by turns.
    Pairs { unit: Unit, against: String, gco: Vec<f64>, other: Vec<f64> },
    /// gco alone: `figure` stands for `values`.
    Alone { unit: Unit, figure: f64, values: Vec<f64> },
}

impl Reading {
    /// A figure that stands for itself.
    pub fn one(unit: Unit, figure: f64) -> Self {
        Reading::Alone { unit, figure, values: vec![figure] }
    }
}

/// What a figure is to be at most.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// gco's share of the other's.
    Ratio(f64),
    /// The figure itself.
    Figure(f64),
}

/// The value below which `share` of `values` are.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let at = share * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low_value), Some(high_value)) => low_value + (high_value - low_value) * (at - low as f64),
        _ => f64::NAN,
    }
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The ratio of each pair.
pub fn ratios(gco: &[f64], other: &[f64]) -> Vec<f64> {
    gco.iter().zip(other).map(|(gco, other)| gco / other).collect()
}
