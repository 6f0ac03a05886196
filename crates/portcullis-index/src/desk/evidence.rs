//! Evidence of use: was a token used by somebody else, and which files came from that.
//!
//! Each use is matched to the repository's runs, where the forge tells of them. Only where it does not, the network decides,
//! and the verdict says that it rests on that. Forges tell whole seconds: a run reaches to the end of its last second, and
//! what lies in the second of the push itself is not called outside of every run without another sign.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use super::forge::{Run, Runs};
use crate::clock::{Instant, SECOND};
use crate::ids::{ProjectId, UseId};
use crate::store::stored_enum;
use crate::store::token_uses::{TokenUse, UseKind};

stored_enum! {
    /// Whose a use, or the file that it made, is.
    Verdict {
        /// A thief's: E4.
        Thiefs = "thief's",
        /// Not told apart by what is known.
        Unexplained = "unexplained",
        /// The owner's: inside a clean run.
        Owners = "owner's",
        /// From before the exposure.
        Before = "before",
    }
}

/// What is known about the repositories from which a token may have been stolen.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Whether it is proved that the token belongs to one of the repositories. Whoever owns a repository can claim a project's
    /// name in it; then the repository's runs alone accuse nobody.
    pub proved: bool,
    /// The repositories, for the sentences.
    pub repositories: Vec<String>,
    /// Since when the secret was out, as observed where a push tells, else as claimed.
    pub since: Option<Instant>,
    /// Whether that was observed.
    pub since_observed: bool,
    /// The runs, each with whether it is of the malicious commit.
    pub runs: Vec<(Run, bool)>,
    /// Between which moments all runs are known; none where the forge does not tell.
    pub runs_known: Option<(Instant, Instant)>,
}

impl Known {
    /// Adds what is known about one more repository.
    pub fn add(
        &mut self,
        repository: &str,
        since: (Instant, bool),
        runs: Option<&Runs>,
        at: Instant,
        malicious: &BTreeSet<i64>,
    ) {
        let first = self.repositories.is_empty();
        self.repositories.push(repository.to_owned());
        if self.since.is_none_or(|earlier| since.0 < earlier) {
            (self.since, self.since_observed) = (Some(since.0), since.1);
        }
        let known = runs.map(|runs| (Instant(runs.complete_since.unwrap_or(i64::MIN)), at));
        self.runs_known = match (first, self.runs_known, known) {
            (true, _, known) => known,
            (false, Some(mine), Some(other)) => Some((mine.0.max(other.0), mine.1.min(other.1))),
            (false, ..) => None,
        };
        let runs = runs.map(|runs| runs.list.as_slice()).unwrap_or_default();
        self.runs.extend(runs.iter().map(|run| (run.clone(), malicious.contains(&run.id))));
    }

    fn relation(&self, at: Instant) -> Relation<'_> {
        let Some((from, until)) = self.runs_known else { return Relation::Unknown };
        // The end of a run is told in whole seconds: it lies somewhere in that second.
        let inside = |run: &&(Run, bool)| {
            let end = run.0.until.map_or(until.0, |end| end.saturating_add(SECOND));
            run.0.from <= at.0 && at.0 < end
        };
        let around: Vec<&(Run, bool)> = self.runs.iter().filter(inside).collect();
        let clean = around.iter().find(|run| !run.1);
        match (around.iter().find(|run| run.1), clean) {
            (Some(malicious), None) => Relation::Malicious(&malicious.0),
            (Some(malicious), Some(clean)) => Relation::Both(&malicious.0, &clean.0),
            (None, Some(clean)) => Relation::Clean(&clean.0),
            (None, None) if at < from || at > until => Relation::Unknown,
            (None, None) => Relation::Outside,
        }
    }
}

