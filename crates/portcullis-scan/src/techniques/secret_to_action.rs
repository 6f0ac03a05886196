//! Secrets are handed to an action, a reusable workflow or an image of somebody else.
//!
//! That is how most workflows get things done, and it is trust: whoever controls the reference gets the secret at the
//! next run. It is worth knowing where the reference can be moved (a tag, a branch) and the owner is none that everybody
//! relies on; and a theft where the name is made to be taken for a known one.

use crate::destination::edit_distance;
use crate::flow::command::RUN_BY_COMMAND;
use crate::flow::trace::Channel;
use crate::flow::value::Source;
use crate::signal::Signal;
use crate::technique::{Evidence, Sighting, Technique, named_secrets, only_settings, several_purposes};

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

/// Actions that often get secrets, for imitations of which both names are only near.
const IMITATED: &[(&str, &str)] = &[
    ("aws-actions", "amazon-ecr-login"),
    ("aws-actions", "amazon-ecs-deploy-task-definition"),
    ("azure", "login"),
    ("azure", "webapps-deploy"),
    ("google-github-actions", "auth"),
    ("google-github-actions", "deploy-cloudrun"),
    ("google-github-actions", "setup-gcloud"),
    ("hashicorp", "vault-action"),
    ("hashicorp", "setup-terraform"),
    ("appleboy", "ssh-action"),
    ("appleboy", "scp-action"),
    ("webfactory", "ssh-agent"),
    ("peaceiris", "actions-gh-pages"),
    ("jamesives", "github-pages-deploy-action"),
    ("peter-evans", "create-pull-request"),
    ("changesets", "action"),
    ("goreleaser", "goreleaser-action"),
    ("sonarsource", "sonarcloud-github-action"),
    ("slackapi", "slack-github-action"),
    ("cloudflare", "wrangler-action"),
    ("superfly", "flyctl-actions"),
    ("crazy-max", "ghaction-import-gpg"),
    ("getsentry", "action-release"),
    ("katyo", "publish-crates"),
    ("pyo3", "maturin-action"),
    ("tj-actions", "changed-files"),
    ("samkirkland", "ftp-deploy-action"),
    ("cycjimmy", "semantic-release-action"),
    ("akhileshns", "heroku-deploy"),
    ("amondnet", "vercel-action"),
    ("nwtgck", "actions-netlify"),
    ("ruby", "setup-ruby"),
    ("gradle", "gradle-build-action"),
    ("coverallsapp", "github-action"),
    ("snyk", "actions"),
    ("1password", "load-secrets-action"),
    ("dopplerhq", "cli-action"),
    ("anthropics", "claude-code-action"),
];

/// Whether an action is made to be taken for a known one: its name under another owner, an owner one letter away from a known
/// one, or both names near those of an action that often gets secrets.
fn is_look_alike(owner: &str, repository: &str) -> bool {
    let real = |known: &&str| *known == owner;
    if KNOWN_OWNERS.iter().chain(REAL_NEIGHBOURS).any(real) || IMITATED.iter().any(|(known, _)| real(known)) {
        return false;
    }
    let near =
        |a: &str, b: &str, most: usize| a.len().abs_diff(b.len()) <= most && edit_distance(a, b) <= most;
    let of_owner = IMITATED_OWNERS.iter().any(|known| near(owner, known, 1));
    let same_name = FAMOUS.iter().any(|(_, name)| repository == *name);
    let both = FAMOUS.iter().chain(IMITATED).any(|(known, name)| {
        // Of short names every other one is two letters away.
        let most = |name: &str| if name.len() >= 8 { 2 } else { 1 };
        known.len() >= 4 && near(owner, known, most(known)) && near(repository, name, most(name))
    });
    of_owner || same_name || both
}

