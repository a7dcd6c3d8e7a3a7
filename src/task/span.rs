//! Spans of time on the command line and on the screen: `90s`, `30m`, `2h`, `1d`.

use std::time::Duration;

/// Seconds in each unit a span may be given in.
const UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// Reads `90s`, `30m`, `2h`, `1d`, `1h30m`, `500ms`.
///
/// # Errors
/// What is wrong with `text`, for the person who typed it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a duration; write it like 90s, 30m, 2h or 1d");
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = &rest[..letters];
        rest = &rest[letters..];
        let part = if unit == "ms" {
            Duration::from_millis(number)
        } else {
            let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            Duration::from_secs(number.checked_mul(*seconds).ok_or_else(wrong)?)
        };
        total = total.checked_add(part).ok_or_else(wrong)?;
    }
    Ok(total)
}

/// The longest limit that can be set: ten years. What is longer is a slip of the finger.
const LONGEST_LIMIT: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Reads a span that limits something: neither nothing nor absurdly long.
///
/// # Errors
/// What is wrong with `text`, for the person who typed it.
pub fn parse_limit(text: &str) -> Result<Duration, String> {
    match parse_pause(text)? {
        Duration::ZERO => Err("it must be longer than nothing; leave it out for no limit".to_owned()),
        span => Ok(span),
    }
}

/// Reads a span that something may take: also none, but not an absurdly long one.
///
/// # Errors
/// What is wrong with `text`, for the person who typed it.
pub fn parse_pause(text: &str) -> Result<Duration, String> {
    match parse(text)? {
        span if span > LONGEST_LIMIT => Err("it must not be longer than ten years".to_owned()),
        span => Ok(span),
    }
}

/// Reads how many times as fast something is to be: `10`, `0.5`.
///
/// # Errors
/// What is wrong with `text`, for the person who typed it.
pub fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| factor.is_finite() && *factor > 0.0);
    factor.ok_or_else(|| "write a number greater than 0, like 10 or 0.5".to_owned())
}

/// A span for a person, in its two largest units: `450ms`, `4s`, `3m12s`, `2h05m`, `3d04h`.
#[must_use]
pub fn brief(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0 if span.is_zero() => "0s".to_owned(),
        0 => format!("{}ms", span.as_millis()),
        1..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// A span in full, as one would type it: `30m`, `1h30m`, `1500ms`.
#[must_use]
pub fn exact(span: Duration) -> String {
    if span.subsec_millis() > 0 {
        return format!("{}ms", span.as_millis());
    }
    let mut left = span.as_secs();
    let mut text = String::new();
    // Weeks are read and not written: `14d` says more than `2w`.
    for (name, size) in UNITS.into_iter().skip(1) {
        if left >= size {
            text.push_str(&format!("{}{name}", left / size));
            left %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let secs = |text| parse(text).map(|d| d.as_millis());
        assert_eq!(secs("90s"), Ok(90_000));
        assert_eq!(secs("1h30m"), Ok(5_400_000));
        assert_eq!(secs("0s"), Ok(0));
        assert_eq!(secs("500ms"), Ok(500));
        for bad in [
            "",
            "90",
            "s",
            "-1s",
            "+1s",
            "1.5h",
            "1y",
            "1 s",
            "99999999999999999999s",
            "18446744073709551615w",
            "1sm",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn spans_are_written_as_they_were_read() {
        for text in ["30m", "1h30m", "90s", "1500ms", "14d", "1d2h3m4s", "0s"] {
            let shown = parse(text).map(exact);
            let again = if text == "90s" { "1m30s" } else { text };
            assert_eq!(shown.as_deref(), Ok(again));
        }
    }

    #[test]
    fn limits_are_neither_nothing_nor_absurd() {
        assert_eq!(parse_limit("1ms"), Ok(Duration::from_millis(1)));
        assert_eq!(parse_pause("0s"), Ok(Duration::ZERO));
        assert!(parse_limit("3650d").is_ok());
        for bad in ["0s", "0ms", "0h0m", "3651d", "30500568904943w", "-1s", ""] {
            assert!(parse_limit(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_factor_is_a_number_above_nothing() {
        assert_eq!((factor("10"), factor("0.5")), (Ok(10.0), Ok(0.5)));
        for wrong in ["0", "-1", "inf", "NaN", "fast", ""] {
            assert!(factor(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_are_shown_briefly() {
        let show = |ms| brief(Duration::from_millis(ms));
        assert_eq!(show(0), "0s");
        assert_eq!(show(450), "450ms");
        assert_eq!(show(59_900), "59s");
        assert_eq!(show(192_000), "3m12s");
        assert_eq!(show(7_500_000), "2h05m");
        assert_eq!(show(273_600_000), "3d04h");
    }
}
