//! Which answers are failures: HTTP status codes, and the status of a gRPC answer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which answers are failures. One that was cut off after it had begun is one, whatever its code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Codes {
    /// HTTP status codes. What proxies answer for a version that does not is 503 or 504.
    pub http: Vec<CodeRange>,
    /// gRPC statuses, where the service speaks gRPC.
    pub grpc: Vec<GrpcCode>,
}

impl Codes {
    /// Is an answer with this HTTP status code a failure?
    pub fn has_http(&self, code: u16) -> bool {
        self.http.iter().any(|range| range.holds(code))
    }

    /// Is an answer with this gRPC status a failure?
    pub fn has_grpc(&self, status: u16) -> bool {
        self.grpc.iter().any(|code| code.get() == status)
    }
}

impl Default for Codes {
    /// What is the server's fault: every 5xx, and the statuses of gRPC that are not the caller's.
    fn default() -> Self {
        Self {
            http: vec![CodeRange(500, 599)],
            grpc: [2, 4, 12, 13, 14, 15].map(GrpcCode).into(),
        }
    }
}

/// HTTP status codes in a row: `5xx`, `429`, `500-504`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeRange(u16, u16);

impl CodeRange {
    /// Is it one of them?
    pub const fn holds(self, code: u16) -> bool {
        self.0 <= code && code <= self.1
    }
}

/// A text that is no code of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    /// No HTTP status codes.
    #[error("`{0}` is no HTTP status code of an answer; write it like `5xx`, `429` or `500-504`")]
    Http(String),
    /// No gRPC status.
    #[error("`{0}` is no gRPC status of a failure; write it like `unavailable` or `14`")]
    Grpc(String),
}

impl FromStr for CodeRange {
    type Err = BadCode;

    fn from_str(text: &str) -> Result<Self, BadCode> {
        let code = |text: &str| {
            let code: Option<u16> = text.trim().parse().ok();
            // What comes before the answer is none.
            code.filter(|code| (200..600).contains(code))
        };
        let class = text.trim().strip_suffix("xx").and_then(|class| {
            let first = code(&format!("{class}00"))?;
            Some(Self(first, first + 99))
        });
        let range = || match text.split_once('-') {
            Some((from, to)) => code(from).zip(code(to)),
            None => code(text).map(|code| (code, code)),
        };
        class
            .or_else(|| range().map(|(from, to)| Self(from, to)))
            .filter(|range| range.0 <= range.1)
            .ok_or_else(|| BadCode::Http(text.to_owned()))
    }
}

impl fmt::Display for CodeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (from, to) if from == to => write!(f, "{from}"),
            (from, to) if from % 100 == 0 && to == from + 99 => write!(f, "{}xx", from / 100),
            (from, to) => write!(f, "{from}-{to}"),
        }
    }
}

impl TryFrom<String> for CodeRange {
    type Error = BadCode;

    fn try_from(text: String) -> Result<Self, BadCode> {
        text.parse()
    }
}

impl From<CodeRange> for String {
    fn from(range: CodeRange) -> Self {
        range.to_string()
    }
}

/// The gRPC status of a failure; never that of success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GrpcCode(u16);

/// By number, from 0.
const GRPC: [&str; 17] = [
    "ok",
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
];

impl GrpcCode {
    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl FromStr for GrpcCode {
    type Err = BadCode;

    /// A name however it is spelt (`DEADLINE_EXCEEDED`, `deadlineExceeded`), or a number.
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let plain = |text: &str| text.trim().to_lowercase().replace(['-', '_', ' '], "");
        let word = plain(text);
        let by_name = GRPC.iter().position(|name| plain(name) == word);
        let number = by_name.or_else(|| word.parse().ok());
        number
            .filter(|number| (1..GRPC.len()).contains(number))
            .and_then(|number| u16::try_from(number).ok())
            .map(Self)
            .ok_or_else(|| BadCode::Grpc(text.to_owned()))
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(GRPC.get(usize::from(self.0)).unwrap_or(&"unknown"))
    }
}

impl TryFrom<String> for GrpcCode {
    type Error = BadCode;

    fn try_from(text: String) -> Result<Self, BadCode> {
        text.parse()
    }
}

impl From<GrpcCode> for String {
    fn from(code: GrpcCode) -> Self {
        code.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_as_they_are_written() {
        for text in ["5xx", "429", "500-504"] {
            assert_eq!(text.parse::<CodeRange>().unwrap().to_string(), text);
        }
        for text in ["", "1xx", "6xx", "xx", "504-500", "99", "5x", "-"] {
            assert_eq!(
                text.parse::<CodeRange>(),
                Err(BadCode::Http(text.to_owned()))
            );
        }
        for (text, name) in [
            ("unavailable", "unavailable"),
            ("DEADLINE_EXCEEDED", "deadline-exceeded"),
            ("dataLoss", "data-loss"),
            ("8", "resource-exhausted"),
        ] {
            assert_eq!(text.parse::<GrpcCode>().unwrap().to_string(), name);
        }
        for text in ["", "ok", "0", "17", "timeout"] {
            assert_eq!(
                text.parse::<GrpcCode>(),
                Err(BadCode::Grpc(text.to_owned()))
            );
        }
    }

    #[test]
    fn what_is_the_servers_fault_fails() {
        let codes = Codes::default();
        let http: Vec<_> = [200, 404, 429, 500, 503, 599]
            .into_iter()
            .filter(|code| codes.has_http(*code))
            .collect();
        assert_eq!(http, [500, 503, 599]);
        let grpc: Vec<_> = codes.grpc.iter().map(ToString::to_string).collect();
        assert_eq!(
            grpc,
            [
                "unknown",
                "deadline-exceeded",
                "unimplemented",
                "internal",
                "unavailable",
                "data-loss"
            ]
        );
        assert!(codes.has_grpc(14) && !codes.has_grpc(0) && !codes.has_grpc(5));
    }
}
