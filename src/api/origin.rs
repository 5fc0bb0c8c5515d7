//! The API trusts whoever reaches it, and is reached on loopback. A browser there reaches it too, on
//! behalf of any page that is open in it: what such a page sends to change something is refused.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;

pub(super) async fn refuse_other_sites(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_own(request.headers()) {
        return next.run(request).await;
    }
    ApiError::new(
        StatusCode::FORBIDDEN,
        "a page of another site may not change anything here",
        "use `tidegate`, or send no Origin header",
    )
    .into_response()
}

/// Browsers send `Origin` with every request that can change something; programs do not.
fn is_own(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok());
    let of_origin = origin.to_str().ok().and_then(|o| o.split_once("://"));
    host.is_some() && host == of_origin.map(|(_, host)| host)
}
