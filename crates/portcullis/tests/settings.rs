//! Who may silence a finding, and how: the operator's settings and options. And where the output goes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod victim;

use std::path::Path;

use serde_json::Value;
use victim::{complaint, git, json, portcullis, victim};

fn findings(folder: &Path, arguments: &[&str]) -> (i32, Vec<Value>) {
    let all = [&["scan", "--format", "json"], arguments].concat();
    let output = portcullis(&all, folder);
    let findings = json(&output)["findings"].as_array().unwrap().clone();
    (output.status.code().unwrap(), findings)
}

fn id_of(folder: &Path, rule: &str) -> String {
    let (_, all) = findings(folder, &[]);
    let finding = all.iter().find(|finding| finding["rule"] == rule).unwrap();
    finding["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_settings_file_accepts_and_the_finding_stays_listed() {
    let victim = victim();
    let path = victim.path();
    let id = id_of(path, "secret-to-host");
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("scan.toml");
    let config = file.to_str().unwrap();
    for text in [
        format!("[scan]\nmin-verdict = \"suspicious\"\naccept = {{ \"{id}\" = \"a drill\" }}\n"),
        format!(
            "[scan]\nmin-verdict = \"suspicious\"\n[[scan.accept]]\nid = \"{id}\"\nreason = \"a drill\"\n"
        ),
        format!(
            "[scan]\nmin-verdict = \"suspicious\"\n[[scan.accept]]\nid = \"{id}\"\nreason = \"a drill\"\nrepository = \"github.example/owner/widgets\"\n"
        ),
    ] {
        std::fs::write(&file, &text).unwrap();
        let (code, all) = findings(path, &["--config", config]);
        assert_eq!((code, all.len()), (0, 1), "{text}");
        assert_eq!(all[0]["verdict"], "malicious");
        assert_eq!(all[0]["accepted"], "a drill");
        assert_eq!(all[0]["accepted_by"], "operator");
    }
    let human = String::from_utf8(portcullis(&["scan", "--config", config], path).stdout).unwrap();
    assert!(human.contains("accepted: a drill"), "{human}");
    let sarif = json(&portcullis(&["scan", "--format", "sarif", "--config", config], path));
    let suppression = &sarif["runs"][0]["results"][0]["suppressions"][0];
    assert_eq!(
        (&suppression["kind"], &suppression["justification"]),
        (&"external".into(), &"a drill".into())
    );
    // Of another repository it says nothing.
    std::fs::write(&file, format!("[scan]\n[[scan.accept]]\nid = \"{id}\"\nreason = \"x\"\nrepository = \"github.example/owner/other\"\n")).unwrap();
    assert_eq!(findings(path, &["--config", config]).0, 1);
}

#[test]
fn options_win_over_the_settings_file() {
    let victim = victim();
    let path = victim.path();
    let id = id_of(path, "secret-to-host");
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("scan.toml");
    std::fs::write(
        &file,
        format!(
            "[scan]\nformat = \"sarif\"\nmin-verdict = \"malicious\"\naccept = {{ \"{id}\" = \"theirs\" }}\n"
        ),
    )
    .unwrap();
    let config = file.to_str().unwrap();
    assert_eq!(json(&portcullis(&["scan", "--config", config], path))["version"], "2.1.0");
    let (_, few) = findings(path, &["--config", config]);
    let (_, more) = findings(path, &["--config", config, "--min-verdict", "advice"]);
    assert!(few.len() < more.len(), "{} {}", few.len(), more.len());
    let (_, all) = findings(path, &["--config", config, "--accept", &format!("{id}=mine")]);
    assert_eq!(all[0]["accepted"], "mine");
}

#[test]
fn indicators_of_the_settings_file_are_relative_to_it() {
    let victim = victim();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("known.txt"), "collector.example\n").unwrap();
    let file = outside.path().join("scan.toml");
    std::fs::write(&file, "[scan]\nindicators = [\"known.txt\"]\n").unwrap();
    let (_, all) = findings(victim.path(), &["--config", file.to_str().unwrap()]);
    assert!(all[0]["signals"].as_array().unwrap().contains(&"known-indicator".into()));
    let (_, without) = findings(victim.path(), &[]);
    assert!(!without[0]["signals"].as_array().unwrap().contains(&"known-indicator".into()));
}

