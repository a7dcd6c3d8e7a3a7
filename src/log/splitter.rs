//! From a stream's bytes to tagged log lines. Pure.

use super::format::{MAX_PAYLOAD, Tag};
use crate::task::Stream;

/// Tags the whole lines in `bytes`, and parts of lines that are too long for one, into `out`, until that holds
/// `room` bytes or more.
///
/// Gives how many of `bytes` are in `out`. What remains is the begin of a line of at most [`MAX_PAYLOAD`]
/// bytes, or there was no more room.
pub fn tag_lines(stream: Stream, bytes: &[u8], out: &mut Vec<u8>, room: usize) -> usize {
    let mut done = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        done += tag_long(stream, &bytes[done..end], out, room);
        if out.len() >= room {
            return done;
        }
        put(Tag::Line(stream), &bytes[done..end], out);
        done = end + 1;
        if out.len() >= room {
            return done;
        }
    }
    done + tag_long(stream, &bytes[done..], out, room)
}

/// Tags what `bytes`, the begin of a line, has beyond one log line's payload.
fn tag_long(stream: Stream, bytes: &[u8], out: &mut Vec<u8>, room: usize) -> usize {
    let mut done = 0;
    while bytes.len() - done > MAX_PAYLOAD && out.len() < room {
        tag_part(stream, &bytes[done..done + MAX_PAYLOAD], out);
        done += MAX_PAYLOAD;
    }
    done
}

/// Tags `bytes`, which have no newline, as a part of a line.
pub fn tag_part(stream: Stream, bytes: &[u8], out: &mut Vec<u8>) {
    put(Tag::Part(stream), bytes, out);
}

/// Tags a word of gco's own. Newlines in it would end it early and are made blanks.
pub fn tag_word(word: &str, out: &mut Vec<u8>) {
    put(Tag::Gco, word.replace('\n', " ").as_bytes(), out);
}

fn put(tag: Tag, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(tag.bytes());
    out.extend_from_slice(payload);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::format::parse;

    const NO_LIMIT: usize = usize::MAX;

    fn rebuilt(log: &[u8]) -> Vec<u8> {
        let mut stream = Vec::new();
        for line in log.split_inclusive(|&b| b == b'\n') {
            let Some((tag, payload)) = line.strip_suffix(b"\n").and_then(parse) else { continue };
            stream.extend_from_slice(payload);
            if matches!(tag, Tag::Line(_)) {
                stream.push(b'\n');
            }
        }
        stream
    }

    #[test]
    fn whole_lines_are_tagged_and_the_rest_is_left() {
        let mut out = Vec::new();
        assert_eq!(tag_lines(Stream::Stderr, b"a\n\nb\0\xff\rc\nrest", &mut out, NO_LIMIT), 9);
        assert_eq!(out, b"[stderr] a\n[stderr] \n[stderr] b\0\xff\rc\n");
    }

    #[test]
    fn only_what_is_longer_than_a_line_may_be_is_cut() {
        let mut out = Vec::new();
        let exact = [vec![b'x'; MAX_PAYLOAD], b"\n".to_vec()].concat();
        assert_eq!(tag_lines(Stream::Stdout, &exact, &mut out, NO_LIMIT), exact.len());
        assert!(out.starts_with(b"[stdout] x"));

        out.clear();
        let long = [vec![b'x'; 3 * MAX_PAYLOAD + 1], b"\nrest".to_vec()].concat();
        assert_eq!(tag_lines(Stream::Stdout, &long, &mut out, NO_LIMIT), long.len() - 4);
        assert_eq!(out.split(|&b| b == b'\n').filter(|l| l.starts_with(b"[stdout~] ")).count(), 3);
        assert_eq!(rebuilt(&out), long[..long.len() - 4]);

        out.clear();
        assert_eq!(tag_lines(Stream::Stdout, &exact[..MAX_PAYLOAD], &mut out, NO_LIMIT), 0);
        assert!(out.is_empty());
    }

    #[test]
    fn in_any_pieces_and_any_room_nothing_is_lost() {
        let mut bytes = Vec::new();
        for n in 0..400_usize {
            bytes.extend(std::iter::repeat_n((n % 251) as u8, (n * 7919) % 1500).filter(|&b| b != b'\n'));
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(&vec![b'y'; MAX_PAYLOAD + 17]);
        for (step, room) in [(1 << 20, 4096), (977, 64), (65_536, 1), (313, NO_LIMIT)] {
            let (mut log, mut done, mut seen) = (Vec::new(), 0, 0);
            while done < bytes.len() {
                seen = (seen + step).min(bytes.len());
                let mut out = Vec::new();
                loop {
                    let taken = tag_lines(Stream::Stdout, &bytes[done..seen], &mut out, room);
                    done += taken;
                    if out.len() < room {
                        break;
                    }
                    log.append(&mut out);
                }
                log.append(&mut out);
                if seen == bytes.len() {
                    tag_part(Stream::Stdout, &bytes[done..], &mut log);
                    done = seen;
                }
            }
            assert!(rebuilt(&log) == bytes, "step {step}, room {room}");
        }
    }
}
