//! What one job keeps of its build, and another fetches.

use super::files::Files;
use super::pins;

/// Files that go from job to job under a name.
pub(super) struct Artifact {
    pub(super) files: Files,
    /// The name, without what tells the runs of a matrix apart.
    pub(super) name: String,
    /// Whether each run of a matrix keeps one of its own.
    pub(super) of_matrix: bool,
}

impl Artifact {
    /// The step that keeps it.
    pub(super) fn upload(&self, dash: &str, unit: &str, newline: &str, condition: Option<&str>) -> String {
        let mut text = format!("{dash}- uses: {}{newline}", pins::UPLOAD.reference());
        if let Some(condition) = condition {
            text.push_str(&format!("{dash}  if: {condition}{newline}"));
        }
        // Artifacts of one run share their names.
        let number = if self.of_matrix { "-${{ strategy.job-index }}" } else { "" };
        let path = self.files.path(&format!("{dash}  {unit}{unit}"), newline);
        text.push_str(&format!(
            "{dash}  with:{newline}{dash}  {unit}name: {}{number}{newline}{dash}  {unit}path:{path}{newline}",
            self.name
        ));
        text
    }

    /// The step that fetches it.
    pub(super) fn download(&self, dash: &str, unit: &str, newline: &str, into: &str) -> String {
        let mut text = format!("{dash}- uses: {}{newline}{dash}  with:{newline}", pins::DOWNLOAD.reference());
        if self.of_matrix {
            text.push_str(&format!(
                "{dash}  {unit}pattern: {}-*{newline}{dash}  {unit}merge-multiple: true{newline}",
                self.name
            ));
        } else {
            text.push_str(&format!("{dash}  {unit}name: {}{newline}", self.name));
        }
        text.push_str(&format!("{dash}  {unit}path: {}/{newline}", into.trim_end_matches('/')));
        text
    }
}
