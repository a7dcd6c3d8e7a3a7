//! `gco mcp`: the tasks for agents, over the Model Context Protocol.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::builder::NonEmptyStringValueParser;

use crate::failure::{Failure, io_words};
use crate::mcp;
use crate::mcp::permission::Permission;

/// What callers over HTTP must know.
const TOKEN_VARIABLE: &str = "GCO_MCP_TOKEN";

/// The shortest token that is taken: one that is short is guessed.
const SHORTEST_TOKEN: usize = 16;

/// What help and the man page say after the options.
const MORE: &str = "\
Exit status:
  0  The client has closed the connection
  1  The server could not be started

Environment:
  GCO_MCP_TOKEN  With --http: the token that callers must send, instead of one that is made and printed

Examples:
  What a client is told to start, so that an agent can look at tasks:
    gco mcp </dev/null
  So that it can also run commands, five at once, and clean up:
    gco mcp --allow-run --max-running 5 --allow-prune </dev/null
  Only these programs, only in this directory and below; it may cancel what others have started:
    gco mcp --allow-run --only-program make --only-dir /tmp --allow-cancel </dev/null
  For clients on this machine that do not start it, on a free port; its address and token are printed:
    timeout 1 gco mcp --http 127.0.0.1:0 || true";

/// Let an AI agent look at tasks, and run them
///
/// A server of the Model Context Protocol on stdin and stdout, which a client starts; or over HTTP. Its tools are task_status, task_list,
/// task_tail, task_wait, task_why and task_diff, and as far as it is allowed task_run, task_cancel and task_prune. Tasks
/// belong to nobody: they go on when the server or the client ends, and the next one finds them again.
///
/// Without options an agent can look and nothing else. Tasks that it has started have the labels via=mcp and mcp_client.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// Let clients run commands, and cancel tasks that were started so
    #[arg(long)]
    allow_run: bool,

    /// Run only this program, written as clients call it; may be repeated
    ///
    /// A shell among them can run everything, and so can many other programs: this is against mistakes.
    #[arg(long, value_name = "PROGRAM", requires = "allow_run", value_parser = NonEmptyStringValueParser::new())]
    only_program: Vec<String>,

    /// Run commands only in this directory and those below it; may be repeated
    #[arg(long, value_name = "DIR", requires = "allow_run", value_hint = clap::ValueHint::DirPath)]
    only_dir: Vec<PathBuf>,

    /// Refuse to run more while so many tasks of clients are under way
    #[arg(long, value_name = "N", default_value = "10", requires = "allow_run", value_parser = number)]
    max_running: usize,

    /// Let clients cancel any task
    #[arg(long)]
    allow_cancel: bool,

    /// Let clients remove finished tasks
    #[arg(long)]
    allow_prune: bool,

    /// Serve over HTTP on this address and port of this machine, until a signal ends it; port 0 is a free one
    ///
    /// Callers must send the token as 'Authorization: Bearer TOKEN'.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| "it takes a number of tasks from 1 to 10000".to_owned())
}

/// Does it, and gives the exit code.
///
/// # Errors
/// The server cannot be started.
pub fn run(args: Args) -> Result<i32> {
    match args.http {
        Some(address) => mcp::on_http(permission(args)?, address, token()?)?,
        None => mcp::on_stdio(permission(args)?)?,
    }
    Ok(0)
}

/// The token that was given, if one was.
fn token() -> Result<Option<String>, Failure> {
    let Some(token) = std::env::var_os(TOKEN_VARIABLE).filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    let is_fit =
        |token: &String| token.len() >= SHORTEST_TOKEN && token.bytes().all(|b| b.is_ascii_graphic());
    token.into_string().ok().filter(is_fit).map(Some).ok_or_else(|| {
        let what = format!(
            "{TOKEN_VARIABLE} is no token: it must have {SHORTEST_TOKEN} characters or more, and no blanks"
        );
        Failure::usage(what).hint("leave it out, and a token is made and printed")
    })
}

fn permission(args: Args) -> Result<Permission, Failure> {
    let directory = |path: PathBuf| {
        path.canonicalize().map_err(|error| {
            Failure::usage(format!("cannot allow the directory '{}': {}", path.display(), io_words(&error)))
        })
    };
    Ok(Permission {
        run: args.allow_run,
        programs: args.only_program,
        directories: args.only_dir.into_iter().map(directory).collect::<Result<_, _>>()?,
        max_running: args.max_running,
        cancel: args.allow_cancel,
        prune: args.allow_prune,
    })
}
