//! A line without what is different each time: times, ids, temporary paths, process numbers, durations and sizes. Pure.
//!
//! What stays is what the line says. Small numbers stay as well, since `1 failed` is not `0 failed`; those of five digits or
//! more, and those with a unit of time or size behind them, go.

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The units that make a number one that changes, in small letters.
const UNITS: [&str; 38] = [
    "ns", "us", "µs", "ms", "s", "sec", "secs", "second", "seconds", "m", "min", "mins", "minute", "minutes",
    "h", "hour", "hours", "b", "byte", "bytes", "k", "kb", "kib", "mb", "mib", "g", "gb", "gib", "tb", "tib",
    "kbit", "mbit", "kb/s", "mb/s", "kib/s", "mib/s", "it/s", "b/s",
];

/// Where temporary files are.
const TEMPORARY: [&str; 4] = ["/tmp/", "/var/tmp/", "/var/folders/", "/dev/shm/"];

/// What stands before a number that is a process, in small letters.
const BEFORE_PID: [&str; 5] = ["pid ", "pid=", "pid: ", "pid:", "process "];

/// From this many digits on a number is taken for one that changes.
const LONG_NUMBER: usize = 5;

/// The line `line` with a word in pointed brackets for each thing that changes.
#[must_use]
pub fn mask(line: &str) -> String {
    let has_digit = line.bytes().any(|byte| byte.is_ascii_digit());
    if !has_digit && !TEMPORARY.iter().any(|path| line.contains(path)) {
        // Nothing else changes without a digit.
        return line.to_owned();
    }
    let mut masked = String::with_capacity(line.len());
    let mut rest = line;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let found = if after_word { None } else { changing(rest, &masked) };
        let taken = match found {
            Some((length, word)) => {
                masked.push_str(word);
                length
            }
            None if first.is_ascii_alphanumeric() => {
                let length = word(rest).len();
                masked.push_str(&rest[..length]);
                length
            }
            None => {
                masked.push(first);
                first.len_utf8()
            }
        };
        after_word = rest[..taken].ends_with(|c: char| c.is_ascii_alphanumeric());
        rest = &rest[taken..];
    }
    masked
}

/// What changes at the begin of `rest`: its length, and the word for it. `before` is what has been masked so far.
fn changing(rest: &str, before: &str) -> Option<(usize, &'static str)> {
    if let Some(path) = TEMPORARY.iter().find(|path| rest.starts_with(**path)) {
        let end = |c: char| c.is_whitespace() || "'\"`,;:()[]{}<>".contains(c);
        let length = rest[path.len()..].find(end).unwrap_or(rest.len() - path.len());
        return Some((path.len() + length, "<tmp>"));
    }
    let first = word(rest);
    if first.is_empty() {
        return None;
    }
    if let Some(length) = uuid(rest) {
        return Some((length, "<id>"));
    }
    // What follows a colon is a place in a file: `main.rs:2:18`.
    if let Some(length) = date(rest).or_else(|| clock(rest).filter(|_| !before.ends_with(':'))) {
        return Some((length, "<time>"));
    }
    if is_id(first) {
        return Some((first.len(), "<id>"));
    }
    number(rest, before).map(|length| (length, "<n>"))
}

/// The letters and digits that `rest` begins with.
fn word(rest: &str) -> &str {
    &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())]
}

/// The length of a text whose bytes are as the pattern says: `0` a digit, `x` a hexadecimal one, anything else itself.
fn like(rest: &str, pattern: &str) -> Option<usize> {
    let fits = |(byte, wanted): (u8, u8)| match wanted {
        b'0' => byte.is_ascii_digit(),
        b'x' => byte.is_ascii_hexdigit(),
        wanted => byte == wanted,
    };
    let is_like = rest.len() >= pattern.len() && rest.bytes().zip(pattern.bytes()).all(fits);
    is_like.then_some(pattern.len())
}

