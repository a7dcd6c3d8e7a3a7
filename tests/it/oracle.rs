//! What a log must mean, written from the contract alone: it shares no code with gco.

/// The bytes of stream `name` (`stdout` or `stderr`), rebuilt from a complete log.
///
/// # Panics
/// If the log does not end with a line end, or has a line without a tag.
pub fn rebuild(log: &[u8], name: &str) -> Vec<u8> {
    let whole = format!("[{name}] ").into_bytes();
    let part = format!("[{name}~] ").into_bytes();
    let others: &[&[u8]] = &[b"[stdout] ", b"[stdout~] ", b"[stderr] ", b"[stderr~] ", b"[gco] "];
    let mut bytes = Vec::new();
    if log.is_empty() {
        return bytes;
    }
    assert_eq!(log.last(), Some(&b'\n'), "the log ends within a line: ...{}", tail_of(log));
    for line in log[..log.len() - 1].split(|&b| b == b'\n') {
        if line.starts_with(&whole) {
            bytes.extend_from_slice(&line[whole.len()..]);
            bytes.push(b'\n');
        } else if line.starts_with(&part) {
            bytes.extend_from_slice(&line[part.len()..]);
        } else {
            assert!(others.iter().any(|tag| line.starts_with(tag)), "no tag: {}", tail_of(line));
        }
    }
    bytes
}

fn tail_of(bytes: &[u8]) -> String {
    bytes[bytes.len().saturating_sub(200)..].escape_ascii().to_string()
}
