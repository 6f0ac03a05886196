//! `portcullis fix`: what the library proposes, as a diff or written, and where the new identity is registered.

mod malicious;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use portcullis_scan::publishing::package;
use portcullis_scan::report::{Standing, Verdict};
use portcullis_scan::rewrite::{self, Publisher, Rewritten};
use portcullis_scan::scan::{Folder, root_of};
use portcullis_scan::source::{self, Source};
use portcullis_scan::text::{Lines, escape};
use serde_json::{Value, json};
use similar::TextDiff;

use crate::{Outcome, TextFormat, output};

/// Largest workflow that is read; the scanner's own limit.
const WORKFLOW_MAX: u64 = 1 << 20;
/// Most workflows of one repository.
const WORKFLOWS_MAX: usize = 1_000;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  portcullis fix                      show what would change in this repository
  portcullis fix --write              change it
  portcullis fix --format json        the same for programs, with the identities to register
  portcullis fix --write --register https://packages.example.org
  portcullis fix --remove-malicious --write   take malicious workflows out of every branch

Exit code 0: nothing to change; 1: changes proposed or made; 2: could not run.")]
pub(crate) struct Arguments {
    /// A work tree, or one workflow file
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// Change the files; without it nothing is written
    #[arg(long)]
    write: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = TextFormat::Human)]
    format: TextFormat,
    /// The environment of jobs that have none yet
    #[arg(long, value_name = "NAME", default_value = "pypi")]
    environment: String,
    /// Which repository this is, where the remote's URL doesn't say
    #[arg(long, value_name = "HOST/OWNER/NAME")]
    identity: Option<String>,
    /// Register the publishers with a Portcullis server (its token: PORTCULLIS_TOKEN, or --token-file)
    #[arg(long, value_name = "URL")]
    register: Option<String>,
    /// A file with the management token, instead of the environment's PORTCULLIS_TOKEN
    #[arg(long, value_name = "FILE", requires = "register")]
    token_file: Option<PathBuf>,
    /// The project does not exist yet: its first job creates it
    #[arg(long, requires = "register")]
    pending: bool,
    #[command(flatten)]
    removal: malicious::Arguments,
}

/// One workflow, and what becomes of it.
struct Fixed {
    /// Its path from the repository's root.
    name: String,
    path: PathBuf,
    before: String,
    after: Rewritten,
}

/// Who publishes, with all that a registration asks for.
struct Registration {
    publisher: Publisher,
    owner: Option<String>,
    repository: Option<String>,
    project: Option<String>,
}

/// Proposes or makes the changes.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    if arguments.removal.remove_malicious {
        return malicious::run(&arguments.removal, &arguments.path, arguments.write, arguments.format);
    }
    let (root, paths) = workflows(&arguments.path)?;
    let files = Folder(root.clone());
    let options = rewrite::Options { environment: environment(&arguments.environment)? };
    let mut read = Vec::new();
    for path in paths {
        let bytes = source::read_file(&path, WORKFLOW_MAX).map_err(anyhow::Error::msg);
        let bytes = bytes.with_context(|| format!("reading `{}`", path.display()))?;
        let Ok(before) = String::from_utf8(bytes) else { continue };
        let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        read.push((path, (name, before)));
    }
    let (paths, texts): (Vec<PathBuf>, Vec<(String, String)>) = read.into_iter().unzip();
    let answers = rewrite::rewrite_all(&texts, &files, &options);
    let fixed: Vec<Fixed> = paths
        .into_iter()
        .zip(texts)
        .zip(answers)
        .filter_map(|((path, (name, before)), after)| Some(Fixed { name, path, before, after: after? }))
        .collect();
    let identity = arguments.identity.clone().or_else(|| identity(&root));
    let registrations = registrations(&fixed, identity.as_deref(), &files);
    let changed = fixed.iter().any(|one| one.before != one.after.text);
    if arguments.register.is_some() {
        refuse_while_malicious(&root)?;
    }
    if arguments.write {
        for one in fixed.iter().filter(|one| one.before != one.after.text) {
            write(&one.path, &one.after.text)?;
        }
    }
    match arguments.format {
        TextFormat::Human => print_human(arguments, &fixed, &registrations)?,
        TextFormat::Json => print_json(&fixed, &registrations)?,
    }
    if let Some(server) = &arguments.register {
        register(arguments, server, &registrations)?;
    }
    Ok(if changed { Outcome::Found } else { Outcome::Done })
}

/// GitHub takes other characters in an environment's name too; these need no quotes in YAML.
fn environment(name: &str) -> anyhow::Result<String> {
    let plain = !name.is_empty()
        && name.len() <= 255
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !plain {
        bail!("--environment {name:?}: expected a letter, then letters, digits, `-`, `_` and `.`");
    }
    Ok(name.to_owned())
}

