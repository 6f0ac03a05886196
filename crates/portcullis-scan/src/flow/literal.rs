//! Literal text inside of values.

use std::ops::Deref;
use std::sync::Arc;

/// Bytes from which on a text is shared between the values that hold it: copying a shorter one costs less.
const SHARED_MIN: usize = 256;

/// Literal text. A long one is shared, so that a value may be handed on without a copy of it.
#[derive(Clone, Debug)]
pub struct Text(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Own(String),
    Shared(Arc<String>),
}

impl Text {
    /// A text.
    pub fn new(text: String) -> Self {
        if text.len() < SHARED_MIN { Self(Kept::Own(text)) } else { Self(Kept::Shared(Arc::new(text))) }
    }

    /// The text, to be changed; copied first where others hold it.
    pub fn to_mut(&mut self) -> &mut String {
        match &mut self.0 {
            Kept::Own(text) => text,
            Kept::Shared(text) => Arc::make_mut(text),
        }
    }

    /// Puts more behind it.
    pub fn push_str(&mut self, more: &str) {
        self.to_mut().push_str(more);
        if let Kept::Own(text) = &mut self.0
            && text.len() >= SHARED_MIN
        {
            self.0 = Kept::Shared(Arc::new(std::mem::take(text)));
        }
    }

    /// Whether another value holds the very same text.
    pub fn is_shared(&self) -> bool {
        matches!(&self.0, Kept::Shared(text) if Arc::strong_count(text) > 1)
    }

    /// The text as a slice.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kept::Own(text) => text,
            Kept::Shared(text) => text,
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_text_is_changed_for_its_holder_only() {
        let mut text = Text::new("x".repeat(SHARED_MIN - 1));
        text.push_str("yz");
        let before = text.clone();
        text.push_str("!");
        assert!(!text.is_shared() && text.clone().is_shared());
        assert!(before.ends_with("yz") && text.ends_with("yz!"));
        assert_ne!(before, text);
    }
}
