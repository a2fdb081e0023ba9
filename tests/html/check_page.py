#!/usr/bin/env python3
"""check_page.py: what test_html made, in a browser. The figures are compared with what `dump -f folded` and `dump -f raw` say of the same buffers."""
import collections
import json
import os
import re
import sys

import browser

failed = False


def check(what, found, wanted):
    global failed
    if found != wanted:
        failed = True
        print(f"{what}: {str(found)[:600]!r}, not {str(wanted)[:600]!r}")


def visible(text):
    """Characters that hide or reorder are shown as what they are."""
    return re.sub("[\u200b-\u200f\u2028-\u202e\u2060-\u206f]", lambda found: f"\\u{{{ord(found[0]):x}}}", text)


def folded(name, view):
    """[(frames, bytes)], as the page calls frames."""
    stacks = []
    with open(f"{name}.{view}.folded", encoding="utf-8", newline="\n") as lines:
        for line in lines.read().split("\n")[:-1]:
            text, value = line.rsplit(" ", 1)
            stacks.append((visible(text).split(";"), int(value)))
    return stacks


def by_function(stacks):
    rows = collections.defaultdict(lambda: [0, 0])
    for frames, value in stacks:
        rows[frames[-1]][0] += value
        for frame in set(frames):
            rows[frame][1] += value
    return {frame: figures for frame, figures in rows.items()}


