//! A response as bytes: a private beginning with the stream's nonce, and a rest that every stream
//! which sends the same content shares.
//!
//! Encoding a response per stream costs five times the processor, and a copy per stream holds its
//! memory until a slow proxy has read it. Protobuf leaves the order of fields free, so the nonce
//! goes first: two DATA frames, the second one shared. A small rest is copied behind its nonce, for
//! that costs less than another frame.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::protocol::{Response, Variant};

/// Field numbers of both kinds of responses.
mod field {
    pub(super) const VERSION: u32 = 1;
    pub(super) const TYPE_URL: u32 = 4;
    pub(super) const NONCE: u32 = 5;
    /// `DeltaDiscoveryResponse` only.
    pub(super) const REMOVED: u32 = 6;
    pub(super) const SOTW_CONTROL_PLANE: u32 = 6;
    pub(super) const DELTA_CONTROL_PLANE: u32 = 7;
    /// Of `ControlPlane`.
    pub(super) const IDENTIFIER: u32 = 1;
}

/// Most shared rests that are kept; when there are more, those that no connection holds go.
const RESTS_MAX: usize = 1024;

/// A rest of so many bytes at most is copied. It bounds what a stream holds of its own, too.
const COPIED_BYTES_MAX: usize = 1024;

/// The gRPC prefix of a message: a flag and a length.
const PREFIX_BYTES: usize = 5;

/// A response on its way.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The first frame, with all of a small response.
    pub(super) head: Bytes,
    /// The second frame, which streams share.
    pub(super) shared: Option<Bytes>,
    /// No stream was sent this content before, so it was put together for this one.
    pub(super) is_new: bool,
}

impl Outgoing {
    /// Bytes of both.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.shared.as_ref().map_or(0, Bytes::len)
    }
}

/// Turns responses into frames, and equal ones into the same bytes.
pub(super) struct Frames {
    control_plane: String,
    /// By a hash of all that goes into a rest. Never locked over an await.
    rests: Mutex<HashMap<[u8; 32], Bytes>>,
}

impl Frames {
    pub(super) fn new(control_plane: String) -> Self {
        Self {
            control_plane,
            rests: Mutex::new(HashMap::new()),
        }
    }

    /// One message.
    pub(super) fn encode(&self, variant: Variant, response: &Response) -> Outgoing {
        let (rest, is_new) = self.rest(variant, response);
        let nonce_len = text_len(field::NONCE, &response.nonce);
        let copied = Some(&rest[..]).filter(|rest| rest.len() <= COPIED_BYTES_MAX);
        let copied_len = copied.map_or(0, <[u8]>::len);
        let mut head = BytesMut::with_capacity(PREFIX_BYTES + nonce_len + copied_len);
        head.put_u8(0);
        let message_len = u32::try_from(nonce_len + rest.len());
        head.put_u32(message_len.expect("a response has less than 4 GiB"));
        put_text(&mut head, field::NONCE, &response.nonce);
        let shared = match copied {
            Some(copied) => {
                head.put_slice(copied);
                None
            }
            None => Some(rest),
        };
        let head = head.freeze();
        Outgoing {
            head,
            shared,
            is_new,
        }
    }

    fn rest(&self, variant: Variant, response: &Response) -> (Bytes, bool) {
        let key = key(variant, response);
        // A panic while the lock is held leaves a map of whole entries behind.
        let lock = || self.rests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rest) = lock().get(&key) {
            return (rest.clone(), false);
        }
        let rest = self.build(variant, response);
        let mut rests = lock();
        if rests.len() >= RESTS_MAX {
            rests.retain(|_, rest| !rest.is_unique());
            if rests.len() >= RESTS_MAX {
                rests.clear();
            }
        }
        (rests.entry(key).or_insert(rest).clone(), true)
    }

    fn build(&self, variant: Variant, response: &Response) -> Bytes {
        let type_url = response.type_url.as_str();
        let control_plane = match variant {
            Variant::Delta => field::DELTA_CONTROL_PLANE,
            Variant::Sotw => field::SOTW_CONTROL_PLANE,
        };
        let fields = response.resources.iter().map(|resource| match variant {
            Variant::Delta => &resource.delta_field,
            Variant::Sotw => &resource.sotw_field,
        });
        let removed = match variant {
            Variant::Delta => &response.removed[..],
            Variant::Sotw => &[],
        };
        let identifier_len = text_len(field::IDENTIFIER, &self.control_plane);
        let len = text_len(field::VERSION, &response.version)
            + fields.clone().map(Bytes::len).sum::<usize>()
            + text_len(field::TYPE_URL, type_url)
            + removed
                .iter()
                .map(|name| text_len(field::REMOVED, name))
                .sum::<usize>()
            + key_len(control_plane)
            + encoded_len_varint(identifier_len as u64)
            + identifier_len;
        let mut rest = BytesMut::with_capacity(len);
        put_text(&mut rest, field::VERSION, &response.version);
        fields.for_each(|field| rest.put_slice(field));
        put_text(&mut rest, field::TYPE_URL, type_url);
        for name in removed {
            put_text(&mut rest, field::REMOVED, name);
        }
        encode_key(control_plane, WireType::LengthDelimited, &mut rest);
        encode_varint(identifier_len as u64, &mut rest);
        put_text(&mut rest, field::IDENTIFIER, &self.control_plane);
        debug_assert_eq!(rest.len(), len);
        rest.freeze()
    }
}

