//! `gco run`: supervises a command.

mod follow;
mod gauging;
mod keep;
mod life;
mod order;
mod replay;
mod seat;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;

use self::follow::follow;
use self::gauging::Gauging;
use self::keep::Keep;
use self::life::Life;
use self::order::Order;
use self::replay::Replaying;
use self::seat::Seat;
use crate::failure::{EXIT_GCO_FAILED, Failure, io_words};
use crate::store::retention::DEFAULT_KEEP;
use crate::supervise::front_end::{self, Finished, Manner};
use crate::supervise::hook::HOOK_VARIABLE;
use crate::sys::start::Inherited;
use crate::task::spec::Echo;
use crate::task::{Spec, id};

/// Switches records off: `1`, `true` or `yes`.
const DISABLE_VARIABLE: &str = "GCO_DISABLE_TASK_STATUS";
/// How many finished tasks are kept.
const RETENTION_VARIABLE: &str = "GCO_TASK_RETENTION";
/// How many labels a task has, and how long one is in bytes, at most: the record must hold them.
const MAX_LABELS: usize = 64;
const MAX_LABEL: usize = 1024;

/// What help and the man page say after the options.
const MORE: &str = "\
Exit status:
  As the command's: its exit code, or death by the same signal. With --detach 0 once the command runs.
  75   The command runs on in the background, or was not run because others have the places or the key
  124  It took too long, or was silent for too long
  125  gco itself failed
  126  The command was found and cannot be run
  127  The command was not found

Environment:
  GCO_TASK_ID              Set for the command: the id of its task
  NOTIFY_SOCKET            Set for the command with --notify
  GCO_TASK_STATUS_DIR      Where tasks are kept, instead of ~/.gco/tasks
  GCO_DISABLE_TASK_STATUS  1, true or yes: keep no files; --detach is then refused
  GCO_TASK_RETENTION       How many finished tasks are kept, 50 if not said, 0 for all
  GCO_LOG_LIMIT            What --log-limit is if it is not given
  GCO_ON_FINISH            What --on-finish is if it is not given
  GCO_SHOW_PROGRESS        The same for --show-progress

Examples:
  A build, under a name of its own:
    gco run --name nightly -- make -j8
  In the background; it prints the id, and runs on when you log out:
    gco run -d --label env=prod -- ./deploy.sh eu-west
  From cron, which sends mail only if something is printed:
    gco run --echo on-failure -- ./backup.sh /home
  A nightly job that must not hang, tried again if it fails:
    gco run --timeout 2h --grace 30s --stall-timeout 10m -- ./backup.sh /home
    gco run --retry 3 --retry-delay 10s -- ./backup.sh /home
  In the foreground for a while, and then in the background:
    gco run --background-after 20s -- make -j8
  Two of a group at once; one more only if there is a place:
    gco run --group deploy --limit 2 -- ./deploy.sh eu-west
    gco run --group deploy --no-wait -- ./deploy.sh us-east
  Once others have succeeded, or are over:
    gco run --after make --after-any backup -- ./deploy.sh eu-west
  One at a time, whoever starts it; a second one shows the output of the first:
    gco run --key nightly --on-conflict follow -- ./backup.sh /home
  How far it is, in the words of one tool, of its own, or counted:
    gco run --progress none -- make
    gco run --progress-pattern 'step (?P<current>[0-9]+) of (?P<total>[0-9]+)' -- make -j8
    gco run --total 3 -- sh -c 'for s in a b c; do gco progress --unit $s; done'
    gco run --notify -- systemd-notify --status 'copying, 40%'
    gco run --show-progress never -- make -j8
  Tell somebody how it went:
    gco run --on-finish 'echo $GCO_TOOL: $GCO_STATE >>finished' -- make
  What a task has written, once more, to try something out:
    gco run --replay backup --speed 10 --max-gap 2s --on-finish 'echo $GCO_STATE' | wc -l
  With a terminal, though gco itself has none; its full screen is kept in the log:
    gco run --pty always --log-screen -- ls --color
  It may write for ever; of its log there are never more than 64 MiB:
    gco run -d --log-limit 64MiB --name ticker -- sh -c 'yes tick | head -n 1000'
  It ends with the window that it was started in, and other keys leave it:
    gco run --on-hangup cancel --detach-keys ctrl-a,d -- ./deploy.sh eu-west
  Somewhere else, with a variable of its own:
    gco run --cwd /tmp --env LEVEL=2 -- sh -c 'pwd; echo $LEVEL'
  A pipeline is the shell's, so it needs one:
    gco run --name words -- sh -c 'sort words | uniq -c >counts'";

