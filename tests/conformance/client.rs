//! A client that does what the test says, right or wrong, in any variant of the protocol.
//!
//! Types are letters: `c` clusters, `e` endpoints, `l` listeners, `r` routes, `s` secrets,
//! `b` single endpoints of a collection. What the server says is
//! text, one response after the other, as `reply` has it. The end of a stream is `! Code`.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::rpc;
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::http::{self, uri::PathAndQuery};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tower_service::Service as _;

use super::reply::Reply;
use super::variant::Variant;
use super::world::{Versions, World, letter, type_url};

/// Requests that may wait for the server to read them.
const WAITING_MAX: usize = 1024;
/// More responses than any test wants; a server that sends so many is caught in a loop.
const RESPONSES_MAX: usize = 10_000;
/// The code that Envoy gives for a refusal: INTERNAL.
const REFUSED: i32 = 13;

/// One request, in the words of both variants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    /// `None`: that of the letter.
    pub(crate) type_url: Option<String>,
    /// Sent beside what the client says by itself on each stream's first request.
    pub(crate) node: Option<Node>,
    /// Says nothing of the node, even on the first request.
    pub(crate) is_nobody: bool,
    /// SotW: all names. Delta: those to subscribe to.
    pub(crate) names: Vec<String>,
    /// Delta only.
    pub(crate) unsubscribe: Vec<String>,
    /// Delta only: `initial_resource_versions`.
    pub(crate) held: Versions,
    /// SotW only.
    pub(crate) version: String,
    pub(crate) nonce: String,
    pub(crate) error: Option<String>,
}

impl Ask {
    /// One that asks for these names.
    pub(crate) fn of(names: &[&str]) -> Self {
        Self {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Self::default()
        }
    }
}

/// A number where every request has its node.
#[derive(Message)]
struct Babble {
    #[prost(uint64, tag = "1")]
    node: u64,
}

enum Pipe {
    Delta(
        mpsc::Sender<DeltaDiscoveryRequest>,
        Streaming<DeltaDiscoveryResponse>,
    ),
    Sotw(mpsc::Sender<DiscoveryRequest>, Streaming<DiscoveryResponse>),
}

/// One client, with its streams and what it remembers.
pub(crate) struct Client<'w> {
    world: &'w World,
    variant: Variant,
    node: String,
    channel: Channel,
    /// By letter, or one without for all types. Empty when it has ended.
    streams: BTreeMap<String, Option<Pipe>>,
    /// SotW clients repeat their names in each answer.
    names: BTreeMap<String, Vec<String>>,
    /// The last response of each type.
    last: BTreeMap<String, Reply>,
    /// Every nonce of this client, for one that comes twice.
    nonces: BTreeSet<(String, String)>,
    requests: usize,
    responses: usize,
    /// Why streams ended, in order.
    pub(crate) ends: Vec<Status>,
    /// Calls the methods of the other variant, with messages of its own.
    pub(crate) is_confused: bool,
}

impl<'w> Client<'w> {
    pub(crate) fn new(world: &'w World, variant: Variant, node: &str) -> Self {
        Self {
            world,
            variant,
            node: node.to_owned(),
            channel: world.connect(),
            streams: BTreeMap::new(),
            names: BTreeMap::new(),
            last: BTreeMap::new(),
            nonces: BTreeSet::new(),
            requests: 0,
            responses: 0,
            ends: Vec::new(),
            is_confused: false,
        }
    }

    /// Subscribes, and hears what comes. SotW: to exactly these names. Delta: to these besides, and
    /// no more to those with a `-` before them. `''` is an empty name.
    pub(crate) fn ask(&mut self, letter: &str, text: &str) -> String {
        let words = text.split_whitespace();
        let words = words.map(|word| if word == "''" { "" } else { word });
        let (dropped, names): (Vec<_>, Vec<_>) = words.partition(|word| word.starts_with('-'));
        assert!(self.variant.is_delta || dropped.is_empty(), "{text}");
        let ask = Ask {
            names: names.into_iter().map(str::to_owned).collect(),
            unsubscribe: dropped.iter().map(|word| word[1..].to_owned()).collect(),
            ..Ask::default()
        };
        self.put(letter, ask)
    }

