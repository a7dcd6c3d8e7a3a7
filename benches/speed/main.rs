//! How fast gco is, against other programs in the same run. `cargo bench --bench speed` prints the table.
//!
//! Each row runs gco and another program by turns, A B A B, so that both see the same machine, and gives the median of
//! the ratios of the pairs. What was done is read back: a log that is not the command's output, a list that is too
//! short, an exit code that is wrong end the run with an error. A figure never does, however bad it is.
//!
//! `-- NAME..` runs the rows whose names contain one of these words, `-- --quick` runs each row once with little data, for
//! CI, `-- --disk` puts everything on the disk instead of tmpfs, `-- --pairs N` takes N pairs, `-- --list` names the rows.
//! Everything happens in a directory of its own, which is removed in the end together with every process left.

mod args;
mod bench;
mod data;
mod fakes;
mod helper;
mod leash;
mod measure;
mod processes;
mod room;
mod rows;
mod table;

use std::process::ExitCode;

use anyhow::{Context, Result};

use args::Args;
use bench::Bench;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.split_first() {
        Some((word, rest)) if word == helper::WORD => helper::help(rest),
        _ => Args::parse(&words).and_then(|args| run(&args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("speed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let rows: Vec<_> = rows::ALL.iter().filter(|row| args.wants(row.name)).collect();
    if args.list {
        rows.iter().for_each(|row| println!("{}", row.name));
        return Ok(());
    }
    processes::adopt_orphans()?;
    let bench = Bench::new(args)?;
    println!("{}\n", bench.place());
    table::head();
    for row in rows {
        let _watch = processes::watch(row.name);
        let reading = (row.run)(&bench).with_context(|| row.name.to_owned())?;
        table::row(row, &reading, !args.quick);
        bench.room.clear()?;
    }
    Ok(())
}