/// Run a command as a task
///
/// The command's output appears at once and as it would without gco, and its input is what gco was given. gco ends as the
/// command ends: with its exit code, or by the signal that ended it. Signals sent to gco reach the
/// command, and Ctrl-Z stops it. Meanwhile output and state go to the status directory, where 'gco tasks'
/// reads them.
///
/// If the terminal goes away or gco is killed, the command runs on in the background, and log and exit code are kept
/// as if nothing had happened. If the status directory cannot be used, that is said on stderr, and the command
/// runs without a record.
///
/// gco writes nothing of its own to stdout. On stderr, if that is a terminal, it says the task's id at the start, and at
/// the end how the command failed if it did.
#[derive(Debug, clap::Args)]
#[command(override_usage = "gco run [OPTIONS] [--] COMMAND [ARGS]...\n       gco run [OPTIONS] --replay TASK", after_long_help = MORE)]
pub struct Args {
    /// Name the task; the command's base name if not given
    ///
    /// The name is the first part of the task's id, and stands for the newest task that has it. What is not a letter, a
    /// digit, '.', '_' or '-' becomes '_'.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    name: Option<String>,

    /// Label the task; may be repeated
    ///
    /// Labels are shown by 'gco tasks status', and 'gco tasks list' finds tasks by them. Of one key the last value counts.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,

    /// Run the command in this directory
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    cwd: Option<PathBuf>,

    /// Set a variable in the command's environment; may be repeated
    ///
    /// All else in it is as in gco's own. The environment is never stored.
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = clap::builder::OsStringValueParser::new())]
    environment: Vec<OsString>,

    /// Print the task's id once the command runs, and leave it to itself
    ///
    /// The command's input is then /dev/null, and its output goes to the log alone. If it cannot be started, the exit code
    /// says so, as without --detach.
    #[arg(short, long)]
    detach: bool,

    /// Say nothing about the task itself
    ///
    /// The lines about the task on a terminal are left out. What went wrong is still said.
    #[arg(short, long)]
    quiet: bool,

    /// When to show the command's output
    ///
    /// It goes to the stream it came from, and in any case to the log.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = EchoArg::Always)]
    echo: EchoArg,

    #[command(flatten)]
    gauging: Gauging,

    #[command(flatten)]
    replaying: Replaying,

    #[command(flatten)]
    seat: Seat,

    #[command(flatten)]
    keep: Keep,

    #[command(flatten)]
    life: Life,

    #[command(flatten)]
    order: Order,

    /// With --detach: print the id as JSON, {"task_id": "..."}
    #[arg(long, requires = "detach")]
    json: bool,

    /// The command and its arguments
    ///
    /// Everything from COMMAND on belongs to it, options included. A command that begins with a dash needs '--' before it.
    #[arg(
        required_unless_present = "replay",
        trailing_var_arg = true,
        value_name = "COMMAND",
        value_hint = clap::ValueHint::CommandWithArguments
    )]
    command: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EchoArg {
    /// As it comes
    Always,
    /// Not at all
    Never,
    /// All of it at the end, if the command failed
    OnFailure,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// What gco itself could not do, with exit code 125.
pub fn run(args: Args, mut inherited: Inherited) -> Result<i32> {
    inherited.note_open_descriptors();
    let disabled = is_disabled(std::env::var_os(DISABLE_VARIABLE).as_deref());
    if disabled && args.detach {
        let message =
            format!("{DISABLE_VARIABLE} is set: without a record nobody could ever find a detached task");
        return Err(failed(message).hint(format!("unset {DISABLE_VARIABLE}, or leave out --detach")).into());
    }
    if disabled && !args.order.is_none() {
        let message = format!("{DISABLE_VARIABLE} is set: without a record nobody can tell whose turn it is");
        let hint = format!("unset {DISABLE_VARIABLE}, or leave out --group, --key and --after");
        return Err(failed(message).hint(hint).into());
    }
    let manner = Manner { track: !disabled, quiet: args.quiet, json: args.json };
    let spec = spec(args)?;
    match front_end::run(spec, inherited, manner)? {
        Finished::Exit(code) => Ok(code),
        Finished::Follow(id) => follow(&id),
    }
}

fn failed(message: impl Into<String>) -> Failure {
    Failure::new(EXIT_GCO_FAILED, message)
}

fn spec(args: Args) -> Result<Spec, Failure> {
    let here = || {
        std::env::current_dir()
            .map_err(|error| failed(format!("cannot tell the current directory: {}", io_words(&error))))
    };
    let directory = match &args.cwd {
        None => std::env::current_dir().unwrap_or_default(),
        Some(path) if path.is_absolute() => path.clone(),
        Some(path) => here()?.join(path),
    };
    if args.cwd.is_some() {
        check_directory(&directory)?;
    }
    let mut environment: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    for setting in &args.environment {
        let (name, value) = split_setting(setting)?;
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value.to_owned()));
    }
    let mut labels = args.labels;
    // Of one name the last value counts.
    labels.reverse();
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    labels.dedup_by(|a, b| a.0 == b.0);
    if labels.len() > MAX_LABELS {
        return Err(failed(format!("a task has at most {MAX_LABELS} labels")));
    }
    let replayed = args.replaying.command()?;
    let name = args.name.as_deref().or(replayed.as_ref().map(|_| replay::NAME));
    let argv = replayed.unwrap_or(args.command);
    let command = argv.first().map(OsString::as_os_str).unwrap_or_default();
    if command.is_empty() {
        return Err(failed("the command is empty").hint("write it like: gco run -- make test"));
    }
    let base = Path::new(command).file_name().unwrap_or(command);
    Ok(Spec {
        tool: id::tool_name(name.map_or(base.as_bytes(), str::as_bytes)),
        change_directory: args.cwd.is_some().then(|| directory.clone()),
        directory,
        environment,
        labels,
        total: args.gauging.total,
        progress: args.gauging.recognised(),
        notify: args.gauging.notify,
        echo: match args.echo {
            EchoArg::Always => Echo::Always,
            EchoArg::Never => Echo::Never,
            EchoArg::OnFailure => Echo::OnFailure,
        },
        detach: args.detach,
        retention: retention(),
        log_limit: args.keep.log_limit(),
        timeout: args.life.timeout,
        stall_timeout: args.life.stall_timeout,
        grace: args.life.grace,
        background_after: args.life.background_after,
        retry: args.life.retry(),
        turn: args.order.turn()?,
        on_conflict: args.order.on_conflict(),
        pty: args.seat.pty(),
        show_progress: args.gauging.shown(),
        log_screen: args.seat.log_screen,
        ends_on_hangup: args.seat.ends_on_hangup(),
        detach_keys: args.seat.detach_keys.0,
        on_finish: args
            .life
            .on_finish
            .or_else(|| std::env::var_os(HOOK_VARIABLE))
            .filter(|hook| !hook.is_empty()),
        argv,
    })
}