    /// Subscribes to `add` besides what it has, or no more to `drop`, in the way of its variant.
    pub(crate) fn want(&mut self, letter: &str, add: &str, drop: &str) -> String {
        let dropped: Vec<&str> = drop.split_whitespace().collect();
        if self.variant.is_delta {
            let drops: Vec<String> = dropped.iter().map(|name| format!("-{name}")).collect();
            return self.ask(letter, &format!("{add} {}", drops.join(" ")));
        }
        let mut names = self.names.get(letter).cloned().unwrap_or_default();
        names.retain(|name| !dropped.contains(&name.as_str()));
        names.extend(add.split_whitespace().map(str::to_owned));
        let last = self.last.get(letter).cloned().unwrap_or_default();
        let (version, nonce) = (last.version, last.nonce);
        self.put(
            letter,
            Ask {
                names,
                version,
                nonce,
                ..Ask::default()
            },
        )
    }

    /// Accepts the last response of a type.
    pub(crate) fn ack(&mut self, letter: &str) -> String {
        let answer = self.answer(letter);
        self.put(letter, answer)
    }

    /// Refuses it.
    pub(crate) fn nack(&mut self, letter: &str, why: &str) -> String {
        let mut answer = self.answer(letter);
        answer.error = Some(why.to_owned());
        self.put(letter, answer)
    }

    /// The request that accepts the last response of a type.
    pub(crate) fn answer(&self, letter: &str) -> Ask {
        let last = self.last(letter);
        Ask {
            names: if self.variant.is_delta {
                Vec::new()
            } else {
                self.names.get(letter).cloned().unwrap_or_default()
            },
            version: last.version.clone(),
            nonce: last.nonce.clone(),
            ..Ask::default()
        }
    }

    /// Accepts whatever comes until nothing does; all that came.
    pub(crate) fn settle(&mut self, heard: &str) -> String {
        let mut all = heard.to_owned();
        let mut news = heard.to_owned();
        while !news.is_empty() {
            let letters: BTreeSet<String> = news
                .split(", ")
                .filter_map(|reply| reply.split(' ').next())
                .map(str::to_owned)
                .collect();
            let answered = letters.iter().map(|letter| self.ack(letter));
            let answered: Vec<String> = answered.filter(|text| !text.is_empty()).collect();
            news = answered.join(", ");
            if !news.is_empty() {
                all = format!("{all}, {news}");
            }
        }
        all
    }

    /// Sends a request as it is, and hears what comes.
    pub(crate) fn put(&mut self, letter: &str, ask: Ask) -> String {
        self.send(letter, ask);
        self.heard()
    }

