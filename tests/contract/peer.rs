//! Somebody whom Tidegate calls by HTTP: every request is noted, and answered by a function.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The request line and the headers, with their names in small letters.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Request {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name} in:\n{}", self.head))
    }
}

/// A server on a port of its own.
pub(crate) struct Peer {
    pub(crate) url: String,
    pub(crate) requests: Receiver<Request>,
}

impl Peer {
    /// Answers each request with a status and a body.
    pub(crate) fn start(answer: impl Fn(&Request) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // Whoever was killed in mid-word has asked nothing.
                let Some(request) = read(&stream) else {
                    continue;
                };
                let (status, body) = answer(&request);
                // Nobody may be listening any more, to this or to that.
                let _ = sender.send(request);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        Self { url, requests }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let line = match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}", name.to_lowercase()),
            None => line.to_owned(),
        };
        if let Some(said) = line.strip_prefix("content-length: ") {
            length = said.parse().ok()?;
        }
        head += &line;
        head += "\n";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    Some(Request { head, body })
}
