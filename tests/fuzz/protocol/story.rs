//! Bytes → what happens: a world and the steps in it. Every text of bytes is a story, so a fuzzer may
//! write one, a property test may draw one, and a file may keep one.

use tidegate::protocol::Variant;
use tidegate::snapshot::ResourceKind;

/// The names that resources may have; one bit each in a step's masks.
pub(crate) const NAMES: [&str; 8] = [
    "a",
    "b",
    "c",
    "d",
    "xdstp://t/x/g/1",
    "xdstp://t/x/g/2",
    "xdstp://t/x/g/1/deep",
    "xdstp://t/x/h/1",
];

/// What clients may ask for: a name, a collection, or everything.
pub(crate) const TERMS: [&str; 11] = [
    NAMES[0],
    NAMES[1],
    NAMES[2],
    NAMES[3],
    NAMES[4],
    NAMES[5],
    NAMES[6],
    NAMES[7],
    "xdstp://t/x/g/*",
    "xdstp://t/x/h/*",
    EVERYTHING,
];

pub(crate) const EVERYTHING: &str = "*";

/// Bytes of the head, and of each step.
pub(crate) const HEAD_BYTES: usize = 4;
pub(crate) const STEP_BYTES: usize = 4;

/// Most steps that are read of one text.
const STEPS_MAX: usize = 400;

/// A world, and what happens in it.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) variant: Variant,
    /// Each type has a stream of its own.
    pub(crate) is_separate: bool,
    /// Resources are so large that a response has room for one.
    pub(crate) are_large: bool,
    /// Requests come that no client would send.
    pub(crate) is_wild: bool,
    pub(crate) habits: Habits,
    pub(crate) steps: Vec<Step>,
}

/// What a client does its own way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// It begins by asking for what a proxy asks for.
    pub(crate) is_usual: bool,
    /// It asks for everything by an empty list where it may.
    pub(crate) is_legacy: bool,
    /// It says `""` for nothing.
    pub(crate) says_blank: bool,
    /// Of a response that it refuses, it takes what is good.
    pub(crate) takes_part: bool,
    /// A new stream's first request bears the nonce of the last one.
    pub(crate) keeps_nonce: bool,
    /// It refuses whatever comes under this name, until it is mended.
    pub(crate) refuses: Option<(ResourceKind, &'static str)>,
}

/// How an edit reaches the streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// In a set that is not grown out of the last.
    Anew,
    /// In a set that grows out of the last.
    Grown,
    /// With a later one: the set is made, and no stream looks at it.
    Unseen,
}

/// How a client answers a response that it has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accept,
    Refuse,
    /// It means to, and never does.
    Lose,
}

/// A message without news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nonce {
    /// Of the last response that it answered.
    Last,
    /// Of one before.
    Stale,
    /// Of another type.
    Foreign,
    /// None.
    Empty,
}

/// How a client comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Return {
    /// With all that it held.
    Whole,
    /// It has forgotten some names.
    Without(u8),
    /// As a new process, which holds nothing and wants the same.
    Empty,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Which names exist of a type and which of them change; and how that is published.
    Edit(ResourceKind, u8, u8, Publish),
    /// The server gets so many of the requests under way on the stream of a type.
    Deliver(ResourceKind, usize),
    /// The client gets so many of the responses.
    Receive(ResourceKind, usize),
    /// The client answers the oldest response of a type, and asks for something in the same message.
    Answer(ResourceKind, Answer, Option<&'static str>),
    /// All that is under way arrives and is answered.
    Flow,
    Subscribe(ResourceKind, &'static str),
    Unsubscribe(ResourceKind, &'static str),
    Repeat(ResourceKind, Nonce),
    /// Seconds go by.
    Pass(u64),
    Reconnect(Return),
    /// The operator wants what was refused to be tried again.
    Retry,
    /// Asks for something of a type that is not served.
    Unserved(&'static str),
    /// A request that no client would send.
    Wild(ResourceKind, u8, u8),
}

impl Story {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut head = [0; HEAD_BYTES];
        for (to, from) in head.iter_mut().zip(bytes) {
            *to = *from;
        }
        let [shape, habits, poison, name] = head;
        let bit = |byte: u8, index: u8| byte & (1 << index) != 0;
        let steps = bytes.get(HEAD_BYTES..).unwrap_or_default();
        Self {
            variant: if bit(shape, 0) {
                Variant::Sotw
            } else {
                Variant::Delta
            },
            is_separate: bit(shape, 1),
            are_large: bit(shape, 2) && bit(shape, 3),
            is_wild: bit(shape, 4) && bit(shape, 5) && bit(shape, 6),
            habits: Habits {
                is_usual: !(bit(habits, 0) && bit(habits, 1)),
                is_legacy: !bit(habits, 2),
                says_blank: bit(habits, 3),
                takes_part: bit(habits, 4),
                keeps_nonce: bit(habits, 5),
                refuses: bit(poison, 7).then(|| (kind(poison), pick(&NAMES, name))),
            },
            steps: steps
                .chunks_exact(STEP_BYTES)
                .take(STEPS_MAX)
                .map(|step| Step::read([step[0], step[1], step[2], step[3]]))
                .collect(),
        }
    }
}

impl Step {
    fn read([what, a, b, c]: [u8; STEP_BYTES]) -> Self {
        let kind = kind(a);
        let some = usize::from(b % 4) + 1;
        match what % 64 {
            0..8 => Self::Flow,
            8..18 => Self::Deliver(kind, some),
            18..28 => Self::Receive(kind, some),
            28..38 => {
                let answer = match b % 8 {
                    0..5 => Answer::Accept,
                    5 | 6 => Answer::Refuse,
                    _ => Answer::Lose,
                };
                let carries = (c % 4 == 0).then(|| pick(&TERMS, c / 4));
                Self::Answer(kind, answer, carries)
            }
            38..42 => Self::Subscribe(kind, pick(&TERMS, b)),
            42..46 => Self::Unsubscribe(kind, pick(&TERMS, b)),
            46 | 47 => {
                let nonces = [Nonce::Last, Nonce::Stale, Nonce::Foreign, Nonce::Empty];
                Self::Repeat(kind, pick(&nonces, b))
            }
            48..57 => {
                let how = match a / 32 {
                    0 => Publish::Anew,
                    1 => Publish::Unseen,
                    _ => Publish::Grown,
                };
                Self::Edit(kind, b, c, how)
            }
            57 | 58 => Self::Pass(pick(&[1, 4, 16, 70], b)),
            59 | 60 => Self::Reconnect(match a % 4 {
                0 | 1 => Return::Whole,
                2 => Return::Without(b),
                _ => Return::Empty,
            }),
            61 => Self::Retry,
            62 => Self::Unserved(pick(&TERMS, b)),
            _ => Self::Wild(kind, b, c),
        }
    }
}

/// The type that a byte stands for; those that order matters for come more often.
fn kind(byte: u8) -> ResourceKind {
    let kinds = [
        ResourceKind::Cluster,
        ResourceKind::Endpoint,
        ResourceKind::Route,
        ResourceKind::Listener,
        ResourceKind::Cluster,
        ResourceKind::Route,
        ResourceKind::LbEndpoint,
        ResourceKind::Secret,
    ];
    pick(&kinds, byte)
}

fn pick<T: Copy>(all: &[T], byte: u8) -> T {
    all[usize::from(byte) % all.len()]
}
