//! Signals → verdict: the one place that weighs.
//!
//! `malicious` must be almost never wrong: containment acts on it. So it takes both halves of a theft, a place that
//! has no business with the secret and a sign of intent (greed or hiding), and an excuse takes it away again.

use std::collections::BTreeSet;

use crate::report::Verdict;
use crate::signal::{Signal, Weight};

/// Weighs the signals of one finding of one rule.
pub fn weigh(rule: &str, signals: &BTreeSet<Signal>) -> Verdict {
    let has = |signal: Signal| signals.contains(&signal);
    let intent = signals.iter().any(|signal| matches!(signal.weight(), Weight::Greed | Weight::Hiding));
    // That a setting's name says whose it is makes it no loot.
    let greed =
        signals.iter().any(|signal| signal.weight() == Weight::Greed && *signal != Signal::UnrelatedSecrets);
    let hiding = signals.iter().any(|signal| signal.weight() == Weight::Hiding);
    match rule {
        "long-lived-token" => Verdict::Advice,
        "remote-code" if has(Signal::CodeOutOfPlace) => Verdict::Malicious,
        "remote-code" if has(Signal::UnrelatedSecrets) && has(Signal::ForeignDestination) => {
            Verdict::Malicious
        }
        "remote-code"
            if has(Signal::DropBox) || has(Signal::UnknownDestination) || has(Signal::RawAddress) =>
        {
            Verdict::Suspicious
        }
        "remote-code" | "script-injection" | "untrusted-code" | "open-door" => Verdict::Exposed,
        "secret-to-disk" => {
            // Nobody needs all of them in a form that has to be decoded first.
            let taken = has(Signal::AllSecrets) && (has(Signal::Encoded) || has(Signal::MaskEvasion));
            if intent && has(Signal::SinglePurpose) || taken { Verdict::Malicious } else { Verdict::Exposed }
        }
        _ if has(Signal::DroppedByRunner) => Verdict::Suspicious,
        // Excuses for the ordinary: they never outweigh greed or hiding.
        "secret-to-log" if has(Signal::SettingsOnly) && !has(Signal::ReadableLog) => Verdict::Exposed,
        // What opens nothing is no loot, and somebody who hides it is worth a look.
        "secret-to-log" if has(Signal::SettingsOnly) && !greed => {
            if intent {
                Verdict::Suspicious
            } else {
                Verdict::Exposed
            }
        }
        // The mask holds, so nobody gets it; a job that also does other work says it by the way. Who prints many of them, or in another
        // form, or nothing else, tries something.
        "secret-to-log"
            if has(Signal::MaskedLog)
                && !has(Signal::ReadableLog)
                && !has(Signal::SinglePurpose)
                && !has(Signal::ManySecrets)
                && !has(Signal::Encoded)
                && !intent =>
        {
            Verdict::Exposed
        }
        "secret-to-artifact" | "secret-to-repository" if has(Signal::SettingsOnly) && !greed => {
            if intent {
                Verdict::Suspicious
            } else {
                Verdict::Exposed
            }
        }
        "secret-to-host"
            if (has(Signal::NamedAlike) || has(Signal::LogsInFirst) || has(Signal::LoginOnly))
                && !intent
                && !has(Signal::PlainHttp) =>
        {
            Verdict::Exposed
        }
        "secret-to-unknown-command" => Verdict::Suspicious,
        "reverse-shell" => Verdict::Malicious,
        "backdoor"
            if has(Signal::OutsidersCommands)
                || has(Signal::StartsRunner)
                || has(Signal::WritesUnseen)
                || has(Signal::UploadsAndDeletes) =>
        {
            Verdict::Malicious
        }
        "backdoor"
            if (has(Signal::GrantsAccess) || has(Signal::RegistersRunner)) && has(Signal::SinglePurpose) =>
        {
            Verdict::Malicious
        }
        "backdoor" => Verdict::Suspicious,
        "unanalysed-workflow" => {
            // What the commit looked like says nothing about what the file can do.
            if has(Signal::Encoded) { Verdict::Suspicious } else { Verdict::Advice }
        }
        "secret-to-action" => match () {
            () if has(Signal::LookAlike) => Verdict::Malicious,
            () if has(Signal::AllSecrets) && has(Signal::UnknownOwner) && has(Signal::SinglePurpose) => {
                Verdict::Malicious
            }
            () if has(Signal::AllSecrets) && has(Signal::UnknownOwner) => Verdict::Suspicious,
            () if has(Signal::ForeignDestination)
                || has(Signal::UnneededSecret)
                || has(Signal::UnrelatedSecrets) =>
            {
                Verdict::Suspicious
            }
            () => Verdict::Exposed,
        },
        "secret-to-log" => match () {
            () if has(Signal::ReadableLog) && intent => Verdict::Malicious,
            () if has(Signal::AllSecrets) && (has(Signal::Encoded) || has(Signal::MaskEvasion)) => {
                Verdict::Malicious
            }
            () if has(Signal::ReadableLog) && (has(Signal::SinglePurpose) || has(Signal::Encoded)) => {
                Verdict::Malicious
            }
            () => Verdict::Suspicious,
        },
        "secret-to-artifact" | "secret-to-repository" => {
            // A job that does nothing but lay a secret where it can be fetched has no other purpose.
            if intent || has(Signal::SinglePurpose) { Verdict::Malicious } else { Verdict::Suspicious }
        }
        _ => match () {
            () if has(Signal::AuthenticatesElsewhere) => Verdict::Suspicious,
            () if has(Signal::OwnKey) && !hiding => Verdict::Suspicious,
            () if has(Signal::ForeignDestination) && intent => Verdict::Malicious,
            () => Verdict::Suspicious,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighed(signals: &[Signal]) -> Verdict {
        weigh("secret-to-host", &signals.iter().copied().collect())
    }

    #[test]
    fn weak_signals_never_add_up_to_a_theft() {
        let weak: Vec<Signal> = crate::signal::ALL
            .iter()
            .copied()
            .filter(|signal| signal.weight() == Weight::Weak)
            .chain([Signal::ForeignDestination])
            .collect();
        assert_eq!(weighed(&weak), Verdict::Suspicious);
    }

    #[test]
    fn intent_without_a_foreign_place_is_no_theft() {
        assert_eq!(weighed(&[Signal::AllSecrets, Signal::ConfiguredDestination]), Verdict::Suspicious);
        assert_eq!(weighed(&[Signal::AllSecrets, Signal::ForeignDestination]), Verdict::Malicious);
    }

    #[test]
    fn an_established_destination_takes_the_worst_away() {
        assert_eq!(
            weighed(&[Signal::ForeignDestination, Signal::UnrelatedSecrets, Signal::AuthenticatesElsewhere]),
            Verdict::Suspicious
        );
    }
}
