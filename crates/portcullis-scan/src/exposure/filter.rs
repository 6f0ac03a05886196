//! GitHub's filter patterns, by which a workflow says which branches and tags start it.
//!
//! `*` is anything but `/`, `**` anything, `?` makes the character before it optional, `+` repeats it, `[a-z0-9]` is one
//! of these, `!` at the beginning takes out again, `\` makes the next character ordinary; braces are ordinary
//! (GitHub, "Workflow syntax: Filter pattern cheat sheet"). The patterns are hostile: they are matched by walking a set of
//! positions, without recursion or backtracking, and within a budget. What can't be decided counts as "may run", so
//! that no pattern hides a theft.

use std::cell::Cell;

/// Longest pattern that is read, in bytes. Names of branches are shorter (GitHub: 255 bytes).
const PATTERN_MAX: usize = 1_000;
/// Most patterns of one list that are read.
const PATTERNS_MAX: usize = 256;
/// Most steps that the patterns of one list may take over all references: thousands of references with ordinary
/// patterns take a fraction of it.
const STEPS_MAX: usize = 10_000_000;

/// A list of patterns, read once.
#[derive(Debug)]
pub struct Filter {
    /// In the order of the file; `None` is one that can't be read.
    patterns: Vec<(bool, Option<Pattern>)>,
    steps_left: Cell<usize>,
}

impl Filter {
    /// Reads a list.
    pub fn new(patterns: &[String]) -> Self {
        let mut read: Vec<_> = patterns
            .iter()
            .take(PATTERNS_MAX)
            .map(|pattern| match pattern.strip_prefix('!') {
                Some(rest) => (true, Pattern::new(rest)),
                None => (false, Pattern::new(pattern)),
            })
            .collect();
        if patterns.len() > PATTERNS_MAX {
            read.push((false, None));
        }
        Self { patterns: read, steps_left: Cell::new(STEPS_MAX) }
    }

    /// Whether the list takes a name in, as `branches:` does: the last pattern that matches decides. A pattern that can't
    /// be decided takes the name in, whatever stands after it.
    pub fn may_include(&self, name: &str) -> bool {
        let mut included = false;
        for (negative, pattern) in &self.patterns {
            match self.decide(pattern.as_ref(), name) {
                Some(true) => included = !negative,
                Some(false) => {}
                None if *negative => {}
                None => return true,
            }
        }
        included
    }

    /// Whether the list surely leaves a name out, as `branches-ignore:` does.
    pub fn surely_excludes(&self, name: &str) -> bool {
        let mut excluded = false;
        for (negative, pattern) in &self.patterns {
            match self.decide(pattern.as_ref(), name) {
                Some(true) => excluded = !negative,
                Some(false) => {}
                None if *negative => return false,
                None => {}
            }
        }
        excluded
    }

    fn decide(&self, pattern: Option<&Pattern>, name: &str) -> Option<bool> {
        let mut left = self.steps_left.get();
        let decided = pattern?.matches(name, &mut left);
        self.steps_left.set(left);
        decided
    }
}

#[derive(Debug)]
enum Atom {
    /// This character.
    Is(char),
    /// One of these ranges.
    Of(Vec<(char, char)>),
    /// Any but `/`.
    InFolder,
    /// Any.
    Any,
}

impl Atom {
    fn takes(&self, character: char) -> bool {
        match self {
            Atom::Is(own) => *own == character,
            Atom::Of(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&character)),
            Atom::InFolder => character != '/',
            Atom::Any => true,
        }
    }
}

#[derive(Debug)]
struct Piece {
    atom: Atom,
    optional: bool,
    repeats: bool,
    /// How many pieces may be left out from here on: `**/` may be none at all. Zero for an ordinary piece.
    skips: usize,
}

/// One pattern.
#[derive(Debug)]
pub struct Pattern(Vec<Piece>);

