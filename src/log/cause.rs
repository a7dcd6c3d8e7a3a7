//! What looks like the cause of a failure, told from the words of a line. Pure.
//!
//! The rules know how the usual tools say it: compilers, make, cargo, pytest, Python, npm, CloudFormation, terraform, shells.
//! They are a help for the eye, not a verdict: a line that is taken for a cause need not be one, and one that says it in words
//! of its own is missed. Refused are the lines that only count errors (`0 errors`) or have the word in a name
//! (`error_handler.c`, `-Werror`).

use super::join::Origin;

/// Words in capitals with which logs and test tools say that something failed.
const LOUD: [&str; 5] = ["ERROR", "FATAL", "CRITICAL", "FAILED", "PANIC"];

/// How a line begins that is a cause, in small letters.
const BEGINNINGS: [&str; 14] = [
    "error:",
    "error[",
    "fatal:",
    "fatal error:",
    "fatal error ",
    "panic:",
    "uncaught ",
    "unhandled ",
    "npm err!",
    "npm error ",
    "--- fail",
    "❌",
    "✗",
    "✖",
];

/// What a line has within that is a cause, in small letters.
const WITHIN: [&str; 20] = [
    ": error:",
    ": error[",
    ": fatal error:",
    ": fatal:",
    ": internal error:",
    ": syntax error",
    ": undefined reference to ",
    " panicked at ",
    "command not found",
    "no such file or directory",
    "permission denied",
    "no space left on device",
    "cannot allocate memory",
    "out of memory",
    "connection refused",
    "segmentation fault",
    "(core dumped)",
    " level=error",
    " level=fatal",
    "\"level\":\"error\"",
];

/// What makes a line of npm's or make's no cause, in small letters: it only goes on about one.
const ONLY_MORE: [&str; 4] = [
    "a complete log of this run can be found in",
    "waiting for unfinished jobs",
    "error: test failed, to rerun pass",
    "for more information about this error",
];

/// Looks at a log's lines in their order, each stream for itself: of a Python traceback it is the last line that counts.
#[derive(Debug, Default)]
pub struct Causes {
    in_traceback: [bool; 3],
}

impl Causes {
    /// Whether `line`, plain text that `origin` wrote, looks like a cause.
    pub fn takes(&mut self, origin: Origin, line: &str) -> bool {
        let at = match origin {
            Origin::Gco => return false,
            Origin::Stream(stream) => stream.index(),
            Origin::Untagged => 2,
        };
        if line.starts_with("Traceback (most recent call last)") {
            self.in_traceback[at] = true;
            return false;
        }
        let is_unindented = line.starts_with(|c: char| !c.is_whitespace());
        let is_last = self.in_traceback[at] && is_unindented;
        if is_last {
            self.in_traceback[at] = false;
        } else if self.in_traceback[at] {
            // The code that is shown there may have any words in it.
            return false;
        }
        is_last || is_cause(line)
    }
}

/// Whether `line`, plain text, looks like a cause when seen alone.
#[must_use]
pub fn is_cause(line: &str) -> bool {
    // Of pytest: what was expected, and what came.
    if let Some(said) = line.strip_prefix("E   ") {
        return !said.trim().is_empty();
    }
    // Terraform draws a box around it.
    let said = line.trim_matches(|c: char| c.is_whitespace() || "│|╷╵>*!".contains(c));
    if said.is_empty() {
        return false;
    }
    let small = said.to_ascii_lowercase();
    if ONLY_MORE.iter().any(|more| small.contains(more)) {
        return false;
    }
    is_of_make(&small)
        || is_exception(said)
        || is_of_typescript(&small)
        || BEGINNINGS.iter().any(|begin| small.strip_prefix(begin).is_some_and(says_something))
        || WITHIN.iter().any(|part| small.split_once(part).is_some_and(|(_, rest)| is_not_nothing(rest)))
        || is_loud(said)
}

/// There is more behind `error:`, and it is not a count of none.
fn says_something(rest: &str) -> bool {
    !rest.trim().is_empty() && is_not_nothing(rest)
}

fn is_not_nothing(rest: &str) -> bool {
    let first = rest.split(|c: char| c.is_whitespace() || ",;)}\"".contains(c)).find(|word| !word.is_empty());
    !matches!(first, Some("0" | "none" | "null" | "nil" | "false"))
}

/// `make: *** [Makefile:3: all] Error 2`.
fn is_of_make(small: &str) -> bool {
    let (program, rest) = small.split_once(": ***").unwrap_or_default();
    let name = program.split('[').next().unwrap_or_default();
    name.ends_with("make") && !rest.is_empty()
}

/// `src/a.ts(3,1): error TS2322: …`, and that of other compilers that number their errors.
fn is_of_typescript(small: &str) -> bool {
    let Some((_, rest)) = small.split_once(": error ").or_else(|| small.split_once(" - error ")) else {
        return false;
    };
    let number = rest.split(':').next().unwrap_or_default();
    let digits = number.trim_start_matches(|c: char| c.is_ascii_lowercase());
    number.len() > digits.len() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `ValueError: …`, `java.lang.NullPointerException`, `Exception in thread "main" …`, at the begin of a line.
fn is_exception(said: &str) -> bool {
    if said.starts_with("Exception in thread ") || said.starts_with("Caused by: ") {
        return true;
    }
    let name = said.split(|c: char| c == ':' || c.is_whitespace()).next().unwrap_or_default();
    let rest = &said[name.len()..];
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    let ends = ["Error", "Exception"].iter().any(|end| name.len() > end.len() && name.ends_with(end));
    is_name
        && ends
        && name.contains(|c: char| c.is_ascii_uppercase())
        && (rest.is_empty() || rest.strip_prefix(':').is_some_and(says_something))
}

/// A word in capitals that says so: `FAILED`, `CREATE_FAILED`, `ERROR`; not where there was none, and not in a name.
fn is_loud(said: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut from = 0;
    for word in said.split(|c: char| !is_part(c)) {
        let at = from;
        from = at + word.len() + said[at + word.len()..].chars().next().map_or(0, char::len_utf8);
        let is_word = LOUD.contains(&word) || (word.len() > "_FAILED".len() && word.ends_with("_FAILED"));
        if !is_word || word.contains(|c: char| c.is_ascii_lowercase()) {
            continue;
        }
        let (before, after) = (said[..at].trim_end(), &said[at + word.len()..]);
        let in_name = said[..at].ends_with(['-', '.', '/', '=', '$', '{', '\'', '"', '`'])
            || after.starts_with(['-', '/', '=', '(', '\'', '"', '`'])
            || after.strip_prefix('.').is_some_and(|rest| rest.starts_with(is_part));
        let last = before.rsplit(char::is_whitespace).next().unwrap_or_default().to_ascii_lowercase();
        let last = last.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let none = matches!(last, "0" | "no" | "not" | "without" | "if" | "on") || counts_none(after);
        if !in_name && !none {
            return true;
        }
    }
    false
}

/// ` 0`, `: 0`, `=0`.
fn counts_none(after: &str) -> bool {
    let rest = after.trim_start_matches(|c: char| c.is_whitespace() || c == ':' || c == '=');
    rest.len() < after.len() && !is_not_nothing(rest)
}

#[cfg(test)]
mod tests;
