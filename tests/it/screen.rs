//! A screen to look at: a shell in a `tmux` of its own, whose keys are typed and whose screen is read by the test.
//!
//! Programs are used on it as by a person, once bare and once in gco, and the screens compared. `W` is what stands before a
//! command: nothing, or `gco run`; so even the line that was typed is the same.

use std::process::Command;

use crate::harness::{Home, eventually};

/// The same command bare and in gco.
pub const BOTH: [&str; 2] = ["", "gco run -q --"];

/// Whether `programs` are on this machine. Where they must be (`.ci/run` says so) it is a failure if one is not.
pub fn are_here(programs: &[&str]) -> bool {
    let is_here = |name: &&str| {
        Command::new("sh").args(["-c", &format!("command -v {name} >/dev/null")]).status().unwrap().success()
    };
    let missing: Vec<_> = programs.iter().filter(|name| !is_here(name)).collect();
    if !missing.is_empty() {
        assert!(std::env::var_os("GCO_IT_PROGRAMS").is_none(), "not on this machine: {missing:?}");
        eprintln!("NOT TESTED, for want of {missing:?}");
    }
    missing.is_empty()
}

/// A terminal of 80 columns by 24 rows with a shell in it.
pub struct Screen<'h> {
    home: &'h Home,
    prompts: usize,
}

impl<'h> Screen<'h> {
    /// One whose shell puts `wrapper` where `$W` stands.
    pub fn new(home: &'h Home, wrapper: &str) -> Screen<'h> {
        let screen = Screen { home, prompts: 0 };
        let shell = format!("exec env W='{wrapper}' PS1='$ ' bash --norc --noprofile");
        screen.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", &shell]);
        screen.tmux(&["set-option", "-g", "history-limit", "0"]);
        screen.until("$");
        screen
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = self
            .home
            .command("tmux", ["-S", "tmux"].iter().chain(args))
            .env("TERM", "xterm-256color")
            .env("EDITOR", "vim -u NONE")
            .run();
        String::from_utf8(output.code(0).stderr("").into_stdout()).unwrap()
    }

    /// Types `text` as it is.
    pub fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Presses keys by name: `Enter`, `C-c`, `Escape`.
    pub fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a line.
    pub fn line(&self, text: &str) {
        self.types(text);
        self.press(&["Enter"]);
    }

    /// What the screen shows, without the blanks at the ends of lines.
    pub fn text(&self) -> String {
        let text = self.tmux(&["capture-pane", "-p"]);
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// The same with its colours.
    pub fn coloured(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"]).trim_end().to_owned()
    }

    /// Waits until the screen shows `part`.
    pub fn until(&self, part: &str) -> String {
        self.until_it(&format!("{part:?} on the screen"), |text| text.contains(part))
    }

    /// Waits until the screen is as `wanted`.
    pub fn until_it(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                last = self.text();
                wanted(&last).then(|| last.clone())
            })
        }));
        found.unwrap_or_else(|_| panic!("waited for {what}; it shows:\n{last}"))
    }

    /// Types a line and waits for the prompt after it.
    pub fn run(&mut self, line: &str) -> String {
        self.types(line);
        // Seen before Enter is pressed, it cannot be the prompt of before that is seen afterwards.
        let end: String = line.chars().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect();
        self.until_it("what is typed", |text| text.ends_with(end.trim_end()));
        self.press(&["Enter"]);
        self.until_prompt()
    }

    /// Waits until the shell reads again, and says so.
    pub fn until_prompt(&mut self) -> String {
        // Typed sooner, the mark could be read by the program that is about to end.
        self.until_it("a prompt", |text| text == "$" || text.ends_with("\n$"));
        self.prompts += 1;
        let mark = format!("mark {}", self.prompts);
        self.line(&format!("echo 'ma''rk {}'", self.prompts));
        self.until_it(&mark, |text| text.lines().any(|line| line == mark) && text.ends_with('$'))
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// Closes the window, and with it the terminal.
    pub fn close(&self) {
        self.tmux(&["kill-window"]);
    }
}

/// Does the same bare and in gco, each in a home of its own, and gives both screens, which must be equal.
#[track_caller]
pub fn same_on_both(act: impl Fn(&mut Screen<'_>, &Home) -> String) -> String {
    let [bare, wrapped] = BOTH.map(|wrapper| {
        let home = Home::new();
        let shown = act(&mut Screen::new(&home, wrapper), &home);
        home.until_quiet();
        shown.replace(home.path().to_str().unwrap(), "HOME")
    });
    assert!(bare == wrapped, "bare:\n{bare}\n\nin gco:\n{wrapped}");
    wrapped
}
