//! Building: docker's buildkit, cargo, ninja, cmake's makefiles.

use super::{Form, Memory, decimal, form, number, words};
use crate::gauge::Sight;

static DOCKER_STEP: Form = form!(r"^#\d+ \[(?:([\w.-]+) )?\s*(\d+)/(\d+)\] (.+)$");

/// `#12 [3/7] RUN make`, `#9 [build 2/5] COPY . .`: each stage has steps of its own, and all of them count.
pub(super) fn docker(memory: &mut Memory, line: &str) -> Option<Sight> {
    let found = DOCKER_STEP.captures(line.starts_with('#').then_some(line)?)?;
    let (stage, step, steps) = (words(&found, 1), number(&found, 2)?, number(&found, 3)?);
    if step == 0 || step > steps {
        return None;
    }
    let known = memory.parts.entry(stage.to_owned()).or_default();
    // The one that is told of has only begun.
    *known = (known.0.max(step - 1), steps);
    let (done, total) = memory.parts.values().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    Some(Sight::counted(done, total).saying(words(&found, 4)))
}

static CARGO_BAR: Form = form!(r"^\s{4}Building \[[=> -]*\] (\d+)/(\d+)(?:: (.*))?\s*$");
static CARGO_UNIT: Form = form!(r"^\s{3}Compiling (\S+) v(\d\S*)");

/// `   Compiling serde v1.0.2`, and on a terminal `    Building [====>   ] 123/456: serde, syn`.
pub(super) fn cargo(memory: &mut Memory, line: &str) -> Option<Sight> {
    if line.contains("Building [") {
        let bar = CARGO_BAR.captures(line)?;
        let (done, total) = (number(&bar, 1)?, number(&bar, 2)?);
        (memory.done, memory.total) = (done, Some(total));
        return Some(Sight::counted(done, total).saying(words(&bar, 3)));
    }
    if !line.starts_with("   Compiling ") {
        return None;
    }
    let found = CARGO_UNIT.captures(line)?;
    let unit = format!("{} {}", words(&found, 1), words(&found, 2));
    let sight = memory.so_far();
    Some(Sight { done: Some(unit.clone()), ..sight.of(&unit).saying(line) })
}

static NINJA: Form =
    form!(r"^\[(\d+)/(\d+)\] ([A-Z][a-z]+ .*|[\w./-]*(?:cc|c\+\+|gcc|clang|ar|ld|cmake)\b.*|: && .*)$");

/// `[12/345] Building CXX object src/a.o`, also with the bare command behind it.
pub(super) fn ninja(_: &mut Memory, line: &str) -> Option<Sight> {
    let found = NINJA.captures(line.starts_with('[').then_some(line)?)?;
    Some(Sight::counted(number(&found, 1)?, number(&found, 2)?).saying(words(&found, 3)))
}

static CMAKE: Form = form!(
    r"^\[ {0,2}(\d{1,3})%\] ((?:Building|Linking|Built|Generating|Automatic|Scanning|Performing|Creating|Completed|No) .*)$"
);

/// `[ 45%] Building C object a.c.o`, as the makefiles that cmake writes say.
pub(super) fn cmake(_: &mut Memory, line: &str) -> Option<Sight> {
    let found = CMAKE.captures(line.starts_with('[').then_some(line)?)?;
    Some(Sight::percent(decimal(&found, 1)?).saying(words(&found, 2)))
}
