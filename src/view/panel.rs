//! Everything about one task, for a person.

use std::time::Duration;

use serde_json::Value;

use super::paint::Paint;
use super::why::{self, Why};
use super::words::{ago, cut, grouped, indented_line, one_line, quote};
use super::{Shown, Style, hints};
use crate::task::record::field;
use crate::task::{Record, State, size, span, timestamp};

/// The columns of a field's name, with the blanks around it.
const INDENT: usize = 14;

/// What the panel says that is not in the record.
#[derive(Debug, Clone)]
pub struct Around {
    /// Where the log is.
    pub log_path: String,
    /// The log's length in bytes; `None` if it is not there or cannot be looked at, for which the reason follows.
    pub log: Result<u64, String>,
    /// Why the task did not succeed, if it is over and did not.
    pub why: Option<Why>,
}

/// The lines of the panel.
#[must_use]
pub fn lines(task: &Shown<'_>, around: &Around, style: Style) -> Vec<String> {
    let mut panel = Panel { lines: Vec::new(), style };
    panel.title(task);
    panel.lines.push(String::new());
    if let Some(why) = &around.why {
        panel.lines.extend(why::lines(why, style));
    }
    panel.command(task.record);
    panel.order(task);
    panel.processes(task);
    panel.times(task);
    panel.outcome(task, around.why.is_some());
    panel.output(task.record, around);
    panel.remarks(task.record);
    panel.last_lines(task.record);
    panel.lines
}

struct Panel {
    lines: Vec<String>,
    style: Style,
}

impl Panel {
    fn title(&mut self, task: &Shown<'_>) {
        let mut line = String::new();
        Paint::Bold.put(&mut line, task.id.as_str(), self.style.colour);
        line.push_str("  ");
        Paint::State(task.state).put(&mut line, task.state.as_str(), self.style.colour);
        if let Some(more) = remark(task) {
            line.push_str("  ");
            Paint::Dim.put(&mut line, more, self.style.colour);
        }
        if let Some(silent) = task.silence(self.style.now).as_ref().and_then(hints::silence) {
            line.push_str("  ");
            Paint::Bad.put(&mut line, &silent, self.style.colour);
        }
        self.lines.push(line);
    }

    fn field(&mut self, name: &str, value: &str) {
        self.painted(name, value, Paint::Plain);
    }

    fn painted(&mut self, name: &str, value: &str, paint: Paint) {
        if value.is_empty() {
            return;
        }
        let mut line = String::from("  ");
        Paint::Dim.put(&mut line, name, self.style.colour);
        line.extend(std::iter::repeat_n(' ', INDENT.saturating_sub(2 + name.len()).max(1)));
        paint.put(&mut line, value, self.style.colour);
        self.lines.push(line);
    }

    /// A field that is text in the record.
    fn text(&mut self, name: &str, record: &Record, of: &str) {
        self.field(name, &one_line(record.text(of).unwrap_or_default()));
    }

    fn command(&mut self, record: &Record) {
        self.field("command", &quote(record.texts(field::ARGV)));
        self.text("directory", record, field::CWD);
        let user = record.text(field::USER).map(|user| format!("{} on ", one_line(user))).unwrap_or_default();
        let host = one_line(record.text(field::HOST).unwrap_or_default());
        self.field("where", &if host.is_empty() { user.replace(" on ", "") } else { user + &host });
    }

    /// What it had to wait for, or waits for.
    fn order(&mut self, task: &Shown<'_>) {
        let record = task.record;
        self.text("group", record, field::GROUP);
        self.text("key", record, field::KEY);
        let after: Vec<String> = record.texts(field::AFTER).map(one_line).collect();
        self.field("after", &after.join(", "));
        if let Some(place) = task.place {
            self.field("waits for", &format!("place {} {place}", grouped(place.number)));
        }
    }

    fn processes(&mut self, task: &Shown<'_>) {
        let record = task.record;
        let supervisor = record.pid(field::SUPERVISOR_PID);
        match record.pid(field::PID) {
            // The supervisor's own, until the command is started.
            Some(pid) if Some(pid) != supervisor => {
                let how = match task.is_alive {
                    Some(true) => "running",
                    Some(false) => "gone",
                    None => "whether it runs is not known here",
                };
                self.field("pid", &format!("{pid}, {how}"));
            }
            _ if task.state.is_live() => self.field("pid", "not started yet"),
            _ => {}
        }
        if let Some(pid) = supervisor.filter(|_| task.state.is_live() || task.state == State::Orphaned) {
            let how = if task.state == State::Orphaned { ", gone" } else { "" };
            self.field("supervisor", &format!("{pid}{how}"));
        }
    }

