//! The option of `gco run` about how much of the log is kept.

use std::ffi::OsStr;
use std::io::Write;

use crate::log::gap::SMALLEST_LIMIT;
use crate::task::size;

/// What it is if it is not given.
pub const LIMIT_VARIABLE: &str = "GCO_LOG_LIMIT";

/// And if that is not set either.
const USUAL: u64 = 1 << 30;

/// This option.
#[derive(Debug, clap::Args)]
pub struct Keep {
    /// How large the log may get: 64MiB, 2GB; 0 for any size [default: 1GiB]
    ///
    /// Once it is so large, its first part and its newest one are kept, and what is between is given back to the disk as more
    /// comes. Whoever reads the log is told how much is left out. 1MiB is the least. Where the file system cannot give anything
    /// back, the log stops there. The command is not affected.
    #[arg(long, value_name = "SIZE", value_parser = limit, allow_hyphen_values = true)]
    log_limit: Option<u64>,
}

impl Keep {
    /// The limit, 0 for none.
    pub fn log_limit(&self) -> u64 {
        self.log_limit.unwrap_or_else(|| usual(std::env::var_os(LIMIT_VARIABLE).as_deref()))
    }
}

fn limit(text: &str) -> Result<u64, String> {
    match size::parse(text)? {
        few @ 1..SMALLEST_LIMIT => {
            Err(format!("{} is too little; it takes 1MiB or more, or 0", size::brief(few)))
        }
        limit => Ok(limit),
    }
}

/// A setting that makes no sense is said and passed over: it must not keep a nightly job from running.
fn usual(value: Option<&OsStr>) -> u64 {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return USUAL };
    let read = value.to_str().ok_or_else(|| "it is not text".to_owned()).and_then(limit);
    read.unwrap_or_else(|why| {
        let words = format!("gco: {LIMIT_VARIABLE} is '{}': {why}; 1GiB of a log is kept\n", value.display());
        // One who is not at the terminal misses it.
        let _ = std::io::stderr().write_all(words.as_bytes());
        USUAL
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_enough_or_none() {
        assert_eq!((limit("0"), limit("1MiB"), limit("2GB")), (Ok(0), Ok(1 << 20), Ok(2_000_000_000)));
        assert!(
            limit("1MB").is_err() && limit("1").is_err() && limit("-1").is_err() && limit("much").is_err()
        );
        let usual = |text: &str| usual(Some(OsStr::new(text)));
        assert_eq!([usual(""), usual("64MiB"), usual("0"), usual("1k")], [USUAL, 64 << 20, 0, USUAL]);
    }
}
