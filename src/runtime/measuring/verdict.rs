//! What an address is told that is asked for a verdict, and what its answer says.

use serde::{Deserialize, Serialize};

use super::beginning;
use crate::domain::Time;
use crate::engine::{Candidate, Inquiry, Reading};
use crate::runtime::http::Reply;

/// What is posted.
#[derive(Debug, Serialize)]
pub(super) struct Ask<'a> {
    /// Names the question.
    pub(super) key: String,
    /// When it was put.
    at: Time,
    #[serde(flatten)]
    about: &'a Candidate,
}

impl<'a> Ask<'a> {
    pub(super) fn new(inquiry: &Inquiry, about: &'a Candidate) -> Self {
        let (of, at) = (&inquiry.of, inquiry.at);
        let (rollout, gate, check) = (&of.rollout, &of.gate, of.check + 1);
        Self {
            key: format!("{rollout}/gate/{gate}/{check}/{at}"),
            at,
            about,
        }
    }
}

/// An answer of 2xx is good, unless it is a JSON object whose `verdict` says otherwise. Any other leaves
/// nobody sure: an address that has moved is no reason to go back.
pub(super) fn read(reply: &Reply) -> Reading {
    #[derive(Deserialize)]
    struct Answer {
        verdict: Option<String>,
        #[serde(default)]
        why: String,
    }
    let unsure = |why: &str| Reading::Unsure(beginning(why));
    if !reply.status.is_success() {
        return unsure(&reply.failure());
    }
    let body = reply.body.as_str();
    if !body.starts_with('{') {
        return Reading::Good;
    }
    let Answer { verdict, why } = match serde_json::from_str(body) {
        Ok(answer) => answer,
        // Half an answer is none: what is missing may say that it is worse.
        Err(error) => return unsure(&format!("answered no good JSON: {error}: {body}")),
    };
    let said = |word: &str| match why.as_str() {
        "" => format!("says `{word}`"),
        why => beginning(why),
    };
    match verdict.as_deref() {
        None | Some("good") => Reading::Good,
        Some("worse") => Reading::Worse(said("worse")),
        Some("unsure") => Reading::Unsure(said("unsure")),
        Some(_) => unsure(&format!(
            "answered neither `good`, `worse` nor `unsure`: {body}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    #[test]
    fn an_answer_is_good_worse_or_leaves_nobody_sure() {
        let unsure = |why: &str| Reading::Unsure(why.to_owned());
        let worse = |why: &str| Reading::Worse(why.to_owned());
        for (status, body, wanted) in [
            (200, "", Reading::Good),
            (204, "", Reading::Good),
            (200, "ok", Reading::Good),
            (200, r#"{"id": 7}"#, Reading::Good),
            (200, r#"{"verdict": "good", "why": "all 9"}"#, Reading::Good),
            (
                200,
                r#"{"verdict": "worse", "why": "orders fell by 4 %"}"#,
                worse("orders fell by 4 %"),
            ),
            (200, r#"{"verdict": "worse"}"#, worse("says `worse`")),
            (
                200,
                r#"{"verdict": "unsure", "why": "3 orders"}"#,
                unsure("3 orders"),
            ),
            (
                200,
                r#"{"verdict": "bad"}"#,
                unsure(r#"answered neither `good`, `worse` nor `unsure`: {"verdict": "bad"}"#),
            ),
            (
                200,
                "{\"verdict\": ",
                unsure(
                    "answered no good JSON: EOF while parsing a value at line 1 column 12: {\"verdict\": ",
                ),
            ),
            (404, "", unsure("answered 404 Not Found")),
            (302, "", unsure("answered 302 Found")),
            (
                500,
                "busy",
                unsure("answered 500 Internal Server Error: busy"),
            ),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let (shown, body) = (format!("{status} {body}"), body.to_owned());
            assert_eq!(read(&Reply { status, body }), wanted, "{shown}");
        }
    }
}
