//! A package is published with a long-lived token where Trusted Publishing would do.
//!
//! A token in a repository's secrets opens the project to whoever gets at it, until somebody revokes it. A Trusted
//! Publisher is an identity instead: the job proves who it is and gets a token that lives 15 minutes.
//!
//! ```yaml
//! - uses: pypa/gh-action-pypi-publish@release/v1
//!   with: { password: "${{ secrets.PYPI_API_TOKEN }}" }
//! ```

use crate::flow::value::Source;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique};

/// See the module's documentation.
pub(super) struct LongLivedToken;

impl Technique for LongLivedToken {
    fn id(&self) -> &'static str {
        "long-lived-token"
    }
    fn headline(&self) -> &'static str {
        "{secrets} publishes to {places} and lives until somebody revokes it"
    }
    fn remedy(&self) -> &'static str {
        "register a Trusted Publisher for the project and take the token out: `portcullis fix` writes the workflow"
    }
    fn source(&self) -> &'static str {
        include_str!("long_lived_token.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        evidence
            .trace
            .publishings
            .iter()
            .enumerate()
            .filter(|(_, publishing)| {
                publishing.registry == "pypi"
                    && publishing.carried.iter().any(|carried| matches!(carried.source, Source::Secret(_)))
            })
            .map(|(at, _)| Sighting {
                publishings: vec![at],
                signals: [Signal::LongLivedToken].into(),
                ..Sighting::default()
            })
            .take(1)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    #[test]
    fn a_token_as_the_password_of_the_publish_action() {
        check(
            "long-lived-token",
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: pypa/gh-action-pypi-publish@release/v1\n        with: {password: '${{ secrets.PYPI }}'}\n",
            Verdict::Advice,
            &["PYPI"],
            &["service:pypi"],
        );
    }

    #[test]
    fn trusted_publishing_is_silent() {
        silent(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    permissions: {id-token: write}\n    steps:\n      - uses: pypa/gh-action-pypi-publish@release/v1\n",
        );
    }
}
