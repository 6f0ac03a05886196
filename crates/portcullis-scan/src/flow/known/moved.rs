//! What was noted at one place, brought to another.

use std::collections::HashMap;

use crate::flow::trace::{Delivery, Observation, Publishing};
use crate::flow::value::{Carried, Part, Place, Trail, Value};

/// Brings what was noted at one place to another: hops get their new places, and secrets that came from outside go on from where
/// they come from here.
pub(super) struct Moved<'m> {
    pub(super) from: &'m [Trail],
    pub(super) onto: &'m [Trail],
    pub(super) place: &'m mut Place<'m>,
}

impl Moved<'_> {
    fn carried(&mut self, one: &Carried) -> Carried {
        let trail = one.trail.rebased(self.from, self.onto, self.place);
        Carried { source: one.source.clone(), encodings: one.encodings.clone(), trail, dropped: one.dropped }
    }

    pub(super) fn value(&mut self, value: &Value) -> Value {
        let parts = value.parts.iter().map(|part| match part {
            Part::Carried(carried) => Part::Carried(self.carried(carried)),
            other => other.clone(),
        });
        Value { parts: parts.collect() }
    }

    pub(super) fn delivery(&mut self, one: &Delivery) -> Delivery {
        let (file, bytes) = (self.place)(one.file, one.bytes);
        let carried = one.carried.iter().map(|one| self.carried(one)).collect();
        Delivery { carried, target: self.value(&one.target), file, bytes, client: one.client.clone(), ..*one }
    }

    pub(super) fn observation(&mut self, one: &Observation) -> Observation {
        let (file, bytes) = (self.place)(one.file, one.bytes);
        Observation { detail: self.value(&one.detail), file, bytes, ..*one }
    }

    pub(super) fn publishing(&mut self, one: &Publishing) -> Publishing {
        let (file, bytes) = (self.place)(one.file, one.bytes);
        let carried = one.carried.iter().map(|one| self.carried(one)).collect();
        let (registry, directory) = (one.registry.clone(), one.directory.clone());
        Publishing { registry, carried, file, bytes, directory, ..*one }
    }

    pub(super) fn put<K: Clone + Eq + std::hash::Hash>(
        &mut self,
        changes: &[(K, Option<Value>)],
        map: &mut HashMap<K, Value>,
    ) {
        for (name, value) in changes {
            match value {
                Some(value) => map.insert(name.clone(), self.value(value)),
                None => map.remove(name),
            };
        }
    }
}

/// What is other in `after`.
pub(super) fn changes<K: Clone + Eq + std::hash::Hash>(
    before: &HashMap<K, Value>,
    after: &HashMap<K, Value>,
) -> Vec<(K, Option<Value>)> {
    let gone = before.keys().filter(|name| !after.contains_key(name)).map(|name| (name.clone(), None));
    let new = after
        .iter()
        .filter(|(name, value)| before.get(name).is_none_or(|old| !old.is_same(value)))
        .map(|(name, value)| (name.clone(), Some(value.clone())));
    gone.chain(new).collect()
}
