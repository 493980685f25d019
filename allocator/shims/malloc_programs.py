#!/usr/bin/python3
"""Programs of the distribution on the malloc drop-in: is their output the same as on glibc?

    make -C allocator malloc-programs
    allocator/shims/malloc_programs.py allocator/build/libspanheap-malloc.so [NAME ...]

Ends with 1 if one differs or fails; a program that is not installed is named and left out.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from compare_programs import TIMEOUT_S, Environment, Failed, Program, called, found, main, plain

HERE = Path(__file__).resolve().parent
THREADS = 4

PYTHON = r"""
import collections, concurrent.futures, hashlib, json, re, random
r = random.Random(7)
def part(seed):
    r = random.Random(seed)
    words = [''.join(r.choices('abcdefgh', k=r.randrange(2, 40))) for _ in range(20000)]
    count = collections.Counter(w[:3] for w in words)
    text = json.dumps({'words': words, 'count': count}, sort_keys=True)
    back = json.loads(text)
    found = re.findall(r'a[b-d]+h', ' '.join(back['words']))
    return hashlib.sha256((text + str(found)).encode()).hexdigest()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(list(pool.map(part, range(12))))
grown = bytearray()
for i in range(3000):
    grown += bytes([i % 256]) * (i % 997)
print(hashlib.sha256(grown).hexdigest(), sum(x * x for x in range(100000)))
"""

PERL = r"""
my (%seen, @all);
my $n = 12345;
for my $i (1 .. 120000) {
    $n = ($n * 1103515245 + 12345) % 2147483648;
    my $key = 'k' . ($n % 20000);
    $seen{$key} .= chr(97 + $n % 26);
    push @all, $key if $i % 3 == 0;
}
my $text = join ',', map { "$_=$seen{$_}" } sort keys %seen;
(my $other = $text) =~ s/k(\d+)/<$1>/g;
my @sorted = sort { length($a) <=> length($b) || $a cmp $b } @all;
print length($text), ' ', length($other), " @sorted[0 .. 20] ", unpack('%32C*', $other), "\n";
"""

GAWK = r"""
{ for (i = 1; i <= NF; i++) { count[$i]++; lines[$i] = lines[$i] " " NR } }
END {
    n = asorti(count, names)
    for (i = 1; i <= n; i += 97) print names[i], count[names[i]], length(lines[names[i]])
}
"""

SQL = r"""
create table t(id integer primary key, name text, value real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000)
insert into t select i, printf('name-%d-%s', i * 7919 % 10007, hex(i * i)), i * 0.37 from n;
create index by_name on t(name);
select count(*), sum(value), max(length(name)) from t;
select substr(name, 1, 7) g, count(*), group_concat(id) from t group by g order by g limit 20;
select a.id, b.id from t a join t b on a.name < b.name and b.id = a.id * 2 order by 1 limit 50;
delete from t where id % 3 = 0;
vacuum;
select count(*), total(value) from t where name like 'name-1%';
pragma integrity_check;
"""

GIT = r"""
set -e
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
git init -q -b main repository
cd repository
git config user.name tester
git config user.email tester@localhost
git config pack.threads 2
for i in 1 2 3 4 5 6; do
    for f in a b c d; do seq $i $((i * 900)) | sed "s/7/$f/g" > $f; done
    git add .
    git commit -q -m "number $i"
done
git repack -q -a -d --depth=20
git fsck --no-progress
git log --stat --format='%H %s'
git diff --minimal HEAD~3 | sha256sum
git blame a | tail -3
git clone -q . ../clone
git -C ../clone rev-parse HEAD
"""


def words() -> str:
    """Some text with lines of different lengths, always the same."""
    n, lines = 1, []
    for i in range(30000):
        n = n * 1103515245 % 2147483648 + 12345
        lines.append(" ".join(f"w{(n >> k) % 3001}" for k in range(n % 7 + 1)))
    return "\n".join(lines) + "\n"


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Waits for a server."""
    for _ in range(600):
        if condition():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    out = process.stdout.read().decode()[-2000:] if process.stdout and process.poll() else ""
    raise Failed(f"the server does not answer {out}")


def connected(place: str) -> socket.socket:
    """A connection to a socket of a folder: no port that may be taken."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(TIMEOUT_S)
    connection.connect(place)
    return connection


def answers(place: str) -> bool:
    """Whether somebody listens there."""
    try:
        connected(place).close()
    except OSError:
        return False
    return True


def together(work: Callable[[int], bytes]) -> list[bytes]:
    """What several threads come to; what stops one of them stops all."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, range(THREADS)))


NGINX = """daemon off; worker_processes 2; pid {0}/pid; error_log {0}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {0}/access.log; client_body_temp_path {0}/t1; proxy_temp_path {0}/t2;
    fastcgi_temp_path {0}/t3; uwsgi_temp_path {0}/t4; scgi_temp_path {0}/t5;
    gzip on; gzip_types *; gzip_min_length 10; default_type text/plain;
    server {{ listen unix:{0}/socket; root {0}/files; autoindex on; }}
}}
"""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket of a folder."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = path

    def connect(self) -> None:
        """Connects."""
        self.sock = connected(self.path)