fn check_directory(path: &Path) -> Result<(), Failure> {
    let why = match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => "it is not a directory".to_owned(),
        Err(error) => io_words(&error),
    };
    Err(failed(format!("cannot run in '{}': {why}", path.display())))
}

/// `NAME=VALUE`, where the name is not empty.
fn split_setting(setting: &OsStr) -> Result<(&OsStr, &OsStr), Failure> {
    let bytes = setting.as_bytes();
    match bytes.iter().position(|&b| b == b'=') {
        Some(at) if at > 0 => Ok((OsStr::from_bytes(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..]))),
        _ => Err(failed(format!("--env '{}' is not of the form NAME=VALUE", setting.display()))),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    if text.len() > MAX_LABEL {
        return Err(format!("a label has at most {MAX_LABEL} bytes"));
    }
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is of the form KEY=VALUE".to_owned()),
    }
}

fn is_disabled(value: Option<&OsStr>) -> bool {
    let value = value.unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    matches!(value.as_str(), "1" | "true" | "yes")
}

/// A setting that makes no sense is said and passed over: it must not keep a nightly job from running.
fn retention() -> usize {
    let Some(value) = std::env::var_os(RETENTION_VARIABLE).filter(|value| !value.is_empty()) else {
        return DEFAULT_KEEP;
    };
    value.to_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let words = format!(
            "gco: {RETENTION_VARIABLE} is '{}', which is not a number of tasks; {DEFAULT_KEEP} are kept\n",
            value.display()
        );
        // One who is not at the terminal misses it.
        let _ = std::io::stderr().write_all(words.as_bytes());
        DEFAULT_KEEP
    })
}
