//! A version of a function, as clouds give them: a host by name that speaks HTTPS, and answers only who
//! asks for it by that name.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::certificates::Ca;

/// The one name that is a host's everywhere.
pub(crate) const HOST: &str = "localhost";

/// How long an idle connection looks away from whether it is to end.
const IDLE: Duration = Duration::from_millis(200);

/// A function's version that runs, until this value goes.
#[derive(Debug)]
pub(crate) struct Function {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Function {
    /// Starts one that answers for `version`, with a certificate by `ca` for `name`.
    pub(crate) fn start(version: &str, ca: &Ca, name: &str) -> Self {
        let pair = ca.certify(name);
        let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
        let chain = chain.collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let (config, of_thread) = (Arc::new(config), Arc::clone(&ended));
        let answer = Arc::new(Answerer {
            authority: format!("{HOST}:{}", address.port()),
            version: version.to_owned(),
            ended: Arc::clone(&ended),
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of_thread.load(Ordering::Relaxed) {
                    return;
                }
                let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
                thread::spawn(move || answer.serve(stream, config));
            }
        });
        Self { address, ended }
    }

    /// As a document names it.
    pub(crate) fn url(&self) -> String {
        format!("https://{HOST}:{}", self.address.port())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the listener, which sees that it is to end.
        let _ = TcpStream::connect(self.address);
    }
}

struct Answerer {
    authority: String,
    version: String,
    ended: Arc<AtomicBool>,
}

impl Answerer {
    /// Answers one request after the other, until the other side or this one ends.
    fn serve(&self, stream: TcpStream, config: Arc<ServerConfig>) {
        let _ = stream.set_read_timeout(Some(IDLE));
        let Ok(session) = ServerConnection::new(config) else {
            return;
        };
        let mut stream = StreamOwned::new(session, stream);
        let mut head = Vec::new();
        while !self.ended.load(Ordering::Relaxed) {
            let mut byte = [0];
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock) => {}
                _ => return,
            }
            if head.ends_with(b"\r\n\r\n") {
                let answer = self.answer(&String::from_utf8_lossy(&head), &stream.conn);
                head.clear();
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }

    fn answer(&self, head: &str, session: &ServerConnection) -> String {
        let head = head.to_ascii_lowercase();
        let host = head.lines().find_map(|line| line.strip_prefix("host: "));
        let is_asked = host == Some(&self.authority) && session.server_name() == Some(HOST);
        let status = if is_asked {
            "200 OK"
        } else {
            "421 Misdirected Request"
        };
        let version = &self.version;
        format!("HTTP/1.1 {status}\r\nx-version: {version}\r\ncontent-length: 3\r\n\r\nok\n")
    }
}
