//! The pages as a browser meets them: cookies kept, forms filled in as they stand in the HTML.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use portcullis_index::account::{self, NewAccount};
use portcullis_index::history::Actor;
use portcullis_index::store::accounts::{self, Account, AccountRole, AccountState};
use portcullis_index::store::sessions;
use totp_rs::{Builder, Secret};

use crate::support::{Answer, Stage, stages, stages_with};

const ORIGIN: &str = "https://packages.example";
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// One browser: keeps the cookie, and sends forms as browsers do.
pub(crate) struct Browser<'a> {
    stage: &'a Stage,
    address: String,
    cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(stage: &'a Stage) -> Self {
        Self { stage, address: String::from("192.0.2.10"), cookie: None }
    }

    pub(crate) fn at(stage: &'a Stage, address: &str) -> Self {
        Self { stage, address: address.to_owned(), cookie: None }
    }

    async fn request(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, format!("other=1; {cookie}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.stage.send_from(&self.address, request.body(Body::from(body)).unwrap()).await;
        for set in answer.headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            let (pair, attributes) = set.split_once(';').unwrap();
            assert!(pair.starts_with("__Host-portcullis="), "{set}");
            for attribute in ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] {
                assert!(attributes.contains(attribute), "{set}");
            }
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.request(Method::GET, path, &[("accept", "text/html")], String::new()).await
    }

    /// Sends a form as it is said.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_from(path, fields, &[("origin", ORIGIN), ("sec-fetch-site", "same-origin")]).await
    }

    /// Sends JSON, with the cookie, as a program could that holds it.
    pub(crate) async fn post_json(&mut self, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.request(Method::POST, path, &all, body.to_owned()).await
    }

    async fn post_from(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.request(Method::POST, path, &all, body).await
    }

    /// Opens a page and sends the form on it that goes to `action`, with what it already holds and `fields`.
    pub(crate) async fn submit(&mut self, on: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let shown = self.get(on).await;
        assert_eq!(shown.status, StatusCode::OK, "{on}: {}", shown.text());
        self.fill_in(&shown, action, fields).await
    }

    /// The same for a page that is already open.
    pub(crate) async fn fill_in(&mut self, shown: &Answer, action: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = hidden_fields(&shown.text(), action);
        all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(action, &all).await
    }

    /// The token of this session's forms.
    pub(crate) async fn token(&mut self) -> String {
        hidden_fields(&self.get("/account").await.text(), "/account/password")["form_token"].clone()
    }

    async fn enter(&mut self, name: &str, password: &str) -> Answer {
        self.submit("/sign-in", "/sign-in", &[("username", name), ("password", password)]).await
    }

    /// Signs somebody in all the way, setting up a second factor where one is asked for.
    pub(crate) async fn sign_in(&mut self, name: &str) -> Option<Authenticator> {
        let entered = self.enter(name, PASSWORD).await;
        assert_eq!(entered.status, StatusCode::SEE_OTHER, "{}", entered.text());
        if location(&entered) != "/second-factor/enrol" {
            return None;
        }
        Some(self.enrol().await)
    }

    async fn enrol(&mut self) -> Authenticator {
        let shown = self.get("/second-factor/enrol").await;
        let authenticator = Authenticator::read(&shown.text());
        let code = authenticator.code(self.stage);
        let done = self.fill_in(&shown, "/second-factor/enrol", &[("code", &code)]).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.text());
        Authenticator { recovery_codes: list_items(&done.text()), ..authenticator }
    }
}

/// The hidden fields of the form on a page that goes to `action`.
fn hidden_fields(html: &str, action: &str) -> BTreeMap<String, String> {
    let mut forms = html.split("<form ").skip(1).map(|form| form.split("</form>").next().unwrap());
    let form = forms
        .find(|form| form.contains(&format!("action=\"{action}\"")))
        .unwrap_or_else(|| panic!("no form to {action} on:\n{html}"));
    form.split("<input ")
        .skip(1)
        .filter(|input| input.contains("type=\"hidden\""))
        .map(|input| (attribute(input, "name"), attribute(input, "value")))
        .collect()
}