    /// Sends a request and does not listen.
    pub(crate) fn send(&mut self, letter: &str, ask: Ask) {
        self.requests += 1;
        let key = self.key(letter);
        let is_first = !self.streams.contains_key(&key);
        if is_first {
            let called = Variant {
                is_delta: self.variant.is_delta != self.is_confused,
                ..self.variant
            };
            let pipe = self.open(called.path(letter));
            self.streams.insert(key.clone(), Some(pipe));
        }
        self.names.insert(letter.to_owned(), ask.names.clone());
        let own = Node {
            id: self.node.clone(),
            ..Node::default()
        };
        let node = ask
            .node
            .or_else(|| (is_first && !ask.is_nobody).then_some(own));
        let type_url = ask.type_url.unwrap_or_else(|| type_url(letter));
        let error_detail = ask.error.map(|message| rpc::Status {
            code: REFUSED,
            message,
            ..rpc::Status::default()
        });
        match self.streams.get(&key) {
            Some(Some(Pipe::Delta(requests, _))) => {
                let request = DeltaDiscoveryRequest {
                    node,
                    type_url,
                    resource_names_subscribe: ask.names,
                    resource_names_unsubscribe: ask.unsubscribe,
                    initial_resource_versions: ask.held.into_iter().collect(),
                    response_nonce: ask.nonce,
                    error_detail,
                    ..DeltaDiscoveryRequest::default()
                };
                // A stream that has ended shows in what is heard.
                let _ = self.world.run(requests.send(request));
            }
            Some(Some(Pipe::Sotw(requests, _))) => {
                let request = DiscoveryRequest {
                    node,
                    type_url,
                    version_info: ask.version,
                    resource_names: ask.names,
                    response_nonce: ask.nonce,
                    error_detail,
                    ..DiscoveryRequest::default()
                };
                let _ = self.world.run(requests.send(request));
            }
            _ => panic!("the stream for {letter} has ended: {:?}", self.ends),
        }
    }

    /// What the server says until it has nothing more to say, as text.
    pub(crate) fn heard(&mut self) -> String {
        let mut texts = Vec::new();
        loop {
            self.world.idle();
            let before = texts.len();
            for key in self.streams.keys().cloned().collect::<Vec<_>>() {
                while let Some(text) = self.take(&key) {
                    texts.push(text);
                }
            }
            if texts.len() == before {
                return texts.join(", ");
            }
            assert!(texts.len() < RESPONSES_MAX, "{:?}", &texts[..10]);
        }
    }

    /// What the server says next, however long it takes.
    pub(crate) fn awaited(&mut self) -> String {
        loop {
            let heard = self.heard();
            if !heard.is_empty() {
                return heard;
            }
            // What is on its way waits for a timer of the runtime.
            self.world.run(tokio::task::yield_now());
        }
    }

    /// The last response of a type.
    pub(crate) fn last(&self, letter: &str) -> &Reply {
        let last = self.last.get(letter);
        last.unwrap_or_else(|| panic!("there was no response of {letter}"))
    }

    /// How many it has sent.
    pub(crate) const fn requests(&self) -> usize {
        self.requests
    }

    /// How many it has heard.
    pub(crate) const fn responses(&self) -> usize {
        self.responses
    }

    /// Sends bytes that are no request on a stream of their own; what the stream ends with.
    pub(crate) fn babble(&self, letter: &str) -> Status {
        let mut grpc = Grpc::new(self.channel.clone());
        let path = PathAndQuery::from_static(self.variant.path(letter));
        self.world.run(async {
            grpc.ready().await.unwrap();
            let babble = tokio_stream::iter([Babble { node: 1 }]).chain(tokio_stream::pending());
            let codec = ProstCodec::<Babble, Babble>::default();
            let response = grpc.streaming(Request::new(babble), path, codec).await;
            let ended = response.unwrap().into_inner().message().await;
            ended.expect_err("an answer to no request")
        })
    }

