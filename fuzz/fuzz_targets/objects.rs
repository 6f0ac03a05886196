//! Any bytes where an object database has its parts: a loose object, a pack with its index, packed references, a reflog.
//! The first byte chooses the part. Nothing may panic, and what can't be read is a problem.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis_scan::{Options, scan};

const PARTS: &[&str] = &[
    "objects/ab/cdef0123456789abcdef0123456789abcdef01",
    "objects/pack/pack-abcdef0123456789abcdef0123456789abcdef01.pack",
    "objects/pack/pack-abcdef0123456789abcdef0123456789abcdef01.idx",
    "objects/info/commit-graph",
    "packed-refs",
    "logs/HEAD",
    "refs/heads/main",
    "HEAD",
    "config",
    "shallow",
];

fn write(git: &Path, part: &str, bytes: &[u8]) {
    let path = git.join(part);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, bytes).expect("a file");
}

fuzz_target!(|input: (u8, &[u8])| {
    let (part, bytes) = input;
    let folder = tempfile::tempdir().expect("a folder");
    let git = folder.path().join(".git");
    for (part, bytes) in [("HEAD", "ref: refs/heads/main\n"), ("refs/heads/main", "abcdef0123456789abcdef0123456789abcdef01\n"), ("config", "[core]\n\trepositoryformatversion = 0\n")] {
        write(&git, part, bytes.as_bytes());
    }
    std::fs::create_dir_all(git.join("objects/pack")).expect("a folder");
    write(&git, PARTS[usize::from(part) % PARTS.len()], bytes);
    let options = Options { paths: vec![folder.path().to_owned()], history: true, ..Options::default() };
    let document = scan(&options).document;
    assert!(document.problems.iter().all(|problem| problem.kind != "internal-error"));
});
