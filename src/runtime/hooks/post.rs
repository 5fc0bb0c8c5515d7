//! Hooks that are web addresses: a JSON object is posted, signed if there is a key, and the answer read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use ring::hmac;
use serde::Deserialize;

use super::beginning;
use super::told::Told;
use crate::domain::KeySource;
use crate::engine::HookAnswer;
use crate::runtime::http::{Reply, exchange};

/// Names the call; the same when it is made again.
const KEY: HeaderName = HeaderName::from_static("x-tidegate-key");
/// The how manieth try in a row.
const ATTEMPT: HeaderName = HeaderName::from_static("x-tidegate-attempt");
/// `sha256=` and the HMAC of the body in hexadecimal digits.
const SIGNATURE: HeaderName = HeaderName::from_static("x-tidegate-signature");

/// Longest key in bytes.
const SIGNING_KEY_BYTES_MAX: u64 = 4096;

/// Posts what a hook is told.
pub(super) async fn post(
    url: &str,
    headers: &BTreeMap<String, String>,
    sign: Option<&KeySource>,
    told: &Told,
) -> Result<Reply, String> {
    let key = HeaderValue::from_bytes(told.key.as_bytes()).map_err(|error| error.to_string())?;
    let mut request = Request::post(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request = request.header(KEY, key).header(ATTEMPT, told.attempt);
    if let Some(source) = sign {
        let key = signing_key(source.clone()).await?;
        request = request.header(SIGNATURE, signature(&key, &told.body));
    }
    let body = Full::new(Bytes::from(told.body.clone()));
    let request = request.body(body).map_err(|error| error.to_string())?;
    exchange(request).await
}

/// `sha256=` and the HMAC-SHA256 of `body` under `key`.
fn signature(key: &[u8], body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), body);
    let mut text = "sha256=".to_owned();
    for byte in tag.as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The key as it is now, without the end of its line. It is read for each call, so that it may change.
async fn signing_key(source: KeySource) -> Result<Vec<u8>, String> {
    let (key, place) = match source {
        KeySource::Env(name) => {
            let key = std::env::var_os(&name).map(std::ffi::OsString::into_encoded_bytes);
            let key = key.ok_or_else(|| format!("there is no key: `{name}` is not set"))?;
            (key, name)
        }
        KeySource::File(path) => {
            let from = path.clone();
            let read = tokio::task::spawn_blocking(move || {
                let mut key = Vec::new();
                let file = fs_err::File::open(from)?;
                file.take(SIGNING_KEY_BYTES_MAX + 1).read_to_end(&mut key)?;
                Ok::<_, std::io::Error>(key)
            });
            let key = read.await.map_err(|error| error.to_string())?;
            (
                key.map_err(|error| format!("there is no key: {error}"))?,
                path,
            )
        }
    };
    let key = key.trim_ascii_end();
    if key.is_empty() {
        return Err(format!("there is no key: `{place}` is empty"));
    }
    if key.len() as u64 > SIGNING_KEY_BYTES_MAX {
        return Err(format!(
            "the key in `{place}` has more than {SIGNING_KEY_BYTES_MAX} bytes"
        ));
    }
    Ok(key.to_vec())
}

/// What an address says that was asked whether a rollout may go on.
///
/// A status of 2xx passes, unless the body is a JSON object with an `answer` that says otherwise. One that asks
/// to come again (5xx, 408, 429) is no answer, and any other status is a failure.
pub(super) fn answer(reply: Reply) -> HookAnswer {
    #[derive(Deserialize)]
    struct Said {
        answer: Option<String>,
        #[serde(default)]
        why: String,
    }
    let come_again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    if reply.status.is_server_error() || come_again.contains(&reply.status) {
        return HookAnswer::Silent(beginning(reply.failure()));
    }
    if !reply.status.is_success() {
        return HookAnswer::Fails(beginning(reply.failure()));
    }
    let body = reply.body;
    if !body.starts_with('{') {
        return HookAnswer::Passes(beginning(body));
    }
    match serde_json::from_str::<Said>(&body) {
        // Half an answer is none: what is missing may say that it holds.
        Err(error) => {
            HookAnswer::Silent(beginning(format!("answered no good JSON: {error}: {body}")))
        }
        Ok(Said { answer: None, .. }) => HookAnswer::Passes(beginning(body)),
        Ok(Said {
            answer: Some(answer),
            why,
        }) => match answer.as_str() {
            "pass" => HookAnswer::Passes(beginning(why)),
            "hold" => HookAnswer::Holds(beginning(why)),
            "fail" => HookAnswer::Fails(beginning(why)),
            _ => HookAnswer::Fails(beginning(format!(
                "answered neither `pass`, `hold` nor `fail`: {body}"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by another implementation.
    #[test]
    fn a_body_is_signed() {
        assert_eq!(
            signature(b"what only both know", br#"{"key":"k"}"#),
            "sha256=3c18da43548f0bfcd52038c7cf330237b755078a4bb6a93fcf23b25a9bb7e26d"
        );
    }

    #[test]
    fn an_answer_passes_holds_or_fails() {
        let passes = |words: &str| HookAnswer::Passes(words.to_owned());
        let fails = |words: &str| HookAnswer::Fails(words.to_owned());
        let silent = |words: &str| HookAnswer::Silent(words.to_owned());
        for (status, body, wanted) in [
            (200, "", passes("")),
            (204, "", passes("")),
            (200, "ok", passes("ok")),
            (202, r#"{"id": 7}"#, passes(r#"{"id": 7}"#)),
            (200, r#"{"answer": "pass"}"#, passes("")),
            (
                200,
                r#"{"answer": "hold", "why": "not before noon"}"#,
                HookAnswer::Holds("not before noon".to_owned()),
            ),
            (
                200,
                r#"{"answer": "fail", "why": "2 of 9"}"#,
                fails("2 of 9"),
            ),
            (
                200,
                r#"{"answer": "no"}"#,
                fails(r#"answered neither `pass`, `hold` nor `fail`: {"answer": "no"}"#),
            ),
            (
                200,
                "{\"answer\": ",
                silent(
                    "answered no good JSON: EOF while parsing a value at line 1 column 11: {\"answer\": ",
                ),
            ),
            (404, "", fails("answered 404 Not Found")),
            (302, "", fails("answered 302 Found")),
            (
                503,
                "busy",
                silent("answered 503 Service Unavailable: busy"),
            ),
            (429, "", silent("answered 429 Too Many Requests")),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let body = body.to_owned();
            let (shown, found) = (format!("{status} {body}"), answer(Reply { status, body }));
            assert_eq!(found, wanted, "{shown}");
        }
    }
}
