//! Programs of the repository that were followed before. Steps that differ in what has nothing to do with a program run
//! the same program: a file that a dozen workflows call in a hundred versions is followed once for each text of it, each
//! environment, and whatever steps left for it.
//!
//! All of the environment is in the key, also what the program's text does not name: tools that it runs read variables of
//! their own, and it may put names together while it runs.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::key::{Ways, add, add_values};
use super::{Begun, Met, OF_THIS_SCAN, STATE_BYTES_MAX};
use crate::flow::command::Language;
use crate::flow::script::Script;
use crate::flow::value::Value;
use crate::flow::{JobState, Tracer, share_of_program};

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
        // It is compared with those before at each run, which costs what it reads for that.
        let (beside, read) = (self.environment.values(), state.files.values());
        let size: usize = beside.chain(read).chain(state.remotes.values()).map(Value::size).sum();
        tracer.charge_bytes(self.script.text.len() + size);
        let steps = OF_THIS_SCAN.with_borrow(Clone::clone);
        let met = steps.and_then(|steps| Some((steps, self.met(tracer, state)?)));
        let rest = tracer.budget - share_of_program(tracer.budget);
        // What the step around it comes to depends on the share that its programs got of it.
        tracer.parted = true;
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
        begun.keep(&steps, tracer, state, output.clone());
        tracer.budget += rest;
        tracer.parted = true;
        tracer.lacked_room |= lacked_room;
        for path in std::mem::replace(&mut tracer.opened, opened) {
            if !tracer.opened.contains(&path) {
                tracer.opened.push(path);
            }
        }
        output
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
        add_values(&mut hash, &mut met, self.environment)?;
        // All of them, whatever others there will be. What steps added is in the environment, and no program sees outputs.
        let JobState { files, added: _, outputs: _, remotes, path, folder, folders, is_full } = state;
        let size = |values: &HashMap<String, Value>| values.values().map(Value::size).sum::<usize>();
        if *is_full || size(files) + size(remotes) > STATE_BYTES_MAX {
            return None;
        }
        for values in [files, remotes] {
            add_values(&mut hash, &mut met, values)?;
        }
        add(&mut hash, folder.as_bytes());
        for folders in [path, folders] {
            hash.update((folders.len() as u64).to_le_bytes());
            for folder in folders {
                add(&mut hash, folder.as_bytes());
            }
        }
        for text in &tracer.decoded {
            add(&mut hash, text.as_bytes());
        }
        let own = 0..u32::try_from(file.text.len()).ok()?;
        let share = share_of_program(tracer.budget);
        Some(Met { key: hash.finalize().into(), share, home, own, met: met.trails })
    }
}
