//! Cmdlets that talk to other machines.

use super::command::Words;
use super::{Items, joined};
use crate::flow::code::Program;
use crate::flow::trace::{Channel, Role};
use crate::flow::value::{Part, Value};
use crate::span::Bytes;

impl Program<'_, '_, '_> {
    pub(super) fn web_cmdlet(&mut self, name: &str, words: &Words) -> Option<Items> {
        match name {
            "invoke-webrequest" | "invoke-restmethod" | "iwr" | "irm" => Some(self.web_request(name, words)),
            // In Windows PowerShell these are other names of the cmdlet; elsewhere the programs.
            "curl" | "wget"
                if words
                    .named(&["uri", "body", "method", "usebasicparsing", "outfile", "headers"])
                    .is_some()
                    || words.words.iter().any(|word| word.parameter == "usebasicparsing") =>
            {
                Some(self.web_request(name, words))
            }
            "start-bitstransfer" => {
                let source = words.at(&["source"], 0).unwrap_or_default();
                let target = words.at(&["destination"], 1).unwrap_or_default();
                let uploads = target.template().contains("://");
                let (address, content) = if uploads {
                    let bytes = words.bytes;
                    (target, self.read_powershell(&source.template(), bytes))
                } else {
                    (source.clone(), source)
                };
                self.send_to(content, Role::Payload, &address, name, words.bytes);
                Some(Items::new())
            }
            "send-mailmessage" => {
                let server = words.named(&["smtpserver"]).or_else(|| words.named(&["to"]));
                self.send_to(
                    words.all(),
                    Role::Payload,
                    &server.unwrap_or_else(Value::unknown),
                    name,
                    words.bytes,
                );
                Some(Items::new())
            }
            "resolve-dnsname" | "test-connection" | "test-netconnection" | "tnc" => {
                let asked = words.at(&["name", "computername", "targetname"], 0).unwrap_or_default();
                let server = words.named(&["server"]);
                Some(vec![self.look_up(asked, server, name, words.bytes)])
            }
            _ => None,
        }
    }

    fn web_request(&mut self, name: &str, words: &Words) -> Items {
        let target = words.at(&["uri"], 0).unwrap_or_else(Value::unknown);
        let mut body = words.at(&["body"], 1).unwrap_or_default();
        if let Some(piped) = &words.piped {
            body.append(joined(piped.clone(), "\n"));
        }
        for parameter in ["infile", "form"] {
            if let Some(value) = words.named(&[parameter]) {
                let content = self.read_powershell(&value.template(), words.bytes);
                body.append(if content.carries() { content } else { value });
            }
        }
        let mut login = Value::empty();
        for parameter in ["headers", "token", "credential", "useragent", "websession", "certificate"] {
            login.append(words.named(&[parameter]).unwrap_or_default());
            login.push_text("\n");
        }
        for (content, role) in
            [(body, Role::Payload), (login, Role::Authentication), (target.clone(), Role::Address)]
        {
            self.send_to(content.clone(), role, &target, name, words.bytes);
            if let Some(proxy) = words.named(&["proxy"]) {
                self.send_to(content, Role::Payload, &proxy, name, words.bytes);
            }
        }
        let answer = self.answer_from(&target, words.bytes);
        match words.named(&["outfile"]) {
            Some(path) => {
                self.state.write(&path.template(), answer, false);
                Items::new()
            }
            None => vec![answer],
        }
    }

    /// Delivers to an address, a host, or a place that only the run knows.
    pub(super) fn send_to(&mut self, content: Value, role: Role, target: &Value, client: &str, bytes: Bytes) {
        let file = self.script.file;
        self.tracer.deliver(content, Channel::Network, role, target.clone(), client, file, bytes);
    }

    /// A question to a name server; what it answers is somebody else's.
    pub(super) fn look_up(
        &mut self,
        asked: Value,
        server: Option<Value>,
        client: &str,
        bytes: Bytes,
    ) -> Value {
        let file = self.script.file;
        let in_zone =
            matches!(asked.parts.last(), Some(Part::Text(end)) if end.trim_matches('.').contains('.'));
        let target = server.filter(|_| !in_zone).unwrap_or_else(|| asked.clone());
        self.tracer.deliver(asked.clone(), Channel::Dns, Role::Address, target, client, file, bytes);
        Value::part(Part::Remote(asked.template()))
    }

    /// What a request brings back.
    pub(super) fn answer_from(&mut self, target: &Value, bytes: Bytes) -> Value {
        crate::flow::command::answer(self.tracer, target, self.script.file, bytes)
    }
}
