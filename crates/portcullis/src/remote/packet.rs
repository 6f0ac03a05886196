//! Git's pkt-lines (gitprotocol-common), read out of an answer as it comes.

use super::error::RemoteError;

/// Longest line, with its four digits of length.
const LINE_LIMIT: usize = 65_520;

/// A line, or one of the marks between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Its contents.
    Line(Vec<u8>),
    /// `0000`: the end of a message.
    Flush,
    /// `0001`: the end of a section.
    Delimiter,
}

/// Writes a line.
pub(crate) fn line(out: &mut Vec<u8>, text: &str) {
    out.extend(format!("{:04x}", text.len() + 5).bytes());
    out.extend(text.bytes());
    out.push(b'\n');
}

/// `0000`.
pub(crate) const FLUSH: &[u8] = b"0000";
/// `0001`.
pub(crate) const DELIMITER: &[u8] = b"0001";

/// Reads lines out of an answer, which may have no more than `limit` bytes.
pub(crate) struct Packets {
    answer: reqwest::Response,
    host: String,
    buffer: Vec<u8>,
    at: usize,
    left: u64,
    limit: u64,
}

impl Packets {
    /// Of an answer.
    pub(crate) fn new(answer: reqwest::Response, host: &str, limit: u64) -> Self {
        Self { answer, host: host.to_owned(), buffer: Vec::new(), at: 0, left: limit, limit }
    }

    /// The next line or mark; `None` at the end of the answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Packet>, RemoteError> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            match parse(rest) {
                Ok(Some((packet, length))) => {
                    self.at += length;
                    return Ok(Some(packet));
                }
                Ok(None) => {}
                Err(what) => return Err(RemoteError::answer(&self.host, what)),
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let chunk = self.answer.chunk().await.map_err(|error| RemoteError::Connection {
                host: self.host.clone(),
                cause: portcullis_index::outgoing::causes(&error),
            })?;
            match chunk {
                Some(chunk) => {
                    self.left = self
                        .left
                        .checked_sub(chunk.len() as u64)
                        .ok_or(RemoteError::TooLarge { what: "the bytes of an answer", limit: self.limit })?;
                    self.buffer.extend_from_slice(&chunk);
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(RemoteError::answer(&self.host, "it breaks off in the middle of a line")),
            }
        }
    }
}

/// The first packet of some bytes, and how many it takes; `None` where more are needed.
fn parse(bytes: &[u8]) -> Result<Option<(Packet, usize)>, String> {
    let Some((digits, rest)) = bytes.split_at_checked(4) else { return Ok(None) };
    let length = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or("it holds something else than git's lines")?;
    match length {
        0 => Ok(Some((Packet::Flush, 4))),
        1 => Ok(Some((Packet::Delimiter, 4))),
        // `0002`: the end of a response of a stateless connection.
        2 => Ok(Some((Packet::Flush, 4))),
        4..=LINE_LIMIT => Ok(rest.get(..length - 4).map(|content| (Packet::Line(content.to_vec()), length))),
        _ => Err(format!("a line of {length} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_as_they_are_read() {
        let mut bytes = Vec::new();
        line(&mut bytes, "command=fetch");
        assert_eq!(bytes, b"0012command=fetch\n");
        assert_eq!(parse(&bytes), Ok(Some((Packet::Line(b"command=fetch\n".to_vec()), 18))));
        assert_eq!(parse(&bytes[..17]), Ok(None));
        assert_eq!(parse(FLUSH), Ok(Some((Packet::Flush, 4))));
        assert_eq!(parse(DELIMITER), Ok(Some((Packet::Delimiter, 4))));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_sent_is_a_packet_or_not(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
            if let Ok(Some((_, length))) = parse(&bytes) {
                proptest::prop_assert!((4..=bytes.len()).contains(&length));
            }
        }
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_limit() {
        let body = b"0006a\n0006b\n0000".to_vec();
        for (limit, fits) in [(body.len() as u64, true), (body.len() as u64 - 1, false)] {
            let mut packets = Packets::new(http::Response::new(body.clone()).into(), "forge.example", limit);
            let mut read = Vec::new();
            let end = loop {
                match packets.next().await {
                    Ok(Some(packet)) => read.push(packet),
                    end => break end.map(|_| read.len()),
                }
            };
            assert_eq!(end.is_ok(), fits, "{end:?}");
        }
        let mut cut = Packets::new(http::Response::new(b"0006a".to_vec()).into(), "forge.example", 100);
        assert!(cut.next().await.is_err(), "it breaks off");
    }

    #[test]
    fn a_line_has_a_length() {
        let mut longest = format!("{LINE_LIMIT:04x}").into_bytes();
        longest.resize(LINE_LIMIT, b'x');
        assert!(
            matches!(parse(&longest), Ok(Some((Packet::Line(line), LINE_LIMIT))) if line.len() == LINE_LIMIT - 4)
        );
        assert!(parse(format!("{:04x}", LINE_LIMIT + 1).as_bytes()).is_err());
        for wrong in ["0003", "+001", "zzzz", "<htm"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
