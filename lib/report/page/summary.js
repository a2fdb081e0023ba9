"use strict";
/* The top of the page: which program, four figures, and in plain words how far they can be trusted. */

/* Losses that change no figure and no stack of this page. */
const HARMLESS = ["ring-overwritten", "ring-dropped", "shared-slot", "inherited-frees", "guard-cleared"];

function count(number, one, many) {
    return `${formatCount(number)} ${number === 1 ? one : many}`;
}

function shortTime(ms) {
    const seconds = Math.round(ms / 1000);
    if (seconds < 120)
        return ms < 10000 ? `${(ms / 1000).toFixed(1)} s` : `${seconds} s`;
    return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

class Summary {
    constructor(model) {
        this.model = model;
        this.data = model.data;
        this.ended = ["exited", "killed"].includes(this.data.program.state);
        this.notes = [];
        this.cuts = [];
        this.tellProgram();
        this.tellFigures();
        this.tellLosses();
        this.tellCoverage();
        document.getElementById("notes").replaceChildren(...this.notes);
    }

    tellProgram() {
        const {program} = this.data, name = basename(visible(program.exe)) || `process ${program.pid}`;
        const states = {running: "running when it was read", exited: "ended by exit()", killed: "ended without exit(): killed, _exit or exec",
            unknown: "unknown whether it still runs"};
        const others = this.data.process_count - 1;
        const title = others > 0 ? `${name} and ${count(others, "other process", "other processes")}` : name;
        document.title = `${title} – heaptap`;
        document.getElementById("program").textContent = title;
        const command = document.getElementById("command");
        command.textContent = command.title = visible(program.command);
        const parts = [`PID ${program.pid}`, states[program.state], count(program.threads, "thread", "threads")];
        if (program.started)
            parts.splice(1, 0, `started ${new Date(program.started).toISOString().slice(0, 19).replace("T", " ")} UTC`);
        if (program.started && program.until - program.started > 50)
            parts.push(`${this.ended ? "last event" : "read"} after ${shortTime(program.until - program.started)}`);
        document.getElementById("meta").textContent = parts.join(" · ");
        document.getElementById("made").textContent = `heaptap ${this.data.heaptap}`;
    }

    tile(label, value, note) {
        document.getElementById("tiles").append(element("div", "", element("dt", "", label), element("dd", "", value), element("dd", "", note)));
    }

    tellFigures() {
        const {heap, map, peak, lost, unfollowed} = this.data.totals, average = heap.allocs ? formatBytes(heap.alloc_bytes / heap.allocs) : "";
        const used = unfollowed ? "at least " : "", made = lost ? "at least " : "";
        this.tile(this.ended ? "In use at exit" : "In use", used + formatBytes(heap.live_bytes), `in ${count(heap.live, "block", "blocks")}`);
        if (!this.data.processes.length) /* those of several came at different times */
            this.tile("Peak", used + formatBytes(peak), "of heap in use");
        this.tile("Allocated", made + formatBytes(heap.alloc_bytes), `${count(heap.allocs, "allocation", "allocations")}${average && `, ${average} each`}`);
        if (map.live)
            this.tile("Mapped", formatBytes(map.live_bytes), `in ${count(map.live, "mapping", "mappings")}`);
    }

    note(kind, ...text) {
        this.notes.push(element("li", kind, ...text));
    }

    /* A line that opens to a list; a warning is open, unless that is long. */
    noteList(kind, title, lines) {
        if (lines.length === 1)
            return this.note(kind, `${title}: ${lines[0]}.`);
        const details = element("details", "", element("summary", "", title), element("ul", "", ...lines.map((line) => element("li", "", line))));
        details.open = kind === "warn" && lines.length <= 10;
        this.note(kind, details);
    }

    tellLosses() {
        const {recording, losses} = this.data, lines = [], harmless = [];
        for (const [key, number, text] of losses) {
            const line = `${formatCount(number)} ${visible(text)}`;
            (HARMLESS.includes(key) ? harmless : key.startsWith("cut-") ? this.cuts : lines).push(line);
        }
        if (recording.modules_lost)
            lines.push(`${formatCount(recording.modules_lost)} loaded modules that found no row`);
        if (recording.damaged)
            lines.push(`${formatCount(recording.damaged)} references in the file that lead nowhere`);
        if (recording.events_during || recording.left_out)
            this.note("", `${count(recording.events_during, "event", "events")} happened while the buffer was read: figures may be apart by as many.`);
        if (recording.interval)
            this.note("", `Sampled: one in ${formatBytes(recording.interval)} on average. Figures are estimates.`);
        if (lines.length)
            this.noteList("warn", "Not everything was recorded as it should", lines);
        else if (this.data.totals.heap.allocs)
            this.note("good", recording.interval || this.unseen() ? "Nothing of what heaptap saw was lost." : `Nothing was lost: every allocation is counted${this.cuts.length ? "" : ", with its whole stack"}.`);
        if (harmless.length)
            this.noteList("", "Without effect on the figures of this page", harmless);
        if (recording.no_tables)
            this.note("warn", "Recorded by a build that reads no unwind tables: stacks have one frame.");
        if (recording.frozen)
            this.note("warn", "A seccomp filter came into force: code that was new after it has cut stacks.");
        if (recording.paused)
            this.note("warn", "Recording is paused.");
    }

    /* Whether there was something that heaptap did not see at all. */
    unseen() {
        return this.data.program.problem || this.data.processes.some(([, , problem]) => problem);
    }

    tellCoverage() {
        const {model} = this, {program, totals} = this.data, column = model.column("alloc", "bytes");
        const own = model.own[column], whole = model.total(column)[0];
        let named = 0, cut = 0;
        for (let i = 1; i < model.count; i++) {
            const kind = model.frameKind[model.frame[i]];
            if (kind === KIND_NAMED)
                named += own[i];
            if (kind === KIND_NO_CODE && (!model.parent[i] || model.frameKind[model.frame[model.parent[i]]] === KIND_PROCESS))
                cut += model.total(column)[i];
        }
        if (whole && named < 0.9995 * whole)
            this.note(named < 0.9 * whole ? "warn" : "", `${formatShare(named, whole)} of the allocated bytes are in functions with names; the rest shows as module and offset. Debug files give names: `, element("code", "", "heaptap dump --debug-dir DIR"));
        if (cut || this.cuts.length)
            this.noteList("", `${formatShare(cut, whole)} of the allocated bytes have a stack that is cut short or missing`,
                this.cuts.length ? this.cuts : ["its root says why"]);
        if (program.problem)
            this.note("warn", visible(program.problem));
        const problems = this.data.processes.filter(([, , problem]) => problem).map(([pid, name, problem]) => `${visible(name)}[${pid}]: ${visible(problem)}`);
        if (problems.length)
            this.noteList("warn", `Of ${count(problems.length, "process", "processes")} not everything is in the record`, problems);
        if (program.rss)
            this.note("", `${formatBytes(totals.heap.live_bytes)} of heap${totals.map.live ? ` and ${formatBytes(totals.map.live_bytes)} of mappings` : ""} are tracked; the process has ${formatBytes(program.rss)} of anonymous memory.`);
    }
}
