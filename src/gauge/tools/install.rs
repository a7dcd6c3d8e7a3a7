//! Installing packages: pip, npm, apt.

use super::{Form, Memory, decimal, form, number, words};
use crate::gauge::Sight;

static PIP: Form = form!(r"^ +[━╸╺ ]+ (\d+(?:\.\d+)?)/(\d+(?:\.\d+)?) ([kMG]?B|bytes)\b");

/// `   ━━━━━━━━━━━━ 1.2/3.4 MB 5.6 MB/s eta 0:00:01`, which it draws on terminals.
pub(super) fn pip(_: &mut Memory, line: &str) -> Option<Sight> {
    let found = PIP.captures(line.contains(['━', '╸', '╺']).then_some(line)?)?;
    let (done, all) = (decimal(&found, 1)?, decimal(&found, 2)?);
    let unit = words(&found, 3);
    (all > 0.0)
        .then(|| Sight::percent((done * 100.0 / all).min(100.0)).saying(&format!("{done}/{all} {unit}")))
}

static NPM: Form = form!(r"^\((#*)([⠂.]*)\) \S+ (.*)$");

/// `(######⠂⠂⠂⠂) ⠧ reify:lodash: http fetch GET 200`, the bar of npm 7 to 9. Later ones draw none.
pub(super) fn npm(_: &mut Memory, line: &str) -> Option<Sight> {
    let found = NPM.captures(line.starts_with("(#").then_some(line)?)?;
    let (done, left) = (words(&found, 1).chars().count(), words(&found, 2).chars().count());
    let share = |count: usize| f64::from(u32::try_from(count).unwrap_or(0));
    (left + done >= 10)
        .then(|| Sight::percent(share(done) * 100.0 / share(done + left)).saying(words(&found, 3)))
}

static APT_BAR: Form = form!(r"^.*Progress: \[ {0,2}(\d{1,3})%\] \[[#.]*\]\s*(.*)$");
static APT_PLAN: Form = form!(
    r"^(\d+) upgraded, (\d+) newly installed, (?:(\d+) reinstalled, )?(?:\d+ downgraded, )?\d+ to remove"
);
static APT_DONE: Form = form!(r"^Setting up (\S+) \(\S+\) \.\.\.\s*$");

/// `5 upgraded, 3 newly installed, 0 to remove …`, then `Setting up zsh (5.9-4) ...`; on terminals before that the bar,
/// `Progress: [ 45%] [####......]`.
pub(super) fn apt(memory: &mut Memory, line: &str) -> Option<Sight> {
    if line.contains("Progress: [") {
        let found = APT_BAR.captures(line)?;
        let sight = Sight::percent(decimal(&found, 1)?);
        let done = APT_DONE.captures(words(&found, 2)).map(|found| words(&found, 1).to_owned());
        return Some(Sight { unit: done.clone(), done, ..sight });
    }
    if line.contains("newly installed") {
        let found = APT_PLAN.captures(line)?;
        let total = number(&found, 1)? + number(&found, 2)? + number(&found, 3).unwrap_or(0);
        *memory = Memory { total: Some(total), ..Memory::default() };
        return (total > 0).then(|| Sight::counted(0, total));
    }
    let found = APT_DONE.captures(line.starts_with("Setting up ").then_some(line)?)?;
    Some(memory.one_more(words(&found, 1)))
}
