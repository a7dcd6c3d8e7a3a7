//! Deploying: AWS CDK, Terraform and `OpenTofu`, Ansible.

use super::{Form, Memory, form, number, words};
use crate::gauge::Sight;

static CDK_DONE: Form = form!(r"^\s*✅  ([\w/.-]+)(?: \(no changes\))?\s*$");
static CDK_TIME: Form = form!(r"^\s*✨ {1,2}((?:Synthesis|Deployment|Total) time: [\d.]+s)\s*$");
static CDK_STACK: Form = form!(r"^\s*([\w/.-]+): (?:deploying|destroying)(?:\.\.\.|…) \[(\d+)/(\d+)\]\s*$");
static CDK_EVENT: Form =
    form!(r"^\s*([\w/.-]+) \|\s*(\d+)/(\d+) \| [^|]+ \| ([A-Z_]+)\s*\| ([\w:]+)\s*\|\s*(.*)$");

/// `✅  name`, `✨  Total time: 27s`, `name: deploying... [3/12]`, `name | 3/87 | 10:34:56 AM | CREATE_COMPLETE | …`.
pub(super) fn cdk(memory: &mut Memory, line: &str) -> Option<Sight> {
    if line.contains('✅') {
        let found = CDK_DONE.captures(line)?;
        return Some(memory.one_more(words(&found, 1)));
    }
    if line.contains('✨') {
        let said = CDK_TIME.captures(line)?;
        return Some(memory.so_far().saying(words(&said, 1)));
    }
    if line.contains(": de") {
        let found = CDK_STACK.captures(line)?;
        let (number_of, total) = (number(&found, 2)?, number(&found, 3)?);
        memory.total = Some(total);
        // The one that is under way is not done.
        return Some(
            Sight::counted(number_of.saturating_sub(1).max(memory.done.min(total)), total)
                .of(words(&found, 1)),
        );
    }
    if !line.contains('|') {
        return None;
    }
    let found = CDK_EVENT.captures(line)?;
    let (stack, done, all) = (words(&found, 1), number(&found, 2)?, number(&found, 3)?);
    let message = format!("{} {}", words(&found, 4), words(&found, 6).trim());
    let sight = match memory.total.filter(|&total| total > 1 && all > 0 && done <= all) {
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
        Some(total) => Sight {
            // The stack's own share of the whole.
            percent: Some(
                (memory.done.min(total - 1) as f64 + done as f64 / all as f64) * 100.0 / total as f64,
            ),
            ..Sight::counted(memory.done.min(total), total)
        },
        None => Sight::counted(done, all),
    };
    Some(sight.of(stack).saying(&message))
}

static TF_PLAN: Form =
    form!(r"^\s*Plan: (?:\d+ to import, )?(\d+) to add, (\d+) to change, (\d+) to destroy");
static TF_DONE: Form =
    form!(r"^\s*(\S+): (?:Creation|Modifications|Destruction) complete after [\dhms]+(?: \[.*\])?\s*$");

/// `Plan: 5 to add, 1 to change, 0 to destroy.`, `aws_instance.web: Creation complete after 42s [id=i-0abc]`.
pub(super) fn terraform(memory: &mut Memory, line: &str) -> Option<Sight> {
    if line.contains("Plan: ") {
        let plan = TF_PLAN.captures(line)?;
        let total = number(&plan, 1)? + number(&plan, 2)? + number(&plan, 3)?;
        *memory = Memory { total: Some(total), ..Memory::default() };
        return (total > 0).then(|| Sight::counted(0, total));
    }
    if !line.contains(" complete after ") {
        return None;
    }
    let found = TF_DONE.captures(line)?;
    Some(memory.one_more(words(&found, 1)))
}

static ANSIBLE_TASK: Form = form!(r"^TASK \[(.+)\] \*{3,}\s*$");

/// `TASK [install nginx] ****`: how many there will be it does not say. One is done when the next one begins.
pub(super) fn ansible(memory: &mut Memory, line: &str) -> Option<Sight> {
    let (begun, name) = if line.starts_with("PLAY RECAP *") {
        (None, None)
    } else {
        let found = ANSIBLE_TASK.captures(line.starts_with("TASK [").then_some(line)?)?;
        let name = words(&found, 1).to_owned();
        (Some(name.clone()), Some(name))
    };
    let done = std::mem::replace(&mut memory.current, begun);
    Some(Sight { done, unit: name.clone(), message: name, ..Sight::default() })
}