/// Whether the owner of an image says that it is the official one of a product: `redis-official/redis`. Images that are official
/// have no owner in their names, or that of the product's maker (Docker, "Trusted content").
fn claims_to_be_official(owner: &str, name: &str) -> bool {
    const PRODUCTS: &[&str] = &[
        "redis",
        "postgres",
        "postgresql",
        "mysql",
        "mariadb",
        "mongo",
        "mongodb",
        "nginx",
        "node",
        "python",
        "golang",
        "rabbitmq",
        "elasticsearch",
        "memcached",
        "vault",
        "consul",
        "traefik",
        "wordpress",
        "alpine",
        "ubuntu",
        "debian",
        "grafana",
        "minio",
        "kafka",
        "clickhouse",
        "docker",
        "gradle",
        "maven",
        "php",
        "ruby",
        "rust",
    ];
    let image = name.rsplit('/').next().unwrap_or("").split([':', '@']).next().unwrap_or("");
    let product = PRODUCTS.iter().find(|product| image.split(['-', '_']).any(|word| word == **product));
    product.is_some_and(|product| {
        let rest = owner.replace(product, "");
        rest.len() < owner.len()
            && matches!(rest.trim_matches(['-', '_']), "official" | "officials" | "team" | "inc" | "org")
    })
}

/// Owners that are names in themselves, whatever of theirs is used.
const IMITATED_OWNERS: &[&str] = &[
    "actions",
    "anthropics",
    "appleboy",
    "aquasecurity",
    "aws-actions",
    "changesets",
    "cloudflare",
    "codecov",
    "docker",
    "getsentry",
    "github",
    "google-github-actions",
    "googleapis",
    "goreleaser",
    "gradle",
    "hashicorp",
    "jamesives",
    "js-devtools",
    "microsoft",
    "netlify",
    "peaceiris",
    "peter-evans",
    "pulumi",
    "redhat-actions",
    "sigstore",
    "slackapi",
    "softprops",
    "sonarsource",
    "superfly",
    "vercel",
    "webfactory",
];

/// Owners that exist, have nothing to hide, and are called nearly as a known one.
/// The last ones rent out runners, and have their own versions of well-known actions for them.
const REAL_NEIGHBOURS: &[&str] = &[
    "actions-js",
    "actions-rust-lang",
    "googlecloudplatform",
    "pulumiverse",
    "depot",
    "useblacksmith",
    "buildjet",
    "warpbuilds",
    "runs-on",
    "namespacelabs",
];

/// What an action is for that needs no credential of a registry, a cloud or a server, by the words of its name.
const NEEDS_NONE: &[&str] = &[
    "lint",
    "linter",
    "linting",
    "markdown",
    "format",
    "formatter",
    "formatting",
    "prettier",
    "spell",
    "spellcheck",
    "typo",
    "typos",
    "label",
    "labeler",
    "stale",
    "greet",
    "greeting",
    "greetings",
    "welcome",
    "badge",
    "badges",
    "metrics",
    "stats",
    "env",
    "info",
    "debug",
    "hello",
    "ping",
    "timer",
    "sleep",
    "cache",
    "validate",
    "validator",
    "license",
    "toc",
    "todo",
    "count",
    "counter",
    "clock",
    "date",
    "version",
    "semver",
    "diff",
    "changed",
];

/// Words of an action's name that say that it publishes or deploys whatever it is handed.
const NEEDS_ANY: &[&str] = &[
    "publish",
    "publisher",
    "release",
    "deploy",
    "deployer",
    "deployment",
    "upload",
    "push",
    "sync",
    "bump",
    "build",
    "docker",
    "ci",
    "cd",
    "secrets",
    "secret",
    "vault",
    "dotenv",
    "envfile",
    "login",
    "auth",
    "install",
    "setup",
    "test",
    "tests",
];

/// How many different registries and clouds secrets open. An action has a use for one, or for two where it publishes.
fn registries_and_clouds(names: &std::collections::BTreeSet<String>) -> usize {
    let services = names.iter().filter_map(|name| crate::services::of_secret(name));
    let heavy = services.filter(|service| {
        service.publishes && !service.anywhere || matches!(service.name.as_str(), "aws" | "gcp" | "azure")
    });
    heavy.map(|service| service.name.as_str()).collect::<std::collections::BTreeSet<_>>().len()
}