    /// Sends bytes as the body of a request of its own, and ends it; the code of the answer.
    pub(crate) fn raw(&self, path: &str, content_type: &str, body: &'static [u8]) -> Code {
        let body = Full::new(Bytes::from_static(body)).map_err(|never| match never {});
        let request = http::Request::post(path)
            .header(http::header::CONTENT_TYPE, content_type)
            .header(http::header::TE, "trailers")
            .body(Body::new(body))
            .unwrap();
        let mut channel = self.channel.clone();
        self.world.run(async {
            poll_fn(|context| channel.poll_ready(context))
                .await
                .unwrap();
            let (head, body) = channel.call(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap();
            let trailers = body.trailers().cloned().unwrap_or_default();
            let status = Status::from_header_map(&head.headers);
            let status = status.or_else(|| Status::from_header_map(&trailers));
            status.map_or(Code::Unknown, |status| status.code())
        })
    }

    /// Drops every stream without a word, and keeps the connection.
    pub(crate) fn hang_up(&mut self) {
        self.streams.clear();
    }

    /// Ends the client's side of each stream; what comes of it.
    pub(crate) fn finish(&mut self) -> String {
        for pipe in self.streams.values_mut() {
            match pipe {
                Some(Pipe::Delta(requests, _)) => *requests = mpsc::channel(1).0,
                Some(Pipe::Sotw(requests, _)) => *requests = mpsc::channel(1).0,
                None => {}
            }
        }
        self.heard()
    }

    /// The client that this one is after it has lost its connection and made another.
    pub(crate) fn reconnect(self) -> Self {
        let Self {
            world,
            variant,
            node,
            ..
        } = self;
        drop((self.streams, self.channel));
        world.idle();
        Self::new(world, variant, &node)
    }

    fn key(&self, letter: &str) -> String {
        if self.variant.is_aggregated {
            String::new()
        } else {
            letter.to_owned()
        }
    }

    fn open(&self, path: &'static str) -> Pipe {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let path = PathAndQuery::from_static(path);
        self.world.run(async {
            grpc.ready().await.unwrap();
            if self.variant.is_delta {
                let (requests, receiver) = mpsc::channel(WAITING_MAX);
                let request = Request::new(ReceiverStream::new(receiver));
                let codec = ProstCodec::default();
                let response = grpc.streaming(request, path, codec).await.unwrap();
                Pipe::Delta(requests, response.into_inner())
            } else {
                let (requests, receiver) = mpsc::channel(WAITING_MAX);
                let request = Request::new(ReceiverStream::new(receiver));
                let codec = ProstCodec::default();
                let response = grpc.streaming(request, path, codec).await.unwrap();
                Pipe::Sotw(requests, response.into_inner())
            }
        })
    }

    /// The next response of a stream that is there already, as text.
    fn take(&mut self, key: &str) -> Option<String> {
        let pipe = self.streams.get_mut(key)?.as_mut()?;
        let taken = self.world.run(async {
            match pipe {
                Pipe::Delta(_, responses) => {
                    now(responses.message()).map(|got| got.map(|m| m.map(Reply::from)))
                }
                Pipe::Sotw(_, responses) => {
                    now(responses.message()).map(|got| got.map(|m| m.map(Reply::from)))
                }
            }
        });
        let status = match taken {
            Poll::Pending => return None,
            Poll::Ready(Ok(Some(reply))) => return Some(self.keep(key, reply)),
            Poll::Ready(Ok(None)) => Status::ok(""),
            Poll::Ready(Err(status)) => status,
        };
        self.streams.insert(key.to_owned(), None);
        let text = format!("! {:?}", status.code());
        self.ends.push(status);
        Some(text)
    }

    fn keep(&mut self, key: &str, reply: Reply) -> String {
        self.responses += 1;
        assert!(!reply.nonce.is_empty(), "a response without a nonce");
        let is_new = self.nonces.insert((key.to_owned(), reply.nonce.clone()));
        assert!(is_new, "nonce {} comes twice", reply.nonce);
        let told: Vec<&String> = reply.resources.iter().map(|(name, _)| name).collect();
        let told: Vec<&String> = told.into_iter().chain(&reply.removed).collect();
        let once: BTreeSet<&String> = told.iter().copied().collect();
        assert_eq!(told.len(), once.len(), "a name twice in {}", reply.text());
        assert_eq!(
            reply.extras,
            0,
            "TTLs or resource errors in {}",
            reply.text()
        );
        let text = reply.text();
        self.last.insert(letter(&reply.type_url), reply);
        text
    }
}

/// What a future is right now.
fn now<T>(future: impl Future<Output = T>) -> Poll<T> {
    let mut future = std::pin::pin!(future);
    let waker = std::task::Waker::noop();
    future
        .as_mut()
        .poll(&mut std::task::Context::from_waker(waker))
}