enum Relation<'a> {
    Malicious(&'a Run),
    Both(&'a Run, &'a Run),
    Clean(&'a Run),
    Outside,
    Unknown,
}

impl Relation<'_> {
    fn sentence(&self) -> String {
        let commit = |run: &Run| run.commit.chars().take(12).collect::<String>();
        match self {
            Self::Malicious(run) => format!("inside run {} of the malicious commit {}", run.id, commit(run)),
            Self::Both(malicious, clean) => format!(
                "inside run {} of the malicious commit {} and inside clean run {}",
                malicious.id,
                commit(malicious),
                clean.id
            ),
            Self::Clean(run) => format!("inside clean run {} of commit {}", run.id, commit(run)),
            Self::Outside => String::from("outside every run"),
            Self::Unknown => String::from("runs unknown"),
        }
    }
}

/// A use that was judged.
#[derive(Debug, Clone, Serialize)]
pub struct JudgedUse {
    /// Its id.
    pub id: UseId,
    /// When, RFC 3339.
    pub at: String,
    /// What for: `upload`, `refused-upload`, `read`, `canary`.
    pub kind: UseKind,
    /// `accepted`, or the text of the refusal.
    pub outcome: String,
    /// On which project.
    pub project_id: Option<ProjectId>,
    /// Of which file.
    pub filename: Option<String>,
    /// From which network; none once erased.
    pub network: Option<String>,
    /// With which client; none once erased.
    pub client: Option<String>,
    /// How it lies to the repository's runs: `inside clean run …`, `outside every run`, `runs unknown`.
    pub runs: String,
    /// Whose it is.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
}

/// What is known of a token's use.
#[derive(Debug, Clone, Serialize)]
pub struct Evidence {
    /// In one sentence, with the number of events and the checkpoint that they are under.
    pub sentence: String,
    /// The uses since the exposure began, in order of time.
    pub uses: Vec<JudgedUse>,
    /// How many uses there were before.
    pub uses_before: usize,
}

