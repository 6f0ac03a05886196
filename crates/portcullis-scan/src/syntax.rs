//! Syntax trees, copied out of the parser's once. Following a program looks at each node many times, and the parser's own
//! tree computes kind, field and place anew at each look; here they are numbers in a list.
//!
//! Nodes stand in the order of their beginnings, a parent before its children, each with the number of nodes below it.
//! The names are tree-sitter's, as are the kinds and fields of its grammars.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The syntax tree of one text.
#[derive(Clone, Debug)]
pub struct Tree(Arc<Nodes>);

#[derive(Debug)]
struct Nodes {
    names: Arc<Names>,
    entries: Vec<Entry>,
}

/// The names of a grammar's kinds and fields by their numbers.
#[derive(Debug)]
struct Names {
    kinds: Vec<&'static str>,
    fields: Vec<&'static str>,
}

#[derive(Debug)]
struct Entry {
    start: u32,
    end: u32,
    parent: u32,
    /// How many nodes this one and all below it are.
    size: u32,
    children: u32,
    kind: u16,
    /// Its field in its parent; 0 for none.
    field: u16,
    is_named: bool,
    has_error: bool,
}

thread_local! {
    static NAMES: RefCell<HashMap<tree_sitter::Language, Arc<Names>>> = RefCell::default();
}

fn names(language: &tree_sitter::Language) -> Arc<Names> {
    NAMES.with_borrow_mut(|known| {
        let names = known.entry(language.clone()).or_insert_with(|| {
            let kinds = (0..language.node_kind_count()).filter_map(|id| u16::try_from(id).ok());
            let fields = (0..=language.field_count()).filter_map(|id| u16::try_from(id).ok());
            Arc::new(Names {
                kinds: kinds.map(|id| language.node_kind_for_id(id).unwrap_or("")).collect(),
                fields: fields.map(|id| language.field_name_for_id(id).unwrap_or("")).collect(),
            })
        });
        Arc::clone(names)
    })
}

impl Tree {
    /// Copies a tree.
    pub fn of(tree: &tree_sitter::Tree, language: &tree_sitter::Language) -> Self {
        let mut entries: Vec<Entry> = Vec::with_capacity(tree.root_node().descendant_count());
        let mut cursor = tree.walk();
        let mut open: Vec<u32> = Vec::new();
        loop {
            let node = cursor.node();
            let at = entries.len() as u32;
            entries.push(Entry {
                start: node.start_byte() as u32,
                end: node.end_byte() as u32,
                parent: open.last().copied().unwrap_or(u32::MAX),
                size: 1,
                children: node.child_count() as u32,
                kind: node.kind_id(),
                field: cursor.field_id().map_or(0, std::num::NonZero::get),
                is_named: node.is_named(),
                has_error: node.has_error(),
            });
            if cursor.goto_first_child() {
                open.push(at);
                continue;
            }
            loop {
                if cursor.goto_next_sibling() {
                    break;
                }
                let Some(done) = open.pop() else {
                    return Self(Arc::new(Nodes { names: names(language), entries }));
                };
                let length = entries.len() as u32;
                if let Some(entry) = entries.get_mut(done as usize) {
                    entry.size = length - done;
                }
                cursor.goto_parent();
            }
        }
    }

    /// The bytes that it takes.
    pub fn size(&self) -> usize {
        self.0.entries.len() * size_of::<Entry>()
    }

    /// Its root.
    pub fn root_node(&self) -> Node<'_> {
        Node { tree: &self.0, at: 0 }
    }
}

/// A node of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Node<'t> {
    tree: &'t Nodes,
    at: u32,
}

/// Two nodes are the same where they stand in the same tree at the same place.
impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.tree, other.tree) && self.at == other.at
    }
}

impl Eq for Node<'_> {}

/// What `tree-sitter` calls ill-formed text.
const ERROR: &str = "ERROR";

impl<'t> Node<'t> {
    fn entry(self) -> Option<&'t Entry> {
        self.tree.entries.get(self.at as usize)
    }

    fn number(self, of: impl Fn(&Entry) -> u32) -> usize {
        self.entry().map_or(0, of) as usize
    }

    /// Its kind, as the grammar names it.
    pub fn kind(self) -> &'static str {
        let kind = self.entry().map_or(u16::MAX, |entry| entry.kind);
        self.tree.names.kinds.get(usize::from(kind)).copied().unwrap_or(ERROR)
    }

    /// Its field in its parent; empty for none.
    pub fn field_name(self) -> &'static str {
        let field = self.entry().map_or(0, |entry| entry.field);
        self.tree.names.fields.get(usize::from(field)).copied().unwrap_or("")
    }

    /// Where it begins.
    pub fn start_byte(self) -> usize {
        self.number(|entry| entry.start)
    }

    /// Where it ends.
    pub fn end_byte(self) -> usize {
        self.number(|entry| entry.end)
    }

    /// From where to where it stands.
    pub fn byte_range(self) -> Range<usize> {
        self.start_byte()..self.end_byte()
    }

    /// Whether the grammar has a name for it, and not only a text.
    pub fn is_named(self) -> bool {
        self.entry().is_some_and(|entry| entry.is_named)
    }

    /// Whether something in it is ill-formed.
    pub fn has_error(self) -> bool {
        self.entry().is_some_and(|entry| entry.has_error)
    }

    /// The node around it.
    pub fn parent(self) -> Option<Self> {
        let at = self.entry()?.parent;
        (at != u32::MAX).then_some(Self { tree: self.tree, at })
    }

    /// How many children it has.
    pub fn child_count(self) -> usize {
        self.number(|entry| entry.children)
    }

    /// How many of them have a name.
    pub fn named_child_count(self) -> usize {
        self.named_children().count()
    }

    /// Its children.
    pub fn children(self) -> Children<'t> {
        let size = self.entry().map_or(1, |entry| entry.size);
        Children { tree: self.tree, next: self.at + 1, end: self.at + size }
    }

    /// Its children that have a name.
    pub fn named_children(self) -> impl Iterator<Item = Node<'t>> {
        self.children().filter(|child| child.is_named())
    }

    /// Its children in a field.
    pub fn children_by_field_name(self, field: &str) -> impl Iterator<Item = Node<'t>> {
        self.children().filter(move |child| child.field_name() == field)
    }

    /// The first child in a field.
    pub fn child_by_field_name(self, field: &str) -> Option<Self> {
        self.children().find(|child| child.field_name() == field)
    }

    /// A child by its number.
    pub fn child(self, at: usize) -> Option<Self> {
        self.children().nth(at)
    }

    /// A child by its number among those that have a name.
    pub fn named_child(self, at: usize) -> Option<Self> {
        self.named_children().nth(at)
    }

    /// The smallest node below it that covers a range that is not empty.
    pub fn descendant_for_byte_range(self, start: usize, end: usize) -> Option<Self> {
        let covers = |child: &Node<'_>| {
            let own = child.byte_range();
            let reaches = if own.is_empty() { own.end >= start } else { own.end > start };
            own.end >= end && reaches
        };
        let mut node = self;
        while let Some(child) = node.children().find(covers).filter(|child| child.start_byte() <= start) {
            node = child;
        }
        (start < end).then_some(node)
    }
}

