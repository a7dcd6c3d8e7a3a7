//! The keys that leave a task: how they are written, and finding them in what is typed. Pure.

use std::str::FromStr;

/// The keys, typed one after the other, that leave a task; none if it cannot be left so.
#[derive(Debug, Clone)]
pub struct Keys(pub Vec<u8>);

impl FromStr for Keys {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Keys)
    }
}

/// How they are written if nobody says otherwise.
pub const USUAL: &str = "ctrl-^,d";

/// Reads a sequence of keys: `ctrl-^,d`, `^],x`, or `none`. What is wrong with it is said for a person.
fn parse(text: &str) -> Result<Vec<u8>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    text.split(',').map(key).collect()
}

fn key(name: &str) -> Result<u8, String> {
    let wrong = || {
        format!("'{name}' is not a key: write a character, 'ctrl-' and a letter or one of @[\\]^_, or 'none'")
    };
    let controlled =
        name.strip_prefix("ctrl-").or_else(|| name.strip_prefix('^').filter(|rest| !rest.is_empty()));
    match (controlled.unwrap_or(name).as_bytes(), controlled.is_some()) {
        (&[key], true) if matches!(key.to_ascii_uppercase(), b'@'..=b'_') => {
            Ok(key.to_ascii_uppercase() & 0x1f)
        }
        (&[key], false) if key.is_ascii_graphic() => Ok(key),
        _ => Err(wrong()),
    }
}

/// Finds the sequence in what is typed.
#[derive(Debug, Clone)]
pub struct Finder {
    keys: Vec<u8>,
    /// How many of them have been typed.
    typed: usize,
}

impl Finder {
    /// For these keys; none at all are never found.
    #[must_use]
    pub fn new(keys: Vec<u8>) -> Self {
        Self { keys, typed: 0 }
    }

    /// Takes what has been typed, and adds to `through` what is not part of the sequence. Whether all of it was typed. The
    /// first key typed twice goes through once.
    pub fn take(&mut self, typed: &[u8], through: &mut Vec<u8>) -> bool {
        for &key in typed {
            if self.keys.get(self.typed) == Some(&key) {
                self.typed += 1;
                if self.typed == self.keys.len() {
                    self.typed = 0;
                    return true;
                }
            } else if self.typed == 1 && self.keys[0] == key {
                self.typed = 0;
                through.push(key);
            } else {
                through.extend_from_slice(&self.keys[..self.typed]);
                self.typed = usize::from(self.keys.first() == Some(&key));
                if self.typed == 0 {
                    through.push(key);
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        assert_eq!(parse(USUAL), Ok(vec![0x1e, b'd']));
        assert_eq!(parse("^],ctrl-a,x"), Ok(vec![0x1d, 1, b'x']));
        assert_eq!((parse("none"), parse("^")), (Ok(Vec::new()), Ok(vec![b'^'])));
        for wrong in ["", "a,,b", "ctrl-", "ctrl-1", "ab", "é", " "] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_sequence_is_found_and_nothing_else_is_kept() {
        for (typed, through, found) in [
            (&b"abc"[..], &b"abc"[..], false),
            (b"a\x1ed", b"a", true),
            (b"\x1e\x1ed", b"\x1ed", false),
            (b"\x1ex\x1e", b"\x1ex", false),
            (b"\x1e\x1e\x1ed", b"\x1e", true),
        ] {
            for step in [1, 2, typed.len()] {
                let mut finder = Finder::new(vec![0x1e, b'd']);
                let mut got = Vec::new();
                let was = typed.chunks(step).any(|part| finder.take(part, &mut got));
                assert_eq!((&got[..], was), (through, found), "{typed:?} by {step}");
            }
        }
        let mut got = Vec::new();
        assert!(!Finder::new(Vec::new()).take(b"\x1ed", &mut got) && got == b"\x1ed");
    }
}
