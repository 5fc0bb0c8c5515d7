//! One number of a Prometheus server, by an instant query. Whoever speaks its HTTP API will do.
//!
//! A query that gives no series gives no number, and neither does one that gives several: which of them counts is
//! for the query to say.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use crate::runtime::http::{Reply, exchange};

/// How long a server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Longest token in bytes.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

/// What a query gives now, or why that is no number.
pub(super) async fn number(server: &str, token: Option<&Path>, query: &str) -> Result<f64, String> {
    let asked = tokio::time::timeout(ANSWER_WITHIN, ask(server, token, query)).await;
    let reply = asked.unwrap_or_else(|_| Err(format!("gives no answer within {ANSWER_WITHIN:?}")));
    reply
        .and_then(|reply| read(&reply))
        .map_err(|why| format!("Prometheus {why}"))
}

async fn ask(server: &str, token: Option<&Path>, query: &str) -> Result<Reply, String> {
    let url = format!("{}/api/v1/query", server.trim_end_matches('/'));
    let seconds = ANSWER_WITHIN.as_secs();
    let form = format!("query={}&timeout={seconds}s", encoded(query));
    let mut request = Request::post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(path) = token {
        request = request.header(AUTHORIZATION, bearer(path).await?);
    }
    let request = request.body(Full::new(Bytes::from(form)));
    exchange(request.map_err(|error| format!("cannot be asked: {error}"))?).await
}

/// The token in a file, as a header.
async fn bearer(path: &Path) -> Result<HeaderValue, String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;
        let mut token = String::new();
        let file = fs_err::File::open(path)?;
        file.take(TOKEN_BYTES_MAX).read_to_string(&mut token)?;
        Ok::<_, std::io::Error>(token)
    });
    let token = read.await.map_err(|error| error.to_string())?;
    let token = token.map_err(|error| format!("cannot be asked: there is no token: {error}"))?;
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| "cannot be asked: the token is no text for a header".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}

/// A value of a form.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// What the API answers.
#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Series {
    value: Sample,
}

/// When, and how much, as a text.
#[derive(Deserialize)]
struct Sample(
    #[expect(dead_code, reason = "a part of the form")] f64,
    String,
);

fn read(reply: &Reply) -> Result<f64, String> {
    let answer: Result<Answer, _> = serde_json::from_str(&reply.body);
    if !reply.status.is_success() {
        // What is wrong with a query stands in the same form.
        let error = answer.ok().and_then(|answer| answer.error);
        return Err(match error {
            Some(error) => format!("answered {}: {error}", reply.status),
            None => reply.failure(),
        });
    }
    let answer = answer.map_err(|error| format!("answered no good JSON: {error}"))?;
    let other = || "answered with something else than a number".to_owned();
    let Data {
        result_type,
        result,
    } = answer.data.ok_or_else(other)?;
    let Sample(_, text) = match result_type.as_str() {
        "scalar" => serde_json::from_value(result).map_err(|_| other())?,
        "vector" => {
            let series: Vec<Series> = serde_json::from_value(result).map_err(|_| other())?;
            let several = series.len();
            let mut series = series.into_iter();
            match (series.next(), several) {
                (Some(one), 1) => one.value,
                (None, _) => return Err("has no data for the query".to_owned()),
                (Some(_), _) => {
                    return Err(format!(
                        "has {several} series for the query, and one number is wanted, as by `sum(…)` or `max(…)`"
                    ));
                }
            }
        }
        _ => return Err(other()),
    };
    // Its own way of writing what is no finite number is Rust's, too.
    text.parse()
        .map_err(|_| format!("answered `{text}`, which is no number"))
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    fn said(status: u16, body: &str) -> Result<f64, String> {
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.to_owned();
        read(&Reply { status, body })
    }

    fn of(data: &str) -> Result<f64, String> {
        said(200, &format!("{{\"status\":\"success\",\"data\":{data}}}"))
    }

    #[test]
    fn one_series_is_a_number_and_nothing_else_is() {
        let series =
            |value: &str| format!("{{\"metric\":{{\"a\":\"b\"}},\"value\":[1.5,\"{value}\"]}}");
        let vector = |all: &[&str]| {
            let all: Vec<_> = all.iter().map(|value| series(value)).collect();
            of(&format!(
                "{{\"resultType\":\"vector\",\"result\":[{}]}}",
                all.join(",")
            ))
        };
        assert_eq!(vector(&["0.25"]), Ok(0.25));
        assert_eq!(vector(&["+Inf"]), Ok(f64::INFINITY));
        assert!(vector(&["NaN"]).unwrap().is_nan());
        assert_eq!(
            of(r#"{"resultType":"scalar","result":[1,"-3e2"]}"#),
            Ok(-300.0)
        );
        let no = |why: &str| Err(why.to_owned());
        assert_eq!(vector(&[]), no("has no data for the query"));
        assert_eq!(
            vector(&["1", "2"]),
            no("has 2 series for the query, and one number is wanted, as by `sum(…)` or `max(…)`")
        );
        let other = no("answered with something else than a number");
        assert_eq!(of(r#"{"resultType":"string","result":[1,"x"]}"#), other);
        assert_eq!(of(r#"{"resultType":"matrix","result":[]}"#), other);
        assert_eq!(said(200, "{}"), other);
        assert_eq!(vector(&["x"]), no("answered `x`, which is no number"));
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let error = r#"{"status":"error","errorType":"bad_data","error":"parse error: oh"}"#;
        for (status, body, why) in [
            (400, error, "answered 400 Bad Request: parse error: oh"),
            (503, "", "answered 503 Service Unavailable"),
            (401, "who?", "answered 401 Unauthorized: who?"),
        ] {
            assert_eq!(said(status, body), Err(why.to_owned()));
        }
        let html = said(200, "<html>").unwrap_err();
        assert!(html.starts_with("answered no good JSON: "), "{html}");
    }

    #[test]
    fn a_query_is_a_value_of_a_form() {
        assert_eq!(
            encoded("sum(x{a=\"b+c\"}) ≥ 1"),
            "sum%28x%7Ba%3D%22b%2Bc%22%7D%29%20%E2%89%A5%201"
        );
    }
}