/// The children of a node.
#[derive(Clone, Debug)]
pub struct Children<'t> {
    tree: &'t Nodes,
    next: u32,
    end: u32,
}

impl<'t> Iterator for Children<'t> {
    type Item = Node<'t>;

    fn next(&mut self) -> Option<Node<'t>> {
        if self.next >= self.end {
            return None;
        }
        let child = Node { tree: self.tree, at: self.next };
        self.next += child.entry()?.size;
        Some(child)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(theirs: tree_sitter::Node<'_>, ours: Node<'_>, fields: &[&str]) {
        let shape = |node: tree_sitter::Node<'_>| (node.kind(), node.byte_range());
        let own = |node: Node<'_>| (node.kind(), node.byte_range());
        assert_eq!(shape(theirs), own(ours));
        assert_eq!(theirs.is_named(), ours.is_named());
        assert_eq!(theirs.has_error(), ours.has_error());
        assert_eq!(theirs.parent().map(shape), ours.parent().map(own));
        assert_eq!(theirs.child_count(), ours.children().count());
        assert_eq!(theirs.named_child_count(), ours.named_child_count());
        for field in fields {
            let expected = theirs.child_by_field_name(field).map(shape);
            assert_eq!(expected, ours.child_by_field_name(field).map(own), "{field} of {}", ours.kind());
            let mut cursor = theirs.walk();
            let expected: Vec<_> = theirs.children_by_field_name(field, &mut cursor).map(shape).collect();
            assert_eq!(expected, ours.children_by_field_name(field).map(own).collect::<Vec<_>>());
        }
        for (at, child) in ours.children().enumerate() {
            same(theirs.child(at as u32).unwrap(), child, fields);
        }
    }

    fn copied_is_the_same(text: &str, language: tree_sitter::Language) {
        let mut parser = tree_sitter::Parser::new();
        parser.set_language(&language).unwrap();
        let tree = parser.parse(text, None).unwrap();
        let copy = Tree::of(&tree, &language);
        let names = names(&language);
        let (theirs, ours) = (tree.root_node(), copy.root_node());
        same(theirs, ours, names.fields.get(1..).unwrap());
        for start in 0..=text.len() {
            for end in start + 1..=text.len().min(start + 12) {
                let found =
                    theirs.descendant_for_byte_range(start, end).map(|node| (node.kind(), node.byte_range()));
                let own =
                    ours.descendant_for_byte_range(start, end).map(|node| (node.kind(), node.byte_range()));
                assert_eq!(found, own, "{start}..{end}");
            }
        }
    }

    #[test]
    fn a_copy_is_what_was_copied() {
        copied_is_the_same(
            "for f in *.txt; do A=\"$B\" curl -d @\"$f\" <<E >out 2>&1 | tee x\n$(id)\nE\ndone\ncase $x in a) b;; esac; f() { g; }; ((",
            tree_sitter_bash::LANGUAGE.into(),
        );
        copied_is_the_same(
            "import os as o\n@d\nasync def f(a, *b, c=1, **k) -> int:\n    with open(a) as g, h() as i: return [x for x in b if x]\nclass A(B): pass\nx = f'{y!r:>{w}}' % (1,)\nprint(*a, k=v, **d)\ntry:\n  pass\nexcept E as e:\n  raise (\n",
            tree_sitter_python::LANGUAGE.into(),
        );
        copied_is_the_same(
            "const {a: b = 1, ...c} = process.env, d = async x => await f(`${x}`, ...y);\nclass A extends B { static #p = 1; get z() { return this.q?.[0] } }\nfor (const k of d) if (k) { k.x += 1 } else ; new X; /r/g.exec(s); label: while(1) {",
            tree_sitter_javascript::LANGUAGE.into(),
        );
        copied_is_the_same(
            "param([string]$A = 'x')\n$h = @{ a = 1; b = \"$($env:X) $A\" }\nforeach ($k in $h.Keys) { Invoke-RestMethod -Uri $u -Body ($h | ConvertTo-Json) @splat }\nif ($x -eq 1) { & $y } elseif (2) { } else { [Convert]::ToBase64String($z) } }",
            tree_sitter_powershell::LANGUAGE.into(),
        );
    }
}
