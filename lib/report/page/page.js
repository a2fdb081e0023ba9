"use strict";
/* Puts the parts together: what is shown is one state, and everything follows from it. */
const get = (id) => document.getElementById(id);
const model = new Model(JSON.parse(get("data").textContent));
const summary = new Summary(model);
const state = {view: model.data.view, measure: "bytes", inverted: false, query: ""};
const flame = new Flame(get("flame"), get("scroll"), get("spacer"), model, {hover: showTip, select: tellBox, zoom: showPath});
const table = new Table(model, (name) => {
    setQuery(name);
    get("scroll").scrollIntoView({block: "center"});
});
const choices = {
    view: [["inuse", "In use", summary.ended ? "What lived when the process ended: the same as at exit" : "Heap that lives"],
        ["alloc", "Allocated", "All heap that was ever allocated"],
        ["exit", "At exit", summary.ended ? "What lived when the process ended" : "The process has not ended"],
        ["mmap", "Mapped", "Mappings that live; not in the heap's figures"]],
    measure: [["bytes", "Bytes", "Sizes as they were asked for"], ["objects", "Objects", "Blocks and mappings"]],
};

function column() {
    return model.column(state.view, state.measure);
}

function format(value) {
    return state.measure === "bytes" ? formatBytes(value) : formatCount(value);
}

function available(view) {
    return view !== "exit" || summary.ended;
}

function makeChoice(id, key) {
    for (const [value, label, title] of choices[key]) {
        const button = element("button", "", label);
        Object.assign(button, {type: "button", title, value});
        button.setAttribute("role", "radio");
        button.disabled = key === "view" && !available(value);
        button.addEventListener("click", () => choose(key, value));
        get(id).append(button);
    }
    get(id).addEventListener("keydown", (event) => {
        const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
        if (!step)
            return;
        event.preventDefault();
        next(key, step);
        get(id).querySelector("[aria-checked=true]").focus();
    });
}

function choose(key, value) {
    state[key] = value;
    show();
}

function next(key, step) {
    const values = choices[key].map(([value]) => value).filter((value) => key !== "view" || available(value));
    choose(key, values[(values.indexOf(state[key]) + step + values.length) % values.length]);
}

function markChoice(id, key) {
    for (const button of get(id).children) {
        button.setAttribute("aria-checked", String(button.value === state[key]));
        button.tabIndex = button.value === state[key] ? 0 : -1;
    }
}

/* Everything that depends on view, measure and direction. */
function show() {
    const whole = model.total(column())[0], label = choices.view.find(([value]) => value === state.view)[1];
    markChoice("views", "view");
    markChoice("measures", "measure");
    get("invert").setAttribute("aria-pressed", String(state.inverted));
    get("scroll").hidden = get("details").hidden = get("legend").hidden = !whole;
    get("empty").hidden = whole > 0;
    get("empty").textContent = emptyWords();
    flame.show(state.inverted ? new CallerTree(model, column()) : new CallTree(model, column()), `${label}: ${format(whole)}${state.measure === "objects" ? " objects" : ""}`);
    table.show(column(), format);
    showTip(null);
    showPath(flame.tree.root);
    tellBox(flame.tree.root);
    tellFound();
}

function emptyWords() {
    if (state.view === "mmap")
        return "No mapping lives.";
    if (!model.data.totals.heap.allocs)
        return "Nothing was recorded.";
    return state.view === "alloc" ? "Nothing was allocated." : "Nothing is in use: every block was freed. See what was allocated.";
}

function setQuery(query) {
    state.query = get("search").value = query;
    const found = model.match(query);
    flame.setFound(found);
    table.setFound(found);
    tellFound();
}

function tellFound() {
    const out = get("found");
    out.replaceChildren();
    if (!flame.found)
        return;
    const {functions, frames, value} = model.measureMatch(flame.found, column());
    if (!frames)
        out.append("nothing found");
    else
        out.append(element("b", "", `${formatShare(value, model.total(column())[0])}, ${format(value)}`),
            ` in ${count(functions, "function", "functions")}, ${count(frames, "frame", "frames")}`);
}