def raw_total(name, kind, key):
    with open(f"{name}.raw", encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if words[:2] == ["total", kind]:
                return int(words[words.index(key) + 1])
    return None


def choose(page, label):
    box = page.run(f"""(() => {{ const found = [...document.querySelectorAll('.toolbar button')].find((button) => button.textContent === {json.dumps(label)});
        const area = found.getBoundingClientRect(); return [area.left + area.width / 2, area.top + area.height / 2] }})()""")
    page.click(*box)


def check_figures(page, name):
    """Every function's self and total, every view; objects in total."""
    page.open(f"{name}.html")
    page.settle()
    for view, label in (("inuse", "In use"), ("alloc", "Allocated"), ("exit", "At exit"), ("mmap", "Mapped")):
        choose(page, label)
        stacks = folded(name, view)
        check(f"{name} {view}: all bytes", page.run("flame.tree.root.value"), sum(value for _, value in stacks))
        rows = page.run("Object.fromEntries(table.rows.map((row) => [model.texts[row.name].replaceAll(';', ':'), [row.self, row.total]]))")
        check(f"{name} {view}: functions", rows, by_function(stacks))
        check(f"{name} {view}: chosen", page.run("document.querySelector('#views [aria-checked=true]').textContent"), label)
    for label, key in (("At exit", "live"), ("Allocated", "allocs")):
        choose(page, label)
        choose(page, "Objects")
        check(f"{name} {label}: objects", page.run("flame.tree.root.value"), raw_total(name, "heap", key))
        choose(page, "Bytes")


def check_words(page):
    """What a person reads of a program whose figures are known: 30000 + 70000 + 41 * 1000 + 5 bytes stay."""
    page.open("known.html")
    page.settle()
    check("title", page.run("document.title"), "known – heaptap")
    tiles = page.run("[...document.querySelectorAll('#tiles > div')].map((tile) => tile.innerText.replace(/\\s/g, ' '))")
    check("in use", tiles[0], "In use at exit 138 KiB in 44 blocks")
    check("allocated", tiles[2].startswith("Allocated 626 KiB 46 allocations"), True)
    check("losses", page.run("document.getElementById('notes').innerText").startswith("Nothing was lost"), True)
    page.run("choose('view', 'exit')")
    cells = page.run("[...document.querySelectorAll('#top-body tr:first-child td')].map((cell) => cell.innerText.replace(/\\s/g, ' '))")
    check("first row", cells, ["take known", "138 KiB", "100 %", "138 KiB", "100 %"])


def check_full(page):
    """Tables that were full: lower bounds, and why, without a click."""
    page.open("full.html")
    page.settle()
    tiles = page.run("[...document.querySelectorAll('#tiles > div')].map((tile) => tile.innerText.replace(/\\s/g, ' '))")
    check("at least", [tile.split("at least")[0] for tile in tiles if "at least" in tile], ["In use at exit ", "Peak "])
    check("all were counted", tiles[2].startswith("Allocated 9.5 MiB 100,000 allocations"), True)
    notes = page.run("document.getElementById('notes').innerText")
    check("what was lost is seen", "allocations counted but not followed" in notes, True)
    check("what helps", "set HEAPTAP_BUDGET higher (now 512 KiB)" in notes, True)
    check("nothing was lost", "Nothing" in notes, False)


def selected(page):
    return page.run("flame.selected.parent ? model.texts[flame.selected.name] : 'All'")


def path(page):
    return page.run("[...document.querySelectorAll('#path button')].at(-1).textContent")


def check_keys(page):
    page.open("known.html")
    page.settle()
    page.run("choose('view', 'alloc'); document.getElementById('flame').focus()")
    for _ in range(20):
        if selected(page) == "main":
            break
        page.press("ArrowDown")
    check("down to main", selected(page), "main")
    page.press("ArrowDown")
    check("the largest is first", selected(page), "read_the_settings")
    page.press("ArrowRight")
    check("right", selected(page), "answer_one_request")
    check("what is said", page.run("document.getElementById('spoken').textContent").startswith("answer_one_request, 108\u00a0KiB (17.3\u00a0%)"), True)
    page.press("Enter")
    check("zoomed", [path(page), page.run("Math.abs(flame.range[1] - flame.range[0] - flame.zoomed.w) < 1e-12")], ["answer_one_request", True])
    page.press("ArrowDown")
    page.press("Enter")
    check("zoomed further", path(page), "take")
    page.press("Escape")
    check("out", path(page), "answer_one_request")
    page.press("Escape")
    check("out again", [path(page), page.run("flame.range")], ["All", [0, 1]])
    page.press("ArrowUp")
    page.press("i")
    check("inverted", page.run("[state.inverted, document.getElementById('invert').getAttribute('aria-pressed')]"), [True, "true"])
    page.press("v")
    check("next view", page.run("state.view"), "exit")
    page.press("b")
    check("objects", page.run("state.measure"), "objects")
    page.press("b")
    page.press("/")
    check("search has the focus", page.run("document.activeElement.id"), "search")
    page.type("itsel")
    check("search finds", page.run("document.getElementById('found').innerText.replace(/\\s/g, ' ')"), "29.1 %, 40.0 KiB in 1 function, 41 frames")
    check("table is filtered", page.run("document.querySelectorAll('#top-body tr').length"), 1)
    page.press("Enter")
    check("Enter goes to the graph", [page.run("document.activeElement.id"), selected(page)], ["flame", "descend_by_itself"])
    page.press("/")
    page.press("Escape")
    check("Escape clears", page.run("[state.query, flame.found]"), ["", None])


def check_mouse(page):
    """The box that is drawn is the box that is hit: pixel by what it says."""
    page.open("known.html")
    page.settle()
    page.run("choose('view', 'alloc')")
    page.settle()
    where = page.run("""(() => { const box = flame.rows.flat().find(({box}) => box.parent && model.texts[box.name] === 'answer_one_request');
        const area = document.getElementById('flame').getBoundingClientRect();
        return [area.left + (box.left + box.right) / 2, area.top + box.box.depth * ROW + ROW / 2] })()""")
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=where[0], y=where[1])
    page.settle()
    check("tip", page.run("document.getElementById('tip').innerText").startswith("answer_one_request"), True)
    check("source line in the tip", "known.c:" in page.run("document.getElementById('tip').innerText"), True)
    page.run("show()")
    check("no tip of what is gone", page.run("document.getElementById('tip').hidden"), True)
    page.click(*where)
    check("click zooms", path(page), "answer_one_request")
    page.run("document.querySelector('#path button').click()")
    page.settle()
    check("the way back", [path(page), page.run("flame.range")], ["All", [0, 1]])


