//! Functions of the standard libraries that are known by name: printing, files, encoders, comments.

use super::Program;
use crate::flow::command::Language;
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{Encoding, Source, Value};
use crate::span::Bytes;

impl Program<'_, '_, '_> {
    pub(super) fn special(
        &mut self,
        name: &str,
        last: &str,
        receiver: &Value,
        arguments: &[Value],
        all: &Value,
        bytes: Bytes,
    ) -> Option<Value> {
        let file = self.script.file;
        let first = arguments.first().cloned().unwrap_or_default();
        match last {
            "print" | "log" | "info" | "warn" | "error" | "debug" | "notice" | "warning"
                if name == "print"
                    || name.starts_with("console.")
                    || name.starts_with("core.")
                    || name.starts_with("logging.")
                    || name.starts_with("logger.") =>
            {
                self.print(all, bytes);
                return Some(Value::empty());
            }
            "write"
                if name.starts_with("sys.stdout")
                    || name.starts_with("process.stdout")
                    || name.starts_with("sys.stderr") =>
            {
                self.print(all, bytes);
                return Some(Value::empty());
            }
            "getIDToken" => {
                return Some(self.tracer.enter(Source::MintedToken, "core.getIDToken", file, bytes));
            }
            "setSecret" => return Some(Value::empty()),
            "setOutput" | "exportVariable" => {
                let mut line = first;
                line.push_text("=");
                line.append(arguments.get(1).cloned().unwrap_or_default());
                line.push_text("\n");
                let path = if last == "setOutput" { "$GITHUB_OUTPUT" } else { "$GITHUB_ENV" };
                self.state.write(path, line, true);
                return Some(Value::empty());
            }
            "open" | "fdopen" if first.literal() == Some("0") => return Some(self.input()),
            "readFileSync" | "readFile" if matches!(first.literal(), Some("0" | "/dev/stdin")) => {
                return Some(self.input());
            }
            "input" if name == "input" => return Some(self.input()),
            "open" if name == "open" || name == "io.open" || name == "codecs.open" => {
                let mode =
                    arguments.get(1).and_then(Value::literal).unwrap_or("r").trim_start_matches("mode=");
                if mode.contains(['w', 'a', 'x', '+']) {
                    return Some(first);
                }
                return Some(match self.file(&first.template(), &Value::empty(), bytes) {
                    content if content.is_empty() => Value::unknown(),
                    content => content,
                });
            }
            // `Path("~/key").expanduser().read_text()`: the path already stands for what is in it.
            "read_text" | "read_bytes" if first.is_empty() && receiver.carries() => {
                return Some(receiver.clone());
            }
            "open" | "readFileSync" | "readFile" | "read_text" | "Path" | "createReadStream"
            | "read_bytes" => {
                let path = if first.is_empty() { receiver.template() } else { first.template() };
                return Some(self.file(&path, &first, bytes));
            }
            "read" | "readlines" | "readline" | "decode" | "encode" | "strip" | "trim"
                if arguments.is_empty() =>
            {
                return Some(receiver.clone());
            }
            "writeFileSync" | "appendFileSync" | "writeFile" | "appendFile" => {
                let content = arguments.get(1).cloned().unwrap_or_default();
                self.state.write(&first.template(), content, last.starts_with("append"));
                return Some(Value::empty());
            }
            "write" | "write_text" | "writelines" | "dump" if !all.prefix().contains("://") => {
                // `f.write(x)`: the receiver is the path that `open` left.
                if let Some(path) = receiver.literal().or_else(|| arguments.get(1).and_then(Value::literal)) {
                    self.state.write(path, first, true);
                    return Some(Value::empty());
                }
            }
            "eval" | "exec" | "Function" | "compile"
                if matches!(name, "eval" | "exec" | "Function" | "compile")
                    && self.language != Language::Other
                    && (self.language == Language::Python || name != "exec") =>
            {
                return Some(self.run_same(first, bytes));
            }
            "list" | "Array.from"
                if arguments.len() == 1
                    && matches!(first.parts.as_slice(), [crate::flow::value::Part::Carried(_)]) =>
            {
                let hop = self.hop(crate::flow::value::HopKind::Encode, "character by character", bytes);
                return Some(first.encoded(Encoding::Split, &hop));
            }
            "b64decode" | "atob" | "fromhex" | "unhexlify" | "from" | "a85decode" | "b32decode"
            | "decompress" => {
                if let Some(decoded) = self.decode(last, arguments) {
                    return Some(decoded);
                }
            }
            "sha256" | "md5" | "sha1" | "createHash" | "len" | "hash" | "digest" | "hexdigest" | "bool"
            | "isinstance" | "exists" => {
                return Some(Value::unknown());
            }
            _ => {}
        }
        let grants =
            ["addCollaborator", "createDeployKey", "addOrUpdateMembershipForUser", "createInvitation"];
        let made_public = name.ends_with("repos.update") && {
            let text = all.template().replace([' ', '"'], "");
            text.contains("private=false") || text.contains("visibility=public")
        };
        if grants.iter().any(|end| name.ends_with(end)) || made_public {
            self.tracer.observe(ObservationKind::GrantsAccess, Value::text(name), file, bytes);
            return Some(Value::unknown());
        }
        let comments = [
            "createComment",
            "createIssue",
            "issues.create",
            "issues.update",
            "createCommitComment",
            "createReview",
            "gists.create",
            "createRelease",
            "createOrUpdateFileContents",
            "createDispatchEvent",
            "createWorkflowDispatch",
        ];
        if comments.iter().any(|end| name.ends_with(end)) {
            if name.ends_with("createOrUpdateFileContents") && all.template().contains(".github/workflows") {
                self.tracer.observe(
                    ObservationKind::WritesWorkflow,
                    Value::text(".github/workflows"),
                    file,
                    bytes,
                );
            }
            let consumed = name.ends_with("DispatchEvent") || name.ends_with("WorkflowDispatch");
            let target = if name.contains("gists") { "gist.github.com" } else { "api.github.com" };
            let content = first;
            self.tracer.deliver_as(
                content,
                Channel::Repository,
                Role::Payload,
                Value::text(target),
                name,
                file,
                bytes,
                consumed,
            );
            return Some(Value::unknown());
        }
        None
    }

    pub(super) fn file(&mut self, path: &str, first: &Value, bytes: Bytes) -> Value {
        // What a step wrote there is known by its own name.
        let written = self.state.read(path).filter(Value::carries);
        if let (None, Some(source)) = (written, crate::flow::command::credential_file(path)) {
            return self.tracer.enter(
                source,
                &format!("read from {}", crate::flow::shell::shown(path)),
                self.script.file,
                bytes,
            );
        }
        if path.starts_with("/proc/") && path.ends_with("/environ") {
            return self.dump(bytes);
        }
        match self.state.read(path) {
            Some(content) => content,
            // A file opened for writing: `write` needs its path.
            None => first.clone(),
        }
    }

    pub(super) fn encoder(
        &self,
        name: &str,
        last: &str,
        receiver: &Value,
        arguments: &[Value],
    ) -> Option<Encoding> {
        let argument = arguments.first().and_then(Value::literal).unwrap_or("");
        Some(match last {
            "b64encode" | "btoa" | "urlsafe_b64encode" | "standard_b64encode" | "ToBase64String" => {
                Encoding::Base64
            }
            "encodebytes" => Encoding::Base64Wrapped,
            "b32encode" | "a85encode" | "b85encode" | "b16encode" => Encoding::OtherBase,
            "hexlify" | "hex" | "ToHexString" => Encoding::Hex,
            "toString" if argument == "base64" => Encoding::Base64,
            "toString" if argument == "hex" => Encoding::Hex,
            "reversed" | "reverse" => Encoding::Reversed,
            "dumps" | "stringify" | "quote" | "quote_plus" | "urlencode" | "encodeURIComponent"
                if !name.is_empty() =>
            {
                Encoding::Escaped
            }
            "compress" | "gzipSync" | "deflateSync" => Encoding::Compressed,
            "join" | "split"
                if receiver
                    .literal()
                    .is_some_and(|text| text.len() == 1 && !text.trim().is_empty() || text == " ")
                    && self.language == Language::Python =>
            {
                Encoding::Spaced
            }
            "join" if self.language == Language::JavaScript && receiver.carries() && !argument.is_empty() => {
                Encoding::Spaced
            }
            "split" if argument.is_empty() && !arguments.is_empty() => Encoding::Split,
            "match" if receiver.carries() => Encoding::Split,
            "encrypt" | "publicEncrypt" | "seal" | "createCipheriv" => Encoding::Encrypted,
            "ord" | "charCodeAt" => Encoding::Hex,
            "slice" | "substring" | "substr" if receiver.carries() => Encoding::Partial,
            _ => return None,
        })
    }

    /// Literal text decoded: what it hides may be code.
    pub(super) fn decode(&mut self, function: &str, arguments: &[Value]) -> Option<Value> {
        let text = arguments.first()?.literal()?.to_owned();
        let how = arguments.get(1).and_then(Value::literal).unwrap_or("");
        let bytes = match (function, how) {
            ("b64decode" | "atob", _) | ("from", "base64") => crate::flow::command::decode_base64(&text)?,
            ("fromhex" | "unhexlify", _) | ("from", "hex") => hex::decode(text.trim()).ok()?,
            _ => return None,
        };
        let decoded = super::literal::as_text(bytes);
        self.tracer.reveals(&decoded);
        Some(Value::text(decoded))
    }
}