/* Lines about a box: its name; its figures and where it is. */
function describe(box) {
    const whole = flame.tree.root.value, exact = (value) => `${formatCount(value)} ${state.measure}`;
    const figures = [`${format(box.value)} (${formatShare(box.value, whole)})`];
    if (!box.parent)
        return ["All", `${exact(box.value)} in this view`];
    if (state.measure === "bytes")
        figures.push(exact(box.value));
    if (box.self && !state.inverted)
        figures.push(`self ${format(box.self)}`);
    const module = model.frameModule[box.frame], file = model.frameFile[box.frame], line = model.frameLine[box.frame];
    if (file)
        figures.push(model.texts[file] + (line ? `:${line}` : ""));
    if (module >= 0)
        figures.push(model.modules[module].path);
    return [model.texts[box.name], figures.join(" · ")];
}

function tellBox(box) {
    const [name, figures] = describe(box);
    get("details").replaceChildren(element("p", "", element("b", "", name)), element("p", "", figures));
    get("spoken").textContent = document.activeElement === get("flame") ? `${name}, ${figures}, depth ${box.depth}` : "";
}

function showTip(box, event) {
    const tip = get("tip");
    tip.hidden = !box;
    if (!box)
        return;
    const [name, figures] = describe(box);
    tip.replaceChildren(element("p", "", element("b", "", name)), element("p", "", figures));
    tip.style.left = "0"; /* as wide as it likes, for measuring */
    const area = tip.getBoundingClientRect(), room = document.documentElement;
    tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, room.clientWidth - area.width - 8))}px`;
    tip.style.top = `${event.clientY + 20 + area.height < room.clientHeight ? event.clientY + 20 : Math.max(8, event.clientY - area.height - 12)}px`;
}

/* The way to what is zoomed: the outermost, and the last few. */
function showPath(box) {
    const boxes = [];
    for (let at = box; at; at = at.parent)
        boxes.unshift(at);
    const shown = boxes.length > 5 ? [boxes[0], null, ...boxes.slice(-3)] : boxes, path = get("path");
    path.replaceChildren();
    for (const step of shown) {
        if (path.children.length)
            path.append(element("i", "", "›"));
        if (!step) {
            path.append(element("i", "", "…"));
            continue;
        }
        const button = element("button", "", step.parent ? model.texts[step.name] : "All");
        button.type = "button";
        button.addEventListener("click", () => step.parent ? flame.zoom(step) : flame.reset());
        path.append(button);
    }
}

function showLegend() {
    const {palette} = flame, item = (fill, text) => {
        const swatch = element("span", "");
        swatch.style.background = fill;
        return element("li", "", swatch, text);
    };
    const items = palette.order.slice(0, HUES.length).map((module) => item(palette.ofModule(module, 1), model.modules[module].name));
    if (palette.order.length > HUES.length)
        items.push(item(palette.fills[0][HUES.length][1], "other modules"));
    if (model.frameKind.includes(KIND_UNNAMED))
        items.push(item(palette.fills[1][0][1], "pale: without a name"));
    items.push(item(palette.small, "no code, or too small to draw"));
    get("legend").replaceChildren(...items);
}

function searchKey(event) {
    if (event.key === "Escape" && get("search").value) {
        setQuery("");
    } else if (event.key === "Escape" || event.key === "Enter") {
        get("flame").focus();
        const box = event.key === "Enter" && flame.found ? flame.firstFound() : null;
        if (box)
            flame.select(box);
    } else {
        return;
    }
    event.preventDefault();
}

function globalKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === get("search"))
        return;
    const act = {
        "/": () => get("search").select(),
        "i": () => choose("inverted", !state.inverted),
        "v": () => next("view", 1),
        "b": () => next("measure", 1),
        "Escape": () => event.target === get("flame") || flame.zoomOut(),
    }[event.key];
    if (act) {
        act();
        if (event.key === "/")
            event.preventDefault();
    }
}

makeChoice("views", "view");
makeChoice("measures", "measure");
get("invert").addEventListener("click", () => choose("inverted", !state.inverted));
get("search").addEventListener("input", () => setQuery(get("search").value));
get("search").addEventListener("keydown", searchKey);
document.addEventListener("keydown", globalKey);
get("flame").addEventListener("focus", () => flame.select(flame.selected));
get("flame").addEventListener("blur", () => flame.drawSoon());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showLegend);
if (!model.total(column())[0] && model.total(model.column("alloc", "bytes"))[0])
    state.view = "alloc"; /* nothing to see where the page would begin */
showLegend();
show();
