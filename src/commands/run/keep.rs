//! The option of `gco run` about how much of the log is kept.

use std::io::Write;

use crate::supervise::journal::LogLimit;

/// This option.
#[derive(Debug, clap::Args)]
pub struct Keep {
    /// How large the log may get: 64MiB, 2GB; 0 for any size [default: 1GiB]
    ///
    /// Once it is so large, its first part and its newest one are kept, and what is between is given back to the disk as more
    /// comes. Whoever reads the log is told how much is left out. 1MiB is the least. Where the file system cannot give anything
    /// back, the log stops there. The command is not affected.
    #[arg(long, value_name = "SIZE", value_parser = LogLimit::parse, allow_hyphen_values = true)]
    log_limit: Option<u64>,
}

impl Keep {
    /// The limit, 0 for none.
    pub fn log_limit(&self) -> u64 {
        self.log_limit.unwrap_or_else(|| {
            let (limit, trouble) = LogLimit::usual();
            if let Some(trouble) = trouble {
                // One who is not at the terminal misses it.
                let _ = writeln!(std::io::stderr(), "{trouble}");
            }
            limit
        })
    }
}
