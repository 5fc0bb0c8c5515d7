//! Clients with cookie jars, as browsers are: each sends what it was given, and behind few connections that they all
//! share, as behind a content delivery network.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http_body_util::Full;
use hyper::Request;

use super::http::{Client, runtime};

/// What `cart` is called by.
const HOST: &str = "cart.internal";
/// So many ask at the same time.
const AT_ONCE: usize = 16;

/// A client.
#[derive(Clone, Debug, Default)]
struct Jar {
    cookies: BTreeMap<String, String>,
    /// A header that it sends besides.
    header: Option<(&'static str, String)>,
}

/// Clients, and which version answered each last.
pub(crate) struct Clients {
    jars: Vec<Jar>,
    client: Client,
    splits_cookies: bool,
    rounds: usize,
}

impl Clients {
    /// So many with empty jars.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            jars: vec![Jar::default(); count],
            client: Client::keeping(),
            splits_cookies: false,
            rounds: 0,
        }
    }

    /// Each sends this header from its first request on, with a value of its own.
    pub(crate) fn sending(mut self, header: &'static str) -> Self {
        for jar in &mut self.jars {
            jar.header = Some((header, unique()));
        }
        self
    }

    /// They speak HTTP/2, and send each cookie in a header of its own (RFC 9113, 8.2.3).
    pub(crate) fn over_http2(mut self) -> Self {
        self.client = Client::http2();
        self.splits_cookies = true;
        self
    }

    /// Each has this cookie, of a value of its own.
    pub(crate) fn given(&mut self, cookie: &str) {
        for jar in &mut self.jars {
            jar.cookies.insert(cookie.to_owned(), unique());
        }
    }

    /// As many others like them, who come for the first time.
    pub(crate) fn others(&self) -> Self {
        let others = Self {
            client: self.client.clone(),
            splits_cookies: self.splits_cookies,
            ..Self::new(self.jars.len())
        };
        match self.jars.first().and_then(|jar| jar.header.as_ref()) {
            Some((header, _)) => others.sending(header),
            None => others,
        }
    }

    /// Each asks once, the next time through another Envoy; answers are the versions.
    pub(crate) fn ask(&mut self, through: &[SocketAddr]) -> Vec<String> {
        self.rounds += 1;
        let (client, round, split) = (&self.client, self.rounds, self.splits_cookies);
        let asked = self.jars.iter_mut().enumerate().map(|(number, jar)| {
            let envoy = through[(number + round) % through.len()];
            async move { jar.ask(client, envoy, split).await }
        });
        let answers = stream::iter(asked).buffered(AT_ONCE).collect();
        runtime().block_on(answers)
    }
}

fn unique() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("client-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

impl Jar {
    async fn ask(&mut self, client: &Client, through: SocketAddr, split: bool) -> String {
        let mut request = Request::get(format!("http://{through}/fast")).header("host", HOST);
        if let Some((name, value)) = &self.header {
            request = request.header(*name, value);
        }
        let pairs = self.cookies.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let lines = if split { pairs } else { vec![pairs.join("; ")] };
        for line in lines.iter().filter(|line| !line.is_empty()) {
            request = request.header("cookie", line);
        }
        let request = request.body(Full::new(Bytes::new())).unwrap();
        let answer = client.send(request).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        for set in answer.headers.get_all("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer.header("x-version")
    }
}
