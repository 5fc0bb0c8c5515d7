//! Discovery messages, read as they arrive and never kept: a load client must cost less than what
//! it measures. Of a response it learns the type, the nonce, the version, and the names in it.

/// A response, as far as a client must know it.
#[derive(Debug, Default)]
pub(super) struct Response {
    pub(super) type_url: Vec<u8>,
    pub(super) nonce: Vec<u8>,
    /// `version_info`, or `system_version_info`.
    pub(super) version: Vec<u8>,
    /// Resources in it.
    pub(super) count: usize,
    /// Delta: resources removed.
    pub(super) removed: usize,
    /// Names and versions of its resources, where they are asked for. SotW has no versions.
    pub(super) names: Vec<Named>,
}

/// A resource's name and version.
pub(super) type Named = (Vec<u8>, Vec<u8>);

/// How a response carries its resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    Delta,
    Sotw,
}

/// What comes next in the bytes.
#[derive(Debug)]
enum State {
    /// Flag and length of a gRPC message.
    Prefix,
    Key,
    Length(u64),
    Collect(u64, usize),
    Skip(usize),
    /// A number that nobody asks for.
    Number,
}

/// Reads gRPC messages in pieces of any size.
#[derive(Debug)]
pub(super) struct Reader {
    variant: Variant,
    /// Are names wanted?
    pub(super) wants_names: bool,
    state: State,
    collected: Vec<u8>,
    varint: (u64, u32),
    position: usize,
    /// Where the message, and what stands in it, ends.
    ends: Vec<usize>,
    response: Response,
}

const PREFIX_BYTES: usize = 5;

/// What to do with a field that has a length.
enum Step {
    Collect,
    Enter,
    Skip,
}

impl Reader {
    pub(super) fn new(variant: Variant) -> Self {
        Self {
            variant,
            wants_names: false,
            state: State::Prefix,
            collected: Vec::new(),
            varint: (0, 0),
            position: 0,
            ends: Vec::new(),
            response: Response::default(),
        }
    }

    /// Takes bytes; gives `done` each response that they end.
    pub(super) fn feed(&mut self, mut bytes: &[u8], done: &mut Vec<Response>) {
        while !bytes.is_empty() {
            match self.state {
                State::Prefix => {
                    self.collect(&mut bytes, PREFIX_BYTES);
                    if self.collected.len() == PREFIX_BYTES {
                        let length = self.collected[1..].try_into().map(u32::from_be_bytes);
                        self.collected.clear();
                        self.position = 0;
                        self.ends = vec![length.unwrap_or_default() as usize];
                        self.state = State::Key;
                    }
                }
                State::Key => {
                    if let Some(key) = self.varint(&mut bytes) {
                        self.state = match key & 7 {
                            0 => State::Number,
                            1 => State::Skip(8),
                            2 => State::Length(key >> 3),
                            _ => State::Skip(4),
                        };
                    }
                }
                State::Number => {
                    if self.varint(&mut bytes).is_some() {
                        self.state = State::Key;
                    }
                }
                State::Length(field) => {
                    if let Some(length) = self.varint(&mut bytes) {
                        self.begin(field, usize::try_from(length).unwrap_or(usize::MAX));
                    }
                }
                State::Collect(field, length) => {
                    let before = bytes.len();
                    self.collect(&mut bytes, length);
                    self.position += before - bytes.len();
                    if self.collected.len() == length {
                        self.take(field);
                    }
                }
                State::Skip(left) => {
                    let skipped = left.min(bytes.len());
                    bytes = &bytes[skipped..];
                    self.position += skipped;
                    self.state = match left - skipped {
                        0 => State::Key,
                        left => State::Skip(left),
                    };
                }
            }
            self.leave(done);
        }
    }

    /// Fields end where what they stand in ends.
    fn leave(&mut self, done: &mut Vec<Response>) {
        while matches!(self.state, State::Key) && self.ends.last() == Some(&self.position) {
            self.ends.pop();
            if self.ends.is_empty() {
                done.push(std::mem::take(&mut self.response));
                self.state = State::Prefix;
            }
        }
    }

    fn begin(&mut self, field: u64, length: usize) {
        let step = match (self.ends.len(), field, self.variant) {
            (1, 2, _) => {
                self.response.count += 1;
                if self.wants_names {
                    self.response.names.push(Default::default());
                    Step::Enter
                } else {
                    Step::Skip
                }
            }
            (1, 6, Variant::Delta) => {
                self.response.removed += 1;
                Step::Skip
            }
            // `Any` has its value in 2, and all resources have their name in 1.
            (2, 2, Variant::Sotw) => Step::Enter,
            (3, 1, Variant::Sotw)
            // `Resource` has version 1 and name 3.
            | (2, 1 | 3, Variant::Delta)
            // `version_info`, `type_url` and `nonce` have the same numbers in both variants.
            | (1, 1 | 4 | 5, _) => Step::Collect,
            _ => Step::Skip,
        };
        self.state = match step {
            Step::Enter => {
                self.ends.push(self.position + length);
                State::Key
            }
            Step::Collect if length > 0 => State::Collect(field, length),
            Step::Skip if length > 0 => State::Skip(length),
            Step::Collect | Step::Skip => State::Key,
        };
    }

    fn take(&mut self, field: u64) {
        let text = std::mem::take(&mut self.collected);
        self.state = State::Key;
        let response = &mut self.response;
        let name = response.names.last_mut();
        match (self.ends.len(), field, name) {
            (1, 1, _) => response.version = text,
            (1, 4, _) => response.type_url = text,
            (1, 5, _) => response.nonce = text,
            (2, 1, Some(name)) => name.1 = text,
            (2 | 3, _, Some(name)) => name.0 = text,
            _ => {}
        }
    }

    fn collect(&mut self, bytes: &mut &[u8], length: usize) {
        let taken = (length - self.collected.len()).min(bytes.len());
        self.collected.extend_from_slice(&bytes[..taken]);
        *bytes = &bytes[taken..];
    }

    fn varint(&mut self, bytes: &mut &[u8]) -> Option<u64> {
        while let Some((byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.position += 1;
            let (value, shift) = &mut self.varint;
            *value |= u64::from(byte & 0x7f) << *shift;
            *shift += 7;
            if byte & 0x80 == 0 {
                return Some(std::mem::take(&mut self.varint).0);
            }
        }
        None
    }
}
