//! Secrets are handed to an action, a reusable workflow or an image of somebody else.
//!
//! That is how most workflows get things done, and it is trust: whoever controls the reference gets the secret at the
//! next run. It is worth knowing where the reference can be moved (a tag, a branch) and the owner is none that everybody
//! relies on; and a theft where the name is made to be taken for a known one.

use crate::destination::edit_distance;
use crate::flow::trace::Channel;
use crate::flow::value::Source;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique, named_secrets};

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

/// Actions whose name alone is trusted; under another owner it is another action. Names that many use are left out.
const FAMOUS: &[(&str, &str)] = &[
    ("pypa", "gh-action-pypi-publish"),
    ("actions", "checkout"),
    ("actions", "setup-python"),
    ("actions", "setup-node"),
    ("actions", "github-script"),
    ("actions", "upload-artifact"),
    ("docker", "login-action"),
    ("docker", "build-push-action"),
    ("aws-actions", "configure-aws-credentials"),
    ("codecov", "codecov-action"),
    ("softprops", "action-gh-release"),
    ("js-devtools", "npm-publish"),
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
    if place.name.starts_with("./") {
        // The repository's own action, which is not where the workflow looks for it: nothing can be said of it.
        let mut signals = evidence.cargo_signals(&group);
        signals.insert(Signal::MissingCode);
        return Some(Sighting { deliveries: group, signals, ..Sighting::default() });
    }
    let reference = delivery.target.template();
    let owner = owner_of(&place.name, delivery.channel)?;
    let own = evidence.identity.and_then(|identity| identity.split('/').nth(1));
    if own == Some(owner.as_str()) {
        return None;
    }
    let mut signals = evidence.cargo_signals(&group);
    signals.remove(&Signal::SinglePurpose);
    // The action itself is the one thing that the job does.
    if delivery.channel == Channel::Action
        && evidence.trace.other_work.get(delivery.job).is_some_and(|count| *count <= 1)
    {
        signals.insert(Signal::SinglePurpose);
    }
    if delivery.channel == Channel::Reusable && signals.remove(&Signal::AllSecrets) {
        signals.insert(Signal::InheritedSecrets);
    }
    let known = KNOWN_OWNERS.contains(&owner.as_str());
    let look_alike =
        !known && KNOWN_OWNERS.iter().any(|known| known.len() >= 5 && edit_distance(&owner, known) == 1);
    let repository = place.name.split('/').nth(1).unwrap_or("");
    let look_alike =
        look_alike || FAMOUS.iter().any(|(famous, name)| repository == *name && owner != *famous);
    let pinned = reference.rsplit_once('@').is_some_and(|(_, at)| {
        at.contains(':') || at.len() == 40 && at.chars().all(|c| c.is_ascii_hexdigit())
    });
    if look_alike {
        signals.insert(Signal::LookAlike);
    }
    if !pinned {
        signals.insert(Signal::MutableReference);
    }
    if delivery.channel == Channel::Image && !known && named_secrets(&evidence.carried(&group)).len() > 1 {
        // A job runs inside of it: whoever makes the image has all of them, and may use each.
        signals.insert(Signal::ForeignDestination);
    }
    if known && !signals.contains(&Signal::AllSecrets) {
        return None;
    }
    // A pin gives no credit to an owner whom nobody knows.
    if !known {
        signals.insert(Signal::UnknownOwner);
    }
    Some(Sighting { deliveries: group, signals, ..Sighting::default() })
}

/// Who controls what stands behind a reference; nobody for the repository's own files and official images.
fn owner_of(name: &str, channel: Channel) -> Option<String> {
    let parts: Vec<&str> = name.split('/').collect();
    if matches!(name.chars().next(), Some('.' | '$')) {
        return None;
    }
    if channel != Channel::Image {
        return parts.first().map(|owner| (*owner).to_owned());
    }
    match parts.as_slice() {
        // `node:20` and the like are reviewed by Docker.
        [_] => None,
        [host, rest @ ..] if host.contains(['.', ':']) => {
            let official =
                matches!(*host, "mcr.microsoft.com" | "registry.access.redhat.com" | "public.ecr.aws");
            if official { None } else { rest.first().map(|owner| (*owner).to_owned()) }
        }
        [owner, ..] => Some((*owner).to_owned()),
        [] => None,
    }
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
    fn known_owners_are_silent_and_a_pin_gives_an_unknown_one_no_credit() {
        silent(&step("docker/login-action@v3"));
        let pinned = "someone/deploys@0123456789012345678901234567890123456789";
        check("secret-to-action", &step(pinned), Verdict::Exposed, &["KEY"], &["repository:someone/deploys"]);
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