/// The thief has a settings file of his own in the repository, and may have put a link to one.
#[test]
fn settings_inside_the_scanned_tree_are_refused_and_never_read_by_themselves() {
    let victim = victim();
    let path = victim.path();
    let id = id_of(path, "secret-to-host");
    let text = format!("[scan]\naccept = {{ \"{id}\" = \"nothing to see\" }}\n");
    for name in ["portcullis.toml", ".portcullis.toml", ".github/portcullis.toml"] {
        std::fs::write(path.join(name), &text).unwrap();
    }
    git(path, &["add", "-A"]);
    git(path, &["commit", "-q", "-m", "Settings"]);
    assert_eq!(findings(path, &[]).0, 1, "a settings file was read by itself");
    let outside = tempfile::tempdir().unwrap();
    let link = outside.path().join("link.toml");
    std::os::unix::fs::symlink(path.join("portcullis.toml"), &link).unwrap();
    for config in ["portcullis.toml", ".github/../portcullis.toml", link.to_str().unwrap()] {
        for scanned in [".", ".git", ".github", ".github/workflows/publish.yml"] {
            let output = portcullis(&["scan", "--config", config, scanned], path);
            assert_eq!(output.status.code(), Some(2), "{config} {scanned}");
            assert!(complaint(&output).contains("lies inside"), "{}", complaint(&output));
            assert!(output.stdout.is_empty());
        }
    }
    let list = outside.path().join("list.txt");
    std::fs::write(&list, path.to_str().unwrap()).unwrap();
    let listed = ["scan", "--config", "portcullis.toml", "--repositories", list.to_str().unwrap()];
    assert_eq!(portcullis(&listed, path).status.code(), Some(2));
}

#[test]
fn trusted_places_of_the_operator_are_accepted_and_listed() {
    let victim = victim();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("scan.toml");
    let arguments = ["--min-verdict", "suspicious", "--config", file.to_str().unwrap()];
    std::fs::write(&file, "[scan]\ntrusted-hosts = [\"Collector.example\"]\n").unwrap();
    let (code, all) = findings(victim.path(), &arguments);
    assert_eq!(code, 0);
    assert_eq!(all[0]["accepted"], "the settings trust collector.example");
    for other in ["other.example", "ector.example", "in.collector.example"] {
        std::fs::write(&file, format!("[scan]\ntrusted-hosts = [\"{other}\"]\n")).unwrap();
        assert_eq!(findings(victim.path(), &arguments).0, 1, "{other}");
    }
    let handed = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: somebody/deploy@v1\n        with: {token: '${{ secrets.DEPLOY_TOKEN }}'}\n";
    let tree = victim::repository(&[(".github/workflows/a.yml", handed)]);
    let config = ["--config", file.to_str().unwrap()];
    std::fs::write(&file, "[scan]\ntrusted-owners = [\"github.com/Somebody\"]\n").unwrap();
    assert_eq!(findings(tree.path(), &config).0, 0);
    std::fs::write(&file, "[scan]\ntrusted-owners = [\"github.com/some\"]\n").unwrap();
    assert_eq!(findings(tree.path(), &config).0, 1);
}

#[test]
fn acceptance_needs_an_id_and_a_reason() {
    let victim = victim();
    for wrong in
        ["0123456789abcdef", "0123456789abcdef=", "0123456789abcdef=  ", "0123=why", "0123456789abcdeg=why"]
    {
        let output = portcullis(&["scan", "--accept", wrong], victim.path());
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(complaint(&output).contains("--accept"), "{}", complaint(&output));
    }
}

#[test]
fn a_file_is_replaced_as_a_whole_or_not_at_all() {
    use std::os::unix::fs::PermissionsExt;
    let victim = victim();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("found.json");
    let name = file.to_str().unwrap();
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    std::fs::write(&file, "old").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let failed = portcullis(&["scan", "--format", "json", "--output", name, "no-such-folder"], victim.path());
    assert_eq!(failed.status.code(), Some(2));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(names(), ["found.json"], "something is left beside it");
    let done = portcullis(&["scan", "--format", "json", "--output", name], victim.path());
    assert_eq!(done.status.code(), Some(1));
    assert!(done.stdout.is_empty());
    let document: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(document["schema"], "portcullis.scan/1");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(names(), ["found.json"]);
    let new = outside.path().join("new.txt");
    portcullis(&["scan", "--output", new.to_str().unwrap()], victim.path());
    assert!(std::fs::read_to_string(&new).unwrap().contains("malicious[secret-to-host]"));
    assert_eq!(std::fs::metadata(&new).unwrap().permissions().mode() & 0o600, 0o600);
}

/// A scanned repository may hold a link where the output is to go.
#[test]
fn no_link_is_written_through() {
    let victim = victim();
    let outside = tempfile::tempdir().unwrap();
    let precious = outside.path().join("precious");
    std::fs::write(&precious, "keep").unwrap();
    for (link, target) in [("found.sarif", precious.clone()), ("dangling.sarif", outside.path().join("made"))]
    {
        std::os::unix::fs::symlink(&target, victim.path().join(link)).unwrap();
        let output = portcullis(&["scan", "--output", link], victim.path());
        assert_eq!(output.status.code(), Some(2));
        assert!(complaint(&output).contains("links are not followed"), "{}", complaint(&output));
    }
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "keep");
    assert!(!outside.path().join("made").exists());
    assert_eq!(portcullis(&["scan", "--output", "."], victim.path()).status.code(), Some(2));
    let through = portcullis(&["scan", "--output", "/dev/stdout"], victim.path());
    assert!(String::from_utf8_lossy(&through.stdout).contains("secret-to-host"), "{}", complaint(&through));
}
