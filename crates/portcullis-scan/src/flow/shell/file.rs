//! Files as a shell reads and writes them: the job's own, devices, credentials, the environment.

use super::{Shell, shown};
use crate::flow::command;
use crate::flow::trace::{Channel, ObservationKind, Role};
use crate::flow::value::{HopKind, Source, Value};
use crate::span::Bytes;

/// Most files of one list that are read.
const LISTED_MAX: usize = 64;

impl Shell<'_, '_> {
    /// Writes to a file, a device, or one of the files by which steps talk to the runner.
    pub fn write_to(&mut self, target: &Value, content: Value, append: bool, bytes: Bytes) {
        let path = target.template();
        if path == "/dev/null" {
            return;
        }
        if matches!(path.as_str(), "/dev/stdout" | "/dev/stderr" | "1" | "2" | "/dev/tty") {
            self.print(content, bytes);
            return;
        }
        if let Some(address) = path.strip_prefix("/dev/tcp/").or_else(|| path.strip_prefix("/dev/udp/")) {
            let host = address.replace('/', ":");
            let value = content.only_carried();
            self.tracer.deliver(
                value,
                Channel::Network,
                Role::Payload,
                Value::text(host),
                "/dev/tcp",
                self.file(),
                bytes,
            );
            return;
        }
        if self.feed_coprocess(&path, &content, bytes) {
            return;
        }
        if let Some(reader) = self.readers.remove(&path) {
            self.feed(&reader, content, bytes);
            self.readers.insert(path, reader);
            return;
        }
        let lets_in = path.ends_with(".ssh/authorized_keys")
            && content.literal().is_some_and(|keys| keys.contains("ssh-") || keys.contains("ecdsa-"));
        if lets_in && self.tracer.self_hosted {
            // Whoever wrote the file holds the key to it, and the machine stays.
            self.observe(ObservationKind::GrantsAccess, Value::text("authorized_keys"), bytes);
        }
        if path == "/etc/hosts" {
            // From now on the name means that address.
            for line in crate::flow::lines(&content) {
                let text = line.template();
                let mut words = text.split_whitespace();
                let address = words.next().unwrap_or("").to_owned();
                for name in words {
                    self.state.remotes.insert(format!("host:{name}"), Value::text(address.clone()));
                }
            }
        }
        let hop = self.hop(HopKind::Carry, &format!("written to {}", shown(&path)), bytes);
        self.state.write(&path, content.hop(&hop), append);
    }

    /// Reads a file: one that a step wrote, one of the runner's credentials, or nothing known.
    pub fn read_file(&mut self, path: &Value, bytes: Bytes) -> Value {
        let name = path.template();
        if name.contains('\n') {
            // A list of files, as `find` prints it.
            let mut all = Value::empty();
            for line in name.lines().take(LISTED_MAX).filter(|line| !line.contains("${")) {
                all.append(self.read_file(&Value::text(line), bytes));
            }
            return all;
        }
        let written = self.state.read(&name).filter(Value::carries);
        if let (None, Some(source)) = (written, command::credential_file(&name)) {
            return self.tracer.enter(source, &format!("read from {}", shown(&name)), self.file(), bytes);
        }
        if name.starts_with("/proc/") && name.ends_with("/environ") {
            return self.dump_environment(bytes);
        }
        match self.state.read(&name) {
            Some(content) => {
                let hop = self.hop(HopKind::Carry, &format!("read from {}", shown(&name)), bytes);
                content.hop(&hop)
            }
            None => Value::unknown(),
        }
    }

    /// Everything that a child process would see in its environment.
    pub fn dump_environment(&mut self, bytes: Bytes) -> Value {
        let mut dump = self.tracer.enter(Source::Environment, "the whole environment", self.file(), bytes);
        let hop = self.hop(HopKind::Carry, "the whole environment", bytes);
        for (name, value) in crate::flow::sorted(&self.environment()) {
            if value.carries() && !crate::flow::is_runner_variable(name) {
                dump.push_text(&format!("{name}="));
                dump.append(value.clone().hop(&hop));
                dump.push_text("\n");
            }
        }
        dump
    }

    /// Output that nobody takes: the log.
    pub fn print(&mut self, content: Value, bytes: Bytes) {
        self.tracer.log(&content, self.file(), bytes);
    }
}
