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
    let weak = signals.iter().filter(|signal| signal.weight() == Weight::Weak).count();
    match rule {
        "long-lived-token" => Verdict::Advice,
        "unanalysed-workflow" => {
            if weak > 1 {
                Verdict::Suspicious
            } else {
                Verdict::Advice
            }
        }
        "secret-to-action" => match () {
            () if has(Signal::LookAlike) => Verdict::Malicious,
            () if has(Signal::AllSecrets) && has(Signal::UnknownOwner) => Verdict::Suspicious,
            () => Verdict::Exposed,
        },
        "secret-to-log" => match () {
            () if has(Signal::ReadableLog) && intent => Verdict::Malicious,
            () if has(Signal::ReadableLog) && (has(Signal::SinglePurpose) || has(Signal::Encoded)) => {
                Verdict::Malicious
            }
            () => Verdict::Suspicious,
        },
        "secret-to-artifact" | "secret-to-repository" => {
            if intent {
                Verdict::Malicious
            } else {
                Verdict::Suspicious
            }
        }
        _ => match () {
            () if has(Signal::AuthenticatesElsewhere) => Verdict::Suspicious,
            () if has(Signal::ForeignDestination) && intent => Verdict::Malicious,
            // A place where anybody can collect, from a job that does nothing else: no use of a credential looks so.
            () if has(Signal::ForeignDestination) && has(Signal::DropBox) && has(Signal::SinglePurpose) => {
                Verdict::Malicious
            }
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
            .filter(|signal| signal.weight() == Weight::Weak && !matches!(signal, Signal::DropBox))
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