/// Whether a secret opens a registry, a cloud or a machine and the action's name says that it does something else.
fn has_no_use(names: &std::collections::BTreeSet<String>, reference: &str) -> bool {
    let name = reference.split('@').next().unwrap_or("").to_ascii_lowercase();
    // What stands behind the colon of an image is its version.
    let name = name.split(':').next().unwrap_or("");
    let words: Vec<&str> = name.split(['/', '-', '_', '.']).filter(|word| !word.is_empty()).collect();
    let says = |list: &[&str]| words.iter().any(|word| list.contains(word));
    // `yamllint`, `shfmt`.
    let tidies = words.iter().any(|word| word.len() > 4 && (word.ends_with("lint") || word.ends_with("fmt")));
    // `set-env` hands on whatever it is given.
    let sets = words.contains(&"set") && words.contains(&"env");
    if !says(NEEDS_NONE) && !tidies || says(NEEDS_ANY) || sets {
        return false;
    }
    const CLOUDS: &[&str] =
        &["aws", "gcp", "azure", "ssh", "digitalocean", "cloudflare", "database", "vault"];
    // One that reads text may have a key to the service behind it, and none to three different things.
    const READ_TEXT: &[&str] = &[
        "lint",
        "linter",
        "linting",
        "format",
        "formatter",
        "formatting",
        "prettier",
        "spell",
        "spellcheck",
        "typo",
        "typos",
        "license",
        "toc",
    ];
    if (tidies || says(READ_TEXT)) && several_purposes(names) && !only_settings(names) {
        return true;
    }
    names.iter().any(|secret| {
        let Some((said, service)) = crate::services::said_by(secret) else { return false };
        let related = words.iter().any(|word| {
            service.name.contains(word) && word.len() >= 2
                || said.iter().any(|said| said.eq_ignore_ascii_case(word))
        });
        (service.publishes || CLOUDS.contains(&service.name.as_str())) && !related
    })
}

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
    let names = named_secrets(&evidence.carried(&group));
    let repository = place.name.split('/').nth(1).unwrap_or("");
    let look_alike = match delivery.channel {
        Channel::Image => claims_to_be_official(&owner, &place.name),
        _ => is_look_alike(&owner, repository),
    };
    let pinned = reference.rsplit_once('@').is_some_and(|(_, at)| {
        at.contains(':') || at.len() == 40 && at.chars().all(|c| c.is_ascii_hexdigit())
    });
    if look_alike {
        signals.insert(Signal::LookAlike);
    }
    if !pinned {
        signals.insert(Signal::MutableReference);
    }
    let runs_job = delivery.channel == Channel::Image && delivery.client != RUN_BY_COMMAND;
    if runs_job && !known && names.len() > 1 {
        // A job runs inside of it: whoever makes the image has all of them, and may use each.
        signals.insert(Signal::ForeignDestination);
    }
    if known && !signals.contains(&Signal::AllSecrets) {
        return None;
    }
    // A pin gives no credit to an owner whom nobody knows.
    if !known {
        signals.insert(Signal::UnknownOwner);
        if pinned && delivery.channel != Channel::Image {
            signals.insert(Signal::UnverifiedCommit);
        }
        if delivery.channel != Channel::Reusable && has_no_use(&names, &reference) {
            signals.insert(Signal::UnneededSecret);
        }
        let most = if signals.contains(&Signal::SinglePurpose) { 1 } else { 2 };
        if delivery.channel == Channel::Action && registries_and_clouds(&names) > most {
            signals.insert(Signal::UnrelatedSecrets);
        }
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
    fn names_that_are_made_to_be_taken_for_others() {
        for uses in [
            "pypaa/gh-action-pypi-publish@release/v1",
            "aws-actons/configure-aws-credential@v4",
            "cloudflaer/wrangler-action@v3",
            "apleboy/ssh-action@v1",
            "hashicrop/vault-action@v3",
        ] {
            let place = format!("repository:{}", uses.split('@').next().unwrap());
            check("secret-to-action", &step(uses), Verdict::Malicious, &["KEY"], &[&place]);
        }
        // Near miss: real neighbours, and short names, of which every other one is near.
        for uses in ["actions-js/push@v1", "perry/deploys@v1", "donny/paths@v1", "azur/deploys@v1"] {
            let place = format!("repository:{}", uses.split('@').next().unwrap());
            check("secret-to-action", &step(uses), Verdict::Exposed, &["KEY"], &[&place]);
        }
    }

    #[test]
    fn an_image_that_says_it_is_official() {
        let service = |image: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    services:\n      cache:\n        image: {image}\n        env: {{A: '${{{{ secrets.KEY }}}}'}}\n    steps:\n      - run: make\n"
            )
        };
        let place = &["repository:redis-official/redis-stack:7"];
        let image = "redis-official/redis-stack:7";
        check("secret-to-action", &service(image), Verdict::Malicious, &["KEY"], place);
        // Near miss: an owner who says nothing of the kind.
        let other = "widgets/redis:7";
        check(
            "secret-to-action",
            &service(other),
            Verdict::Exposed,
            &["KEY"],
            &["repository:widgets/redis:7"],
        );
    }

    #[test]
    fn an_image_that_a_command_runs() {
        let run = |image: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {{VAULT_TOKEN: '${{{{ secrets.VAULT_TOKEN }}}}'}}\n    steps:\n      - run: docker run --rm -e VAULT_TOKEN {image}\n"
            )
        };
        let (names, place) = (&["VAULT_TOKEN"], &["repository:someone/yamlfmt:1"]);
        check("secret-to-action", &run("someone/yamlfmt:1 --lint ."), Verdict::Suspicious, names, place);
        let place = &["repository:someone/deploys"];
        check("secret-to-action", &run("someone/deploys"), Verdict::Exposed, names, place);
        silent(&run("ghcr.io/${{ github.repository }}"));
        silent(&run("node:22 npm test"));
    }

    #[test]
    fn credentials_of_several_registries_and_clouds_for_one_unknown_action() {
        let of = |work: &str, secrets: &[&str]| {
            let with: Vec<String> =
                secrets.iter().map(|name| format!("{name}: '${{{{ secrets.{name} }}}}'")).collect();
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n{work}      - uses: someone/deploys@v1\n        with: {{{}}}\n",
                with.join(", ")
            )
        };
        let place = &["repository:someone/deploys"];
        let work = "      - uses: actions/checkout@v4\n      - run: make\n";
        let (two, three) = (&["AWS_KEY", "NPM_TOKEN"], &["AWS_KEY", "NPM_TOKEN", "PYPI_TOKEN"]);
        check("secret-to-action", &of("", two), Verdict::Suspicious, two, place);
        check("secret-to-action", &of(work, three), Verdict::Suspicious, three, place);
        // Near miss: a release publishes to two places, and a token of the forge goes with everything.
        check("secret-to-action", &of(work, two), Verdict::Exposed, two, place);
        let with_forge = &["GH_PAT", "NPM_TOKEN"];
        check("secret-to-action", &of("", with_forge), Verdict::Exposed, with_forge, place);
    }

    #[test]
    fn a_secret_that_the_action_has_no_use_for() {
        let of = |uses: &str, secret: &str| {
            format!(
                "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - uses: {uses}\n        env: {{T: '${{{{ secrets.{secret} }}}}'}}\n"
            )
        };
        let (lint, place) = ("someone/markdown-lint@v1", &["repository:someone/markdown-lint"]);
        check(
            "secret-to-action",
            &of(lint, "PYPI_API_TOKEN"),
            Verdict::Suspicious,
            &["PYPI_API_TOKEN"],
            place,
        );
        // Near miss: its own token, a name that says nothing, an action that publishes, one that sets variables.
        let set = &["repository:someone/set-env"];
        let handed = of("someone/set-env@v1", "AWS_SECRET_ACCESS_KEY");
        check("secret-to-action", &handed, Verdict::Exposed, &["AWS_SECRET_ACCESS_KEY"], set);
        check("secret-to-action", &of(lint, "LINT_TOKEN"), Verdict::Exposed, &["LINT_TOKEN"], place);
        check("secret-to-action", &of(lint, "GH_PAT"), Verdict::Exposed, &["GH_PAT"], place);
        let publish = &["repository:someone/lint-and-publish"];
        let text = of("someone/lint-and-publish@v1", "PYPI_API_TOKEN");
        check("secret-to-action", &text, Verdict::Exposed, &["PYPI_API_TOKEN"], publish);
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
