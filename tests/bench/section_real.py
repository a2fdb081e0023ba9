"""Real programs: processor time (user and system) of the process and its children, over the plain run."""
import os
import random
import shutil
import subprocess

import measure
from compare import compare
from table import Row, number

SECONDS = 660
JSON_BYTES = 20 << 20


def json_file(path):
    """Records of short strings, as APIs give them."""
    pick = random.Random(4)
    words = ["alpha", "reddish", "northern", "x7-40", "description", "window", "a longer string", "b", "francs", "1f03c9d7"]
    with open(path, "w", encoding="ascii") as out:
        out.write("[")
        size, comma = 1, ""
        while size < JSON_BYTES:
            tags = ",".join(f'"{pick.choice(words)}"' for _ in range(pick.randrange(4, 12)))
            pairs = ",".join(f"[{pick.randrange(100)},{pick.randrange(10)}]" for _ in range(pick.randrange(1, 5)))
            text = f'{comma}{{"id":{pick.randrange(10**6)},"n":"{pick.choice(words)} {pick.choice(words)} of {pick.choice(words)}","t":[{tags}],"p":[{pairs}],"o":{{"a":"{pick.choice(words)}","k":null}}}}'
            comma = ",\n"
            size += len(text)
            out.write(text)
        out.write("]\n")


def c_file(path):
    """Functions with loops, switches, structures, floating point and calls of each other: work for every pass of cc1."""
    pick = random.Random(5)
    with open(path, "w", encoding="ascii") as out:
        out.write("struct s { int a[8]; struct s *next; double d; unsigned char b[16]; };\nextern int printf(const char *, ...);\n"
                  "extern void *memcpy(void *, const void *, unsigned long);\n")
        for i in range(140):
            cases = "".join(
                f"case {k}: " + pick.choice([
                    f"t += p->a[k & 7] * {pick.randrange(99)};", f"t ^= k << {pick.randrange(9)};", f"p->d += t / {pick.randrange(1, 9)}.5;",
                    f"for (int j = 0; j < n; j++) p->b[j & 15] += (unsigned char)(j * {pick.randrange(9)});",
                    f"t = p->next ? h{pick.randrange(i)}(p->next, n / 2) : t;" if i else "t--;", "t = t ? t >> 1 : -n;"]) + " break;\n"
                for k in range(pick.randrange(4, 12)))
            out.write(f"{pick.choice(['static inline ', 'static ', ''])}int h{i}(struct s *p, int n)\n{{\nint t = {i};\n"
                      f"for (int k = 0; k < n; k++)\nswitch ((k + {i}) % 12) {{\n{cases}default: t -= p->a[n & 7];\n}}\nreturn t;\n}}\n"
                      f"int f{i}(struct s *p, int n)\n{{\nstruct s q;\nmemcpy(&q, p, sizeof q);\nq.a[n & 7] = h{i}(&q, n);\n"
                      f'return printf("%d %f\\n", h{pick.randrange(i + 1)}(p, n) + q.a[1], q.d);\n}}\n')


def cxx_file(path):
    """The standard library's templates, again and again for types that differ."""
    with open(path, "w", encoding="ascii") as out:
        out.write("#include <algorithm>\n#include <functional>\n#include <iostream>\n#include <map>\n#include <regex>\n#include <set>\n"
                  "#include <sstream>\n#include <string>\n#include <unordered_map>\n#include <variant>\n#include <vector>\n"
                  "template <int N> struct key { int v[N % 3 + 1]; bool operator<(const key &o) const { return v[0] < o.v[0]; } };\n"
                  "template <int N> int work(std::istream &in)\n{\n"
                  "    std::map<key<N>, std::vector<std::string>> m;\n    std::set<std::pair<key<N>, int>> s;\n"
                  "    std::variant<int, std::string, key<N>> v = N;\n    std::function<int(int)> f = [&m](int x) { return x + int(m.size()) * N; };\n"
                  "    for (std::string w; std::getline(in, w);) {\n        m[key<N>{{f(int(w.size()))}}].push_back(w + std::to_string(N));\n"
                  "        s.insert({key<N>{{int(w.size())}}, N});\n        v = w;\n    }\n"
                  "    std::vector<key<N>> k;\n    for (auto &e : m) k.push_back(e.first);\n    std::stable_sort(k.begin(), k.end());\n"
                  "    return int(k.size() + s.size() + v.index());\n}\n")
        for n in range(4):
            out.write(f"template int work<{n}>(std::istream &);\n")
        out.write('bool match(const std::string &s) { return std::regex_search(s, std::regex("a+(b|c)*")); }\n')


SQL = """create table a(id integer primary key, k integer, t text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 400000) insert into a select i, i * 7919 % 100003, printf('%d text of row %x', i % 97, i * 31) from n;
create index ak on a(k);
select count(*), max(length(x.t || y.t)) from a x join a y on x.k = y.k;
"""


def cases(work):
    """(label, program, command, options of the run, goal: heaptrack's addition over ours)"""
    json, source, cxx, sql = (os.path.join(work, name) for name in ("big.json", "big.c", "big.cpp", "join.sql"))
    json_file(json)
    c_file(source)
    cxx_file(cxx)
    with open(sql, "w", encoding="ascii") as out:
        out.write(SQL)
    found = subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True, check=False).stdout.strip() if shutil.which("gcc") else "cc1"
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "python3"
    clang = shutil.which("clang-14") or shutil.which("clang") or "clang"
    return [
        ("jq, 20 MB of JSON", "jq", ["jq", "length", json], {}, 8),
        ("sqlite3, 400,000 rows", "sqlite3", ["sqlite3", ":memory:"], {"stdin": sql}, 8),
        ("python3, 20 MB of JSON", python, [python, "-c", f"import json; len(json.load(open({json!r})))"], {"extra": {"PYTHONMALLOC": "malloc"}}, 8),
        ("gcc -O2 (cc1)", found, [found, "-quiet", "-O2", source, "-o", os.devnull], {}, 7),
        ("clang -O2, C++", clang, [clang, "-std=c++17", "-O2", "-S", cxx, "-o", os.devnull], {}, 7),
    ]


def rows(bench):
    made, todo = [], cases(bench.work)
    patience = measure.Patience(SECONDS, len(todo))
    for label, program, command, options, goal in todo:
        seconds_in_all = patience.row()
        if not shutil.which(program):
            bench.note(f"{label}: {program} is missing: tools/setup bench")
            continue
        row = Row(label, "s of processor time", f"at most 1/{goal} of heaptrack's")
        compare(bench, row, lambda ran: ran.cpu, lambda tool, command=command: command, seconds_in_all, seconds=30, **options)
        times = row.share()
        row.verdict = f"1/{number(times)}" + (" (missed)" if times < goal else "") if times > 0 else "-"
        made.append(row)
        track = row.cells.get("heaptrack")
        if track and tuple(command) in bench.heaptrack.raw:
            bench.note(f"{label}: heaptrack_interpret dies on it, so this is heaptrack --raw, without the compressor")
        elif track:
            bench.note(f"{label}: heaptrack's interpreter, a process of its own, spent {number(measure.median(track.beside))} s more; heaptap adds "
                       f"1/{number(row.share(beside=True))} of both")
        bench.show(row)
    return made
