//! Every row of the claim table and of the form, refusals more than successes.

use serde_json::{Value, json};
use uuid::Uuid;

use super::form::{LIST_ITEM_BYTES_MAX, LIST_ITEMS_MAX};
use super::*;
use crate::publisher::differences_text;
use crate::test_issuer::{ISSUER, verified};

const OWNER_ID: &str = "1001";
const REPOSITORY_ID: &str = "2002";

/// A job of `octo/widget` that runs `release.yml` for a tag.
fn job() -> Value {
    json!({
        "jti": "j-1",
        "sub": "repo:octo/widget:ref:refs/tags/v1.0",
        "repository": "octo/widget",
        "repository_id": REPOSITORY_ID,
        "repository_owner": "octo",
        "repository_owner_id": OWNER_ID,
        "workflow_ref": "octo/widget/.github/workflows/release.yml@refs/tags/v1.0",
        "job_workflow_ref": "octo/widget/.github/workflows/release.yml@refs/tags/v1.0",
        "event_name": "push",
        "ref": "refs/tags/v1.0",
        "ref_protected": "false",
        "sha": "0123456789abcdef0123456789abcdef01234567",
        "runner_environment": "github-hosted",
        "run_id": "77",
        "actor": "alice",
    })
}

/// The job with some claims replaced; null takes one away.
fn job_with(changes: &[(&str, Value)]) -> Value {
    let mut claims = job();
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    claims
}

fn configured(values: &[(&str, &str)]) -> Result<Publisher, Vec<FieldError>> {
    let values: Vec<(String, String)> =
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    GitHub.configure(ISSUER, &values)
}

/// A publisher of `octo/widget`, `release.yml` and what else is given.
fn candidate(id: u128, further: &[(&str, &str)]) -> Candidate {
    let mut values = vec![
        ("owner", "octo"),
        ("repository", "widget"),
        ("workflow", "release.yml"),
        ("owner_id", OWNER_ID),
    ];
    values.retain(|(name, _)| !further.iter().any(|(other, _)| other == name));
    values.extend(further);
    Candidate { id: Uuid::from_u128(id), configuration: configured(&values).unwrap().configuration }
}

fn found(claims: &Value, candidates: &[Candidate]) -> Result<Match, Mismatch> {
    GitHub.find(&verified(claims), candidates, false)
}

