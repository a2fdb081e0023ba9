"use strict";
/*
 * The flame graph: a canvas as large as what is seen of it, drawn anew from the tree whenever something moves. The root is on top, larger boxes are further left.
 * Work is bounded by pixels: boxes narrower than SMALLEST are one grey line, and nothing below them is looked at.
 */
const ROW = 21, SMALLEST = 0.75, ZOOM_MS = 180;

/* Hues for modules, the program itself first. What is no code is grey. */
const HUES = [24, 205, 140, 268, 48, 330, 176, 88];

class Palette {
    constructor(model) {
        this.model = model;
        const weight = new Map();
        for (let i = 1; i < model.count; i++) {
            const module = model.frameModule[model.frame[i]];
            if (module >= 0)
                weight.set(module, (weight.get(module) || 0) + 1);
        }
        this.order = [...weight.keys()].sort((a, b) => model.modules[b].main - model.modules[a].main || weight.get(b) - weight.get(a));
        this.slot = new Map(this.order.map((module, i) => [module, Math.min(i, HUES.length)]));
        this.readTheme();
    }

    readTheme() {
        const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue(name).trim();
        this.dark = matchMedia("(prefers-color-scheme: dark)").matches;
        this.ink = of("--ink");
        this.panel = of("--panel");
        this.accent = of("--accent");
        this.found = this.dark ? "#d24fc0" : "#c02aa8";
        this.small = this.dark ? "#363c43" : "#dcdee1";
        this.fills = [0, 1].map((unnamed) => [...HUES, null].map((hue) => [0, 1, 2, 3].map((shade) => this.fill(hue, shade, unnamed))));
    }

    /* A module has a hue; its functions differ a little in lightness; those without a name are pale. */
    fill(hue, shade, unnamed) {
        const saturation = (hue === null ? 7 : this.dark ? 38 : 66) * (unnamed ? 0.3 : 1);
        const lightness = this.dark ? 29 + 2.5 * shade - 3 * unnamed : 84 - 3 * shade + 3 * unnamed;
        return `hsl(${hue === null ? 215 : hue} ${saturation}% ${lightness}%)`;
    }

    of(frame, name) {
        const kind = this.model.frameKind[frame];
        if (kind === KIND_NO_CODE || kind === KIND_PROCESS)
            return this.small;
        return this.ofModule(this.model.frameModule[frame], Math.imul(name, 0x9e3779b1) >>> 30, kind === KIND_UNNAMED);
    }

    ofModule(module, shade, unnamed) {
        return this.fills[unnamed ? 1 : 0][this.slot.has(module) ? this.slot.get(module) : HUES.length][shade];
    }
}

class Flame {
    /* `on`: hover(box or null, event), select(box), zoom(box) are told. */
    constructor(canvas, scroll, spacer, model, on) {
        Object.assign(this, {canvas, scroll, spacer, model, on});
        this.context = canvas.getContext("2d");
        this.palette = new Palette(model);
        this.widths = new Map();
        this.found = null;
        this.label = "";
        this.rows = [];
        this.listen();
    }

