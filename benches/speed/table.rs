//! The table, a line as soon as its row is done.

use crate::measure::{Goal, Reading, Unit, median, quantile, ratios};
use crate::rows::Row;

pub fn head() {
    line(["what", "gco", "other", "against", "ratio", "min..max", "n", "goal"]);
}

/// Shows a row. Whether it meets its goal is only said if the figures mean something.
pub fn row(row: &Row, reading: &Reading, meaningful: bool) {
    let (unit, ratios) = match reading {
        Reading::Pairs { unit, gco, other, .. } => (*unit, ratios(gco, other)),
        Reading::Alone { unit, .. } => (*unit, Vec::new()),
    };
    let (goal, met) = match (row.goal, reading) {
        (Goal::Ratio(most), _) => (format!("<= {most:.2}"), median(&ratios) <= most),
        (Goal::Figure(most), Reading::Alone { figure: found, .. }) => {
            (format!("<= {}", figure(unit, most)), *found <= most)
        }
        (Goal::Figure(most), Reading::Pairs { gco, .. }) => {
            (format!("<= {}", figure(unit, most)), median(gco) <= most)
        }
    };
    let goal = format!("{goal}{}", if met || !meaningful { "" } else { "  missed" });
    match reading {
        Reading::Pairs { against, gco, other, .. } => line([
            row.what,
            &figure(unit, median(gco)),
            &figure(unit, median(other)),
            against,
            &format!("{:.2}", median(&ratios)),
            &format!("{:.2}..{:.2}", quantile(&ratios, 0.0), quantile(&ratios, 1.0)),
            &ratios.len().to_string(),
            &goal,
        ]),
        Reading::Alone { figure: found, values, .. } => {
            let ends = [0.0, 1.0].map(|share| figure(unit, quantile(values, share)));
            let range = if values.len() > 1 { ends.join("..") } else { String::new() };
            line([row.what, &figure(unit, *found), "", "", "", &range, &values.len().to_string(), &goal]);
        }
    }
}

fn line(cells: [&str; 8]) {
    let [what, gco, other, against, ratio, range, count, goal] = cells;
    println!("{what:<44} {gco:>9} {other:>9}  {against:<28} {ratio:>5}  {range:<16} {count:>4}  {goal}");
}

/// A figure for a person: three digits that count.
fn figure(unit: Unit, value: f64) -> String {
    let steps: &[(f64, &str)] = match unit {
        Unit::Seconds => &[(1.0, "s"), (1e-3, "ms"), (1e-6, "us")],
        Unit::Bytes => &[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB")],
    };
    let (size, name) =
        steps.iter().find(|(size, _)| value >= *size).or_else(|| steps.last()).copied().unwrap_or((1.0, ""));
    let scaled = value / size;
    let digits = if scaled >= 100.0 {
        0
    } else if scaled >= 10.0 {
        1
    } else {
        2
    };
    format!("{scaled:.digits$} {name}")
}