def check_inverted(page, name, view):
    """Callers of callers, three levels, against the folded stacks turned around."""
    page.open(f"{name}.html")
    page.run(f"choose('view', {json.dumps(view)}); choose('inverted', true)")
    found = page.run("""(() => { const found = {}; const walk = (box, path) => { for (const kid of flame.tree.kids(box)) {
        const here = [...path, model.texts[kid.name].replaceAll(';', ':')]; found[here.join(';')] = kid.value; if (here.length < 3) walk(kid, here) } };
        walk(flame.tree.root, []); return found })()""")
    wanted = collections.Counter()
    for frames, value in folded(name, view):
        for length in range(1, min(3, len(frames)) + 1):
            wanted[";".join(frames[::-1][:length])] += value
    check(f"{name} {view} inverted", found, dict(wanted))


def check_search(page, name, view, word):
    page.open(f"{name}.html")
    page.run(f"choose('view', {json.dumps(view)}); setQuery({json.dumps(word)})")
    found = page.run(f"model.measureMatch(flame.found, column())")
    names, value, prefixes = set(), 0, set()
    for frames, own in folded(name, view):
        hits = [i for i, frame in enumerate(frames) if word in frame]
        names.update(frames[i] for i in hits)
        prefixes.update(tuple(frames[:i + 1]) for i in hits)
        value += own if hits else 0
    check(f"{name} {view} search {word}", found, {"functions": len(names), "frames": len(prefixes), "value": value})


def check_hostile(page):
    """Nothing of it became markup or ran; it can be read."""
    page.open("hostile.html")
    page.settle()
    page.run("choose('view', 'alloc')")
    for _ in range(2):
        page.run("for (const row of flame.rows.flat()) { tellBox(row.box); showTip(row.box, {clientX: 5, clientY: 5}); showPath(row.box) } choose('inverted', !state.inverted)")
        page.settle()
    check("elements from names", page.run("document.querySelectorAll('img, b b, iframe, a, body script').length"), 2)
    check("title", page.run("document.title"), "<img src=x onerror=document.title=1> – heaptap")
    check("command", page.run("document.getElementById('command').textContent"),
          "./<img src=x onerror=document.title=1> </script><script>document.title=2</script> \\x1b[31m\\xff \\xe2\\x80\\xaetxt")
    names = page.run("table.rows.map((row) => model.texts[row.name])")
    for wanted in ("</script><b>x</b>", "<!--<script>\\x1b[2J\\x07", "a\\xe2\\x80\\xaeexe\\u{200b}&lt;\"'", "${x}`'\"</p>"):
        check(f"name {wanted}", any(name.startswith(wanted) for name in names), True)
    with open("hostile.html", "rb") as source:
        data = source.read()
    inside = data[data.index(b'<script id="data"'):].split(b">", 1)[1].split(b"</script>", 1)[0]
    check("bytes of the data that end or open anything", [byte for byte in b"<>&" if byte in inside], [])
    json.loads(inside.decode("utf-8"))
    check("control characters in the file", re.findall(rb"[\x00-\x09\x0b-\x1f\x7f]", data), [])


def check_big(page):
    """Work is bounded by what is seen. The times are told, not judged."""
    page.open("big.html")
    page.settle()
    check("nodes", page.run("model.count"), 50001)
    for inverted in ("false", "true"):
        page.run(f"choose('view', 'alloc'); choose('inverted', {inverted})")
        page.settle()
        drawn = page.run("flame.rows.flat().length")
        check("boxes drawn", 100 < drawn < 20000, True)
        times = page.run("""new Promise((done) => { const times = [], draw = flame.draw.bind(flame); let boxes = 0;
            flame.draw = () => { const start = performance.now(); draw(); boxes = Math.max(boxes, flame.rows.flat().length); times.push(performance.now() - start) };
            let step = 0; const next = () => { if (flame.moving || flame.pending) return requestAnimationFrame(next); if (step++ === 12) return done({times, boxes});
                const seen = flame.rows.flat().filter(({box, left, right}) => box.depth > flame.zoomed.depth && right - left > 40);
                seen.length && step % 4 ? flame.zoom(seen[seen.length >> 1].box) : flame.reset(); requestAnimationFrame(next) }; next() })""")
        ordered = sorted(times["times"])
        print(f"50,000 nodes, inverted {inverted}: {drawn} boxes at rest; {len(ordered)} frames drawn, median {ordered[len(ordered) // 2]:.1f} ms, longest {ordered[-1]:.1f} ms")
    made = page.run("(() => { let made = 0; const stack = [flame.tree.root]; while (stack.length) { const box = stack.pop(); made++; if (box.kids) stack.push(...box.kids) } return made })()")
    print(f"boxes made after these: {made}; big.html has {os.path.getsize('big.html')} bytes")


