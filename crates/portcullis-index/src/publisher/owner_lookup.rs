//! Whom a name on GitHub belongs to: `GET {api}/users/OWNER`.
//!
//! Only a clear "no such owner" refuses a form. Where GitHub can't be asked, from a network without it or beyond its rate,
//! the number is learned from the first token instead.

use portcullis_trust::publisher::FieldError;
use serde::Deserialize;
use url::Url;

use crate::app::App;
use crate::outgoing::{self, OutgoingError, Source};

/// The largest answer that is read, in bytes; a user has about 1,500.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// GitHub's spelling and number of an owner.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    /// The name, as its holder spells it.
    pub(super) login: String,
    /// The number, which stays when the name changes hands.
    pub(super) id: u64,
}

/// Asks GitHub; nothing where it could not be asked.
pub(super) async fn ask(app: &App, owner: &str) -> Result<Option<Found>, Vec<FieldError>> {
    let Some(url) = address(&app.settings.github_api, owner) else { return Ok(None) };
    match outgoing::get(&url, Source::Operator { root: None }, ANSWER_BYTES_MAX).await {
        Ok(answer) => {
            let found = serde_json::from_slice::<Found>(&answer).ok();
            Ok(found.filter(|found| found.login.eq_ignore_ascii_case(owner)))
        }
        Err(OutgoingError::Status { status: 404, .. }) => Err(vec![FieldError {
            field: "owner".to_owned(),
            message: "Unknown GitHub user or organization.".to_owned(),
        }]),
        Err(error) => {
            tracing::info!(%error, "an owner's number could not be asked for; it is learned at the first mint");
            Ok(None)
        }
    }
}

fn address(api: &Url, owner: &str) -> Option<Url> {
    let mut url = api.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["users", owner]);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_one_segment_of_the_address() {
        for (api, owner, expected) in [
            ("https://api.github.com", "octo", "https://api.github.com/users/octo"),
            ("https://ghes.example/api/v3/", "octo", "https://ghes.example/api/v3/users/octo"),
            ("https://api.github.com", "a/../b?c", "https://api.github.com/users/a%2F..%2Fb%3Fc"),
        ] {
            assert_eq!(address(&api.parse().unwrap(), owner).unwrap().as_str(), expected);
        }
    }
}