fn uuid(rest: &str) -> Option<usize> {
    let length = like(rest, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")?;
    (!rest[length..].starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(length)
}

/// `2026-11-21`, `2026/11/21`, `Nov 21`, `Sat Nov 21`, each with the time behind it if there is one.
fn date(rest: &str) -> Option<usize> {
    let iso =
        like(rest, "0000-00-00").or_else(|| like(rest, "0000/00/00")).or_else(|| like(rest, "00/00/0000"));
    let mut length = match iso {
        Some(length) => length,
        None => named_date(rest)?,
    };
    let after = &rest[length..];
    let gap = after.len() - after.trim_start_matches(['T', ' ', ',']).len();
    if gap <= 2
        && let Some(time) = clock(&after[gap..])
    {
        length += gap + time;
        let year = rest[length..].strip_prefix(' ').and_then(|year| like(year, "0000"));
        length += year.filter(|_| iso.is_none()).map_or(0, |year| year + 1);
    }
    Some(length)
}

fn named_date(rest: &str) -> Option<usize> {
    let first = word(rest);
    if DAYS.contains(&first) {
        let after = rest[first.len()..].trim_start_matches([',', ' ']);
        return named_date(after)
            .filter(|_| MONTHS.contains(&word(after)))
            .map(|l| rest.len() - after.len() + l);
    }
    if !MONTHS.contains(&first) {
        return None;
    }
    let after = rest[first.len()..].trim_start_matches(' ');
    let day = word(after);
    let is_day = matches!(day.len(), 1 | 2) && day.bytes().all(|b| b.is_ascii_digit());
    (is_day && after.len() < rest.len() - first.len()).then(|| rest.len() - after.len() + day.len())
}

/// `10:34`, `10:34:12`, `1:02:03.456Z`, `10:34:12 AM`.
fn clock(rest: &str) -> Option<usize> {
    let hours = like(rest, "00:00").or_else(|| like(rest, "0:00"))?;
    let mut length = hours + like(&rest[hours..], ":00").unwrap_or(0);
    let fraction =
        rest[length..].strip_prefix(['.', ',']).map(|after| digits(after).len()).filter(|&n| n > 0);
    length += fraction.map_or(0, |digits| digits + 1);
    let after = &rest[length..];
    let zone = ["Z", " AM", " PM", " UTC", "AM", "PM"].iter().find(|zone| after.starts_with(**zone));
    length += zone.map_or(0, |zone| zone.len());
    let offset = ["+00:00", "-00:00", "+0000", "-0000"].iter().find_map(|form| like(&rest[length..], form));
    length += offset.unwrap_or(0);
    // `3:14` within `a:3:14159` is none.
    (!rest[length..].starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(length)
}

fn digits(rest: &str) -> &str {
    &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())]
}

/// A hash, a request's id, the end of a name that is made up.
fn is_id(word: &str) -> bool {
    let has_digit = word.bytes().any(|b| b.is_ascii_digit());
    let has_letter = word.bytes().any(|b| b.is_ascii_alphabetic());
    let is_hex = word.bytes().all(|b| b.is_ascii_hexdigit());
    has_digit
        && has_letter
        && ((is_hex && word.len() >= 7) || word.len() >= 12 || (word.starts_with("0x") && word.len() > 5))
}

/// A number that changes.
fn number(rest: &str, before: &str) -> Option<usize> {
    let whole = digits(rest).len();
    if whole == 0 {
        return None;
    }
    let mut length = whole;
    while let Some(after) = rest[length..].strip_prefix(['.', ','])
        && !digits(after).is_empty()
    {
        length += 1 + digits(after).len();
    }
    let after = &rest[length..];
    let gap = usize::from(after.starts_with(' '));
    let unit_end = |c: char| !(c.is_alphabetic() || c == '/');
    let unit = &after[gap..][..after[gap..].find(unit_end).unwrap_or(after.len() - gap)];
    let small = unit.to_ascii_lowercase();
    let has_unit = UNITS.contains(&small.as_str()) || (gap == 0 && after.starts_with('%'));
    // `3m20s`.
    let joined =
        gap == 0 && matches!(small.as_str(), "m" | "h" | "d") && !digits(&after[unit.len()..]).is_empty();
    if has_unit || joined {
        let unit = if after.starts_with('%') { 1 } else { gap + unit.len() };
        let more = if joined { number(&rest[length + unit..], "").unwrap_or(0) } else { 0 };
        return Some(length + unit + more);
    }
    if gap == 0 && !unit.is_empty() {
        return None;
    }
    // `sshd[4242]`.
    let in_brackets = before.ends_with('[')
        && before[..before.len() - 1].ends_with(|c: char| c.is_ascii_alphanumeric())
        && after.starts_with(']');
    let is_pid = in_brackets || {
        let mut start = before.len().saturating_sub(10);
        while !before.is_char_boundary(start) {
            start += 1;
        }
        let before = before[start..].to_ascii_lowercase();
        BEFORE_PID.iter().any(|word| before.ends_with(word))
    };
    (is_pid || (whole >= LONG_NUMBER && length == whole)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_masked() {
        for (line, masked) in [
            ("2026-11-21T10:34:12.123Z start", "<time> start"),
            ("2026-11-21 10:34:12,123 INFO x", "<time> INFO x"),
            ("[10:34:12] x at 10:34:12 AM.", "[<time>] x at <time>."),
            ("Nov 21 10:34:12 host sshd[4242]: x", "<time> host sshd[<n>]: x"),
            ("Sat Nov 21 10:34:12 2026 x", "<time> x"),
            ("id 6ba7b810-9dad-11d1-80b4-00c04fd430c8 done", "id <id> done"),
            ("commit 1a2b3c4 of feedbeef", "commit <id> of feedbeef"),
            ("wrote /tmp/tmp.aX3k/y.txt: ok", "wrote <tmp>: ok"),
            ("pid 77 of process 8, PID=9", "pid <n> of process <n>, PID=<n>"),
            ("took 3.21s, 12 ms, 1m20s; 1,234 kB at 3.5 MiB/s", "took <n>, <n>, <n>; <n> at <n>"),
            ("63% of 5 files", "<n> of 5 files"),
            ("arn:aws:s3:eu-west-1:123456789012:stack-1ABCDEFGH2JKL", "arn:aws:s3:eu-west-1:<n>:stack-<id>"),
            ("at 0x7ffc12ab", "at <id>"),
            ("listening on 127.0.0.1:54321", "listening on 127.0.0.1:<n>"),
            ("é 4 µs", "é <n>"),
        ] {
            assert_eq!(mask(line), masked, "{line}");
        }
    }

    #[test]
    fn what_the_line_says_stays() {
        for line in [
            "",
            "test result: FAILED. 1 passed; 2 failed",
            "error[E0308]: mismatched types",
            "src/main.rs:2:18",
            "make: *** [Makefile:3: all] Error 2",
            "x86_64-unknown-linux-gnu v1.2.3",
            "May the 4 be with you",
            "epoch 1 of 90",
            "żółć 漢字 \u{1f600}",
            "[1] [22/300] CC",
        ] {
            assert_eq!(mask(line), line);
        }
    }

    #[test]
    fn any_text_can_be_masked() {
        let pieces =
            ["é", "1", "0:", "12:34", "-", "/tmp/", "pid ", "漢", "Nov ", "a", "0x", ".", "%", " ", "[", "]"];
        let mut seed = 7_usize;
        for _ in 0..20_000 {
            let mut line = String::new();
            for _ in 0..8 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                line.push_str(pieces[(seed >> 33) % pieces.len()]);
            }
            let once = mask(&line);
            assert!(once.len() <= line.len() * 6 + 6, "{line:?} {once:?}");
        }
    }
}