fn attribute(tag: &str, name: &str) -> String {
    let (_, rest) =
        tag.split_once(&format!(" {name}=\"")).or_else(|| tag.split_once(&format!("{name}=\""))).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn list_items(html: &str) -> Vec<String> {
    html.split("<li>").skip(1).map(|item| item.split("</li>").next().unwrap().to_owned()).collect()
}

fn location(answer: &Answer) -> &str {
    answer.headers.get(header::LOCATION).unwrap().to_str().unwrap()
}

/// The telephone of a person.
pub(crate) struct Authenticator {
    secret: String,
    recovery_codes: Vec<String>,
}

impl Authenticator {
    fn read(html: &str) -> Self {
        let secret = html.split("<pre id=\"secret\">").nth(1).unwrap().split("</pre>").next().unwrap();
        Self { secret: secret.replace(' ', ""), recovery_codes: Vec::new() }
    }

    pub(crate) fn code(&self, stage: &Stage) -> String {
        let totp =
            Builder::new().with_secret(Secret::try_from_base32(&self.secret).unwrap()).build().unwrap();
        totp.generate(u64::try_from(stage.app.now().unix_seconds()).unwrap()).to_string()
    }
}

pub(crate) async fn person(stage: &Stage, name: &str, role: AccountRole) -> Account {
    let new = NewAccount {
        name: name.to_owned(),
        email: format!("{name}@example.test"),
        role,
        password: Some(PASSWORD.into()),
    };
    account::add(&stage.app, new, Actor::Operator).await.unwrap()
}

async fn events(stage: &Stage, tag: &str) -> i64 {
    stage
        .look(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM events WHERE tag = '{tag}'"))
        .await
        .parse()
        .unwrap()
}

#[tokio::test]
async fn somebody_signs_in_sees_their_history_and_signs_out() {
    for stage in stages().await {
        person(&stage, "ada", AccountRole::User).await;
        let mut browser = Browser::new(&stage);
        assert_eq!(browser.get("/account").await.status, StatusCode::SEE_OTHER);
        let entered = browser
            .submit("/sign-in?next=/account", "/sign-in", &[("username", "ADA"), ("password", PASSWORD)])
            .await;
        assert_eq!(location(&entered), "/account");
        let own = browser.get("/account").await;
        assert_eq!(own.status, StatusCode::OK, "{}", own.text());
        assert!(own.text().contains("Signed in") && own.text().contains("192.0.2.10"), "{}", own.text());
        assert_eq!(own.headers[header::CACHE_CONTROL], "no-store");
        let stolen = browser.cookie.clone();
        let out = browser.submit("/account", "/sign-out", &[]).await;
        assert_eq!(location(&out), "/sign-in?done=signed-out");
        assert_eq!(browser.cookie, None);

        let mut thief = Browser::at(&stage, "198.51.100.9");
        thief.cookie = stolen;
        assert_eq!(
            location(&thief.get("/account").await),
            "/sign-in?next=%2Faccount",
            "a cookie outlived signing out"
        );
    }
}

#[tokio::test]
async fn a_form_of_no_session_or_another_one_is_refused() {
    for stage in stages().await {
        person(&stage, "ada", AccountRole::User).await;
        person(&stage, "bob", AccountRole::User).await;
        let (mut ada, mut bob) = (Browser::new(&stage), Browser::new(&stage));
        ada.sign_in("ada").await;
        bob.sign_in("bob").await;
        let bobs =
            hidden_fields(&bob.get("/account").await.text(), "/account/password")["form_token"].clone();
        let adas =
            hidden_fields(&ada.get("/account").await.text(), "/account/password")["form_token"].clone();
        let fields = |token| [("form_token", token), ("present", PASSWORD), ("new", "another good password")];
        let same = [("origin", ORIGIN), ("sec-fetch-site", "same-origin")];
        for (what, token, headers) in [
            ("no token", "", &same[..]),
            ("another session's token", bobs.as_str(), &same[..]),
            ("another site's origin", adas.as_str(), &[("origin", "https://evil.example")][..]),
            ("an opaque origin", adas.as_str(), &[("origin", "null")][..]),
            ("a neighbour's site", adas.as_str(), &[("origin", ORIGIN), ("sec-fetch-site", "same-site")][..]),
            ("a cross-site request without origin", adas.as_str(), &[("sec-fetch-site", "cross-site")][..]),
        ] {
            let refused = ada.post_from("/account/password", &fields(token), headers).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{what} on {}", stage.name);
            let out = ada.post_from("/sign-out", &[("form_token", token)], headers).await;
            assert_eq!(out.status, StatusCode::FORBIDDEN, "signing out with {what} on {}", stage.name);
        }
        // What browsers send for a form on a page that tells nobody its address.
        let opaque = [("origin", "null"), ("sec-fetch-site", "same-origin")];
        let own = Browser::new(&stage).post_from("/sign-in", &[("username", "x")], &opaque).await;
        assert_eq!(own.status, StatusCode::UNPROCESSABLE_ENTITY);
        let signing_in = [("username", "ada"), ("password", PASSWORD)];
        let foreign = Browser::new(&stage)
            .post_from("/sign-in", &signing_in, &[("origin", "https://evil.example")])
            .await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "a foreign site signed a browser in");
        assert_eq!(events(&stage, "account:password:change").await, 0);
        assert_eq!(
            ada.post_from("/account/password", &fields(&adas), &same).await.status,
            StatusCode::SEE_OTHER
        );
        assert_eq!(events(&stage, "account:password:change").await, 1);
        assert_eq!(
            location(&ada.get("/account").await),
            "/sign-in?next=%2Faccount",
            "a session outlived the password"
        );
    }
}

#[tokio::test]
async fn each_step_of_a_sign_in_gets_a_new_session() {
    for stage in stages().await {
        person(&stage, "rosa", AccountRole::Responder).await;
        let mut browser = Browser::new(&stage);
        browser.cookie = Some(String::from("__Host-portcullis=planted"));
        browser.enter("rosa", PASSWORD).await;
        let half = browser.cookie.clone().unwrap();
        assert!(!half.contains("planted"));
        browser.enrol().await;
        let whole = browser.cookie.clone().unwrap();
        assert_ne!(half, whole);
        let mut planted = Browser::new(&stage);
        planted.cookie = Some(half);
        assert_eq!(
            planted.get("/account").await.status,
            StatusCode::SEE_OTHER,
            "a half session became a whole one"
        );
        assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn responders_do_nothing_before_a_second_factor() {
    for stage in stages().await {
        person(&stage, "rosa", AccountRole::Responder).await;
        let mut browser = Browser::new(&stage);
        assert_eq!(location(&browser.enter("rosa", PASSWORD).await), "/second-factor/enrol");
        for path in ["/account", "/desk"] {
            assert_eq!(location(&browser.get(path).await), "/second-factor", "{path}");
        }
        let shown = browser.get("/second-factor/enrol").await;
        assert!(shown.text().contains("otpauth://totp/"), "{}", shown.text());
        let wrong = browser.fill_in(&shown, "/second-factor/enrol", &[("code", "000000")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            Authenticator::read(&wrong.text()).secret,
            Authenticator::read(&shown.text()).secret,
            "a mistyped code must not change the secret"
        );
        // A secret that was offered to somebody else can't be slipped in.
        person(&stage, "mallory", AccountRole::Responder).await;
        let mut mallory = Browser::new(&stage);
        mallory.enter("mallory", PASSWORD).await;
        let prepared = mallory.get("/second-factor/enrol").await;
        let sealed = hidden_fields(&prepared.text(), "/second-factor/enrol")["sealed"].clone();
        let code = Authenticator::read(&prepared.text()).code(&stage);
        let token = hidden_fields(&shown.text(), "/second-factor/enrol")["form_token"].clone();
        let slipped = [("form_token", token.as_str()), ("sealed", sealed.as_str()), ("code", code.as_str())];
        assert_eq!(browser.post("/second-factor/enrol", &slipped).await.status, StatusCode::FORBIDDEN);
        let authenticator = browser.enrol().await;
        assert_eq!(authenticator.recovery_codes.len(), 10);
        assert_eq!(browser.get("/account").await.status, StatusCode::OK);
        let secret = stage
            .look("SELECT CAST(COUNT(*) AS TEXT) FROM second_factors WHERE confirmed_at IS NOT NULL")
            .await;
        assert_eq!(secret, "1");
    }
}

#[tokio::test]
async fn where_the_operator_requires_it_everybody_needs_a_second_factor() {
    for stage in stages_with("[access]\ntwo_factor = \"required\"\n").await {
        person(&stage, "ada", AccountRole::User).await;
        let mut browser = Browser::new(&stage);
        assert_eq!(location(&browser.enter("ada", PASSWORD).await), "/second-factor/enrol");
        browser.enrol().await;
        assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_code_and_a_recovery_code_work_once() {
    for stage in stages().await {
        person(&stage, "rosa", AccountRole::Responder).await;
        let authenticator = Browser::new(&stage).sign_in("rosa").await.unwrap();
        stage.clock.pass_seconds(60);
        let code = authenticator.code(&stage);
        let recovery = authenticator.recovery_codes[0].clone();
        let shouted = authenticator.recovery_codes[1].to_ascii_uppercase().replace('-', " ");
        for (what, code, taken) in [
            ("a code", code.as_str(), true),
            ("the same code again", code.as_str(), false),
            ("a recovery code", recovery.as_str(), true),
            ("the same recovery code again", recovery.as_str(), false),
            ("a recovery code typed otherwise", shouted.as_str(), true),
            ("no code", "", false),
        ] {
            let mut browser = Browser::new(&stage);
            assert_eq!(location(&browser.enter("rosa", PASSWORD).await), "/second-factor");
            let answer = browser.submit("/second-factor", "/second-factor", &[("code", code)]).await;
            let expected = if taken { StatusCode::SEE_OTHER } else { StatusCode::UNPROCESSABLE_ENTITY };
            assert_eq!(answer.status, expected, "{what} on {}: {}", stage.name, answer.text());
            let account = browser.get("/account").await.status;
            assert_eq!(account, if taken { StatusCode::OK } else { StatusCode::SEE_OTHER }, "{what}");
        }
        // An earlier code does not work either, though its time window is still open.
        stage.clock.pass_seconds(90);
        let earlier = authenticator.code(&stage);
        stage.clock.pass_seconds(30);
        let later = authenticator.code(&stage);
        for (code, expected) in
            [(&later, StatusCode::SEE_OTHER), (&earlier, StatusCode::UNPROCESSABLE_ENTITY)]
        {
            let mut browser = Browser::new(&stage);
            browser.enter("rosa", PASSWORD).await;
            let answer = browser.submit("/second-factor", "/second-factor", &[("code", code)]).await;
            assert_eq!(answer.status, expected);
        }
    }
}

#[tokio::test]
async fn guessing_passwords_and_codes_is_slowed_down() {
    for stage in stages().await {
        person(&stage, "ada", AccountRole::User).await;
        person(&stage, "rosa", AccountRole::Responder).await;
        let mut thief = Browser::at(&stage, "198.51.100.9");
        for _ in 0..5 {
            assert_eq!(thief.enter("ada", "a wrong password").await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let slowed = thief.enter("ada", PASSWORD).await;
        assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS, "the right password got through");
        assert_eq!(slowed.headers[header::RETRY_AFTER], "30");
        assert!(slowed.text().contains("Try again at 2026-01-01 00:00:30 UTC"), "{}", slowed.text());
        assert_eq!(events(&stage, "account:login:failure").await, 5, "what was not tried is no failure");
        // The owner, elsewhere, is not locked out.
        assert_eq!(Browser::new(&stage).enter("ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
        stage.clock.pass_seconds(31);
        assert_eq!(thief.enter("ada", PASSWORD).await.status, StatusCode::SEE_OTHER);

        Browser::new(&stage).sign_in("rosa").await.unwrap();
        let mut thief = Browser::at(&stage, "198.51.100.9");
        thief.enter("rosa", PASSWORD).await;
        for _ in 0..5 {
            let answer = thief.submit("/second-factor", "/second-factor", &[("code", "000000")]).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let answer = thief.submit("/second-factor", "/second-factor", &[("code", "000000")]).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    }
}

#[tokio::test]
async fn an_unknown_name_is_answered_like_a_wrong_password() {
    for stage in stages().await {
        person(&stage, "ada", AccountRole::User).await;
        let known = Browser::new(&stage).enter("ada", "a wrong password").await;
        let unknown = Browser::new(&stage).enter("eve", "a wrong password").await;
        assert_eq!(known.status, unknown.status);
        assert_eq!(known.text().replace("ada", "eve"), unknown.text());
        assert_eq!(events(&stage, "account:login:failure").await, 2, "one of the two does less work");
        let all = stage
            .look("SELECT details FROM events WHERE tag = 'account:login:failure' AND account_id IS NULL")
            .await;
        assert!(!all.contains("eve"), "a name that was tried is kept: {all}");
    }
}

#[tokio::test]
async fn sessions_end_by_idling_by_age_and_with_the_account() {
    for stage in stages().await {
        let ada = person(&stage, "ada", AccountRole::User).await;
        let mut browser = Browser::new(&stage);
        browser.sign_in("ada").await;
        for _ in 0..20 {
            stage.clock.pass_seconds(7 * 3_600);
            assert_eq!(browser.get("/account").await.status, StatusCode::OK, "a session in use ended");
        }
        stage.clock.pass_seconds(8 * 3_600 + 60);
        assert_eq!(browser.get("/account").await.status, StatusCode::SEE_OTHER, "an idle session lives on");

        browser.sign_in("ada").await;
        for _ in 0..28 {
            stage.clock.pass_seconds(6 * 3_600);
            browser.get("/account").await;
        }
        assert_eq!(browser.get("/account").await.status, StatusCode::SEE_OTHER, "a session lives for ever");

        browser.sign_in("ada").await;
        let mut tx = stage.app.store.write().await.unwrap();
        accounts::set_state(&mut tx, ada.id, AccountState::Frozen, Some("a test")).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(browser.get("/account").await.status, StatusCode::SEE_OTHER, "a frozen account acts");
        let refused = Browser::new(&stage).enter("ada", PASSWORD).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let mut tx = stage.app.store.write().await.unwrap();
        sessions::end_all(&mut tx, ada.id, stage.app.now()).await.unwrap();
        accounts::set_state(&mut tx, ada.id, AccountState::Active, None).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(
            browser.get("/account").await.status,
            StatusCode::SEE_OTHER,
            "an ended session lives again"
        );
    }
}

#[tokio::test]
async fn the_first_administrator_is_made_by_a_link_that_works_once() {
    for stage in stages().await {
        let earlier = account::first_administrator_link(&stage.app).await.unwrap().unwrap();
        let link = account::first_administrator_link(&stage.app).await.unwrap().unwrap();
        let path = link.strip_prefix(ORIGIN).unwrap().to_owned();
        let mut browser = Browser::new(&stage);
        let dead = browser.get(earlier.strip_prefix(ORIGIN).unwrap()).await;
        assert_eq!(dead.status, StatusCode::GONE, "an earlier link still works");
        let chosen = [("username", "ada"), ("email", "ada@example.test"), ("password", PASSWORD)];
        let mut weak = chosen;
        weak[2].1 = "too short";
        let again = browser.submit(&path, &path, &weak).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(again.text().contains("at least 12 characters") && again.text().contains("value=\"ada\""));
        let made = browser.submit(&path, &path, &chosen).await;
        assert_eq!(location(&made), "/sign-in?done=welcome");
        assert_eq!(browser.post(&path, &chosen).await.status, StatusCode::GONE, "the link worked twice");
        assert_eq!(account::first_administrator_link(&stage.app).await.unwrap(), None);
        assert!(browser.sign_in("ada").await.is_some(), "an administrator needs a second factor");
        assert_eq!(account::by_name(&stage.app, "ada").await.unwrap().role, AccountRole::Admin);
    }
}

#[tokio::test]
async fn two_who_use_the_first_link_at_once_make_one_administrator() {
    for stage in stages().await {
        let link = account::first_administrator_link(&stage.app).await.unwrap().unwrap();
        let path = link.strip_prefix(ORIGIN).unwrap();
        let chosen = |name| [("username", name), ("email", "a@example.test"), ("password", PASSWORD)];
        let (mut first, mut second) = (Browser::new(&stage), Browser::new(&stage));
        let (one, two) = (chosen("first"), chosen("second"));
        let (first, second) = futures::future::join(first.post(path, &one), second.post(path, &two)).await;
        let mut statuses = [first.status, second.status];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::SEE_OTHER, StatusCode::GONE], "{}", stage.name);
        let administrators =
            stage.look("SELECT CAST(COUNT(*) AS TEXT) FROM accounts WHERE role = 'admin'").await;
        assert_eq!(administrators, "1");
    }
}

#[tokio::test]
async fn a_reset_link_sets_the_password_once_and_takes_the_factor_off() {
    for stage in stages().await {
        person(&stage, "rosa", AccountRole::Responder).await;
        let mut before = Browser::new(&stage);
        before.sign_in("rosa").await.unwrap();
        let link = account::reset_link(&stage.app, "Rosa", Actor::Operator).await.unwrap();
        let path = link.strip_prefix(ORIGIN).unwrap().to_owned();
        assert_eq!(
            before.get("/account").await.status,
            StatusCode::OK,
            "making a link already changed something"
        );
        let mut browser = Browser::new(&stage);
        let set = browser.submit(&path, &path, &[("password", "quite another password")]).await;
        assert_eq!(location(&set), "/sign-in?done=password");
        assert_eq!(
            before.get("/account").await.status,
            StatusCode::SEE_OTHER,
            "a session outlived the reset"
        );
        let again = browser.post(&path, &[("password", "a third good password")]).await;
        assert_eq!(again.status, StatusCode::GONE);
        assert_eq!(browser.enter("rosa", PASSWORD).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(location(&browser.enter("rosa", "quite another password").await), "/second-factor/enrol");

        let link = account::reset_link(&stage.app, "rosa", Actor::Operator).await.unwrap();
        stage.clock.pass_seconds(3_600);
        assert_eq!(
            browser.get(link.strip_prefix(ORIGIN).unwrap()).await.status,
            StatusCode::GONE,
            "it has no end"
        );
        assert!(account::reset_link(&stage.app, "nobody", Actor::Operator).await.is_err());
    }
}

#[tokio::test]
async fn a_factor_is_taken_off_against_a_code_only() {
    for stage in stages().await {
        person(&stage, "ada", AccountRole::User).await;
        let mut browser = Browser::new(&stage);
        browser.sign_in("ada").await;
        let authenticator = browser.enrol().await;
        let refused = browser.submit("/account", "/second-factor/remove", &[("code", "123456")]).await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        let code = authenticator.recovery_codes[3].as_str();
        let removed = browser.submit("/account", "/second-factor/remove", &[("code", code)]).await;
        assert_eq!(location(&removed), "/sign-in?done=factor-removed");
        assert_eq!(location(&browser.enter("ada", PASSWORD).await), "/account");
    }
}

#[tokio::test]
async fn forms_have_limits() {
    for stage in stages().await {
        person(&stage, "ada", AccountRole::User).await;
        let mut browser = Browser::new(&stage);
        let fit = "x".repeat(256 * 1024 - "username=ada&password=".len());
        let at_limit = browser.post("/sign-in", &[("username", "ada"), ("password", &fit)]).await;
        assert_eq!(at_limit.status, StatusCode::UNPROCESSABLE_ENTITY);
        let over = browser.post("/sign-in", &[("username", "ada"), ("password", &format!("{fit}x"))]).await;
        assert_eq!(over.status, StatusCode::PAYLOAD_TOO_LARGE);
        let many: Vec<_> = std::iter::repeat_n(("f", ""), 999).chain([("username", "ada")]).collect();
        assert_eq!(browser.post("/sign-in", &many).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        let too_many: Vec<_> = std::iter::repeat_n(("f", ""), 1_000).chain([("username", "ada")]).collect();
        assert_eq!(browser.post("/sign-in", &too_many).await.status, StatusCode::PAYLOAD_TOO_LARGE);
        let json = [("content-type", "text/plain"), ("origin", ORIGIN)];
        let other = browser.request(Method::POST, "/sign-in", &json, String::from("username=ada")).await;
        assert_eq!(other.status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn pages_allow_nothing_from_elsewhere_and_no_script() {
    for stage in stages().await {
        let mut browser = Browser::new(&stage);
        for path in ["/", "/sign-in", "/nowhere"] {
            let shown = browser.get(path).await;
            let policy = shown.headers["content-security-policy"].to_str().unwrap();
            for part in
                ["default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"]
            {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert_eq!(shown.headers[header::CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
            let html = shown.text();
            for never in ["<script", "style=\"", "<style", "http://", "javascript:", " onclick"] {
                assert!(!html.contains(never), "{path} has {never}");
            }
        }
        let style = browser.get("/static/style.css").await;
        let tag = style.headers[header::ETAG].to_str().unwrap().to_owned();
        let again = browser
            .request(Method::GET, "/static/style.css", &[("if-none-match", &tag)], String::new())
            .await;
        assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
        let searched = browser.get("/?q=%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE").await.text();
        assert!(
            searched.contains("&#60;script&#62;alert(1)") && searched.contains("\\u{202e}"),
            "{searched}"
        );
        let machine = browser.request(Method::GET, "/nowhere", &[("accept", "*/*")], String::new()).await;
        assert_eq!(machine.headers[header::CONTENT_TYPE], "application/problem+json");
    }
}
