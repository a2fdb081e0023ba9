"use strict";
/*
 * The profile as typed arrays, and the two trees that are drawn of it. The data (html_data.c writes it):
 *
 *   program, totals, recording, losses    what summary.js tells
 *   process_count, processes [PID, name, problem] of each that is told apart, where there are several: then their stacks hang below a frame for each
 *   view      the view to begin with
 *   texts     names and files; text 0 is empty
 *   modules   [path, is the program itself]
 *   frames    five numbers each: text of the name, module + 1 (0: none), text of the file, line, kind
 *   nodes     two numbers each, from node 1 on: how far before it its parent is, frame. Node 0 is the root
 *   values    seven numbers each: how far behind the one before it its node is, and what stacks that end there have:
 *             bytes and objects in use, allocated, mapped
 *
 * Text in here is hostile: it is only ever set as textContent or drawn, after visible().
 */
const KIND_NAMED = 0, KIND_UNNAMED = 1, KIND_NO_CODE = 2, KIND_PROCESS = 3;
const COLUMNS = 6;
const VIEWS = {inuse: 0, alloc: 2, exit: 0, mmap: 4};

/* Characters that are not seen, or that change the order of others, as what they are. */
function visible(text) {
    return text.replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu,
        (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

function formatBytes(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) {
        bytes /= 1024;
        unit++;
    }
    return `${unit && bytes < 99.95 ? bytes.toFixed(1) : Math.round(bytes)}\u00a0${units[unit]}`;
}

function formatCount(count) {
    return Math.round(count).toLocaleString("en-US");
}

function formatShare(part, whole) {
    const percent = whole ? 100 * part / whole : 0;
    if (part && percent < 0.05)
        return "<0.1\u00a0%";
    return `${percent < 99.95 ? percent.toFixed(1) : "100"}\u00a0%`;
}

function basename(path) {
    return path.slice(path.lastIndexOf("/") + 1);
}

class Model {
    constructor(data) {
        this.data = data;
        this.texts = data.texts.map(visible);
        this.modules = data.modules.map(([path, main]) => ({path: visible(path), name: basename(visible(path)), main}));
        this.readFrames(data.frames);
        this.readNodes(data.nodes);
        this.readValues(data.values);
        this.totals = [];
        this.functions = [];
    }

    readFrames(rows) {
        const count = rows.length / 5;
        this.frameName = new Uint32Array(count);
        this.frameModule = new Int32Array(count); /* -1: none */
        this.frameFile = new Uint32Array(count);
        this.frameLine = new Uint32Array(count);
        this.frameKind = new Uint8Array(count);
        for (let i = 0; i < count; i++) {
            this.frameName[i] = rows[5 * i];
            this.frameModule[i] = rows[5 * i + 1] - 1;
            this.frameFile[i] = rows[5 * i + 2];
            this.frameLine[i] = rows[5 * i + 3];
            this.frameKind[i] = rows[5 * i + 4];
        }
    }

    /* Children of node n are child[first[n]] .. child[first[n + 1] - 1]. */
    readNodes(rows) {
        const count = rows.length / 2 + 1;
        this.count = count;
        this.parent = new Uint32Array(count);
        this.frame = new Uint32Array(count);
        this.first = new Uint32Array(count + 1);
        this.child = new Uint32Array(count);
        for (let i = 1; i < count; i++) {
            this.parent[i] = i - rows[2 * i - 2];
            this.frame[i] = rows[2 * i - 1];
            this.first[this.parent[i] + 1]++;
        }
        for (let i = 0; i < count; i++)
            this.first[i + 1] += this.first[i];
        const next = this.first.slice();
        for (let i = 1; i < count; i++)
            this.child[next[this.parent[i]]++] = i;
    }

    readValues(rows) {
        this.own = Array.from({length: COLUMNS}, () => new Float64Array(this.count));
        for (let at = 0, node = 0; at < rows.length; at += COLUMNS + 1) {
            node += rows[at];
            for (let column = 0; column < COLUMNS; column++)
                this.own[column][node] = rows[at + 1 + column];
        }
    }

    column(view, measure) {
        return VIEWS[view] + (measure === "objects" ? 1 : 0);
    }

    name(node) {
        return this.frameName[this.frame[node]];
    }

    /* Values of whole subtrees: parents come before their children. */
    total(column) {
        if (!this.totals[column]) {
            const total = this.own[column].slice();
            for (let i = this.count - 1; i > 0; i--)
                total[this.parent[i]] += total[i];
            this.totals[column] = total;
        }
        return this.totals[column];
    }

    /* Nodes that have no caller of the same name: only these count for a function's total, or recursion would count twice. */
    outermost() {
        if (this.isOutermost)
            return this.isOutermost;
        const outermost = new Uint8Array(this.count), open = new Uint32Array(this.texts.length);
        const path = [0], next = [this.first[0]];
        while (path.length) {
            const node = path[path.length - 1], at = next[next.length - 1]++;
            if (at === this.first[node + 1]) {
                path.pop();
                next.pop();
                if (node)
                    open[this.name(node)]--;
                continue;
            }
            const child = this.child[at];
            outermost[child] = open[this.name(child)]++ ? 0 : 1;
            path.push(child);
            next.push(this.first[child]);
        }
        return this.isOutermost = outermost;
    }

    /* What the table shows: one row a name. */
    functionRows(column) {
        if (this.functions[column])
            return this.functions[column];
        const own = this.own[column], total = this.total(column), outermost = this.outermost();
        const rows = new Map();
        for (let i = 1; i < this.count; i++) {
            if (!total[i])
                continue;
            const name = this.name(i);
            let row = rows.get(name);
            if (!row)
                rows.set(name, row = {name, frame: this.frame[i], self: 0, total: 0});
            row.self += own[i];
            row.total += outermost[i] ? total[i] : 0;
        }
        return this.functions[column] = [...rows.values()];
    }

    /* Names (by text) that a search finds, in themselves or in their file; null: nothing is searched. */
    match(query) {
        const words = query.trim().toLowerCase();
        if (!words)
            return null;
        const found = new Uint8Array(this.texts.length), hits = this.texts.map((text) => text.toLowerCase().includes(words));
        for (let i = 0; i < this.frameName.length; i++)
            if (hits[this.frameName[i]] || hits[this.frameFile[i]])
                found[this.frameName[i]] = 1;
        return found;
    }

    /* How much a search finds in a column: functions, frames, and the value of all stacks that run through one of them. */
    measureMatch(found, column) {
        const total = this.total(column), inside = new Uint8Array(this.count), names = new Set();
        let frames = 0, value = 0;
        for (let i = 1; i < this.count; i++) {
            const hit = found[this.name(i)];
            inside[i] = inside[this.parent[i]] | hit;
            if (!hit || !total[i])
                continue;
            frames++;
            names.add(this.name(i));
            value += inside[this.parent[i]] ? 0 : total[i];
        }
        return {functions: names.size, frames, value};
    }
}

/*
 * What the graph draws: {parent, depth, frame, name, value, self, x, w}, x and w in parts of the whole. kids() are made when they are asked for, the
 * largest first: what is too small to be seen is never made.
 */
class CallTree {
    constructor(model, column) {
        this.model = model;
        this.own = model.own[column];
        this.total = model.total(column);
        this.root = {parent: null, depth: 0, frame: -1, name: 0, value: this.total[0], self: 0, x: 0, w: 1, node: 0, kids: null};
    }

    kids(box) {
        if (box.kids)
            return box.kids;
        const {model, total} = this;
        const nodes = [];
        for (let at = model.first[box.node]; at < model.first[box.node + 1]; at++)
            if (total[model.child[at]] > 0)
                nodes.push(model.child[at]);
        nodes.sort((a, b) => total[b] - total[a] || a - b);
        let x = box.x;
        return box.kids = nodes.map((node) => {
            const w = total[node] / this.root.value;
            const kid = {parent: box, depth: box.depth + 1, frame: model.frame[node], name: model.name(node), value: total[node],
                self: this.own[node], x, w, node, kids: null};
            x += w;
            return kid;
        });
    }
}

/* The same stacks from their inner end: below each function its callers. */
class CallerTree {
    constructor(model, column) {
        this.model = model;
        this.own = model.own[column];
        this.total = model.total(column);
        const nodes = [], values = [];
        for (let i = 1; i < model.count; i++) {
            if (this.own[i] > 0) {
                nodes.push(i);
                values.push(this.own[i]);
            }
        }
        this.root = {parent: null, depth: 0, frame: -1, name: 0, value: this.total[0], self: 0, x: 0, w: 1, nodes, values, kids: null};
    }

    kids(box) {
        if (box.kids)
            return box.kids;
        const {model} = this;
        const groups = new Map();
        for (let i = 0; i < box.nodes.length; i++) {
            const node = box.parent ? model.parent[box.nodes[i]] : box.nodes[i];
            if (!node)
                continue;
            const name = model.name(node);
            let group = groups.get(name);
            if (!group)
                groups.set(name, group = {parent: box, depth: box.depth + 1, frame: model.frame[node], name, value: 0, self: 0, x: 0, w: 0,
                    nodes: [], values: [], kids: null});
            group.nodes.push(node);
            group.values.push(box.values[i]);
            group.value += box.values[i];
        }
        const kids = [...groups.values()].sort((a, b) => b.value - a.value || a.name - b.name);
        let x = box.x;
        for (const kid of kids) {
            kid.self = box.parent ? 0 : kid.value;
            kid.x = x;
            kid.w = kid.value / this.root.value;
            x += kid.w;
        }
        return box.kids = kids;
    }
}
