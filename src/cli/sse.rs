//! Server-sent events: bytes in, events out. The parser is pure; [`Events`] feeds it from a body.

use std::collections::VecDeque;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::client::ClientError;

/// The server sends a comment every ten seconds; after three without one it is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The largest event in bytes.
const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its name.
    pub(super) name: String,
    /// Its data.
    pub(super) data: String,
}

/// Takes bytes in pieces of any size, and gives back whole events.
#[derive(Default)]
struct Parser {
    line: Vec<u8>,
    event: Event,
    ready: VecDeque<Event>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.take_line(&String::from_utf8_lossy(&line));
            } else {
                self.line.push(byte);
            }
        }
    }

    fn take_line(&mut self, line: &str) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if event != Event::default() {
                self.ready.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments have an empty field; ids and retries are of no use here.
            _ => {}
        }
    }

    fn held(&self) -> usize {
        self.line.len() + self.event.data.len()
    }
}

/// The events of one connection.
pub(super) struct Events {
    body: Incoming,
    parser: Parser,
    server: String,
}

impl Events {
    pub(super) fn new(body: Incoming, server: &str) -> Self {
        Self {
            body,
            parser: Parser::default(),
            server: server.to_owned(),
        }
    }

    /// The next event; an error when the server is gone.
    pub(super) async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.parser.ready.pop_front() {
                return Ok(event);
            }
            let frame = tokio::time::timeout(SILENCE_MAX, self.body.frame()).await;
            match frame {
                Err(_) => return Err(self.gone("it is silent")),
                Ok(None) => return Err(self.gone("it ended the stream of events")),
                Ok(Some(Err(e))) => return Err(ClientError::unreachable(&self.server, &e, true)),
                Ok(Some(Ok(frame))) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.parser.feed(bytes);
                    }
                    if self.parser.held() > EVENT_BYTES_MAX {
                        return Err(self.gone("it sent an event that is too large"));
                    }
                }
            }
        }
    }

    /// The value in an event.
    pub(super) fn read<T: DeserializeOwned>(&self, event: &Event) -> Result<T, ClientError> {
        serde_json::from_str(&event.data).map_err(|source| ClientError::BadAnswer {
            server: self.server.clone(),
            source,
        })
    }

    fn gone(&self, cause: &str) -> ClientError {
        ClientError::Unreachable {
            server: self.server.clone(),
            cause: cause.to_owned(),
            sent: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_the_bytes_are_cut() {
        let text = ": hello\n\nevent: state\ndata: {\"a\":1}\n\nevent:entry\r\nid: 7\r\ndata: x\r\ndata: y\r\n\r\nevent: half\n";
        for size in [1, 3, text.len()] {
            let mut parser = Parser::default();
            for piece in text.as_bytes().chunks(size) {
                parser.feed(piece);
            }
            let got: Vec<_> = parser.ready.iter().map(|e| (&*e.name, &*e.data)).collect();
            assert_eq!(got, [("state", "{\"a\":1}"), ("entry", "x\ny")]);
        }
    }
}
