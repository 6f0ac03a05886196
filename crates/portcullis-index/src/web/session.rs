//! Sessions over HTTP: the cookie, the forms, and who is asking as a value.
//!
//! A handler that takes [`SignedIn`], [`AtDesk`] or [`OfProject`] runs for nobody else; one that takes a [`Form`] of theirs
//! runs only for a form that this server gave to that very session.

use std::collections::HashMap;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::header::{CONTENT_TYPE, COOKIE, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::account::session::{self, HalfSignedIn, SignedIn, Visitor};
use crate::app::App;
use crate::authority::{Owner, Requester, Responder};
use crate::project::ProjectName;
use crate::settings::{ReadAccess, is_loopback};
use crate::store::projects;
use crate::web::pages::PageError;

/// The cookie's name. `__Host-` binds it to this host, this path and https in the browser itself; on plain http, which is
/// for trying out on loopback, a browser would refuse that.
fn cookie_name(app: &App) -> &'static str {
    if is_https(app) { "__Host-portcullis" } else { "portcullis" }
}

fn is_https(app: &App) -> bool {
    app.base_url.scheme() == "https"
}

/// The header that gives a session to a browser. `Lax` keeps it off requests that other sites cause, but for following a link here.
pub(crate) fn set_cookie(app: &App, cookie: &SecretString) -> HeaderValue {
    cookie_header(app, cookie.expose_secret(), "")
}

/// The header that takes it back.
pub(crate) fn clear_cookie(app: &App) -> HeaderValue {
    cookie_header(app, "", "; Max-Age=0")
}

fn cookie_header(app: &App, value: &str, more: &str) -> HeaderValue {
    let secure = if is_https(app) { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}", cookie_name(app));
    let mut header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

fn presented_cookie(app: &App, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(app);
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

impl FromRequestParts<App> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        match presented_cookie(app, &parts.headers) {
            Some(cookie) => Ok(session::authenticate(app, &cookie).await?),
            None => Ok(Self::Anonymous),
        }
    }
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        match Visitor::from_request_parts(parts, app).await? {
            Visitor::SignedIn(signed_in) => Ok(signed_in),
            Visitor::Half(_) => Err(PageError::SecondFactorFirst),
            Visitor::Anonymous => Err(PageError::SignInFirst {
                next: (parts.method == Method::GET).then(|| parts.uri.path().to_owned()),
            }),
        }
    }
}

impl FromRequestParts<App> for HalfSignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        match Visitor::from_request_parts(parts, app).await? {
            Visitor::Half(half) => Ok(half),
            Visitor::SignedIn(_) => Err(PageError::SeeOther("/account")),
            Visitor::Anonymous => Err(PageError::SignInFirst { next: None }),
        }
    }
}

/// Somebody who may read the index: anybody, or whoever is signed in where the operator says so.
#[derive(Debug, Clone)]
pub struct Reader(pub Visitor);

impl FromRequestParts<App> for Reader {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        match app.settings.read {
            ReadAccess::Anyone => Ok(Self(Visitor::from_request_parts(parts, app).await?)),
            ReadAccess::SignedIn => {
                Ok(Self(Visitor::SignedIn(SignedIn::from_request_parts(parts, app).await?)))
            }
        }
    }
}

/// Somebody at the desk.
#[derive(Debug, Clone)]
pub struct AtDesk {
    /// The session.
    pub signed_in: SignedIn,
    /// The right to work there.
    pub responder: Responder,
}

impl FromRequestParts<App> for AtDesk {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let signed_in = SignedIn::from_request_parts(parts, app).await?;
        let responder = Requester::of_session(&signed_in).responder()?;
        Ok(Self { signed_in, responder })
    }
}

/// An owner of the project that the path names (`{project}`).
#[derive(Debug, Clone)]
pub struct OfProject {
    /// The session.
    pub signed_in: SignedIn,
    /// The right to manage the project.
    pub owner: Owner,
}

impl FromRequestParts<App> for OfProject {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let signed_in = SignedIn::from_request_parts(parts, app).await?;
        let Path(path) = Path::<HashMap<String, String>>::from_request_parts(parts, app)
            .await
            .map_err(|_| PageError::not_found("no such project"))?;
        let unknown = || PageError::not_found("there is no such project");
        let name =
            path.get("project").and_then(|name| name.parse::<ProjectName>().ok()).ok_or_else(unknown)?;
        let mut tx = app.store.read().await?;
        let project = projects::by_name(&mut tx, &name.normalised()).await?.ok_or_else(unknown)?;
        let owner = Requester::of_session(&signed_in).owner(&mut tx, &project).await?;
        Ok(Self { signed_in, owner })
    }
}

/// The header by which a program that holds a session's cookie shows the session's form token: the management API takes a
/// session for reading as it is, and for changing something only with this.
pub const FORM_TOKEN_HEADER: &str = "x-portcullis-form-token";

