//! Programs of the repository that were followed before. Steps that differ in what has nothing to do with a program run
//! the same program: a file that a dozen workflows call in a hundred versions is followed once for each text of it and
//! each environment that it can see.
//!
//! Of the environment only what carries secrets, the arguments, the inputs of an action, and the variables that the
//! program's text names are in the key. A name that it puts together while it runs is not told apart: what such a variable
//! holds is no secret, for all that carry one are in the key.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::key::{Ways, add, add_value, add_values};
use super::{Begun, KnownSteps, Met, OF_THIS_SCAN, STATE_BYTES_MAX};
use crate::flow::command::Language;
use crate::flow::script::Script;
use crate::flow::value::Value;
use crate::flow::{JobState, Tracer, share_of_program, sorted};

/// A program as a step runs it.
pub(in crate::flow) struct Run<'r> {
    pub(in crate::flow) environment: &'r HashMap<String, Value>,
    pub(in crate::flow) language: Language,
    pub(in crate::flow) script: &'r Script,
    pub(in crate::flow) depth: usize,
}

impl Run<'_> {
    /// What it prints: as it was found before, or as `follow` finds.
    pub(in crate::flow) fn output(
        &self,
        tracer: &mut Tracer<'_>,
        state: &mut JobState,
        follow: impl FnOnce(&mut Tracer<'_>, &mut JobState) -> Value,
    ) -> Value {
        let steps = OF_THIS_SCAN.with_borrow(Clone::clone);
        let met = steps.and_then(|steps| Some((steps, self.met(tracer, state)?)));
        let rest = tracer.budget - share_of_program(tracer.budget);
        let Some((steps, met)) = met else {
            tracer.budget -= rest;
            let output = follow(tracer, state);
            tracer.budget += rest;
            return output;
        };
        if let Some(output) = steps.put_back(tracer, state, &met) {
            return output;
        }
        // The step around it is being noted, too.
        let (opened, lacked_room) = (std::mem::take(&mut tracer.opened), tracer.lacked_room);
        let begun = Begun::with(tracer, state, met);
        tracer.budget -= rest;
        let output = follow(tracer, state);
        self.keep(&steps, tracer, state, begun, &output);
        tracer.budget += rest;
        tracer.lacked_room |= lacked_room;
        let inner = std::mem::replace(&mut tracer.opened, opened);
        tracer.opened.extend(inner);
        output
    }

    fn keep(
        &self,
        steps: &KnownSteps,
        tracer: &mut Tracer<'_>,
        state: &JobState,
        begun: Begun,
        output: &Value,
    ) {
        // What it runs sees the same environment and may name other variables.
        let files = tracer.trace.files.iter().filter(|file| tracer.opened.contains(&file.path));
        let texts: Vec<String> = files.map(|file| file.text.to_ascii_lowercase()).collect();
        let own = self.script.text.to_ascii_lowercase();
        let unseen = self.environment.iter().filter(|(name, value)| !is_seen(name, value, &own));
        if unseen.into_iter().any(|(name, value)| texts.iter().any(|text| is_seen(name, value, text))) {
            begun.end(tracer);
        } else {
            begun.keep(steps, tracer, state, output.clone());
        }
    }

    /// What the program meets; `None` for one that no file of the repository holds as a whole.
    fn met(&self, tracer: &Tracer<'_>, state: &JobState) -> Option<Met> {
        let home = self.script.whole_file()?;
        let file = tracer.trace.files.get(home)?;
        let mut hash = Sha256::new();
        // The program makes no hops in the workflow itself.
        let mut met = Ways::through(tracer, &[], 0);
        add(&mut hash, b"program");
        add(&mut hash, format!("{:?} {} {}", self.language, self.depth, tracer.self_hosted).as_bytes());
        add(&mut hash, file.path.as_bytes());
        add(&mut hash, self.script.text.as_bytes());
        let text = self.script.text.to_ascii_lowercase();
        for (name, value) in sorted(self.environment) {
            if is_seen(name, value, &text) {
                add(&mut hash, name.as_bytes());
                add_value(&mut hash, &mut met, value)?;
            }
        }
        hash.update([u8::MAX; 16]);
        // All of them, whatever others there will be. What steps added is in the environment, and no program sees outputs.
        let JobState { files, added: _, outputs: _, remotes, path, folder, folders, is_full } = state;
        let size = |values: &HashMap<String, Value>| values.values().map(Value::size).sum::<usize>();
        if *is_full || size(files) + size(remotes) > STATE_BYTES_MAX {
            return None;
        }
        for values in [files, remotes] {
            add_values(&mut hash, &mut met, values)?;
        }
        for folder in path.iter().chain([folder]).chain(folders) {
            add(&mut hash, folder.as_bytes());
        }
        hash.update((path.len() as u64).to_le_bytes());
        for text in &tracer.decoded {
            add(&mut hash, text.as_bytes());
        }
        let own = 0..u32::try_from(file.text.len()).ok()?;
        let share = share_of_program(tracer.budget);
        Some(Met { key: hash.finalize().into(), share, home, own, met: met.trails })
    }
}

/// Whether a program with this text, in lower case, may see a variable. PowerShell does not tell the cases of its name apart.
fn is_seen(name: &str, value: &Value, text: &str) -> bool {
    value.carries()
        || name.starts_with("PORTCULLIS_")
        || name.starts_with("INPUT_")
        || text.contains(&name.to_ascii_lowercase())
}