    fn times(&mut self, task: &Shown<'_>) {
        let now = self.style.now;
        let moment = |at: i64| {
            let stamp = timestamp::format(at).replace('T', " ").replace('Z', " UTC");
            format!("{stamp}, {}", ago(at, now))
        };
        let mut time = |name: &str, of: &str| {
            if let Some(at) = task.record.time(of) {
                self.field(name, &moment(at));
            }
        };
        time("queued", field::QUEUED_AT);
        if task.state != State::Queued {
            time("started", field::STARTED_AT);
        }
        time("ended", field::FINISHED_AT);
        if task.state.is_live() || task.state == State::Orphaned {
            time("last heard", field::UPDATED_AT);
        }
        if let Some(span) = task.elapsed(now) {
            let runs = task.state.is_live() || task.is_alive == Some(true);
            let name = if runs { "elapsed" } else { "took" };
            self.field(name, &span::brief(span));
        }
        if let Some(attempt) = task.record.count(field::ATTEMPT) {
            let of = task.record.count(field::ATTEMPTS).map(|all| format!(" of {all}")).unwrap_or_default();
            self.field("attempt", &format!("{attempt}{of}"));
        }
        if let Some(done) = task.progress() {
            let last = task.line(field::LAST_STACK).map(|last| format!(", last {last}")).unwrap_or_default();
            self.field("progress", &format!("{done}{last}"));
        }
        if let Some(estimate) = task.estimate(now) {
            self.field("progress", &hints::estimate(&estimate));
        }
    }

    fn outcome(&mut self, task: &Shown<'_>, is_told: bool) {
        let record = task.record;
        let bad = if task.state == State::Failed { Paint::Bad } else { Paint::Plain };
        if let Some(code) = record.integer(field::EXIT_CODE) {
            let signal = task.line(field::SIGNAL).map(|name| format!(", {name}")).unwrap_or_default();
            self.painted("exit code", &format!("{code}{signal}"), bad);
        } else {
            self.text("signal", record, field::SIGNAL);
        }
        self.field("cancelled", &cancelled_by(record));
        // What the exit code says already need not be said twice, nor what leads the panel.
        let error = task.line(field::ERROR).filter(|text| !is_told && !text.starts_with("exit_code="));
        self.painted("error", &error.unwrap_or_default(), bad);
        let millis = |name: &str| record.count(name).map(|ms| span::brief(Duration::from_millis(ms)));
        let mut used = Vec::new();
        used.extend(
            record
                .count(field::MAX_RSS_KIB)
                .map(|kib| format!("{} memory at most", size::brief(kib.saturating_mul(1024)))),
        );
        used.extend(millis(field::USER_MS).map(|time| format!("{time} user")));
        used.extend(millis(field::SYSTEM_MS).map(|time| format!("{time} system")));
        self.field("used", &used.join(", "));
    }

    fn output(&mut self, record: &Record, around: &Around) {
        let wrote = |name: &str, stream: &str| {
            record.count(name).map(|bytes| format!("{} on {stream}", size::brief(bytes)))
        };
        let wrote: Vec<String> = [wrote(field::STDOUT_BYTES, "stdout"), wrote(field::STDERR_BYTES, "stderr")]
            .into_iter()
            .flatten()
            .collect();
        self.field("wrote", &wrote.join(", "));
        let path = one_line(&around.log_path);
        match &around.log {
            Ok(bytes) => {
                let cut = match (record.count(field::LOG_LEFT_OUT_BYTES), record.flag(field::LOG_TRUNCATED)) {
                    (Some(left_out), _) => format!(", without {} of its middle", size::brief(left_out)),
                    (None, Some(true)) => ", not all output".to_owned(),
                    (None, _) => String::new(),
                };
                self.field("log", &format!("{path} ({} bytes{cut})", grouped(*bytes)));
            }
            Err(why) => self.painted("log", &format!("{path} ({why})"), Paint::Bad),
        }
    }

    fn remarks(&mut self, record: &Record) {
        let mut labels = Vec::new();
        for (name, value) in record.labels() {
            labels.push(format!("{}={}", one_line(name), one_line(value)));
        }
        self.field("labels", &labels.join(", "));
        for warning in record.texts(field::WARNINGS) {
            self.painted("warning", &one_line(warning), Paint::Bad);
        }
    }

    fn last_lines(&mut self, record: &Record) {
        let lines: Vec<String> =
            record.texts(field::TAIL).map(indented_line).filter(|l| !l.is_empty()).collect();
        if lines.is_empty() {
            return;
        }
        self.lines.push(String::new());
        let mut heading = String::from("  ");
        Paint::Dim.put(&mut heading, "last lines", self.style.colour);
        self.lines.push(heading);
        for line in lines {
            let shown =
                self.style.width.map_or_else(|| line.clone(), |width| cut(&line, width.saturating_sub(4)));
            self.lines.push(format!("    {shown}"));
        }
    }
}

