//! Is what goes to a host a login, and nothing else?
//!
//! People reach servers of their own all day: one credential in a header, in the address, or as a name and its password. A thief
//! takes more than one thing, or something that opens nothing there.

use std::collections::BTreeSet;

use crate::destination::Place;
use crate::flow::trace::Role;
use crate::flow::value::{Carried, Encoding, Source};
use crate::report::Class;
use crate::signal::{Signal, Weight};
use crate::technique::{Evidence, fits_login, one_login, resembles};

/// Clients that log in to a database.
const DATABASE_CLIENTS: &[&str] = &[
    "psql",
    "pg_dump",
    "pg_restore",
    "mysql",
    "mysqldump",
    "mariadb",
    "redis-cli",
    "mongosh",
    "mongo",
    "sqlcmd",
    "clickhouse-client",
];

/// Whether one credential, whose name speaks against nothing, is the login to a host and nothing else goes there: in a
/// header, in the address where logins stand, or as the pair of a name and its password.
pub(crate) fn is_login_only(
    evidence: &Evidence<'_>,
    group: &[usize],
    place: &Place,
    names: &BTreeSet<String>,
    carried: &[&Carried],
    scheme: &str,
    signals: &BTreeSet<Signal>,
) -> bool {
    let ordinary = |one: &&Carried| {
        let plain = |encoding: &Encoding| {
            matches!(
                encoding,
                Encoding::Base64 | Encoding::Base64Wrapped | Encoding::Escaped | Encoding::Field
            )
        };
        matches!(one.source, Source::Secret(_)) && one.encodings.iter().all(plain)
    };
    let host = place.host.as_deref().unwrap_or("");
    let own_product = is_own_product(names, host);
    let loud = signals.iter().any(|signal| matches!(signal.weight(), Weight::Greed | Weight::Hiding))
        || signals.contains(&Signal::PlainHttp)
        || signals.contains(&Signal::Masquerade) && signals.contains(&Signal::SinglePurpose) && !own_product;
    let to_database = group
        .iter()
        .filter_map(|at| evidence.delivery(*at))
        .all(|(delivery, _)| DATABASE_CLIENTS.contains(&delivery.client.as_str()));
    if loud
        || !matches!(place.class, Class::Unknown | Class::FreeHosting)
        || !(one_login(names) || to_database)
        || !carried.iter().all(ordinary)
    {
        return false;
    }
    let scheme = if to_database { "database" } else { scheme };
    let pair = is_pair(names);
    // The credential of a product that keeps registries is of no use at the registry that it is called after as well.
    let of_product = || {
        names.iter().all(|name| crate::services::of_secret(name).is_some_and(|service| service.self_hosted))
    };
    let at_home = fits_login(names, host, scheme) || (pair || of_product()) && is_own_registry(names, host);
    if !at_home {
        return false;
    }
    // Of a pair in a form nothing may be known but that it is at home there.
    let pair = pair
        && names
            .iter()
            .filter_map(|name| crate::services::of_secret(name))
            .all(|service| service.self_hosted && host.contains(&service.name));
    group.iter().filter_map(|at| evidence.delivery(*at)).all(|(delivery, place)| match delivery.role {
        Role::Authentication => true,
        Role::Address => is_login_address(place, names),
        Role::Payload => pair || own_product,
    })
}

/// Whether a product that people run themselves stands at a host that is called as it is, and nothing but its own credential goes
/// there: `PORTAINER_PASSWORD` at `portainer.widgets.example`, in whatever field its form has. A thief can call his host so; what he
/// gets by it is the credential of that one product, and it is never nothing at all.
pub(crate) fn is_own_product(names: &BTreeSet<String>, host: &str) -> bool {
    !names.is_empty()
        && names.iter().all(|name| {
            crate::services::of_secret(name).is_some_and(|service| {
                // What people call the host at which all of theirs log in.
                let gate = |label: &str| {
                    matches!(service.name.as_str(), "keycloak" | "authentik" | "zitadel" | "authelia")
                        && matches!(label, "sso" | "auth" | "login" | "id" | "idp" | "iam" | "identity")
                };
                service.self_hosted
                    && host.split(['.', '-']).any(|label| label == service.name || gate(label))
            })
        })
}

/// Whether secrets in the address of a place stand where a login does.
pub(crate) fn is_login_address(place: &Place, names: &BTreeSet<String>) -> bool {
    place.url.as_ref().is_some_and(|url| in_login_position(url.unescaped(), names))
}

/// Whether a registry's credential goes to a registry of the owner's own: `PYPI_PASSWORD` at `pypi.widgets.example`. The name has to
/// come first, and the domain must be another's: `pypi.example` and `upload.pypi.widgets.example` are made to be taken for PyPI's.
pub(crate) fn is_own_registry(names: &BTreeSet<String>, host: &str) -> bool {
    let first = host.split('.').next().unwrap_or("");
    !names.is_empty()
        && first.len() < crate::destination::registrable(host).len()
        && !crate::destination::registrable(host).starts_with(&format!("{first}."))
        && names.iter().all(|name| {
            // `NEXUS_NPM_TOKEN` says both what keeps the registry and whose packages are in it.
            let says = |word: &String| word.eq_ignore_ascii_case(first);
            crate::services::of_secret(name).is_some_and(|of| {
                of.publishes && first == of.name
                    || of.self_hosted
                        && crate::services::named(first).is_some_and(|of| of.publishes)
                        && crate::services::words(name).iter().any(says)
            })
        })
}

/// A name and its password: the two halves of a login that a form takes.
fn is_pair(names: &BTreeSet<String>) -> bool {
    let has = |wanted: &[&str]| {
        names
            .iter()
            .any(|name| crate::services::words(name).iter().any(|word| wanted.contains(&word.as_str())))
    };
    names.len() >= 2
        && has(&["ID", "USER", "USERNAME", "EMAIL", "LOGIN"])
        && has(&["SECRET", "PASSWORD", "PASS", "PW"])
}

/// Whether each secret in an address stands where a login does: the value of `?token=` and the like, or a step of the path
/// where its name says that the address is the secret (`DEPLOY_HOOK`).
fn in_login_position(url: &str, names: &BTreeSet<String>) -> bool {
    const PARAMETERS: &[&str] =
        &["key", "token", "secret", "appid", "app_id", "auth", "password", "pass", "pwd", "code", "sig"];
    const ADDRESSES: &[&str] = &[
        "HOOK",
        "WEBHOOK",
        "PING",
        "HEARTBEAT",
        "HEALTHCHECK",
        "UUID",
        "TRIGGER",
        "PATH",
        "ENDPOINT",
        "ID",
        "PUSH",
        "MONITOR",
    ];
    names.iter().all(|name| {
        let placeholder = format!("${{{name}}}");
        let Some(at) = url.find(&placeholder) else { return true };
        let before = url.get(..at).unwrap_or("");
        let parameter = before.rsplit(['?', '&', ';']).next().unwrap_or("").to_ascii_lowercase();
        match parameter.strip_suffix('=').filter(|_| before.contains('?')) {
            // A receiver's own parameter is not called as this repository calls its secret.
            Some(_) if name.contains('_') && before.ends_with(&format!("{name}=")) => false,
            Some(parameter) => PARAMETERS.iter().any(|known| parameter.ends_with(known)),
            None => {
                let host = crate::destination::of_address(&crate::flow::value::Value::text(url)).host;
                crate::services::words(name).iter().any(|word| ADDRESSES.contains(&word.as_str()))
                    || host.is_some_and(|host| resembles(name, &host, ""))
            }
        }
    })
}