/// Loopback and private addresses name one machine each; elsewhere neighbours share a network: /24, /48.
#[must_use]
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) if address.is_loopback() || address.is_private() || address.is_link_local() => {
            address.to_string()
        }
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address)
            if address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local() =>
        {
            address.to_string()
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

fn network(token_use: &TokenUse) -> Option<String> {
    token_use.address.as_deref()?.parse().ok().map(network_of)
}

/// Judges all uses of one token. `checkpoint` is the last sealed position of the history.
#[must_use]
pub fn judge(uses: &[TokenUse], known: &Known, checkpoint: i64) -> Evidence {
    let Some(since) = known.since else {
        return Evidence {
            sentence: String::from("Nothing was exposed."),
            uses: Vec::new(),
            uses_before: uses.len(),
        };
    };
    let (before, after): (Vec<&TokenUse>, Vec<&TokenUse>) = uses.iter().partition(|one| one.at < since);
    let networks: BTreeSet<String> = before.iter().filter_map(|one| network(one)).collect();
    let judged: Vec<JudgedUse> = after.iter().map(|one| judge_use(one, since, known, &networks)).collect();
    Evidence {
        sentence: sentence(&judged, uses.len(), known, checkpoint),
        uses: judged,
        uses_before: before.len(),
    }
}

fn judge_use(one: &TokenUse, since: Instant, known: &Known, networks: &BTreeSet<String>) -> JudgedUse {
    let relation = known.relation(one.at);
    let network = network(one);
    let strange = match (&network, networks.is_empty()) {
        (Some(network), false) => Some(!networks.contains(network)),
        _ => None,
    };
    let in_the_second_of_the_push = known.since_observed && one.at.0 < since.0.saturating_add(SECOND);
    let (verdict, why) = match &relation {
        Relation::Clean(_) => (Verdict::Owners, String::from("inside a clean run of the repository")),
        Relation::Both(..) => (
            Verdict::Unexplained,
            String::from("a clean run and a run of the malicious commit went on at that time"),
        ),
        // The second of the push is also the run's: only another sign tells who came first.
        Relation::Malicious(_) | Relation::Outside if in_the_second_of_the_push => by_network(
            strange,
            "it fell into the same second as the push, which the forge does not tell apart",
        ),
        Relation::Malicious(_) | Relation::Outside if !known.proved => by_network(
            strange,
            "that the token belongs to the repository is only claimed, so its runs do not decide",
        ),
        Relation::Malicious(_) => (Verdict::Thiefs, String::from("inside a run of the malicious commit")),
        Relation::Outside => (Verdict::Thiefs, String::from("outside every run of the repository")),
        Relation::Unknown => by_network(strange, "the forge does not tell of runs at that time"),
    };
    JudgedUse {
        id: one.id,
        at: one.at.rfc3339(),
        kind: one.kind,
        outcome: one.outcome.clone(),
        project_id: one.project_id,
        filename: one.filename.clone(),
        network,
        client: one.user_agent.clone(),
        runs: relation.sentence(),
        verdict,
        why,
    }
}

fn by_network(strange: Option<bool>, because: &str) -> (Verdict, String) {
    match strange {
        Some(true) => (
            Verdict::Thiefs,
            format!("{because}; this rests on the network alone: the token was never used from it before"),
        ),
        Some(false) => (
            Verdict::Unexplained,
            format!("{because}; it came from a network that the token was used from before"),
        ),
        None => (Verdict::Unexplained, format!("{because}; there is no earlier network to compare with")),
    }
}

fn sentence(judged: &[JudgedUse], events: usize, known: &Known, checkpoint: i64) -> String {
    let count = |verdict| judged.iter().filter(|one| one.verdict == verdict).count();
    let (thiefs, unexplained) = (count(Verdict::Thiefs), count(Verdict::Unexplained));
    let uses = |number: usize| if number == 1 { String::from("1 use") } else { format!("{number} uses") };
    let since = known.since.map(Instant::for_people).unwrap_or_default();
    let under = format!(
        "{events} recorded {} of this token in all, under checkpoint {checkpoint} of the security history",
        if events == 1 { "use" } else { "uses" }
    );
    match (thiefs, unexplained) {
        (0, 0) if judged.is_empty() => {
            format!("No evidence of use by a thief: it was not used since {since} ({under}).")
        }
        (0, 0) => format!(
            "No evidence of use by a thief: {} since {since}, inside clean runs of {} ({under}).",
            uses(judged.len()),
            known.repositories.join(", ")
        ),
        (0, _) => format!(
            "{} of {} since {since} unexplained; none proven to be a thief's ({under}).",
            uses(unexplained),
            judged.len()
        ),
        _ => format!(
            "Used by a thief: {} since {since}{} ({under}).",
            uses(thiefs),
            if unexplained > 0 { format!(", {unexplained} more unexplained") } else { String::new() }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TokenId;

    const NOON: i64 = 1_767_268_800 * SECOND;

    fn at(seconds: i64) -> Instant {
        Instant(NOON).plus_seconds(seconds)
    }

    fn token_use(seconds: i64, address: &str) -> TokenUse {
        TokenUse {
            id: UseId::new(),
            token_id: TokenId::new(),
            kind: UseKind::Upload,
            outcome: String::from("accepted"),
            at: at(seconds),
            project_id: None,
            filename: None,
            file_sha256: None,
            address: Some(address.to_owned()),
            user_agent: None,
        }
    }

    fn run(id: i64, from: i64, until: Option<i64>) -> Run {
        Run {
            id,
            commit: String::from("c"),
            path: String::from("p"),
            event: String::from("push"),
            from: at(from).0,
            until: until.map(|until| at(until).0),
            workflow_blob: None,
        }
    }

    /// The exposure began at second 100; the looks end at second 1000.
    fn known(runs: Option<Vec<Run>>, malicious: &[i64]) -> Known {
        let mut known = Known { proved: true, ..Known::default() };
        let runs = runs.map(|list| Runs { complete_since: None, list });
        known.add(
            "github.com/o/n",
            (at(100), true),
            runs.as_ref(),
            at(1000),
            &malicious.iter().copied().collect(),
        );
        known
    }

    fn verdict(one: TokenUse, earlier: &[TokenUse], known: &Known) -> Verdict {
        let mut uses = earlier.to_vec();
        uses.push(one);
        judge(&uses, known, 7).uses.last().map_or(Verdict::Before, |one| one.verdict)
    }

    #[test]
    fn a_use_is_judged_by_the_runs() {
        let known = known(Some(vec![run(1, 150, Some(160)), run(2, 200, Some(210))]), &[1]);
        let judged = |seconds| verdict(token_use(seconds, "192.0.2.1"), &[], &known);
        assert_eq!(judged(99), Verdict::Before);
        assert_eq!(judged(155), Verdict::Thiefs);
        assert_eq!(judged(205), Verdict::Owners);
        assert_eq!(judged(300), Verdict::Thiefs);
        // The last second of a run belongs to it, the next one does not.
        assert_eq!(judged(210), Verdict::Owners);
        assert_eq!(judged(211), Verdict::Thiefs);
        // After the look nobody knows of runs.
        assert_eq!(judged(1001), Verdict::Unexplained);
    }

    #[test]
    fn a_run_that_goes_on_reaches_to_the_look() {
        let known = known(Some(vec![run(2, 200, None)]), &[]);
        assert_eq!(verdict(token_use(900, "192.0.2.1"), &[], &known), Verdict::Owners);
    }

    #[test]
    fn without_runs_the_network_decides_and_says_so() {
        let known = known(None, &[]);
        let earlier = [token_use(0, "192.0.2.1")];
        assert_eq!(verdict(token_use(300, "192.0.2.9"), &earlier, &known), Verdict::Unexplained);
        assert_eq!(verdict(token_use(300, "198.51.100.9"), &earlier, &known), Verdict::Thiefs);
        assert_eq!(verdict(token_use(300, "198.51.100.9"), &[], &known), Verdict::Unexplained);
        let evidence = judge(&[earlier[0].clone(), token_use(300, "198.51.100.9")], &known, 7);
        assert!(evidence.uses[0].why.contains("rests on the network alone"));
    }

    #[test]
    fn the_second_of_the_push_accuses_nobody_by_itself() {
        let known = known(Some(vec![run(1, 100, Some(100))]), &[1]);
        assert_eq!(verdict(token_use(100, "127.0.0.1"), &[], &known), Verdict::Unexplained);
        let earlier = [token_use(0, "127.0.0.1")];
        assert_eq!(verdict(token_use(100, "127.0.0.1"), &earlier, &known), Verdict::Unexplained);
        assert_eq!(verdict(token_use(100, "127.0.0.2"), &earlier, &known), Verdict::Thiefs);
    }

    #[test]
    fn the_runs_of_a_repository_that_only_claims_a_project_accuse_nobody() {
        let mut known = known(Some(vec![run(1, 150, Some(160))]), &[1]);
        known.proved = false;
        let earlier = [token_use(0, "192.0.2.1")];
        assert_eq!(verdict(token_use(155, "192.0.2.9"), &earlier, &known), Verdict::Unexplained);
        assert_eq!(verdict(token_use(300, "192.0.2.9"), &earlier, &known), Verdict::Unexplained);
        assert_eq!(verdict(token_use(300, "198.51.100.9"), &earlier, &known), Verdict::Thiefs);
    }

    #[test]
    fn no_evidence_is_a_sentence_with_its_ground() {
        let known = known(Some(vec![run(2, 200, Some(210))]), &[]);
        let evidence = judge(&[token_use(0, "192.0.2.1"), token_use(205, "192.0.2.7")], &known, 41);
        assert!(
            evidence.sentence.starts_with("No evidence of use by a thief: 1 use since "),
            "{}",
            evidence.sentence
        );
        assert!(evidence.sentence.contains("2 recorded uses") && evidence.sentence.contains("checkpoint 41"));
    }

    #[test]
    fn networks() {
        for (address, network) in [
            ("127.0.0.2", "127.0.0.2"),
            ("10.1.2.3", "10.1.2.3"),
            ("203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:1:2::3", "2001:db8:1::/48"),
            ("::1", "::1"),
        ] {
            assert_eq!(network_of(address.parse().unwrap()), network);
        }
    }
}
