//! What handlers take from a request.

use std::net::{IpAddr, SocketAddr};

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, USER_AGENT};
use axum::http::request::Parts;

use crate::app::App;
use crate::authority::{self, Administrator, MANAGEMENT_PREFIX, Requester, Responder};
use crate::history::{Origin, USER_AGENT_LIMIT};
use crate::web::error::Problem;

/// The other end of the connection, put into every request by the server.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// From where a request came.
#[derive(Debug, Clone)]
pub struct Client(pub Origin);

impl FromRequestParts<App> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
        let forwarded =
            parts.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let address = client_address(app, peer.to_canonical(), forwarded.collect::<Vec<_>>().join(","));
        let agent = parts.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let mut user_agent = agent.unwrap_or_default().into_owned();
        while user_agent.len() > USER_AGENT_LIMIT {
            user_agent.pop();
        }
        Ok(Self(Origin { address, user_agent }))
    }
}

/// The right-most forwarded address that is not a trusted proxy's; the peer itself where it is none.
fn client_address(app: &App, peer: IpAddr, forwarded: String) -> IpAddr {
    let trusted =
        |address: IpAddr| app.settings.trusted_proxies.iter().any(|network| network.contains(address));
    let mut address = peer;
    for entry in forwarded.rsplit(',').map(str::trim) {
        if !trusted(address) {
            break;
        }
        match entry.parse::<IpAddr>() {
            Ok(entry) => address = entry.to_canonical(),
            Err(_) => break,
        }
    }
    address
}

/// The secret of an `Authorization: Bearer …` header, the scheme in any case.
pub(crate) fn bearer(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim().to_owned())
}

impl FromRequestParts<App> for Requester {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match bearer(parts) {
            Some(secret) if secret.starts_with(MANAGEMENT_PREFIX) => {
                Ok(authority::of_management_token(app, &secret).await?)
            }
            Some(secret) if secret.starts_with("pypi-") => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "Forbidden",
                "A pypi- token uploads; the management API takes a management token (portcullis-…).",
            )),
            Some(_) => Err(authority::AuthorityError::Unknown.into()),
            None => crate::web::session::requester(parts, app)
                .await
                .ok_or_else(|| authority::AuthorityError::Unknown.into()),
        }
    }
}

impl FromRequestParts<App> for Responder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Requester::from_request_parts(parts, app).await?.responder()?)
    }
}

impl FromRequestParts<App> for Administrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Requester::from_request_parts(parts, app).await?.administrator()?)
    }
}

/// A JSON body, whose faults are problem documents. An empty body reads as an empty object.
#[derive(Debug, Clone, Copy)]
pub struct JsonBody<T>(pub T);

impl<T: serde::de::DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, app).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Content too large",
                format!("The body is larger than {} bytes.", app.settings.limits.body),
            ),
            _ => Problem::bad_request("The body did not arrive whole. Send it again."),
        })?;
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        serde_json::from_slice(body).map(Self).map_err(|error| {
            if error.is_data() {
                Problem::unprocessable(format!("The body is not what is expected here: {error}."))
            } else {
                Problem::bad_request(format!("The body is not JSON: {error}."))
            }
        })
    }
}

/// The `{id}` of a path. What is no id names nothing: 404.
#[derive(Debug, Clone, Copy)]
pub struct PathId<T>(pub T);

impl<T: std::str::FromStr> FromRequestParts<App> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let nothing = || Problem::not_found("There is no such thing: the address holds no valid id.");
        let path = axum::extract::Path::<String>::from_request_parts(parts, app).await;
        path.map_err(|_| nothing())?.0.parse().map(Self).map_err(|_| nothing())
    }
}
