//! The requests of one stream: bytes of an HTTP body in, messages out.
//!
//! A request that came in one piece, as nearly all do, is read where it lies; one in several pieces
//! is put together in a buffer that goes with it. So a stream that waits holds no buffer at all.
//! Compressed requests are not taken: no server says that they may be sent.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body as _;
use tonic::body::Body;
use tonic::{Code, Status};

/// The gRPC prefix of a message: a flag and a length.
const PREFIX_BYTES: usize = 5;

/// Reads the requests of a stream.
pub(super) struct Requests<M> {
    body: Body,
    /// What has been received, and not been read yet.
    rest: Bytes,
    /// The beginning of a request, the rest of which is still to come; else nothing.
    begun: BytesMut,
    bytes_max: usize,
    message: PhantomData<fn() -> M>,
}

impl<M: prost::Message + Default> Requests<M> {
    /// Requests of so many bytes at most.
    pub(super) fn new(body: Body, bytes_max: usize) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            begun: BytesMut::new(),
            bytes_max,
            message: PhantomData,
        }
    }

    /// The next request; `None` when there are no more.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<M>, Status>> {
        loop {
            if let Some(message) = self.take()? {
                return Poll::Ready(Ok(Some(message)));
            }
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(if self.begun.is_empty() {
                    Ok(None)
                } else {
                    Err(Status::internal("the stream ended within a request"))
                });
            };
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => self.rest = data,
                // Trailers of a request say nothing.
                Ok(Err(_)) => {}
                // The client has reset the stream.
                Err(status) if status.code() == Code::Cancelled => return Poll::Ready(Ok(None)),
                Err(status) => return Poll::Ready(Err(status)),
            }
        }
    }

    /// The next request, if all of it is here.
    fn take(&mut self) -> Result<Option<M>, Status> {
        if self.begun.is_empty() {
            if let Some(len) = self.len_of(&self.rest)?
                && self.rest.len() >= PREFIX_BYTES + len
            {
                self.rest.advance(PREFIX_BYTES);
                return decode(self.rest.split_to(len)).map(Some);
            }
        } else {
            self.draw(PREFIX_BYTES);
            if let Some(len) = self.len_of(&self.begun)? {
                self.draw(PREFIX_BYTES + len);
                if self.begun.len() == PREFIX_BYTES + len {
                    let whole = std::mem::take(&mut self.begun).freeze();
                    return decode(whole.slice(PREFIX_BYTES..)).map(Some);
                }
            }
        }
        // Room is made for what is here and not for what was announced.
        self.begun.extend_from_slice(&self.rest);
        self.rest = Bytes::new();
        Ok(None)
    }

    /// Fills up what has begun to so many bytes, if they are here.
    fn draw(&mut self, bytes: usize) {
        let missing = bytes.saturating_sub(self.begun.len());
        let drawn = self.rest.split_to(missing.min(self.rest.len()));
        self.begun.extend_from_slice(&drawn);
    }

    /// The length of the request that begins here, once its prefix is whole.
    fn len_of(&self, begun: &[u8]) -> Result<Option<usize>, Status> {
        let Some((flag, len)) = begun.split_first() else {
            return Ok(None);
        };
        if *flag != 0 {
            return Err(Status::internal(
                "a request is compressed, which nobody has agreed on",
            ));
        }
        let Some(len) = len.first_chunk() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*len) as usize;
        let max = self.bytes_max;
        if len > max {
            return Err(Status::resource_exhausted(format!(
                "a request has {len} bytes; {max} are taken (`limits.requestSize`)"
            )));
        }
        Ok(Some(len))
    }
}

fn decode<M: prost::Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::Waker;

    use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use prost::Message;

    use super::*;

    const BYTES_MAX: usize = 1_000;

    fn request(nonce: &str) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            response_nonce: nonce.into(),
            ..DeltaDiscoveryRequest::default()
        }
    }

    fn framed(message: &DeltaDiscoveryRequest) -> Vec<u8> {
        let content = message.encode_to_vec();
        let len = u32::try_from(content.len()).unwrap();
        [&[0][..], &len.to_be_bytes(), &content].concat()
    }

    /// Reads all of a body that comes in these pieces.
    fn read(pieces: &[&[u8]]) -> Result<Vec<DeltaDiscoveryRequest>, Status> {
        let frames = pieces.iter().map(|piece| {
            let piece = Bytes::copy_from_slice(piece);
            Ok::<_, Infallible>(Frame::data(piece))
        });
        let frames: Vec<_> = frames.collect();
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let mut requests = Requests::new(body, BYTES_MAX);
        let mut all = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match requests.poll_next(&mut cx) {
                Poll::Ready(Ok(Some(message))) => all.push(message),
                Poll::Ready(Ok(None)) => return Ok(all),
                Poll::Ready(Err(status)) => return Err(status),
                Poll::Pending => panic!("the body never waits"),
            }
        }
    }

    #[test]
    fn requests_come_in_pieces_of_any_size() {
        let all = [request("a"), request(""), request(&"long".repeat(100))];
        let whole = all.iter().map(framed).collect::<Vec<_>>().concat();
        for size in 1..=whole.len() {
            let pieces: Vec<&[u8]> = whole.chunks(size).collect();
            assert_eq!(read(&pieces).unwrap(), all, "pieces of {size}");
        }
        let between: Vec<&[u8]> = vec![&[], &whole[..7], &[], &whole[7..], &[]];
        assert_eq!(read(&between).unwrap(), all);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let large = framed(&request(&"x".repeat(BYTES_MAX)));
        for (bytes, code) in [
            (&[1, 0, 0, 0, 0][..], Code::Internal),
            (&[0, 0, 0, 0, 2, 0xff, 0xff], Code::Internal),
            (&[0, 0, 0], Code::Internal),
            (&[0, 0, 0, 0, 9, 1], Code::Internal),
            (&large[..PREFIX_BYTES], Code::ResourceExhausted),
        ] {
            assert_eq!(read(&[bytes]).unwrap_err().code(), code, "{bytes:?}");
        }
        assert_eq!(read(&[]).unwrap(), []);
    }
}
