//! The words after `cargo bench --bench speed --`.

use anyhow::{Context, Result, bail};

/// What was asked for.
#[derive(Debug, Default)]
pub struct Args {
    /// Each row once, with little data.
    pub quick: bool,
    /// On the disk instead of tmpfs.
    pub disk: bool,
    /// Only name the rows.
    pub list: bool,
    /// How many pairs instead of what each row thinks right.
    pub pairs: Option<usize>,
    names: Vec<String>,
}

impl Args {
    pub fn parse(words: &[String]) -> Result<Self> {
        let mut args = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => args.quick = true,
                "--disk" => args.disk = true,
                "--list" => args.list = true,
                "--pairs" => {
                    let count = words.next().context("--pairs needs a number")?;
                    args.pairs = Some(count.parse().context("--pairs needs a number")?);
                }
                // Cargo says so to every benchmark.
                "--bench" => {}
                word if word.starts_with('-') => bail!("unknown option '{word}'"),
                word => args.names.push(word.to_owned()),
            }
        }
        Ok(args)
    }

    /// Whether the row `name` is to be run.
    pub fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|word| name.contains(word.as_str()))
    }
}