impl Pattern {
    /// Reads a pattern without its `!`; `None` for one that GitHub refuses or that is too long.
    pub fn new(text: &str) -> Option<Self> {
        if text.len() > PATTERN_MAX {
            return None;
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut characters = text.chars().peekable();
        let mut at_start = true;
        while let Some(character) = characters.next() {
            let whole_folder = std::mem::replace(&mut at_start, character == '/');
            let star = |atom| Piece { atom, optional: true, repeats: true, skips: 0 };
            let one = |atom| Piece { atom, optional: false, repeats: false, skips: 0 };
            match character {
                '*' => {
                    let mut stars = 1;
                    while characters.next_if_eq(&'*').is_some() {
                        stars += 1;
                    }
                    if stars == 1 {
                        pieces.push(star(Atom::InFolder));
                        continue;
                    }
                    if whole_folder && characters.peek() == Some(&'/') {
                        pieces.push(Piece {
                            atom: Atom::Of(Vec::new()),
                            optional: true,
                            repeats: false,
                            skips: 3,
                        });
                    }
                    pieces.push(star(Atom::Any));
                }
                '?' => pieces.last_mut()?.optional = true,
                '+' => pieces.last_mut()?.repeats = true,
                '[' => {
                    let mut ranges = Vec::new();
                    loop {
                        let from = match characters.next()? {
                            ']' => break,
                            '\\' => characters.next()?,
                            from => from,
                        };
                        let mut rest = characters.clone();
                        match (rest.next(), rest.next()) {
                            (Some('-'), Some(to)) if to != ']' => {
                                ranges.push((from, to));
                                characters = rest;
                            }
                            _ => ranges.push((from, from)),
                        }
                    }
                    pieces.push(one(Atom::Of(ranges)));
                }
                '\\' => pieces.push(one(Atom::Is(characters.next()?))),
                other => pieces.push(one(Atom::Is(other))),
            }
        }
        Some(Self(pieces))
    }

    /// Whether it matches a whole name; `None` when the steps run out before that is known.
    pub fn matches(&self, name: &str, steps_left: &mut usize) -> Option<bool> {
        let mut here = vec![false; self.0.len() + 1];
        let mut next = here.clone();
        mark(&mut here, 0);
        self.skip_over(&mut here);
        for character in name.chars() {
            *steps_left = steps_left.checked_sub(here.len())?;
            next.fill(false);
            let mut alive = false;
            for (at, piece) in self.0.iter().enumerate() {
                if here.get(at) == Some(&true) && piece.atom.takes(character) {
                    alive = true;
                    mark(&mut next, at + 1);
                    if piece.repeats {
                        mark(&mut next, at);
                    }
                }
            }
            if !alive {
                return Some(false);
            }
            self.skip_over(&mut next);
            std::mem::swap(&mut here, &mut next);
        }
        Some(here.last() == Some(&true))
    }

    /// Adds the positions that are reached without a character.
    fn skip_over(&self, positions: &mut [bool]) {
        for (at, piece) in self.0.iter().enumerate() {
            if positions.get(at) == Some(&true) {
                if piece.optional {
                    mark(positions, at + 1);
                }
                if piece.skips > 0 {
                    mark(positions, at + piece.skips);
                }
            }
        }
    }
}

fn mark(positions: &mut [bool], at: usize) {
    if let Some(position) = positions.get_mut(at) {
        *position = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(patterns: &[&str]) -> Filter {
        Filter::new(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
    }

    /// The examples of GitHub's cheat sheet, and what stands next to them.
    #[test]
    fn patterns_match_as_github_says() {
        for (pattern, name, matched) in [
            ("feature/*", "feature/my-branch", true),
            ("feature/*", "feature/a/b", false),
            ("feature/**", "feature/beta-a/my-branch", true),
            ("releases/mona-the-octocat", "releases/mona-the-octocat", true),
            ("*", "main", true),
            ("*", "a/b", false),
            ("**", "every/branch/and/tag", true),
            ("*feature", "mona-feature", true),
            ("*feature", "mona/feature", false),
            ("v2*", "v2.9", true),
            ("v[12].[0-9]+.[0-9]+", "v1.10.1", true),
            ("v[12].[0-9]+.[0-9]+", "v3.10.1", false),
            ("v[12].[0-9]+.[0-9]+", "v1..1", false),
            ("*.jsx?", "page.js", true),
            ("*.jsx?", "page.jsx", true),
            ("*.jsx?", "page.jsxx", false),
            ("**/README.md", "README.md", true),
            ("**/README.md", "js/README.md", true),
            ("**/README.md", "jsREADME.md", false),
            ("a/**/b", "a/b", true),
            ("a**/b", "ab", false),
            ("{a,b}", "{a,b}", true),
            ("{a,b}", "a", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("[a-]", "-", true),
            ("äö+", "äöö", true),
            ("", "a", false),
        ] {
            let pattern_read = Pattern::new(pattern).unwrap();
            let found = pattern_read.matches(name, &mut 100_000);
            assert_eq!(found, Some(matched), "{pattern} {name}");
        }
    }

    #[test]
    fn the_last_match_decides() {
        assert!(filter(&["releases/**", "!releases/**-alpha"]).may_include("releases/10"));
        assert!(!filter(&["releases/**", "!releases/**-alpha"]).may_include("releases/10-alpha"));
        assert!(filter(&["!dev", "dev"]).may_include("dev"));
        assert!(!filter(&["!dev"]).may_include("main"));
        assert!(filter(&["dev"]).surely_excludes("dev"));
    }

    #[test]
    fn what_cannot_be_decided_may_run() {
        let fits = "a".repeat(PATTERN_MAX);
        let too_long = "a".repeat(PATTERN_MAX + 1);
        assert!(!filter(&[&fits]).may_include("main"));
        assert!(filter(&[&too_long]).may_include("main"));
        assert!(!filter(&[&too_long]).surely_excludes("main"));
        assert!(filter(&["main", &format!("!{too_long}")]).may_include("main"));
        for broken in ["[", "?", "+", "a\\", "[a"] {
            assert!(filter(&[broken, "!**"]).may_include("main"), "{broken}");
        }
        let mut many = vec!["x"; PATTERNS_MAX];
        assert!(!filter(&many).may_include("main"));
        many.push("x");
        assert!(filter(&many).may_include("main"));
    }

    #[test]
    fn hostile_patterns_end() {
        let stars = "**a".repeat(PATTERN_MAX / 3);
        let list = filter(&vec![stars.as_str(); PATTERNS_MAX]);
        let name = "a".repeat(1_000) + "b";
        for _ in 0..2_000 {
            // Once the steps are spent, each further reference costs nothing and may run.
            list.may_include(&name);
        }
        assert!(list.may_include("a/b"));
        assert!(filter(&[&"{".repeat(200_000)]).may_include("main"));
    }
}