/// The repository's root, and its workflows or the one that is named.
fn workflows(path: &Path) -> anyhow::Result<(PathBuf, Vec<PathBuf>)> {
    let metadata = std::fs::metadata(path).with_context(|| format!("reading `{}`", path.display()))?;
    if metadata.is_file() {
        let root = root_of(path).or_else(|| path.parent().map(Path::to_owned)).unwrap_or_default();
        return Ok((root, vec![path.to_owned()]));
    }
    let folder = path.join(".github/workflows");
    let entries = std::fs::read_dir(&folder).with_context(|| {
        format!("looking for workflows in `{}`: give a work tree or a workflow file", folder.display())
    })?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("reading `{}`", folder.display()))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let path = entry.path();
        let is_yaml = path.extension().is_some_and(|kind| kind == "yml" || kind == "yaml");
        if is_file && is_yaml {
            found.push(path);
        }
    }
    if found.len() > WORKFLOWS_MAX {
        bail!("`{}` holds {} workflows, and at most {WORKFLOWS_MAX} are read", folder.display(), found.len());
    }
    found.sort();
    Ok((path.to_owned(), found))
}

fn identity(root: &Path) -> Option<String> {
    source::find(root).ok()?.sources.into_iter().find_map(|found| match found {
        Source::Repository { git, work_tree } if work_tree.as_deref().is_none_or(|tree| tree == root) => {
            portcullis_scan::objects::open(&git).ok()?.name_as_written()
        }
        _ => None,
    })
}

fn registrations(fixed: &[Fixed], identity: Option<&str>, files: &Folder) -> Vec<Registration> {
    let part = |at: usize| identity.and_then(|identity| identity.split('/').nth(at)).map(str::to_owned);
    fixed
        .iter()
        .flat_map(|one| &one.after.publishers)
        .map(|publisher| Registration {
            publisher: publisher.clone(),
            owner: part(1),
            repository: part(2),
            project: package(&publisher.registry, publisher.directory.as_deref(), files),
        })
        .collect()
}

/// A repository that still holds a theft gets no new right.
fn refuse_while_malicious(root: &Path) -> anyhow::Result<()> {
    let options = portcullis_scan::Options {
        paths: vec![root.to_owned()],
        history: true,
        ..portcullis_scan::Options::default()
    };
    let report = portcullis_scan::scan(&options);
    let standing = |finding: &&portcullis_scan::report::Finding| {
        let stands =
            finding.exposures.iter().any(|exposure| exposure.refs.iter().any(|span| span.removed.is_none()));
        finding.verdict == Verdict::Malicious
            && finding.standing != Standing::Foreign
            && (stands || finding.exposures.is_empty())
    };
    if let Some(finding) = report.document.findings.iter().find(standing) {
        bail!(
            "registering is refused: `{}` carries secrets away and still stands (finding {}); take it out first, see `portcullis scan`",
            finding.path.for_terminal(),
            finding.id
        );
    }
    Ok(())
}

/// Puts a text in a file's place at once: whoever reads it sees the old or the new one.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let context = || format!("writing `{}`", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if std::fs::symlink_metadata(path).with_context(context)?.is_symlink() {
        bail!("writing `{}`: it is a link, and links are not followed", path.display());
    }
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
    file.write_all(text.as_bytes()).with_context(context)?;
    let permissions = std::fs::metadata(path).with_context(context)?.permissions();
    file.as_file().set_permissions(permissions).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(())
}

fn print_human(arguments: &Arguments, fixed: &[Fixed], registrations: &[Registration]) -> anyhow::Result<()> {
    let log = output::actions::is_log();
    output::actions::marked(&mut anstream::stdout().lock(), log, |out| print_diffs(out, fixed))?;
    print_notes(arguments, fixed, registrations)
}

fn print_diffs(out: &mut dyn Write, fixed: &[Fixed]) -> std::io::Result<()> {
    for one in fixed.iter().filter(|one| one.before != one.after.text) {
        let name = escape(&one.name, Lines::One);
        let diff = TextDiff::from_lines(&one.before, &one.after.text);
        let text = diff.unified_diff().header(&format!("a/{name}"), &format!("b/{name}")).to_string();
        for line in text.split_inclusive('\n') {
            // A carriage return at the end of a line is how the file has it; anywhere else it would overwrite the line.
            let (line, end) = match line.strip_suffix("\r\n") {
                Some(line) => (line, "\r\n"),
                None => (line.strip_suffix('\n').unwrap_or(line), "\n"),
            };
            write!(out, "{}{end}", escape(line, Lines::Many))?;
        }
    }
    Ok(())
}

