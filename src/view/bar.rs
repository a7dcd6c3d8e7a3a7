//! How far something is, as a bar.

/// The parts of a cell, by eighths.
const PARTS: [char; 9] = ['░', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A bar of so many `cells`, `percent` of which are full. It is full only at the end.
#[must_use]
pub fn bar(percent: f64, cells: usize) -> String {
    let all = cells * 8;
    let all_of = f64::from(u32::try_from(all).unwrap_or(u32::MAX));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and `all`")]
    let full = (percent.clamp(0.0, 100.0) / 100.0 * all_of) as usize;
    (0..cells).filter_map(|at| PARTS.get(full.saturating_sub(at * 8).min(8))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_it_is() {
        for (percent, shown) in [
            (0.0, "░░░░"),
            (25.0, "█░░░"),
            (31.25, "█▎░░"),
            (99.9, "███▉"),
            (100.0, "████"),
            (170.0, "████"),
            (-3.0, "░░░░"),
        ] {
            assert_eq!(bar(percent, 4), shown, "{percent}");
        }
        assert_eq!(bar(50.0, 0), "");
    }
}