    listen() {
        this.scroll.addEventListener("scroll", () => this.drawSoon());
        new ResizeObserver(() => this.resize()).observe(this.scroll);
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
            this.palette.readTheme();
            this.drawSoon();
        });
        this.canvas.addEventListener("mousemove", (event) => this.hover(this.boxAt(event), event));
        this.canvas.addEventListener("mouseleave", (event) => this.hover(null, event));
        this.canvas.addEventListener("click", (event) => {
            const box = this.boxAt(event);
            if (box) {
                this.select(box);
                this.zoom(box);
            }
        });
        this.canvas.addEventListener("keydown", (event) => this.key(event));
    }

    show(tree, label) {
        this.tree = tree;
        this.label = label;
        this.zoomed = this.selected = tree.root;
        this.history = [];
        this.hovered = null;
        this.range = this.target = [0, 1];
        this.scroll.scrollTop = 0;
        this.fit();
        this.drawSoon();
    }

    setFound(found) {
        this.found = found;
        this.drawSoon();
    }

    resize() {
        const {clientWidth, clientHeight} = this.scroll;
        if (clientWidth !== this.width || clientHeight !== this.view) {
            this.width = clientWidth;
            if (this.tree)
                this.fit();
        }
        this.drawSoon();
    }

    /* Height of the scrolled area: the deepest box that can be seen in the present zoom, and those above it. */
    fit() {
        const [x0, x1] = this.target, scale = (this.width || 1) / (x1 - x0);
        let deepest = 0;
        const stack = [this.tree.root];
        while (stack.length) {
            const box = stack.pop();
            deepest = Math.max(deepest, box.depth);
            for (const kid of this.tree.kids(box)) {
                if (kid.w * scale < SMALLEST || kid.x >= x1)
                    break;
                if (kid.x + kid.w > x0)
                    stack.push(kid);
            }
        }
        this.height = (deepest + 1) * ROW + 2;
        this.spacer.style.height = "0px";
        this.scroll.style.height = `${this.height + 2}px`;
        this.view = Math.min(this.height, this.scroll.clientHeight || this.height);
        this.spacer.style.height = `${Math.max(0, this.height - this.view)}px`;
        const ratio = window.devicePixelRatio || 1;
        this.canvas.style.height = `${this.view}px`;
        this.canvas.width = Math.max(1, Math.round((this.width || 1) * ratio));
        this.canvas.height = Math.max(1, Math.round(this.view * ratio));
    }

    drawSoon() {
        if (!this.pending)
            this.pending = requestAnimationFrame((now) => {
                this.pending = 0;
                this.step(now);
                this.draw();
            });
    }

    /* Moves the range towards the target. */
    step(now) {
        if (!this.moving)
            return;
        this.moving.start = this.moving.start || now;
        const part = Math.min(1, (now - this.moving.start) / ZOOM_MS), eased = 1 - (1 - part) ** 3;
        this.range = this.target.map((end, i) => this.moving.from[i] + (end - this.moving.from[i]) * eased);
        if (part < 1) {
            this.drawSoon();
        } else {
            this.range = this.target;
            this.moving = null;
        }
    }

    draw() {
        if (!this.tree || !this.width)
            return;
        const context = this.context, ratio = window.devicePixelRatio || 1;
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        context.clearRect(0, 0, this.width, this.view);
        context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
        context.textBaseline = "middle";
        this.rows = [];
        this.drawBoxes(context, this.scroll.scrollTop);
        this.outline(context, this.hovered, 1);
        this.outline(context, this.selected, 2);
    }

    drawBoxes(context, top) {
        const [x0, x1] = this.range, scale = this.width / (x1 - x0), stack = [this.tree.root];
        while (stack.length) {
            const box = stack.pop(), y = box.depth * ROW - top;
            const left = Math.max(0, (box.x - x0) * scale), right = Math.min(this.width, (box.x + box.w - x0) * scale);
            if (y > -ROW)
                this.drawBox(context, box, left, right, y);
            if (y + ROW >= this.view)
                continue;
            const kids = this.tree.kids(box);
            for (let i = 0; i < kids.length && kids[i].x < x1; i++) {
                if (kids[i].x + kids[i].w <= x0)
                    continue;
                if (kids[i].w * scale < SMALLEST) {
                    this.drawRest(context, kids, i, y + ROW, x0, scale);
                    break;
                }
                stack.push(kids[i]);
            }
        }
    }

    /* Everything from kid i on is too small. */
    drawRest(context, kids, i, y, x0, scale) {
        const last = kids[kids.length - 1];
        const left = Math.max(0, (kids[i].x - x0) * scale), right = Math.min(this.width, (last.x + last.w - x0) * scale);
        if (y < -ROW || right <= left)
            return;
        context.fillStyle = this.palette.small;
        context.fillRect(left, y + 1, Math.max(0.5, right - left), ROW / 3);
    }

    drawBox(context, box, left, right, y) {
        const width = right - left, hit = this.found && box.parent && this.found[box.name];
        (this.rows[box.depth] = this.rows[box.depth] || []).push({box, left, right});
        context.globalAlpha = this.found && !hit ? 0.4 : box.depth < this.zoomed.depth ? 0.62 : 1;
        context.fillStyle = !box.parent ? this.palette.small : hit ? this.palette.found : this.palette.of(box.frame, box.name);
        context.fillRect(left, y + 1, width > 2.5 ? width - 1 : width, ROW - 1);
        if (width > 34) {
            context.globalAlpha = this.found && !hit ? 0.65 : context.globalAlpha;
            context.fillStyle = hit ? "#ffffff" : this.palette.ink;
            context.fillText(this.fitText(context, box, width - 10), left + 5, y + ROW / 2 + 1);
        }
        context.globalAlpha = 1;
    }

    fitText(context, box, room) {
        const text = box.parent ? this.model.texts[box.name] : this.label;
        let width = this.widths.get(text);
        if (width === undefined)
            this.widths.set(text, width = context.measureText(text).width);
        if (width <= room)
            return text;
        let length = Math.floor(text.length * (room - 8) / width);
        while (length > 1 && context.measureText(text.slice(0, length)).width > room - 8)
            length--;
        if (length < 3)
            return "";
        return `${text.slice(0, /[\ud800-\udbff]/.test(text[length - 1]) ? length - 1 : length)}…`;
    }

    outline(context, box, width) {
        if (!box || (box === this.tree.root && document.activeElement !== this.canvas))
            return;
        const [x0, x1] = this.range, scale = this.width / (x1 - x0);
        const left = Math.max(0, (box.x - x0) * scale), right = Math.min(this.width, (box.x + box.w - x0) * scale);
        if (right <= left)
            return;
        context.strokeStyle = width > 1 ? this.palette.accent : this.palette.ink;
        context.lineWidth = width;
        context.strokeRect(left + width / 2, box.depth * ROW - this.scroll.scrollTop + 1 + width / 2, Math.max(1, right - left - 1 - width), ROW - 1 - width);
    }

    boxAt(event) {
        const area = this.canvas.getBoundingClientRect(), x = event.clientX - area.left;
        const depth = Math.floor((event.clientY - area.top + this.scroll.scrollTop - 1) / ROW);
        const hit = (this.rows[depth] || []).find(({left, right}) => x >= left && x < right);
        return hit ? hit.box : null;
    }

    hover(box, event) {
        if (box !== this.hovered) {
            this.hovered = box;
            this.drawSoon();
        }
        this.on.hover(box, event);
    }

    select(box) {
        this.selected = box;
        const y = box.depth * ROW;
        if (y < this.scroll.scrollTop)
            this.scroll.scrollTop = y - ROW;
        else if (y + 2 * ROW > this.scroll.scrollTop + this.view)
            this.scroll.scrollTop = y + 2 * ROW - this.view;
        this.on.select(box);
        this.drawSoon();
    }

    /* The box becomes as wide as the graph. */
    zoom(box, remember = true) {
        if (box === this.zoomed)
            return;
        if (remember)
            this.history.push(this.zoomed);
        this.zoomed = box;
        this.target = [box.x, box.x + box.w];
        this.fit();
        if (matchMedia("(prefers-reduced-motion: reduce)").matches)
            this.range = this.target;
        else
            this.moving = {from: this.range, start: 0};
        this.on.zoom(box);
        this.select(box);
    }

    zoomOut() {
        if (this.history.length)
            this.zoom(this.history.pop(), false);
    }

    reset() {
        this.history = [];
        this.zoom(this.tree.root, false);
        this.select(this.tree.root);
    }

    /* The widest box with a found name in the present zoom. */
    firstFound() {
        const queue = [this.zoomed];
        let best = null;
        for (let i = 0; i < queue.length && i < 20000; i++) {
            for (const kid of this.tree.kids(queue[i])) {
                if (best && kid.w <= best.w)
                    break;
                if (this.found[kid.name])
                    best = kid;
                else
                    queue.push(kid);
            }
        }
        return best;
    }

    besides(step) {
        const [x0, x1] = this.target, parent = this.selected.parent;
        const row = (this.rows[this.selected.depth] || []).map(({box}) => box).filter((box) => box.x < x1 && box.x + box.w > x0);
        row.sort((a, b) => a.x - b.x);
        return row[row.indexOf(this.selected) + step] || (parent ? this.selected : null);
    }

    /* The largest kid that can be seen. */
    below() {
        const [x0, x1] = this.target, scale = this.width / (x1 - x0);
        return this.tree.kids(this.selected).find((kid) => kid.x + kid.w > x0 && kid.x < x1 && kid.w * scale >= SMALLEST);
    }

    key(event) {
        if (event.ctrlKey || event.metaKey || event.altKey)
            return;
        const go = {
            ArrowUp: () => this.selected.parent, ArrowDown: () => this.below(),
            ArrowLeft: () => this.besides(-1), ArrowRight: () => this.besides(1),
        }[event.key];
        if (go)
            this.select(go() || this.selected);
        else if (event.key === "Enter" || event.key === " ")
            this.zoom(this.selected);
        else if (event.key === "Home")
            this.reset();
        else if (event.key === "Escape")
            this.zoomOut();
        else
            return;
        event.preventDefault();
    }
}
