//! What clients may do. Looking is always allowed; everything else only as far as whoever started the server has said.
//!
//! Lists of programs and directories are a fence against mistakes, not a prison: a program that is allowed can do
//! whatever it can do.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, io_words};

/// The shell that `shell: true` means.
pub const SHELL: &str = "/bin/sh";

/// What clients may do.
#[derive(Debug, Clone, Default)]
pub struct Permission {
    /// Run commands, and cancel what was started so.
    pub run: bool,
    /// Only these programs, as they are called or by absolute path; empty for all.
    pub programs: Vec<String>,
    /// Only in these directories and those below them, each without links in its path; empty for all.
    pub directories: Vec<PathBuf>,
    /// How many tasks that clients have started may be under way at once.
    pub max_running: usize,
    /// Cancel tasks that others have started.
    pub cancel: bool,
    /// Remove finished tasks.
    pub prune: bool,
}

/// A command that a client wants to run.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What is to be run, the arguments aside.
    pub program: &'a str,
    /// Where; the server's own directory if nothing is said.
    pub directory: Option<&'a str>,
    /// The names of the variables that are to be set.
    pub variables: &'a [(String, String)],
}

impl Permission {
    /// Whether the command may be run, and where: the directory without links in its path.
    ///
    /// # Errors
    /// Why not, and what whoever started the server could do about it.
    pub fn check(&self, wish: &Wish<'_>) -> Result<PathBuf, Failure> {
        if !self.run {
            return Err(Failure::failed("this server only looks: it may not run anything")
                .hint("ask the user to start it with: gco mcp --allow-run"));
        }
        let directory = self.directory(wish.directory)?;
        self.program(wish)?;
        Ok(directory)
    }

    fn directory(&self, wanted: Option<&str>) -> Result<PathBuf, Failure> {
        let cannot =
            |path: &Path, why: &str| Failure::failed(format!("cannot run in '{}': {why}", path.display()));
        let path = match wanted {
            Some(path) => PathBuf::from(path),
            None => std::env::current_dir().map_err(|error| cannot(Path::new("."), &io_words(&error)))?,
        };
        if !path.is_absolute() {
            return Err(cannot(&path, "it is not an absolute path"));
        }
        let real = path.canonicalize().map_err(|error| cannot(&path, &io_words(&error)))?;
        if !real.is_dir() {
            return Err(cannot(&path, "it is not a directory"));
        }
        if self.directories.is_empty() || self.directories.iter().any(|allowed| real.starts_with(allowed)) {
            return Ok(real);
        }
        let allowed: Vec<_> = self.directories.iter().map(|path| path.display().to_string()).collect();
        let hint = format!("this server runs commands only in {} and below", allowed.join(", "));
        Err(cannot(&path, "it is not one of the allowed directories").hint(hint))
    }

    fn program(&self, wish: &Wish<'_>) -> Result<(), Failure> {
        if self.programs.is_empty() {
            return Ok(());
        }
        if !self.programs.iter().any(|allowed| allowed == wish.program) {
            let what = format!("'{}' is not one of the allowed programs", wish.program);
            return Err(
                Failure::failed(what).hint(format!("this server runs only {}", self.programs.join(", ")))
            );
        }
        // Each of these can make another program of the one that is named.
        let misleads =
            |name: &str| name == "PATH" || name.starts_with("LD_") || name == "BASH_ENV" || name == "ENV";
        match wish.variables.iter().find(|(name, _)| misleads(name)) {
            Some((name, _)) => Err(Failure::failed(format!("the variable '{name}' may not be set"))
                .hint("with a list of allowed programs, what leads to others is not allowed either")),
            None => Ok(()),
        }
    }

    /// Whether a task that was or was not started by a client may be cancelled.
    ///
    /// # Errors
    /// Why not, and what whoever started the server could do about it.
    pub fn check_cancel(&self, is_by_client: bool) -> Result<(), Failure> {
        if self.cancel || (self.run && is_by_client) {
            return Ok(());
        }
        let what = if self.run { "this task was not started here" } else { "this server only looks" };
        Err(Failure::failed(format!("{what}: it may not be cancelled"))
            .hint("ask the user to cancel it, or to start the server with: gco mcp --allow-cancel"))
    }

    /// Whether finished tasks may be removed.
    ///
    /// # Errors
    /// What whoever started the server could do about it.
    pub fn check_prune(&self) -> Result<(), Failure> {
        if self.prune {
            return Ok(());
        }
        Err(Failure::failed("this server may not remove tasks")
            .hint("ask the user to start it with: gco mcp --allow-prune"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Wish<'static> = Wish { program: "make", directory: Some("/"), variables: &[] };

    #[test]
    fn nothing_is_run_unless_it_is_allowed() {
        let mut permission = Permission::default();
        assert!(permission.check(&NOTHING).is_err());
        assert!(permission.check_cancel(true).is_err());
        assert!(permission.check_prune().is_err());
        permission.run = true;
        assert_eq!(permission.check(&NOTHING), Ok(PathBuf::from("/")));
        assert!(permission.check_cancel(true).is_ok());
        assert!(permission.check_cancel(false).is_err());
        permission.cancel = true;
        assert!(permission.check_cancel(false).is_ok());
    }

    #[test]
    fn programs_and_directories_can_be_limited() {
        let permission = Permission {
            run: true,
            programs: vec!["make".to_owned()],
            directories: vec![PathBuf::from("/tmp")],
            ..Permission::default()
        };
        let there = Wish { directory: Some("/tmp"), ..NOTHING };
        assert!(permission.check(&there).is_ok());
        assert!(permission.check(&NOTHING).is_err());
        for directory in ["/tmp/..", "tmp", "/tmpx", "/dev/null", "/tmp/no-such-directory"] {
            assert!(permission.check(&Wish { directory: Some(directory), ..there }).is_err(), "{directory}");
        }
        for program in ["sh", "/tmp/make", "make ", ""] {
            assert!(permission.check(&Wish { program, ..there }).is_err(), "{program}");
        }
        let set = |name: &str| [(name.to_owned(), "x".to_owned())];
        assert!(permission.check(&Wish { variables: &set("LEVEL"), ..there }).is_ok());
        for name in ["PATH", "LD_PRELOAD"] {
            assert!(permission.check(&Wish { variables: &set(name), ..there }).is_err(), "{name}");
        }
    }
}