/// Equal for responses that differ in nothing but the nonce.
fn key(variant: Variant, response: &Response) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    let mut put = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    put(if variant == Variant::Delta {
        "delta"
    } else {
        "sotw"
    });
    put(response.type_url.as_str());
    put(&response.version);
    for resource in &response.resources {
        put(&resource.name);
        put(&resource.version);
    }
    // No resource has this version, so that a removal is no resource.
    for name in &response.removed {
        put(name);
        put("");
    }
    hash.finalize().into()
}

fn text_len(number: u32, text: &str) -> usize {
    key_len(number) + encoded_len_varint(text.len() as u64) + text.len()
}

fn put_text(buffer: &mut BytesMut, number: u32, text: &str) {
    encode_key(number, WireType::LengthDelimited, buffer);
    encode_varint(text.len() as u64, buffer);
    buffer.put_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service::discovery::v3::{
        DeltaDiscoveryResponse, DiscoveryResponse,
    };
    use prost::Message;

    use super::*;
    use crate::protocol::TypeUrl;
    use crate::snapshot::ResourceKind;
    use crate::xds::tests::encoded;

    fn response(nonce: &str) -> Response {
        Response {
            type_url: TypeUrl::Served(ResourceKind::Cluster),
            nonce: nonce.into(),
            version: "v".into(),
            resources: vec![
                encoded(ResourceKind::Cluster, "a", "1"),
                encoded(ResourceKind::Cluster, "b", "1"),
            ],
            removed: vec!["gone".into()],
        }
    }

    fn content(message: &Outgoing) -> Bytes {
        let whole = [&message.head[..], message.shared.as_deref().unwrap_or(&[])].concat();
        assert_eq!(message.len(), whole.len());
        let whole = Bytes::from(whole);
        let len = u32::from_be_bytes(whole[1..PREFIX_BYTES].try_into().unwrap());
        assert_eq!((whole[0], len as usize), (0, whole.len() - PREFIX_BYTES));
        whole.slice(PREFIX_BYTES..)
    }

    #[test]
    fn frames_are_what_prost_reads() {
        let frames = Frames::new("tidegate-1".into());
        let url = ResourceKind::Cluster.type_url();

        let bytes = frames.encode(Variant::Sotw, &response("n1"));
        let sotw = DiscoveryResponse::decode(content(&bytes)).unwrap();
        assert_eq!(
            (sotw.nonce.as_str(), sotw.version_info.as_str()),
            ("n1", "v")
        );
        assert_eq!((sotw.type_url.as_str(), sotw.resources.len()), (url, 2));
        assert_eq!(sotw.resources[0].type_url, url);
        assert_eq!(sotw.control_plane.unwrap().identifier, "tidegate-1");

        let bytes = frames.encode(Variant::Delta, &response("n2"));
        let delta = DeltaDiscoveryResponse::decode(content(&bytes)).unwrap();
        assert_eq!(
            (delta.nonce.as_str(), delta.system_version_info.as_str()),
            ("n2", "v")
        );
        assert_eq!(
            (delta.type_url.as_str(), delta.removed_resources.as_slice()),
            (url, &["gone".to_owned()][..])
        );
        let resources: Vec<_> = delta
            .resources
            .iter()
            .map(|r| (&*r.name, &*r.version))
            .collect();
        assert_eq!(resources, [("a", "1"), ("b", "1")]);
        assert_eq!(delta.control_plane.unwrap().identifier, "tidegate-1");
    }

    #[test]
    fn equal_content_is_encoded_once_and_shared_if_it_is_large() {
        let frames = Frames::new("x".into());
        let large = "1".repeat(COPIED_BYTES_MAX);
        let large = encoded(ResourceKind::Cluster, "large", &large);
        let [small, large] = [response("").resources, vec![large]].map(|resources| {
            ["n1", "n2"].map(|nonce| {
                let resources = resources.clone();
                let response = Response {
                    resources,
                    ..response(nonce)
                };
                frames.encode(Variant::Delta, &response)
            })
        });
        let are_new = [&small, &large].map(|of| of.each_ref().map(|message| message.is_new));
        assert_eq!(are_new, [[true, false]; 2]);
        assert!(small.iter().all(|message| message.shared.is_none()));
        let [first, second] = large;
        assert_ne!(first.head, second.head);
        let at = |message: Outgoing| message.shared.unwrap().as_ptr();
        assert_eq!(at(first), at(second));
    }

    #[test]
    fn the_cache_is_bounded() {
        let frames = Frames::new("x".into());
        for version in 0..=2 * RESTS_MAX {
            let response = Response {
                version: version.to_string(),
                ..response("n")
            };
            frames.encode(Variant::Delta, &response);
        }
        assert!(frames.rests.lock().unwrap().len() <= RESTS_MAX);
    }
}
