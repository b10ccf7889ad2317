//! The frame around the snapshot that a master sends: where it begins and where it ends. Bytes in, bytes out.
//!
//! ```text
//! $<length>\r\n<snapshot>                       the master knew how long it would be
//! $EOF:<40 bytes>\r\n<snapshot><the 40 bytes>   it did not
//! ```
//! Empty lines before it say that the master is there. Where a snapshot without a length ends is known by reading it, so
//! that its bytes are never searched for the mark; the mark must follow.

/// No announcement is longer.
const LINE_LEN_MAX: usize = 1024;

/// Length of the mark behind a snapshot whose length was not known.
const MARK_LEN: usize = 40;

/// How the end of the snapshot is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    /// It has so many bytes more.
    Left(u64),
    /// This follows it.
    Mark([u8; MARK_LEN]),
}

/// Reads the announcement of a snapshot.
#[derive(Default, Debug)]
pub struct Announcement {
    line: Vec<u8>,
}

impl Announcement {
    /// Takes bytes off the front of `bytes`, up to the first byte of the snapshot. Returns its frame once it is known. The
    /// error is for the log.
    pub fn feed(&mut self, bytes: &mut &[u8]) -> Result<Option<Frame>, String> {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.line.extend_from_slice(&bytes[..end]);
            *bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            let line = line.trim_ascii_end();
            if !line.is_empty() {
                return parse(line).map(Some);
            }
        }
        self.line.extend_from_slice(bytes);
        *bytes = &[];
        match self.line.len() > LINE_LEN_MAX {
            true => Err(bad_protocol(&self.line[..LINE_LEN_MAX])),
            false => Ok(None),
        }
    }
}

fn parse(line: &[u8]) -> Result<Frame, String> {
    let text = String::from_utf8_lossy(line);
    match line {
        [b'-', ..] => {
            Err(format!("MASTER aborted replication with an error: {}", text.escape_debug()))
        }
        [b'$', b'E', b'O', b'F', b':', mark @ ..] => {
            <[u8; MARK_LEN]>::try_from(mark).map(Frame::Mark).map_err(|_| bad_protocol(line))
        }
        [b'$', ..] => text[1..].parse().map(Frame::Left).map_err(|_| bad_protocol(line)),
        _ => Err(bad_protocol(line)),
    }
}

fn bad_protocol(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    format!(
        "Bad protocol from MASTER, the first byte is not '$' (we received '{}'), are you sure the host and port are right?",
        text.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frame of what comes in pieces of `size` bytes, and what follows the announcement.
    fn read(bytes: &[u8], size: usize) -> Result<(Option<Frame>, Vec<u8>), String> {
        let mut announcement = Announcement::default();
        let mut pieces = bytes.chunks(size);
        while let Some(mut piece) = pieces.next() {
            if let Some(frame) = announcement.feed(&mut piece)? {
                let rest = [piece, &pieces.collect::<Vec<_>>().concat()].concat();
                return Ok((Some(frame), rest));
            }
            assert!(piece.is_empty());
        }
        Ok((None, Vec::new()))
    }

    #[test]
    fn both_forms_are_read_however_they_are_cut() {
        let mark = [b'm'; MARK_LEN];
        let marked = [b"\n\n$EOF:", &mark[..], b"\r\nREDIS"].concat();
        for size in 1..marked.len() {
            assert_eq!(
                read(b"\n\n\n$123\r\nREDIS", size),
                Ok((Some(Frame::Left(123)), b"REDIS".to_vec()))
            );
            assert_eq!(read(&marked, size), Ok((Some(Frame::Mark(mark)), b"REDIS".to_vec())));
            assert_eq!(read(b"\n\n$12", size), Ok((None, Vec::new())));
        }
    }

    #[test]
    fn what_is_no_announcement_is_refused() {
        let error = |bytes: &[u8]| read(bytes, 100).unwrap_err();
        assert!(
            error(b"-ERR no\r\n").starts_with("MASTER aborted replication with an error: -ERR no")
        );
        for bytes in
            [&b"+OK\r\n"[..], b"$\r\n", b"$-1\r\n", b"$1x\r\n", b"$EOF:abc\r\n", &[b'x'; 2000]]
        {
            assert!(error(bytes).starts_with("Bad protocol from MASTER"));
        }
    }
}
