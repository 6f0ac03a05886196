//! Secrets are handed to an action, a reusable workflow or an image of somebody else.
//!
//! That is how most workflows get things done, and it is trust: whoever controls the reference gets the secret at the
//! next run. It is worth knowing where the reference can be moved (a tag, a branch) and the owner is none that everybody
//! relies on; and a theft where the name is made to be taken for a known one.

use crate::destination::edit_distance;
use crate::flow::trace::Channel;
use crate::flow::value::Source;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique, named_secrets, unrelated};

/// Owners whose actions and images a large part of all workflows use; a mutable reference of theirs is not reported.
const KNOWN_OWNERS: &[&str] = &[
    "actions",
    "github",
    "docker",
    "aws-actions",
    "azure",
    "google-github-actions",
    "googleapis",
    "hashicorp",
    "pypa",
    "codecov",
    "cloudflare",
    "actions-rs",
    "dtolnay",
    "softprops",
    "peaceiris",
    "jamesives",
    "peter-evans",
    "changesets",
    "goreleaser",
    "sonarsource",
    "snyk",
    "slackapi",
    "8398a7",
    "rtcamp",
    "appleboy",
    "ruby",
    "gradle",
    "microsoft",
    "dorny",
    "nwtgck",
    "cypress-io",
    "getsentry",
    "crazy-max",
    "tj-actions",
    "actions-ecosystem",
    "coverallsapp",
    "stefanzweifel",
    "ad-m",
    "webfactory",
    "hashicorp",
    "pulumi",
    "redhat-actions",
    "js-devtools",
    "cachix",
    "pre-commit",
    "mxschmitt",
    "amannn",
    "release-drafter",
    "semantic-release",
    "google-github-actions",
    "superfly",
    "amondnet",
    "nick-fields",
    "anthropics",
    "denoland",
    "oven-sh",
    "chromaui",
    "percy",
    "benc-uk",
    "expo",
    "subosito",
    "ncipollo",
    "svenstaro",
    "marvinpinto",
    "wlixcc",
    "easingthemes",
    "burnett01",
    "akhileshns",
    "elgohr",
    "whoan",
    "mathieudutour",
    "ilammy",
    "jwalton",
    "tibdex",
    "getong",
    "sigstore",
    "anchore",
    "aquasecurity",
    "golangci",
    "reviewdog",
    "haya14busa",
    "codacy",
    "crowdin",
    "fossa-contrib",
    "step-security",
    "vercel",
    "netlify",
    "nwtgck",
    "pyo3",
    "katyo",
    "crate-ci",
    "taiki-e",
    "swatinem",
    "mozilla-actions",
    "r-lib",
    "julia-actions",
    "juliaregistries",
    "juliadocs",
    "conda-incubator",
    "mamba-org",
    "prefix-dev",
    "astral-sh",
    "snok",
    "abatilo",
];

/// See the module's documentation.
pub(super) struct SecretToAction;

impl Technique for SecretToAction {
    fn id(&self) -> &'static str {
        "secret-to-action"
    }
    fn headline(&self) -> &'static str {
        "{secrets} handed to {places}"
    }
    fn remedy(&self) -> &'static str {
        "pin it to a commit that you have read, or hand it a token that can do nothing else"
    }
    fn source(&self) -> &'static str {
        include_str!("secret_to_action.rs")
    }

    fn look(&self, evidence: &Evidence<'_>) -> Vec<Sighting> {
        let groups = evidence.grouped(|delivery, _| {
            matches!(delivery.channel, Channel::Action | Channel::Reusable | Channel::Image)
                && delivery.carried.iter().any(|carried| carried.source != Source::JobToken)
        });
        groups.into_iter().filter_map(|group| judge(evidence, group)).collect()
    }
}

fn judge(evidence: &Evidence<'_>, group: Vec<usize>) -> Option<Sighting> {
    let (delivery, place) = evidence.delivery(*group.first()?)?;
    let reference = delivery.target.template();
    let owner = place.name.split('/').next().unwrap_or("").to_owned();
    let own = evidence.identity.and_then(|identity| identity.split('/').nth(1));
    let is_image = delivery.channel == Channel::Image;
    if is_image || own == Some(owner.as_str()) {
        return None;
    }
    let mut signals = evidence.cargo_signals(&group);
    let known = KNOWN_OWNERS.contains(&owner.as_str());
    let look_alike =
        !known && KNOWN_OWNERS.iter().any(|known| known.len() >= 5 && edit_distance(&owner, known) == 1);
    let pinned = reference
        .rsplit_once('@')
        .is_some_and(|(_, at)| at.len() == 40 && at.chars().all(|c| c.is_ascii_hexdigit()));
    if look_alike {
        signals.insert(Signal::LookAlike);
    }
    if !pinned {
        signals.insert(Signal::MutableReference);
    }
    if known && !signals.contains(&Signal::AllSecrets) {
        return None;
    }
    if !known {
        signals.insert(Signal::UnknownOwner);
    }
    let names = named_secrets(&evidence.carried(&group));
    if names.len() >= 3 && unrelated(&names, None) {
        signals.insert(Signal::ManySecrets);
    }
    (!pinned || look_alike || signals.contains(&Signal::AllSecrets)).then_some(Sighting {
        deliveries: group,
        signals,
        ..Sighting::default()
    })
}

#[cfg(test)]
mod tests {
    use crate::report::Verdict;
    use crate::testing::{check, silent};

    fn step(uses: &str) -> String {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: {uses}\n        with: {{token: '${{{{ secrets.KEY }}}}'}}\n"
        )
    }

    #[test]
    fn an_unknown_owner_by_a_mutable_reference() {
        check(
            "secret-to-action",
            &step("someone/deploys@v1"),
            Verdict::Exposed,
            &["KEY"],
            &["repository:someone/deploys"],
        );
    }

    #[test]
    fn known_owners_and_pins_are_silent() {
        silent(&step("docker/login-action@v3"));
        silent(&step("someone/deploys@0123456789012345678901234567890123456789"));
    }

    #[test]
    fn an_owner_one_letter_away_from_a_known_one() {
        check(
            "secret-to-action",
            &step("codecovv/upload@v1"),
            Verdict::Malicious,
            &["KEY"],
            &["repository:codecovv/upload"],
        );
    }
}
