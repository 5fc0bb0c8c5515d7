//! An instance that fails in the way that each request's path asks for.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What it would take for an answer that is not to come in time.
const FOR_EVER: Duration = Duration::from_mins(1);

/// The instance, until this value goes.
#[derive(Debug)]
pub(crate) struct Mishaps {
    pub(crate) address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Mishaps {
    /// Starts one. Paths: `/code/…`; `/vanish`, which closes without an answer; `/broken`, in its head; `/cut`, in its
    /// body; `/hang`, before the head; `/stall`, after it; `/again`, 418 every other time. All else is 200.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&ended);
        let was_asked = Arc::new(AtomicBool::new(false));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of_thread.load(Ordering::Relaxed) {
                    return;
                }
                let was_asked = Arc::clone(&was_asked);
                thread::spawn(move || serve(stream, &was_asked));
            }
        });
        Self { address, ended }
    }
}

impl Drop for Mishaps {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which sees that it is to end.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers one request after the other, until one of them ends the connection.
fn serve(mut stream: TcpStream, was_asked: &AtomicBool) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let request = String::from_utf8_lossy(&head).into_owned();
        head.clear();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let (text, goes_on) = match path {
            "/vanish" => (String::new(), false),
            "/broken" => ("HTTP/1.1 200 OK\r\ncontent-le".to_owned(), false),
            "/cut" => (begun(), false),
            "/hang" => {
                thread::sleep(FOR_EVER);
                return;
            }
            "/stall" => {
                let _ = stream.write_all(begun().as_bytes());
                thread::sleep(FOR_EVER);
                return;
            }
            "/again" if !was_asked.fetch_xor(true, Ordering::Relaxed) => (whole("418"), true),
            _ => (whole(path.strip_prefix("/code/").unwrap_or("200")), true),
        };
        if stream.write_all(text.as_bytes()).is_err() || !goes_on {
            return;
        }
    }
}

fn whole(code: &str) -> String {
    format!("HTTP/1.1 {code} x\r\ncontent-length: 3\r\n\r\nok\n")
}

/// An answer that has more to come.
fn begun() -> String {
    "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf".to_owned()
}
