//! Getting things from elsewhere: git, curl, wget, rsync.

use super::{Form, Memory, decimal, form, number, words};
use crate::gauge::Sight;

static GIT: Form = form!(
    r"^(?:remote: )?((?:Enumerating|Counting|Compressing|Receiving|Resolving|Writing|Updating|Checking out|Unpacking|Filtering) \w+): +\d{1,3}% \((\d+)/(\d+)\)"
);

/// `Receiving objects:  45% (450/1000), 1.2 MiB | 3.4 MiB/s`.
pub(super) fn git(_: &mut Memory, line: &str) -> Option<Sight> {
    let found = GIT.captures(line.contains("% (").then_some(line)?)?;
    Some(Sight::counted(number(&found, 2)?, number(&found, 3)?).saying(words(&found, 1)))
}

static CURL: Form = form!(
    r"^ {0,2}(\d{1,3}) +[\d.]+[kMGTP]? +\d{1,3} +[\d.]+[kMGTP]? +\d{1,3} +[\d.]+[kMGTP]? +[\d.]+[kMGTP]? +[\d.]+[kMGTP]? +[\d:h d-]+ [\d.]+[kMGTP]?\s*$"
);
static CURL_BAR: Form = form!(r"^[# ]* (\d{1,3}\.\d)%\s*$");

/// The meter, ` 45 100M 45 45.2M 0 0 12.3M 0 0:00:08 0:00:03 0:00:05 12.3M`, and with `-#` the bar, `####    45.2%`.
pub(super) fn curl(_: &mut Memory, line: &str) -> Option<Sight> {
    let form = if line.ends_with('%') { &CURL_BAR } else { &CURL };
    let found = form.captures(line.starts_with([' ', '#', '1']).then_some(line)?)?;
    Some(Sight::percent(decimal(&found, 1)?))
}

static WGET_DOTS: Form = form!(r"^ *\d+[KMG]? (?:[.,]+ ?)+ +(\d{1,3})% +[\d.]+[KMG]?[ =]");
static WGET_BAR: Form = form!(r"^(\S.*?) +(\d{1,3})%\[[ =>+]*\] +[\d.,]+[KMG]?  ");

/// `  1500K .......... .......... 45% 12.3M 2s`, and on a terminal `file  45%[====>    ] 4.50M 1.23MB/s eta 5s`.
pub(super) fn wget(_: &mut Memory, line: &str) -> Option<Sight> {
    if line.contains("%[") {
        let found = WGET_BAR.captures(line)?;
        return Some(Sight::percent(decimal(&found, 2)?).saying(words(&found, 1)));
    }
    let found = WGET_DOTS.captures(line.contains("..").then_some(line)?)?;
    Some(Sight::percent(decimal(&found, 1)?))
}

static RSYNC: Form = form!(
    r"^ *[\d,.]+[KMGT]? +(\d{1,3})% +[\d.]+[kKMG]?B/s +\d+:\d\d:\d\d(?: +\(xfr#\d+, (?:ir|to)-chk=(\d+)/(\d+)\))?"
);

/// `  1,234,567  45%   12.34MB/s    0:00:05`.
pub(super) fn rsync(_: &mut Memory, line: &str) -> Option<Sight> {
    let found = RSYNC.captures(line.contains("B/s").then_some(line)?)?;
    let left = number(&found, 2).zip(number(&found, 3));
    let message = left.map(|(left, all)| format!("{left} of {all} files to check")).unwrap_or_default();
    Some(Sight::percent(decimal(&found, 1)?).saying(&message))
}