def check_merged(page):
    """Stacks of two processes, below a frame for each; no peak, which would be that of no moment."""
    page.open("merged.html")
    page.settle()
    check("title of two", page.run("document.title"), "dash and 1 other process – heaptap")
    check("figures of two", page.run("[...document.querySelectorAll('#tiles dt')].map((title) => title.textContent)"), ["In use at exit", "Allocated"])
    page.run("choose('view', 'inuse')")
    with open("merged.folded", encoding="utf-8") as lines:
        want = collections.Counter()
        for line in lines:
            want[line.split("[")[0]] += int(line.rsplit(" ", 1)[1])
    check("processes", page.run("""flame.tree.kids(flame.tree.root).reduce((sums, kid) => {
        const name = model.texts[kid.name].split('[')[0]; return {...sums, [name]: (sums[name] || 0) + kid.value} }, {})"""), dict(want))
    check("bytes of known", want["known"], 30000 + 70000 + 41 * 1000 + 5)
    check("cut or missing", "cut short or missing" in page.run("document.getElementById('notes').innerText"), False)


def check_living(page):
    """Of a process that has not ended there is no exit view."""
    with open("known.html", encoding="utf-8") as source:
        text = source.read()
    with open("living.html", "w", encoding="utf-8") as out:
        text = text.replace('"state":"exited"', '"state":"running"').replace('"rss":0', '"rss":104857600')
        out.write(re.sub(r'"map":{.*?}', '"map":{"allocs":9,"alloc_bytes":9437184,"live":2,"live_bytes":2097152}', text))
    page.open("living.html")
    page.settle()
    check("exit is not offered", page.run("[...document.querySelectorAll('#views button')].filter((button) => button.disabled).map((button) => button.value)"), ["exit"])
    check("first figure", page.run("document.querySelector('#tiles dt').textContent"), "In use")
    check("what is tracked", "138 KiB of heap and 2.0 MiB of mappings are tracked; the process has 100 MiB" in
          page.run("document.getElementById('notes').innerText.replaceAll('\u00a0', ' ')"), True)


def check_height(page):
    """A window that becomes higher shows more of the graph, without an empty strip below; one that becomes lower, less."""
    page.look(1280, 500)
    page.open("known.html")
    page.settle()
    page.run("choose('view', 'alloc')")
    page.settle()
    heights = "[document.getElementById('flame').clientHeight, document.getElementById('scroll').clientHeight, flame.height > flame.view]"
    before = page.run(heights)
    check("low", [before[0] == before[1], before[2]], [True, True])
    for height in (900, 500):
        page.look(1280, height)
        page.settle()
        after = page.run(heights)
        check(f"{height} high", [after[0] == after[1], (after[0] > before[0]) == (height > 500)], [True, True])


page = browser.Browser(browser.find(), 250)
try:
    page.look(1280, 900)
    for name in ("known", "example", "hostile", "big"):
        check_figures(page, name)
    check_words(page)
    check_full(page)
    check_keys(page)
    check_mouse(page)
    check_inverted(page, "known", "exit")
    check_inverted(page, "big", "alloc")
    check_search(page, "known", "alloc", "take")
    check_search(page, "big", "alloc", "+0x1f")
    check_hostile(page)
    check_big(page)
    check_living(page)
    check_merged(page)
    check_height(page)
    for look in ((1280, 900, True), (400, 800, False)):
        page.look(*look)
        page.open("known.html")
        page.settle()
        check(f"wider than the window {look}", page.run("document.documentElement.scrollWidth <= innerWidth"), True)
    check("complaints of the browser, and requests", page.complaints(), [])
finally:
    page.close()
sys.exit(1 if failed else 0)
