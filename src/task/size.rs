//! Sizes on the command line and on the screen: `10MiB`, `2GB`.

/// What the letter before `B` or `iB` multiplies by, as a power of 1000 or 1024.
const LETTERS: [(char, u32); 4] = [('k', 1), ('m', 2), ('g', 3), ('t', 4)];

/// Reads `4096`, `10MiB`, `2GB`, `512K`. A letter alone means the binary unit; case does not matter.
///
/// # Errors
/// What is wrong with `text`, for the person who typed it.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not a size; write it like 512KiB, 10MiB or 2GB");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = text[digits..].to_ascii_lowercase();
    let mut letters = unit.chars();
    let factor = match letters.next() {
        None | Some('b') if unit.len() <= 1 => 1,
        Some(letter) => {
            let (_, power) = LETTERS.iter().find(|(l, _)| *l == letter).ok_or_else(wrong)?;
            let base: u64 = match letters.as_str() {
                "" | "ib" => 1024,
                "b" => 1000,
                _ => return Err(wrong()),
            };
            base.pow(*power)
        }
        None => 1,
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Reads a size that limits something: not nothing.
///
/// # Errors
/// What is wrong with `text`, for the person who typed it.
pub fn parse_limit(text: &str) -> Result<u64, String> {
    match parse(text)? {
        0 => Err("it must be more than nothing".to_owned()),
        size => Ok(size),
    }
}

/// A size for a person: `17 B`, `1.5 KiB`, `512 MiB`.
#[must_use]
pub fn brief(bytes: u64) -> String {
    const NAMES: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, so that the rounding is exact.
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut name = 0;
    while tenths >= 10_240 && name + 1 < NAMES.len() {
        tenths /= 1024;
        name += 1;
    }
    if tenths >= 1000 || tenths.is_multiple_of(10) {
        format!("{} {}", tenths / 10, NAMES[name])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, NAMES[name])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("17b", 17),
            ("10MiB", 10 << 20),
            ("2GB", 2_000_000_000),
            ("512k", 512 << 10),
            ("1t", 1 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for bad in ["", "B", "-1", "1.5G", "10 MiB", "1Bi", "1iB", "1XB", "99999999999G"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sizes_are_shown_briefly() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (512 << 20, "512 MiB"),
            (u64::MAX, "16383 PiB"),
        ] {
            assert_eq!(brief(bytes), text);
        }
    }
}
