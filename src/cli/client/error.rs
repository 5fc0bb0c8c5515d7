//! What may go wrong between a command and the control plane, and whose turn it is then.

use hyper::StatusCode;

use crate::api::ErrorBody;

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ClientError {
    /// The server speaks, but not our language.
    #[error("{server} answers something else than expected: {source}")]
    BadAnswer {
        /// The server.
        server: String,
        /// Where it goes wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The name of whoever asks cannot be sent.
    #[error("the request cannot be sent: {0}")]
    BadHeader(#[source] hyper::http::Error),
    /// The request cannot be written.
    #[error("the request cannot be written: {0}")]
    BadRequest(#[source] serde_json::Error),
    /// `--server` is no URL of a server.
    #[error("`{server}` is no URL of a control plane; write it like `http://127.0.0.1:18080`")]
    BadServer {
        /// What was given.
        server: String,
    },
    /// The control plane will not.
    #[error("{}", .body.error)]
    Refused {
        /// Which kind of no.
        status: StatusCode,
        /// In its words.
        body: ErrorBody,
    },
    /// Nobody is there, or nobody any more.
    #[error("cannot reach the control plane at {server}: {cause}")]
    Unreachable {
        /// The server.
        server: String,
        /// The innermost cause.
        cause: String,
        /// Was there a connection, so that the request may have arrived?
        sent: bool,
    },
}

impl ClientError {
    /// The innermost cause tells most: `Connection refused`, in place of `client error (Connect)`.
    pub(in crate::cli) fn unreachable(
        server: &str,
        error: &(dyn std::error::Error + 'static),
        sent: bool,
    ) -> Self {
        let innermost = std::iter::successors(Some(error), |e| e.source()).last();
        Self::Unreachable {
            server: server.to_owned(),
            cause: innermost.unwrap_or(error).to_string(),
            sent,
        }
    }

    pub(in crate::cli) const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// There is no answer, and nobody knows whether what was asked is done.
    pub(in crate::cli) const fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Unreachable { sent: true, .. })
    }

    /// May the same request succeed later, with nobody doing anything about it?
    pub(in crate::cli) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => status.is_server_error(),
            _ => false,
        }
    }

    pub(in crate::cli) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// What would help.
    pub(in crate::cli) fn hint(&self) -> &str {
        match self {
            Self::BadAnswer { .. } => "is it of the same version as this command?",
            Self::Refused { body, .. } => &body.hint,
            Self::Unreachable { .. } => {
                "is `tidegate serve` running? `--server` or TIDEGATE_SERVER says where"
            }
            Self::BadHeader(_) | Self::BadRequest(_) | Self::BadServer { .. } => "",
        }
    }
}