/// Who asks by a session, for the management API; none without one, or where the form token is missing.
pub(crate) async fn requester(parts: &mut Parts, app: &App) -> Option<Requester> {
    let Ok(Visitor::SignedIn(signed_in)) = Visitor::from_request_parts(parts, app).await else { return None };
    let token = parts.headers.get(FORM_TOKEN_HEADER).and_then(|value| value.to_str().ok());
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let may =
        reads || (same_origin(app, &parts.headers) && token.is_some_and(|token| signed_in.owns_form(token)));
    may.then(|| Requester::of_session(&signed_in))
}

/// Whose forms carry which token.
pub(crate) trait FormOwner {
    /// Whether this is the token of a form that was given to them.
    fn gave_out(&self, token: &str) -> bool;
}

impl FormOwner for SignedIn {
    fn gave_out(&self, token: &str) -> bool {
        self.owns_form(token)
    }
}

impl FormOwner for HalfSignedIn {
    fn gave_out(&self, token: &str) -> bool {
        self.owns_form(token)
    }
}

impl FormOwner for AtDesk {
    fn gave_out(&self, token: &str) -> bool {
        self.signed_in.owns_form(token)
    }
}

impl FormOwner for OfProject {
    fn gave_out(&self, token: &str) -> bool {
        self.signed_in.owns_form(token)
    }
}

/// Whoever sends a form that needs no session has nothing that a foreign site could misuse, beside what [`same_origin`]
/// refuses; whoever has a session must show its token all the same.
impl FormOwner for Visitor {
    fn gave_out(&self, token: &str) -> bool {
        match self {
            Self::Anonymous => true,
            Self::Half(half) => half.owns_form(token),
            Self::SignedIn(signed_in) => signed_in.owns_form(token),
        }
    }
}

/// A form that was sent from one of our own pages, and by whom.
#[derive(Debug)]
pub struct Form<S> {
    /// Who sent it.
    pub by: S,
    /// What it holds.
    pub fields: Fields,
}

/// Largest form, in bytes: the text of a report is the longest thing that one holds.
pub const FORM_LIMIT: usize = 256 * 1024;
/// Most fields of a form.
pub const FIELD_LIMIT: usize = 1_000;

/// What a form holds.
#[derive(Debug)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The value of a field, without white space around it; empty where there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.untrimmed(name).trim()
    }

    /// The value of a field as it was sent; empty where there is none.
    #[must_use]
    pub fn untrimmed(&self, name: &str) -> &str {
        self.0.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value.as_str())
    }

    /// The value of a field; none where it is empty.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|value| !value.is_empty())
    }

    /// A field that nobody may read over a shoulder.
    #[must_use]
    pub fn secret(&self, name: &str) -> SecretString {
        SecretString::from(self.untrimmed(name))
    }

    /// Every field with its value, trimmed.
    pub fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.trim()))
    }

    /// All values of a field that may stand more than once.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }
}

impl<S> FromRequest<App> for Form<S>
where
    S: FromRequestParts<App, Rejection = PageError> + FormOwner + Send,
{
    type Rejection = PageError;

    async fn from_request(request: Request<Body>, app: &App) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        if !same_origin(app, &parts.headers) {
            return Err(PageError::ForeignForm);
        }
        let by = S::from_request_parts(&mut parts, app).await?;
        let form = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !form.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
            return Err(PageError::BadForm("it is not of the type application/x-www-form-urlencoded"));
        }
        let bytes = to_bytes(body, FORM_LIMIT).await.map_err(|_| PageError::FormTooLarge)?;
        let fields: Vec<(String, String)> =
            url::form_urlencoded::parse(&bytes).into_owned().take(FIELD_LIMIT + 1).collect();
        if fields.len() > FIELD_LIMIT {
            return Err(PageError::FormTooLarge);
        }
        let fields = Fields(fields);
        if !by.gave_out(fields.text(FORM_TOKEN)) {
            return Err(PageError::ForeignForm);
        }
        Ok(Self { by, fields })
    }
}

/// The field of every form that holds the session's token.
pub const FORM_TOKEN: &str = "form_token";

/// Whether a browser says that a request comes from our own pages. `Sec-Fetch-Site` says it best; a page whose address must
/// not be told to anybody (`Referrer-Policy: no-referrer`) sends an opaque `Origin` with its own forms. Browsers that know
/// only `Origin` are taken by that. A client that sends neither is no browser, and carries no cookies that a foreign site could
/// ride on.
fn same_origin(app: &App, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text("sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return false;
    }
    match text(ORIGIN.as_str()) {
        None => true,
        Some("null") => site == Some("same-origin"),
        Some(origin) => {
            // Trying out on loopback: `localhost` and `127.0.0.1` are the same server. Names that only lead there are not.
            let same_loopback = |origin: Url| {
                is_loopback(&origin)
                    && origin.scheme() == app.base_url.scheme()
                    && origin.port_or_known_default() == app.base_url.port_or_known_default()
            };
            origin == app.base_url.origin().ascii_serialization()
                || (is_loopback(&app.base_url) && Url::parse(origin).is_ok_and(same_loopback))
        }
    }
}