/// Asserts the reference's text, and what follows it.
#[track_caller]
fn refused(claims: &Value, candidates: &[Candidate], detail: &str, further: &str) {
    match found(claims, candidates) {
        Err(Mismatch::Claims { detail: text, differences }) => {
            assert_eq!((text.as_str(), differences_text(&differences).as_str()), (detail, further));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_job_of_a_publisher_matches_it() {
    let found = found(&job(), &[candidate(7, &[("repository_id", REPOSITORY_ID)])]).unwrap();
    assert_eq!(found.id, Uuid::from_u128(7));
    assert_eq!(found.pinned, None);
    assert_eq!(
        found.url.as_deref(),
        Some("https://github.com/octo/widget/commit/0123456789abcdef0123456789abcdef01234567")
    );
    assert_eq!(found.minted_from["run_id"], "77");
    assert_eq!(found.minted_from["ref"], "refs/tags/v1.0");
    assert_eq!(found.minted_from.get("jti"), None);
    assert_eq!(found.remarks, []);
}

#[test]
fn each_required_claim_must_be_there_and_be_text() {
    for name in REQUIRED_CLAIMS {
        let missing = format!("Missing claim '{name}'");
        refused(&job_with(&[(name, json!(null))]), &[candidate(1, &[])], &missing, "");
        // The JWT itself is refused where its id is no text.
        if name != "jti" {
            for value in [json!(7), json!(["octo"]), json!({})] {
                refused(&job_with(&[(name, value)]), &[candidate(1, &[])], &failed_required(name), "");
            }
        }
    }
}

#[test]
fn the_first_missing_claim_is_named() {
    let claims = job_with(&[("ref", json!(null)), ("jti", json!(null)), ("sha", json!(null))]);
    refused(&claims, &[candidate(1, &[])], "Missing claim 'jti'", "");
}

#[test]
fn publishers_are_found_by_owner_and_name_whatever_their_case() {
    let key = |repository: &str| GitHub.lookup(&verified(&job_with(&[("repository", json!(repository))])));
    for repository in ["octo/widget", "Octo/WIDGET"] {
        let found = key(repository).unwrap();
        assert_eq!(
            (found.key.as_str(), found.repository.as_deref()),
            ("octo/widget", Some("github.com/octo/widget"))
        );
    }
    assert_eq!(
        configured(&[("owner", "OCTO"), ("repository", "Widget"), ("workflow", "r.yml")]).unwrap().lookup_key,
        "octo/widget"
    );
    assert!(key("octo").is_err());
}

#[test]
fn other_repositories_publishers_match_nothing_and_are_not_told_of() {
    for other in [("owner", "another"), ("repository", "gadget")] {
        refused(&job(), &[candidate(1, &[other])], NOT_FOUND, "");
    }
    refused(&job(), &[], NOT_FOUND, "");
}

#[test]
fn a_spelling_that_nobody_confirmed_does_not_matter_and_is_corrected() {
    let typed = candidate(1, &[("owner", "OCTO"), ("repository", "Widget"), ("owner_id", "")]);
    let pinned = found(&job(), &[typed]).unwrap().pinned.unwrap();
    let configuration: Value = serde_json::from_str(&pinned).unwrap();
    assert_eq!(
        configuration,
        json!({
            "owner": "octo", "owner_id": OWNER_ID, "repository": "widget", "repository_id": REPOSITORY_ID,
            "workflow": "release.yml",
        })
    );
}

#[test]
fn a_confirmed_owner_is_compared_with_its_case() {
    refused(
        &job(),
        &[candidate(1, &[("owner", "Octo")])],
        "Check failed for required claim 'repository_owner'",
        "; owner: expected Octo, got octo",
    );
}

#[test]
fn ids_are_learned_at_the_first_mint_and_compared_from_then_on() {
    let new = candidate(1, &[("owner_id", "")]);
    let pinned = found(&job(), std::slice::from_ref(&new)).unwrap().pinned.unwrap();
    let learned = Candidate { id: new.id, configuration: pinned };
    assert_eq!(found(&job(), std::slice::from_ref(&learned)).unwrap().pinned, None);

    let other_owner = job_with(&[("repository_owner_id", json!("1002"))]);
    refused(&other_owner, std::slice::from_ref(&learned), NOT_FOUND, "; owner_id: expected 1001, got 1002");
    let created_again = job_with(&[("repository_id", json!("2003"))]);
    refused(
        &created_again,
        std::slice::from_ref(&learned),
        "Check failed for required claim 'repository_id'",
        "; repository_id: expected 2002, got 2003",
    );
    refused(
        &job_with(&[("repository_id", json!(null))]),
        &[learned],
        "Check failed for required claim 'repository_id'",
        "; repository_id: expected 2002, got nothing",
    );
}

#[test]
fn an_owner_id_that_is_no_number_is_never_learned() {
    for id in ["", "x", "1 ", "123456789012345678901"] {
        let claims = job_with(&[("repository_owner_id", json!(id))]);
        let text = "Check failed for required claim 'repository_owner_id'";
        let got = if id.is_empty() { "nothing" } else { id };
        refused(
            &claims,
            &[candidate(1, &[("owner_id", "")])],
            text,
            &format!("; owner_id: expected a number, got {got}"),
        );
    }
}

#[test]
fn a_new_owner_of_an_old_name_learns_nothing_but_the_id() {
    let claims = job_with(&[("repository_owner_id", json!("9")), ("environment", json!("x"))]);
    let secretive = candidate(1, &[("environment", "release"), ("workflow", "secret.yml")]);
    refused(&claims, &[secretive], NOT_FOUND, "; owner_id: expected 1001, got 9");
}

#[test]
fn another_workflow_is_named() {
    let file = "octo/widget/.github/workflows/evil.yml@refs/tags/v1.0";
    refused(
        &job_with(&[("job_workflow_ref", json!(file))]),
        &[candidate(1, &[])],
        NOT_FOUND,
        "; workflow: expected release.yml, got evil.yml",
    );
    let case = "octo/widget/.github/workflows/Release.yml@refs/tags/v1.0";
    refused(
        &job_with(&[("job_workflow_ref", json!(case))]),
        &[candidate(1, &[])],
        NOT_FOUND,
        "; workflow: expected release.yml, got Release.yml",
    );
}

#[test]
fn at_most_three_candidates_are_told_of() {
    let candidates: Vec<Candidate> =
        (1..=4).map(|index| candidate(index, &[("workflow", &format!("{index}.yml"))])).collect();
    refused(
        &job(),
        &candidates,
        NOT_FOUND,
        "; workflow: expected 1.yml, got release.yml; workflow: expected 2.yml, got release.yml; workflow: expected \
         3.yml, got release.yml",
    );
}

#[test]
fn the_workflow_is_taken_out_as_the_reference_does() {
    for (reference, name) in [
        ("o/r/.github/workflows/a.yml@refs/heads/main", Some("a.yml")),
        ("o/r/.github/workflows/a.yaml@x", Some("a.yaml")),
        ("o/r/.github/workflows/a.b.yml@x", Some("a.b.yml")),
        ("o/r/.github/workflows/a.yml@refs/heads/b.yml@c", Some("a.yml")),
        ("o/r/.github/workflows/a.yml@b.yml@c", Some("a.yml@b.yml")),
        ("o/r/.github/workflows/a.yml@b.yaml.yml", Some("a.yml")),
        ("x.yml@y/.github/workflows/a.yml@z", Some("x.yml")),
        ("o/r/.github/workflows/.yml@x", None),
        ("o/r/.github/workflows/a.yml", None),
        ("o/r/.github/workflows/a.yml/@x", None),
        ("o/r/.github/workflows/a.YML@x", None),
        ("o/r/.github/workflows/a.txt@x", None),
        ("", None),
    ] {
        assert_eq!(workflow_in(reference), name, "{reference}");
    }
    refused(
        &job_with(&[("job_workflow_ref", json!("octo/widget"))]),
        &[candidate(1, &[])],
        "Could not job extract workflow filename from OIDC claims",
        "",
    );
    refused(
        &job_with(&[("job_workflow_ref", json!(""))]),
        &[candidate(1, &[])],
        "Could not job extract workflow filename from OIDC claims",
        "",
    );
}

#[test]
fn the_workflow_must_lie_in_the_repository_at_the_jobs_ref_or_commit() {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let path = "octo/widget/.github/workflows/release.yml";
    let at_commit = job_with(&[("job_workflow_ref", json!(format!("{path}@{sha}")))]);
    assert!(found(&at_commit, &[candidate(1, &[])]).is_ok());
    let without_ref = job_with(&[("job_workflow_ref", json!(format!("{path}@{sha}"))), ("ref", json!(""))]);
    assert!(found(&without_ref, &[candidate(1, &[])]).is_ok());

    for got in [
        "octo/widget/.github/workflows/release.yml@refs/heads/evil",
        "octo/shared/.github/workflows/release.yml@refs/tags/v1.0",
        "Octo/widget/.github/workflows/release.yml@refs/tags/v1.0",
        "octo/widget/workflows/release.yml@refs/tags/v1.0",
        "octo/widget/.github/workflows/release.yml@",
        "octo/widget/.github/workflows/release.yml@refs/tags/v1.0 ",
    ] {
        let detail = format!(
            "The job_workflow_ref claim does not match, expecting one of ['{path}@{sha}', '{path}@refs/tags/v1.0'], \
             got '{got}'"
        );
        let further = format!("; workflow: expected {path}@{sha}, got {got}");
        refused(&job_with(&[("job_workflow_ref", json!(got))]), &[candidate(1, &[])], &detail, &further);
    }
    let only_ref = job_with(&[("job_workflow_ref", json!(format!("{path}@{sha}"))), ("sha", json!(""))]);
    refused(
        &only_ref,
        &[candidate(1, &[])],
        &format!(
            "The job_workflow_ref claim does not match, expecting one of ['{path}@refs/tags/v1.0'], got '{path}@{sha}'"
        ),
        &format!("; workflow: expected {path}@refs/tags/v1.0, got {path}@{sha}"),
    );
    let neither = job_with(&[("ref", json!("")), ("sha", json!(""))]);
    refused(&neither, &[candidate(1, &[])], "The ref and sha claims are empty", "");
}

#[test]
fn a_token_that_was_used_is_told_apart_and_in_its_place_in_the_order() {
    let used = |claims: &Value| GitHub.find(&verified(claims), &[candidate(1, &[])], true);
    assert_eq!(used(&job()), Err(Mismatch::AlreadyUsed));
    // Before the event is looked at, but after the workflow.
    assert_eq!(used(&job_with(&[("event_name", json!("pull_request_target"))])), Err(Mismatch::AlreadyUsed));
    let elsewhere = "octo/widget/.github/workflows/release.yml@refs/heads/evil";
    assert!(matches!(
        used(&job_with(&[("job_workflow_ref", json!(elsewhere))])),
        Err(Mismatch::Claims { .. })
    ));
    refused(
        &job_with(&[("jti", json!(""))]),
        &[candidate(1, &[])],
        "Check failed for required claim 'jti'",
        "",
    );
}

#[test]
fn events_of_strangers_never_publish() {
    refused(
        &job_with(&[("event_name", json!("pull_request_target"))]),
        &[candidate(1, &[])],
        "Publishing from a workflow invoked via 'pull_request_target' is not supported.",
        "; events: expected push or release or workflow_dispatch or schedule, got pull_request_target",
    );
    for event in ["workflow_run", "issue_comment", "discussion", "pull_request", "", "PUSH"] {
        let got = if event.is_empty() { "nothing" } else { event };
        refused(
            &job_with(&[("event_name", json!(event))]),
            &[candidate(1, &[])],
            "Check failed for required claim 'event_name'",
            &format!("; events: expected push or release or workflow_dispatch or schedule, got {got}"),
        );
    }
    for event in EVENTS_DEFAULT {
        assert!(found(&job_with(&[("event_name", json!(event))]), &[candidate(1, &[])]).is_ok());
    }
}

#[test]
fn a_publisher_may_name_its_events() {
    let pinned = candidate(1, &[("events", "release, merge_group")]);
    assert!(found(&job_with(&[("event_name", json!("merge_group"))]), std::slice::from_ref(&pinned)).is_ok());
    refused(
        &job(),
        &[pinned],
        "Check failed for required claim 'event_name'",
        "; events: expected merge_group or release, got push",
    );
    // Even if it stood in the database, which no form lets happen.
    let stored =
        candidate(1, &[("events", "release")]).configuration.replace("release\"]", "workflow_run\"]");
    assert!(stored.contains("workflow_run"), "{stored}");
    let stored = Candidate { id: Uuid::from_u128(1), configuration: stored };
    refused(
        &job_with(&[("event_name", json!("workflow_run"))]),
        &[stored],
        "Check failed for required claim 'event_name'",
        "; events: expected workflow_run, got workflow_run",
    );
}

#[test]
fn pinned_refs_keep_other_branches_out() {
    let pinned = candidate(1, &[("refs", "refs/tags/v* refs/heads/main")]);
    assert!(found(&job(), std::slice::from_ref(&pinned)).is_ok());
    let branch = job_with(&[
        ("ref", json!("refs/heads/evil")),
        ("job_workflow_ref", json!("octo/widget/.github/workflows/release.yml@refs/heads/evil")),
    ]);
    assert!(found(&branch, &[candidate(1, &[])]).is_ok(), "without a pin any branch publishes");
    refused(
        &branch,
        &[pinned],
        "Check failed for required claim 'ref'",
        "; refs: expected refs/heads/main or refs/tags/v*, got refs/heads/evil",
    );
    refused(
        &job(),
        &[candidate(1, &[("ref_protected", "true")])],
        "Check failed for required claim 'ref_protected'",
        "; ref_protected: expected true, got false",
    );
    let protected = job_with(&[("ref_protected", json!("true"))]);
    assert!(found(&protected, &[candidate(1, &[("ref_protected", "true")])]).is_ok());
    let of_another_type = job_with(&[("ref_protected", json!(true))]);
    assert!(found(&of_another_type, &[candidate(1, &[("ref_protected", "true")])]).is_err());
}

#[test]
fn a_pinned_kind_of_runner_is_asked_for() {
    let pinned = candidate(1, &[("runner_environment", "github-hosted")]);
    assert!(found(&job(), std::slice::from_ref(&pinned)).is_ok());
    for (claim, got) in
        [(json!("self-hosted"), "self-hosted"), (json!(null), "nothing"), (json!(7), "nothing")]
    {
        refused(
            &job_with(&[("runner_environment", claim)]),
            std::slice::from_ref(&pinned),
            "Check failed for required claim 'runner_environment'",
            &format!("; runner_environment: expected github-hosted, got {got}"),
        );
    }
}

#[test]
fn an_environment_is_compared_ignoring_case() {
    let pinned = candidate(1, &[("environment", "Release")]);
    for claim in ["release", "RELEASE"] {
        let claims = job_with(&[("environment", json!(claim))]);
        assert!(found(&claims, std::slice::from_ref(&pinned)).is_ok());
    }
    for (claim, got) in [(json!("staging"), "staging"), (json!(null), "nothing"), (json!(""), "nothing")] {
        refused(
            &job_with(&[("environment", claim)]),
            std::slice::from_ref(&pinned),
            NOT_FOUND,
            &format!("; environment: expected release, got {got}"),
        );
    }
    refused(
        &job_with(&[("environment", json!(["release"]))]),
        &[candidate(1, &[])],
        "Check failed for optional claim 'environment'",
        "; environment: expected nothing, got nothing",
    );
}

#[test]
fn the_publisher_of_the_environment_comes_before_the_one_of_any() {
    let any = candidate(1, &[]);
    let release = candidate(2, &[("environment", "release")]);
    let in_release = job_with(&[("environment", json!("Release"))]);
    let both = [any, release];
    assert_eq!(found(&in_release, &both).unwrap().id, Uuid::from_u128(2));
    let elsewhere = job_with(&[("environment", json!("docs"))]);
    let matched = found(&elsewhere, &both).unwrap();
    assert_eq!(matched.id, Uuid::from_u128(1));
    assert_eq!(matched.remarks, [Remark::EnvironmentNotPinned]);
    assert_eq!(found(&job(), &both).unwrap().id, Uuid::from_u128(1));
}

#[test]
fn of_several_publishers_the_one_with_more_pins_is_tried_first() {
    let open = candidate(1, &[]);
    let pinned = candidate(2, &[("refs", "refs/tags/v*")]);
    let both = [open, pinned];
    assert_eq!(found(&job(), &both).unwrap().id, Uuid::from_u128(2));
    let branch = job_with(&[
        ("ref", json!("refs/heads/main")),
        ("job_workflow_ref", json!("octo/widget/.github/workflows/release.yml@refs/heads/main")),
    ]);
    assert_eq!(found(&branch, &both).unwrap().id, Uuid::from_u128(1));
}

#[test]
fn a_called_workflow_is_remarked() {
    let claims =
        job_with(&[("workflow_ref", json!("octo/widget/.github/workflows/main.yml@refs/tags/v1.0"))]);
    assert_eq!(found(&claims, &[candidate(1, &[])]).unwrap().remarks, [Remark::ReusableWorkflow]);
}

#[test]
fn a_configuration_with_a_pin_of_the_future_matches_nothing() {
    let configuration = candidate(1, &[]).configuration.replacen('{', r#"{"weekday":"monday","#, 1);
    assert!(GitHub.read(ISSUER, &configuration).is_err());
    refused(&job(), &[Candidate { id: Uuid::from_u128(1), configuration }], NOT_FOUND, "");
}

#[test]
fn the_stored_form_is_for_ever() {
    let all = configured(&[
        ("owner", "Octo"),
        ("repository", "Widget"),
        ("workflow", " release.yml "),
        ("environment", "Release"),
        ("refs", "refs/tags/v*, refs/heads/main"),
        ("events", "push release"),
        ("runner_environment", "self-hosted"),
        ("ref_protected", "true"),
        ("owner_id", "1001"),
        ("repository_id", "2002"),
    ])
    .unwrap();
    assert_eq!(
        all.configuration,
        r#"{"owner":"Octo","owner_id":"1001","repository":"Widget","repository_id":"2002","workflow":"release.yml","environment":"release","refs":["refs/heads/main","refs/tags/v*"],"events":["push","release"],"runner_environment":"self-hosted","ref_protected":true}"#
    );
    assert_eq!(
        all.identity_key,
        r#"["octo/widget","release.yml","release",["refs/heads/main","refs/tags/v*"],["push","release"],"self-hosted",true,"1001","2002"]"#
    );
    assert_eq!(all.repository.as_deref(), Some("github.com/octo/widget"));
    assert_eq!(all.url.as_deref(), Some("https://github.com/Octo/Widget"));
    assert_eq!(GitHub.read(ISSUER, &all.configuration), Ok(all));

    let least =
        configured(&[("owner", "octo"), ("repository", "widget"), ("workflow_filename", "r.yaml")]).unwrap();
    assert_eq!(least.configuration, r#"{"owner":"octo","repository":"widget","workflow":"r.yaml"}"#);
    assert_eq!(least.openness, Openness::Open);
    assert_eq!(GitHub.read(ISSUER, &least.configuration), Ok(least));
}

#[test]
fn an_environment_or_a_ref_makes_a_publisher_pinned() {
    let openness = |further: &[(&str, &str)]| {
        GitHub.read(ISSUER, &candidate(1, further).configuration).unwrap().openness
    };
    assert_eq!(openness(&[]), Openness::Open);
    assert_eq!(openness(&[("events", "push"), ("runner_environment", "github-hosted")]), Openness::Open);
    assert_eq!(openness(&[("environment", "release")]), Openness::Pinned);
    assert_eq!(openness(&[("refs", "refs/tags/*")]), Openness::Pinned);
    assert_eq!(openness(&[("ref_protected", "true")]), Openness::Pinned);
}

#[test]
fn enterprise_issuers_have_repositories_of_their_own() {
    for (issuer, host) in [
        (ISSUER, "github.com"),
        ("https://token.actions.githubusercontent.com/octo-enterprise", "github.com"),
        ("https://github.example.org/_services/token", "github.example.org"),
        ("https://token.actions.octo.ghe.com", "octo.ghe.com"),
        ("http://127.0.0.1:8000", "github.com"),
    ] {
        assert_eq!(host_of(issuer), host, "{issuer}");
    }
}

/// Asserts that the form refuses `value` in `field` with `message` and with nothing else.
#[track_caller]
fn form_refuses(field: &str, value: &str, message: &str) {
    let mut values = vec![("owner", "octo"), ("repository", "widget"), ("workflow", "release.yml")];
    values.retain(|(name, _)| *name != field);
    values.push((field, value));
    let errors = configured(&values).unwrap_err();
    assert_eq!(errors, [FieldError { field: field.to_owned(), message: message.to_owned() }], "{value:?}");
}

#[track_caller]
fn form_accepts(field: &str, value: &str) {
    let mut values = vec![("owner", "octo"), ("repository", "widget"), ("workflow", "release.yml")];
    values.retain(|(name, _)| *name != field);
    values.push((field, value));
    assert!(configured(&values).is_ok(), "{field}={value:?}");
}

#[test]
fn the_form_says_everything_that_is_wrong_at_once() {
    let errors = configured(&[]).unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["owner", "repository", "workflow"]);
}

#[test]
fn the_form_checks_owner_and_repository() {
    form_refuses("owner", "", "Specify GitHub repository owner (username or organization)");
    for owner in ["-octo", "oc to", "octo/widget", "öcto", "octo_", "octo\n"] {
        form_refuses("owner", owner, "Invalid GitHub user or organization name.");
    }
    form_refuses("owner", &"o".repeat(101), "Invalid GitHub user or organization name.");
    form_accepts("owner", &"o".repeat(100));
    form_accepts("owner", "0-octo-");
    form_refuses("repository", "", "Specify repository name");
    for repository in ["wid get", "octo/widget", "wïdget", "widget\n"] {
        form_refuses("repository", repository, "Invalid repository name");
    }
    form_refuses("repository", &"r".repeat(101), "Invalid repository name");
    form_accepts("repository", &"r".repeat(100));
    form_accepts("repository", "._-9");
}

#[test]
fn the_form_checks_the_workflow() {
    form_refuses("workflow", "", "Specify workflow filename");
    form_refuses("workflow", "  ", "Specify workflow filename");
    form_refuses("workflow", "release", "Workflow name must end with .yml or .yaml");
    form_refuses("workflow", "release.YML", "Workflow name must end with .yml or .yaml");
    form_refuses(
        "workflow",
        ".github/workflows/release.yml",
        "Workflow filename must be a filename only, without directories",
    );
    form_refuses("workflow", ".yml", "Invalid workflow filename");
    form_refuses("workflow", "a\n.yml", "Invalid workflow filename");
    form_accepts("workflow", &format!("{}.yml", "w".repeat(251)));
    form_refuses(
        "workflow",
        &format!("{}.yml", "w".repeat(252)),
        "Workflow filename must have at most 255 characters",
    );
}

#[test]
fn the_form_checks_the_environment() {
    form_accepts("environment", "   ");
    form_accepts("environment", "pro duction/1");
    form_accepts("environment", &"é".repeat(255));
    form_refuses("environment", &"é".repeat(256), "Environment name is too long");
    form_refuses("environment", " release", "Environment name may not start with whitespace");
    form_refuses("environment", "release ", "Environment name may not end with whitespace");
    for character in ['\'', '"', '`', ',', ';', '\\', '\u{0}', '\u{1f}', '\u{7f}', '\n'] {
        form_refuses(
            "environment",
            &format!("re{character}lease"),
            "Environment name must not contain non-printable characters or the characters ' \" ` , ; \\",
        );
    }
}

#[test]
fn the_form_checks_the_pins() {
    form_refuses("refs", "main", "Write refs in full, for example refs/tags/v* or refs/heads/main");
    form_refuses(
        "refs",
        "refs/heads/main v1",
        "Write refs in full, for example refs/tags/v* or refs/heads/main",
    );
    let many = |count: usize| (0..count).map(|n| format!("refs/heads/{n}")).collect::<Vec<_>>().join(" ");
    form_accepts("refs", &many(LIST_ITEMS_MAX));
    form_refuses("refs", &many(LIST_ITEMS_MAX + 1), "At most 20 can be listed");
    let long = |length: usize| format!("refs/heads/{}", "b".repeat(length - "refs/heads/".len()));
    form_accepts("refs", &long(LIST_ITEM_BYTES_MAX));
    form_refuses("refs", &long(LIST_ITEM_BYTES_MAX + 1), "Each must have at most 255 characters");
    for event in EVENTS_FORBIDDEN {
        form_refuses(
            "events",
            &format!("push,{event}"),
            &format!(
                "Publishing from a workflow invoked via '{event}' is not supported: strangers can trigger it"
            ),
        );
    }
    form_refuses(
        "events",
        "Push",
        "Write events as GitHub does, for example push, release, workflow_dispatch",
    );
    form_refuses("runner_environment", "mine", "Write github-hosted or self-hosted");
    form_refuses("ref_protected", "yes", "Write true or false");
    for field in ["owner_id", "repository_id"] {
        form_refuses(field, "octo", "Write GitHub's number, digits only");
        form_refuses(field, "123456789012345678901", "Write GitHub's number, digits only");
        form_accepts(field, "12345678901234567890");
    }
}

#[test]
fn the_form_knows_its_fields() {
    let errors = configured(&[
        ("owner", "octo"),
        ("repository", "widget"),
        ("workflow", "release.yml"),
        ("workflow_filename", "other.yml"),
        ("environement", "release"),
    ])
    .unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(errors[0], FieldError { field: "workflow".to_owned(), message: "Given twice".to_owned() });
    assert_eq!(errors[1].field, "environement");
    assert!(
        errors[1].message.starts_with("Unknown field; GitHub publishers have owner, repository, workflow")
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn forms_never_panic_and_what_they_accept_is_read_again(
            owner in ".{0,12}", repository in ".{0,12}", workflow in ".{0,8}(\\.yml)?", environment in ".{0,12}",
            refs in "(refs/)?.{0,12}", events in "[a-z_, ]{0,20}",
        ) {
            let values = [
                ("owner", owner), ("repository", repository), ("workflow", workflow),
                ("environment", environment), ("refs", refs), ("events", events),
            ];
            let values: Vec<(String, String)> = values.map(|(name, value)| (name.to_owned(), value)).to_vec();
            if let Ok(publisher) = GitHub.configure(ISSUER, &values) {
                prop_assert_eq!(GitHub.read(ISSUER, &publisher.configuration), Ok(publisher));
            }
        }

        #[test]
        fn workflow_names_never_panic_and_have_no_slash(reference in "\\PC{0,40}") {
            if let Some(name) = workflow_in(&reference) {
                prop_assert!(is_workflow_name(name) && !name.contains('/'));
            }
        }
    }
}
