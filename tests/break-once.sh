#!/usr/bin/env bash
# Shows that the story can fail: breaks one thing at a time in a copy of the sources, builds it, and expects the story to
# fail. Not part of CI (three builds); run it after changing the story or one of the places below.
#
#   tests/break-once.sh                 all three
#   tests/break-once.sh containment     one of: containment, flow, claims
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/broken"
tar -C "$root" --exclude ./target --exclude ./.venv --exclude ./.git -cf - . | tar -C "$copy" -xf -

# replace FILE OLD NEW: exactly one place, or this script is out of date
replace() {
  python3 - "$copy/$1" "$2" "$3" <<'PYTHON'
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
if text.count(old) != 1:
    sys.exit(f"{path}: expected exactly one {old!r}, found {text.count(old)}; bring tests/break-once.sh up to date")
open(path, "w").write(text.replace(old, new))
PYTHON
}

break_containment() { # the decision is written down and announced, and no token is suspended
  replace crates/portcullis-index/src/desk/containment.rs \
    'tokens::set_state(tx, token_id, &suspended).await?;' 'let _ = (token_id, &suspended);'
}

break_flow() { # secrets enter, and arrive nowhere
  replace crates/portcullis-scan/src/flow.rs 'if carried.is_empty() || self' 'if !carried.is_empty() || self'
}

break_claims() { # any workflow of the repository will do
  local file=crates/portcullis-trust/src/providers/github.rs
  replace $file '} else if configuration.workflow != job.workflow {' '} else if configuration.workflow.is_empty() {'
  replace $file 'self.check_workflow(job)?;' 'drop(self.check_workflow(job));'
}

failed=0
for what in ${1:-containment flow claims}; do
  printf '\n== %s: broken\n' "$what"
  rm -rf "$copy/crates" && cp -r "$root/crates" "$copy/crates"
  "break_$what"
  (cd "$copy" && cargo build --quiet --package portcullis)
  if output="$(cd "$root" && PORTCULLIS_BINARY="$CARGO_TARGET_DIR/debug/portcullis" .venv/bin/python -m pytest tests/test_story.py \
      -k 'sqlite and command' --tb=short -q 2>&1)"; then
    printf 'NOT NOTICED: the story passes although %s is broken\n' "$what"
    failed=1
  else
    printf '%s\n' "$output" | grep -E '^(E  |tests/test_story.py:|FAILED)' | head -12
    printf 'noticed: the story fails while %s is broken\n' "$what"
  fi
done
exit "$failed"