fn print_notes(arguments: &Arguments, fixed: &[Fixed], registrations: &[Registration]) -> anyhow::Result<()> {
    let mut notes = output::actions::stderr();
    for one in fixed {
        for note in &one.after.notes {
            writeln!(notes, "note: {}: {}", escape(&one.name, Lines::One), escape(note, Lines::One))?;
        }
    }
    for registration in registrations {
        print_registration(&mut notes, registration)?;
    }
    let changed = fixed.iter().filter(|one| one.before != one.after.text).count();
    let what = match (changed, arguments.write) {
        (0, _) => {
            "nothing to change: no workflow here publishes to PyPI with a token, or see the notes".to_owned()
        }
        (count, true) => format!("{count} workflow(s) changed"),
        (count, false) => format!("{count} workflow(s) to change; --write does it"),
    };
    writeln!(notes, "{what}")?;
    Ok(())
}

fn print_registration(out: &mut impl Write, registration: &Registration) -> std::io::Result<()> {
    let publisher = &registration.publisher;
    let shown = |value: &Option<String>| {
        value.as_deref().map_or("(yours)".to_owned(), |text| escape(text, Lines::One))
    };
    let plain = |text: &str| escape(text, Lines::One);
    let site = if publisher.registry == "testpypi" { "https://test.pypi.org" } else { "https://pypi.org" };
    writeln!(out, "register this Trusted Publisher ({}):", publisher.registry)?;
    for (name, value) in [
        ("project", shown(&registration.project)),
        ("owner", shown(&registration.owner)),
        ("repository", shown(&registration.repository)),
        ("workflow", plain(&publisher.workflow)),
        ("environment", plain(&publisher.environment)),
        ("events", plain(&publisher.events.join(", "))),
        ("refs", plain(&publisher.refs.join(", "))),
    ] {
        if !value.is_empty() {
            writeln!(out, "  {name:<12} {value}")?;
        }
    }
    let project = registration.project.as_deref();
    let page = project.map_or("/manage/account/publishing/".to_owned(), |name| {
        format!("/manage/project/{}/settings/publishing/", segment(name))
    });
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("provider", "github");
    for (name, value) in [("owner", &registration.owner), ("repository", &registration.repository)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.append_pair("workflow_filename", &publisher.workflow);
    if !publisher.environment.is_empty() {
        query.append_pair("environment", &publisher.environment);
    }
    writeln!(out, "  at           {site}{page}?{}", query.finish())
}

/// A name as one segment of a path.
fn segment(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

fn print_json(fixed: &[Fixed], registrations: &[Registration]) -> anyhow::Result<()> {
    let edits: Vec<Value> = fixed.iter().flat_map(edits).collect();
    let notes: Vec<Value> = fixed
        .iter()
        .flat_map(|one| one.after.notes.iter().map(|note| json!({ "path": one.name, "what": note })))
        .collect();
    let publishers: Vec<Value> = registrations
        .iter()
        .map(|registration| {
            let publisher = &registration.publisher;
            json!({
                "provider": "github", "issuer": "https://token.actions.githubusercontent.com", "owner": registration.owner,
                "repository": registration.repository, "workflow": publisher.workflow, "environment": publisher.environment,
                "project": registration.project, "registry": publisher.registry, "events": publisher.events, "refs": publisher.refs,
            })
        })
        .collect();
    let document = json!({ "edits": edits, "publishers": publishers, "notes": notes });
    writeln!(anstream::stdout().lock(), "{}", output::escaped(&serde_json::to_string_pretty(&document)?))?;
    Ok(())
}

/// The change as byte ranges of the original text.
fn edits(one: &Fixed) -> Vec<Value> {
    one.after
        .edits()
        .into_iter()
        .map(|edit| json!({ "path": one.name, "start": edit.start, "end": edit.end, "text": edit.text }))
        .collect()
}

fn register(arguments: &Arguments, server: &str, registrations: &[Registration]) -> anyhow::Result<()> {
    for registration in registrations {
        let publisher = &registration.publisher;
        let (Some(owner), Some(repository)) = (&registration.owner, &registration.repository) else {
            bail!("registering with {server}: which repository is this? Give --identity HOST/OWNER/NAME");
        };
        let Some(project) = &registration.project else {
            bail!(
                "registering with {server}: no name of a package in pyproject.toml, setup.cfg or setup.py; use `portcullis publisher add`"
            );
        };
        let body = json!({
            "project": project, "provider": "github", "pending": arguments.pending, "owner": owner, "repository": repository,
            "workflow": publisher.workflow, "environment": publisher.environment,
        });
        crate::desk::register_publisher(server, arguments.token_file.clone(), &body)?;
        let project = escape(project, Lines::One);
        writeln!(
            anstream::stderr().lock(),
            "registered with {server}: {project} trusts {} of {owner}/{repository}",
            publisher.workflow
        )?;
    }
    Ok(())
}
