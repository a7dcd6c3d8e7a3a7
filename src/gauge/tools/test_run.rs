//! Testing and computing in Python: pytest, tqdm's bars.

use super::{Form, Memory, decimal, form, number, words};
use crate::gauge::Sight;

static PYTEST: Form = form!(
    r"^(?:(\S+\.py)\S*(?: [.FEsxXp]+| (?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b.*)|[.FEsxX]+) +\[ {0,2}(\d{1,3})%\]\s*$"
);
static PYTEST_XDIST: Form =
    form!(r"^\[gw\d+\] \[ {0,2}(\d{1,3})%\] (?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (\S+)");

/// `tests/test_a.py ....F     [ 45%]`, with `-v` one line a test, with xdist `[gw0] [ 45%] PASSED tests/test_a.py::test_b`.
pub(super) fn pytest(_: &mut Memory, line: &str) -> Option<Sight> {
    if line.starts_with("[gw") {
        let found = PYTEST_XDIST.captures(line)?;
        return Some(Sight::percent(decimal(&found, 1)?).saying(words(&found, 2)));
    }
    let found = PYTEST.captures(line.contains("%]").then_some(line)?)?;
    Some(Sight::percent(decimal(&found, 2)?).saying(words(&found, 1)))
}

static TQDM: Form = form!(r"^(?:(.*): )? {0,2}(\d{1,3})%\|.*\| (\S+)/(\S+) \[[^\]]*\]?");

/// `epoch 1:  45%|████▌     | 45/100 [00:04<00:05,  9.99it/s]`.
pub(super) fn tqdm(_: &mut Memory, line: &str) -> Option<Sight> {
    let found = TQDM.captures(line.contains("%|").then_some(line)?)?;
    let sight = match (number(&found, 3), number(&found, 4)) {
        (Some(current), Some(total)) => Sight::counted(current, total),
        // 1.2M/3.4M
        _ => Sight::percent(decimal(&found, 2)?),
    };
    Some(sight.saying(words(&found, 1)))
}
