//! A control plane of its own for each test: free ports, directories that go away with it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::tidegate::{Ran, command, fed, until};

/// A read of a socket that takes longer than this has failed.
const READ_MAX: Duration = Duration::from_mins(1);

/// A running `tidegate serve`; it ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) home: Arc<TempDir>,
    said: Arc<Mutex<String>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()))
    }

    /// Serves from `documents` and `data` in `home`, and with `tidegate.yaml` if that is there.
    pub(crate) fn start_in(home: Arc<TempDir>) -> Self {
        let documents = home.path().join("documents");
        fs_err::create_dir_all(&documents).unwrap();
        let mut serve = command(&["serve"]);
        let config = home.path().join("tidegate.yaml");
        if config.exists() {
            serve.arg("-c").arg(config);
        }
        let mut child = serve
            .args(["--listen-xds", "127.0.0.1:0", "--listen-api", "127.0.0.1:0"])
            .arg("--data")
            .arg(home.path().join("data"))
            .arg("--documents")
            .arg(&documents)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, keeps) = (child.stderr.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut said = keeps.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        let url = until("the server says where its API is", || {
            let said = said.lock().unwrap();
            let (_, url) = said.split_once("the API is at ")?;
            Some(url.lines().next()?.to_owned())
        });
        Self {
            child,
            url,
            home,
            said,
        }
    }

    /// What it has written to stderr so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn documents(&self) -> PathBuf {
        self.home.path().join("documents")
    }

    /// Runs a command against it; words are parted by spaces.
    pub(crate) fn run(&self, words: &str) -> Ran {
        self.run_fed(words, "")
    }

    pub(crate) fn run_fed(&self, words: &str, stdin: &str) -> Ran {
        let server = ["--server", &self.url, "--actor", "ada"];
        let words: Vec<&str> = words.split(' ').chain(server).collect();
        let mut ran = fed(&words, stdin);
        ran.rename(&format!(" {}", server.join(" ")), "");
        ran
    }

    /// Runs commands one after the other; what is typed and seen.
    pub(crate) fn session(&self, lines: &[&str]) -> String {
        lines
            .iter()
            .map(|line| self.run(line).to_string())
            .collect()
    }

    pub(crate) fn apply(&self, yaml: &str) {
        self.run_fed("apply -f -", yaml).ok();
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.get("/v1/state").1).unwrap()
    }

    /// Waits until the state is as wanted.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = || Some(self.state()).filter(|state| wanted(state));
        until(what, found)
    }

    /// The status and the body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut answer = String::new();
        self.open(path).read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// A GET whose answer is still to be read.
    pub(crate) fn open(&self, path: &str) -> TcpStream {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(READ_MAX)).unwrap();
        // HTTP/1.0 has no chunks and ends with the connection.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        stream
    }

    /// `kill -9`; its directories stay.
    pub(crate) fn killed(mut self) -> Arc<TempDir> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Arc::clone(&self.home)
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        terminate(&self.child);
    }

    /// SIGTERM; the exit code.
    pub(crate) fn terminated(mut self) -> Option<i32> {
        terminate(&self.child);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.said());
        }
        // Already ended, perhaps.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGTERM, as a service manager does.
pub(crate) fn terminate(child: &Child) {
    let pid = child.id().to_string();
    let status = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(status.unwrap().success());
}
