//! What is guessed of a running task, in words: how far it probably is, and that it is more silent than ever.

use std::time::Duration;

use super::words::roughly;
use crate::task::past::Estimate;
use crate::task::{Silence, span};

/// `~63%, about 22 min left (from the last 5 runs)`.
#[must_use]
pub fn estimate(estimate: &Estimate) -> String {
    let runs = match estimate.runs {
        1 => "the last run".to_owned(),
        runs => format!("the last {runs} runs"),
    };
    let percent = percent(estimate);
    match estimate.remaining {
        Some(left) => format!("{percent}, about {} left (from {runs})", span_of(left)),
        None if estimate.is_longest && estimate.runs > 1 => format!("{percent}, longer than any of {runs}"),
        None if estimate.is_longest => format!("{percent}, longer than {runs}"),
        None => format!("{percent}, longer than most of {runs}"),
    }
}

/// The same where there is less room: `~63%, 22m left`.
#[must_use]
pub fn brief_estimate(estimate: &Estimate) -> String {
    let percent = percent(estimate);
    match estimate.remaining {
        Some(left) => {
            let unit = if up(left, 1) < 60 { 1 } else { 60 };
            let seconds = up(left, unit) * unit;
            let left =
                if seconds < 3600 { roughly(seconds) } else { span::brief(Duration::from_secs(seconds)) };
            format!("{percent}, {left} left")
        }
        None => percent,
    }
}

/// `~63%`.
#[must_use]
pub fn percent(estimate: &Estimate) -> String {
    format!("~{:.0}%", estimate.percent.floor())
}

/// How often `seconds` go into `span`, rounded up.
fn up(span: Duration, seconds: u64) -> u64 {
    let times = span.as_millis().div_ceil(u128::from(seconds) * 1000);
    u64::try_from(times).unwrap_or(u64::MAX / seconds)
}

/// `40 s`, `22 min`, `2 h 5 min`, `3 d 4 h`; rounded up.
fn span_of(span: Duration) -> String {
    let (seconds, minutes) = (up(span, 1), up(span, 60));
    let (days, hours) = (up(span, 3600) / 24, up(span, 3600) % 24);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 if minutes < 60 => format!("{minutes} min"),
        0..86_400 if minutes < 24 * 60 && minutes % 60 == 0 => format!("{} h", minutes / 60),
        0..86_400 if minutes < 24 * 60 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ if hours == 0 => format!("{days} d"),
        _ => format!("{days} d {hours} h"),
    }
}

/// `silent for 9m (longest before: 3m)`; nothing if that is not unusual.
#[must_use]
pub fn silence(silence: &Silence) -> Option<String> {
    if !silence.is_unusual() {
        return None;
    }
    let (lasts, before) = (silence.lasts, silence.longest_before);
    let mut words = [lasts, before].map(|span| roughly(span.as_secs()));
    if words[0] == words[1] {
        words = [lasts, before].map(span::brief);
    }
    let [lasts, longest] = words;
    Some(match before.as_secs() {
        0 => format!("silent for {lasts}"),
        _ => format!("silent for {lasts} (longest before: {longest})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn an_estimate_is_marked_as_one() {
        let sure = Estimate {
            percent: 63.9,
            remaining: Some(1290 * S),
            typical: 3600 * S,
            runs: 5,
            is_longest: false,
        };
        let words = |e: &Estimate| (estimate(e), brief_estimate(e));
        let told = |long: &str, short: &str| (long.to_owned(), short.to_owned());
        assert_eq!(words(&sure), told("~63%, about 22 min left (from the last 5 runs)", "~63%, 22m left"));
        let one = Estimate { runs: 1, remaining: Some(S / 2), ..sure };
        assert_eq!(words(&one), told("~63%, about 1 s left (from the last run)", "~63%, 1s left"));
        let long = Estimate { remaining: Some(3541 * S), ..sure };
        assert_eq!(words(&long), told("~63%, about 1 h left (from the last 5 runs)", "~63%, 1h00m left"));
        let late = Estimate { percent: 99.0, remaining: None, ..sure };
        assert_eq!(words(&late), told("~99%, longer than most of the last 5 runs", "~99%"));
        let latest = Estimate { is_longest: true, ..late };
        assert_eq!(words(&latest), told("~99%, longer than any of the last 5 runs", "~99%"));
        let first = Estimate { runs: 1, ..latest };
        assert_eq!(words(&first).0, "~99%, longer than the last run");
    }

    #[test]
    fn what_is_left_is_rounded_up() {
        for (seconds, words) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "2 min"),
            (3540, "59 min"),
            (3541, "1 h"),
            (3601, "1 h 1 min"),
            (86_341, "1 d"),
            (86_400, "1 d"),
            (86_401, "1 d 1 h"),
            (3 * 86_400 - 1, "3 d"),
        ] {
            assert_eq!(span_of(Duration::from_secs(seconds)), words, "{seconds}");
        }
    }

    #[test]
    fn a_silence_is_told_if_it_is_unusual() {
        let told = |lasts, before| silence(&Silence { lasts: lasts * S, longest_before: before * S });
        assert_eq!(told(540, 185).as_deref(), Some("silent for 9m (longest before: 3m)"));
        assert_eq!(told(540, 500), None);
        assert_eq!(told(595, 540).as_deref(), Some("silent for 9m55s (longest before: 9m00s)"));
        assert_eq!(told(12, 0).as_deref(), Some("silent for 12s"));
    }
}