def nginx(folder: Path, environment: Environment) -> bytes:
    """A web server with two workers, and four clients."""
    (folder / "files").mkdir()
    folder.chmod(0o755)
    for i in range(20):
        (folder / "files" / f"{i}.txt").write_text(words()[i * 100:i * 20000 + 300])
        os.utime(folder / "files" / f"{i}.txt", (1, 1))
    (folder / "nginx.conf").write_text(NGINX.format(folder))
    place = str(folder / "socket")

    def client(i: int) -> bytes:
        seen = hashlib.sha256()
        for k in range(250):
            connection = UnixConnection(place)
            for name in (f"{(i + k) % 20}.txt", "", "missing"):
                connection.request("GET", f"/{name}", headers={
                    "Accept-Encoding": "gzip" if k % 2 else "identity"})
                answer = connection.getresponse()
                seen.update(f"{answer.status}".encode() + answer.read())
            connection.close()
        return seen.hexdigest().encode()

    with subprocess.Popen(["nginx", "-p", str(folder), "-c", "nginx.conf"], env=environment,
                          executable=found("nginx"), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as server:
        try:
            until(lambda: answers(place), server)
            return b"\n".join(together(client))
        finally:
            server.terminate()
            if server.wait(TIMEOUT_S) != 0:
                raise Failed(f"nginx ended with {server.returncode}")


def redis(folder: Path, environment: Environment) -> bytes:
    """A database server with threads, four clients, and snapshots by fork meanwhile."""
    place = str(folder / "socket")

    def ask(connection: socket.socket, *command: str) -> bytes:
        text = f"*{len(command)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in command)
        connection.sendall(text.encode())
        data = b""
        while not data.endswith(b"\r\n"):
            piece = connection.recv(65536)
            if not piece:
                raise Failed("redis has hung up")
            data += piece
        return data

    def client(i: int) -> bytes:
        seen = hashlib.sha256()
        with connected(place) as c:
            for k in range(1500):
                key = f"{i}-{k * 31 % 701}"
                seen.update(ask(c, "APPEND", f"s{key}", "x" * (k % 97)))
                seen.update(ask(c, "HSET", f"h{i}-{k % 50}", f"f{k % 211}", "y" * (k % 61)))
                seen.update(ask(c, "RPUSH", f"l{i}-{k % 40}", f"{k}" * (k % 13 + 1)))
                seen.update(ask(c, "DEL", f"s{i}-{k * 17 % 701}"))
                if k % 500 == 250 and i == 0:
                    ask(c, "BGSAVE")
        return seen.hexdigest().encode()

    command = ["redis-server", "--port", "0", "--unixsocket", place, "--save", "", "--io-threads",
               "2", "--dir", str(folder), "--enable-debug-command", "yes"]
    # redis-tools has the server under another name, and starts no service.
    program = found("redis-server") or found("redis-check-rdb")
    with subprocess.Popen(command, executable=program, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as server:
        try:
            until(lambda: answers(place), server)
            results = together(client)
            with connected(place) as c:
                results.append(ask(c, "DBSIZE"))
                results.append(ask(c, "DEBUG", "DIGEST"))
                results.append(ask(c, "DEBUG", "RELOAD"))
                results.append(ask(c, "DEBUG", "DIGEST"))
            return b"\n".join(results)
        finally:
            server.terminate()
            server.communicate(timeout=TIMEOUT_S)


def compiled(folder: Path, environment: Environment) -> bytes:
    """Assembly of a file of this library, and a program that is linked and run."""
    allocator = HERE.parent
    compiler = ["gcc", "-std=gnu17", "-O2", f"-I{allocator}", f"-I{allocator / 'include'}"]
    assembly = called(*compiler, "-S", "-o", "-", str(allocator / "heap" / "pages.c"))
    hello = '#include <stdio.h>\nint main(void) { printf("%d\\n", 6 * 7); return 0; }\n'
    called("gcc", "-x", "c", "-o", "hello", "-", text=hello)(folder, environment)
    return assembly(folder, environment) + called("./hello")(folder, environment)


def programs() -> list[Program]:
    """All of them."""
    text = words()
    numbers = "[" + ",".join(f'{{"a":{i},"b":"{i * i}"}}' for i in range(20000)) + "]"
    return [
        Program("python3", "python3", "python3", called("python3", "-c", PYTHON)),
        Program("perl", "perl", "perl", called("perl", "-e", PERL)),
        Program("gcc", "gcc", "gcc", compiled),
        Program("git", "git", "git", called("sh", "-c", GIT)),
        Program("gawk", "gawk", "gawk", called("gawk", GAWK, text=text)),
        Program("sort", "coreutils", "sort",
                called("sort", "--parallel=2", "-S", "20M", "-k2,2", "-k1,1r", text=text * 4)),
        Program("sqlite3", "sqlite3", "sqlite3", called("sqlite3", "base.db", text=SQL)),
        Program("jq", "jq", "jq", called(
            "jq", "-c", "group_by(.a % 7) | map({n: length, s: (map(.b | length) | add)})",
            text=numbers)),
        Program("nginx", "nginx", "nginx", nginx),
        Program("redis", "redis-tools", "redis-check-rdb", redis),
    ]


def environment_with(library: Path) -> Environment:
    """What preloads the library."""
    return {"LD_PRELOAD": str(library)}


@cache
def is_preloaded(library: Path) -> bool:
    """Whether it can be preloaded at all: the loader only warns."""
    maps = called("cat", "/proc/self/maps")(HERE, plain(environment_with(library)))
    return str(library).encode() in maps


if __name__ == "__main__":
    sys.exit(main(programs(), "malloc", environment_with, lambda _, library: is_preloaded(library)))