/// Who cancelled the task, and how: `by ada, pid 4242, SIGTERM`.
fn cancelled_by(record: &Record) -> String {
    let Some(by) = record.fields().get(field::CANCELLED_BY).and_then(Value::as_object) else {
        return String::new();
    };
    let text =
        |name: &str| by.get(name).and_then(Value::as_str).map(one_line).filter(|text| !text.is_empty());
    let mut parts = Vec::new();
    parts.extend(text("user"));
    parts.extend(by.get("pid").and_then(Value::as_i64).map(|pid| format!("pid {pid}")));
    // Where it happened is news only if it was not where the task runs.
    let elsewhere = text("host").filter(|host| record.text(field::HOST).map(one_line).as_ref() != Some(host));
    parts.extend(elsewhere.map(|host| format!("on {host}")));
    parts.extend(text("signal"));
    if parts.is_empty() { String::new() } else { format!("by {}", parts.join(", ")) }
}

/// What a state does not say by itself.
fn remark(task: &Shown<'_>) -> Option<&'static str> {
    match (task.state, task.is_alive) {
        (State::Orphaned, Some(true)) => Some("nobody supervises it any more, and its command still runs"),
        (State::Orphaned, Some(false)) if task.record.state() == Some(State::Queued) => {
            Some("nobody supervises it any more, and its command was never started")
        }
        (State::Orphaned, Some(false)) => Some("nobody supervises it any more, and its command is gone"),
        (State::Orphaned, None) => Some("nobody supervises it any more"),
        (State::Running | State::Queued, None) => {
            Some("as its record says: whether it is so cannot be told from here")
        }
        (State::Running, Some(false)) => Some("its command is gone, its end is being recorded"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::line::Place;
    use crate::task::{LineName, Past, TaskId};

    fn shown(json: &str, state: State, is_alive: Option<bool>) -> Result<String, Box<dyn std::error::Error>> {
        shown_in_line(json, state, is_alive, None)
    }

    fn shown_in_line(
        json: &str,
        state: State,
        is_alive: Option<bool>,
        place: Option<&Place>,
    ) -> Result<String, Box<dyn std::error::Error>> {
        let id = TaskId::parse("deploy-1795257252000-0")?;
        let record = Record::from_bytes(json.as_bytes())?;
        let around =
            Around { log_path: "/s/deploy-1795257252000-0.log".to_owned(), log: Ok(12_345), why: None };
        let style = Style { width: Some(40), colour: false, now: 1_795_257_472 };
        let task = Shown { id: &id, record: &record, state, is_alive, place, past: None };
        Ok(lines(&task, &around, style).join("\n"))
    }

    #[test]
    fn everything_is_told() -> Result<(), Box<dyn std::error::Error>> {
        let text = shown(
            r#"{"argv":["sh","-c","make all"],"cwd":"/src","host":"box","user":"me","pid":7,"supervisor_pid":6,
                "started_at":"2026-11-21T10:34:12Z","finished_at":"2026-11-21T10:35:12Z","duration_ms":60000,
                "exit_code":137,"signal":"SIGKILL","error":"killed by SIGKILL","stacks_completed":3,"stacks_total":12,
                "last_stack":"c","max_rss_kib":2048,"user_ms":450,"system_ms":0,"stdout_bytes":10,"stderr_bytes":2048,
                "warnings":["w1","w2"],"labels":{"env":"prod"},"tail":["one","  indented","two and a very long line that is too long"]}"#,
            State::Failed,
            Some(false),
        )?;
        let wanted = "\
deploy-1795257252000-0  failed

  command     sh -c 'make all'
  directory   /src
  where       me on box
  pid         7, gone
  started     2026-11-21 10:34:12 UTC, 3m ago
  ended       2026-11-21 10:35:12 UTC, 2m ago
  took        1m00s
  progress    3/12, last c
  exit code   137, SIGKILL
  error       killed by SIGKILL
  used        2 MiB memory at most, 450ms user, 0s system
  wrote       10 B on stdout, 2 KiB on stderr
  log         /s/deploy-1795257252000-0.log (12,345 bytes)
  labels      env=prod
  warning     w1
  warning     w2

  last lines
    one
      indented
    two and a very long line that is to…";
        assert_eq!(text, wanted);
        Ok(())
    }

    #[test]
    fn an_orphan_is_explained() -> Result<(), Box<dyn std::error::Error>> {
        let text = shown(r#"{"pid":7,"supervisor_pid":6}"#, State::Orphaned, Some(true))?;
        assert!(
            text.contains("orphaned  nobody supervises it any more, and its command still runs"),
            "{text}"
        );
        assert!(text.contains("supervisor  6, gone") && text.contains("pid         7, running"), "{text}");
        let text = shown("{}", State::Running, None)?;
        assert!(text.contains("not started yet"), "{text}");
        Ok(())
    }

    #[test]
    fn what_is_guessed_is_told() -> Result<(), Box<dyn std::error::Error>> {
        let mut past = Past::default();
        past.add(&Record::from_bytes(
            br#"{"state":"succeeded","duration_ms":350000,"longest_silence_ms":9000}"#,
        )?);
        let id = TaskId::parse("deploy-1795257252000-0")?;
        let record = Record::from_bytes(
            br#"{"started_at":"2026-11-21T10:34:12Z","silent_since":"2026-11-21T10:35:12Z"}"#,
        )?;
        let around = Around { log_path: String::new(), log: Ok(0), why: None };
        let style = Style { width: Some(40), colour: false, now: 1_795_257_472 };
        let told = |is_alive| {
            let state = State::Running;
            let task = Shown { id: &id, record: &record, state, is_alive, place: None, past: Some(&past) };
            lines(&task, &around, style).join("\n")
        };
        let text = told(Some(true));
        assert!(
            text.starts_with("deploy-1795257252000-0  running  silent for 2m (longest before: 9s)\n"),
            "{text}"
        );
        assert!(text.contains("\n  progress    ~62%, about 3 min left (from the last run)\n"), "{text}");
        let unknown = told(None);
        assert!(!unknown.contains("silent") && !unknown.contains("progress"), "{unknown}");
        Ok(())
    }

    #[test]
    fn a_queued_task_says_what_it_waits_for() -> Result<(), Box<dyn std::error::Error>> {
        let place = Place { line: LineName::group("deploy")?, number: 2 };
        let text = shown_in_line(
            r#"{"argv":["make"],"pid":6,"supervisor_pid":6,"group":"deploy","key":"k","after":["build-1-0","test-1-0"],
                "queued_at":"2026-11-21T10:34:12Z","attempt":2,"attempts":4}"#,
            State::Queued,
            Some(false),
            Some(&place),
        )?;
        let wanted = "\
deploy-1795257252000-0  queued

  command     make
  group       deploy
  key         k
  after       build-1-0, test-1-0
  waits for   place 2 in group 'deploy'
  pid         not started yet
  supervisor  6
  queued      2026-11-21 10:34:12 UTC, 3m ago
  attempt     2 of 4
  log         /s/deploy-1795257252000-0.log (12,345 bytes)";
        assert_eq!(text, wanted);
        let text = shown(r#"{"pid":6,"supervisor_pid":6,"state":"queued"}"#, State::Orphaned, Some(false))?;
        assert!(text.contains("its command was never started"), "{text}");
        Ok(())
    }

    #[test]
    fn who_cancelled_it_is_told() -> Result<(), Box<dyn std::error::Error>> {
        for (by, told) in [
            (
                r#"{"user":"ada","pid":4242,"host":"box","signal":"SIGTERM"}"#,
                Some("by ada, pid 4242, SIGTERM"),
            ),
            (r#"{"user":"ada","pid":4242,"host":"desk"}"#, Some("by ada, pid 4242, on desk")),
            (r#"{"user":"a\u001b[2J\nb","pid":"x"}"#, Some("by a b")),
            ("{}", None),
            ("\"ada\"", None),
        ] {
            let json = format!("{{\"host\":\"box\",\"cancelled_by\":{by}}}");
            let text = shown(&json, State::Cancelled, Some(false))?;
            let line = text.lines().find_map(|line| line.strip_prefix("  cancelled   "));
            assert_eq!(line, told, "{by}");
        }
        Ok(())
    }

    #[test]
    fn no_field_breaks_a_line() -> Result<(), Box<dyn std::error::Error>> {
        let nasty = r"a\nb\u001b[2J\u001b]0;t\u0007\u202ec";
        let names = ["cwd", "host", "user", "last_stack", "signal", "error", "group", "key"];
        let fields: Vec<String> = names.iter().map(|name| format!("\"{name}\":\"{nasty}\"")).collect();
        let json = format!(
            "{{{},\"argv\":[\"{nasty}\"],\"labels\":{{\"{nasty}\":\"{nasty}\"}},\"warnings\":[\"{nasty}\"],\"tail\":[\"{nasty}\"],\"after\":[\"{nasty}\"],\"stacks_completed\":1}}",
            fields.join(",")
        );
        let text = shown(&json, State::Failed, None)?;
        assert!(!text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
        assert_eq!(text.lines().count(), 17, "{text}");
        Ok(())
    }
}
