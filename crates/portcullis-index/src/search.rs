//! Finding projects by a part of their name.

use crate::app::App;
use crate::store;
use crate::store::projects::{self, Project};

/// Longest text that is searched for, in characters.
pub const QUERY_LIMIT: usize = 100;
/// Most projects that a search answers.
const HIT_LIMIT: i64 = 100;

/// What a search found.
#[derive(Debug)]
pub struct Hits {
    /// By name.
    pub projects: Vec<Project>,
    /// Whether there are more than are shown.
    pub more: bool,
}

/// The projects whose normalised name (PEP 503) has the text in it; all of them for an empty text.
///
/// # Errors
/// Where the database refuses.
pub async fn by_name(app: &App, text: &str) -> store::Result<Hits> {
    let text: String = text.trim().chars().take(QUERY_LIMIT).collect();
    let mut tx = app.store.read().await?;
    let mut projects = projects::named_like(&mut tx, &normalised_part(&text), HIT_LIMIT + 1).await?;
    let limit = usize::try_from(HIT_LIMIT).unwrap_or(usize::MAX);
    let more = projects.len() > limit;
    projects.truncate(limit);
    Ok(Hits { projects, more })
}

/// As PEP 503 normalises, but a dash at either end stays: it is a part of a name, not one.
fn normalised_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '-' | '_' | '.' if part.ends_with('-') => {}
            '-' | '_' | '.' => part.push('-'),
            other => part.extend(other.to_lowercase()),
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_normalised_like_names() {
        assert_eq!(normalised_part("Foo._Bar"), "foo-bar");
        assert_eq!(normalised_part("-x_"), "-x-");
        assert_eq!(normalised_part("100%"), "100%");
    }
}
