"use strict";
/* The table of functions: sorted by any column, 50 rows at first. */
const PAGE_ROWS = 50;

/* An element with text, which is never taken for markup. */
function element(tag, className, ...children) {
    const made = document.createElement(tag);
    if (className)
        made.className = className;
    made.append(...children);
    return made;
}

class Table {
    constructor(model, onPick) {
        Object.assign(this, {model, onPick});
        this.head = document.getElementById("top-head");
        this.body = document.getElementById("top-body");
        this.count = document.getElementById("top-count");
        this.more = document.getElementById("more");
        this.sort = "self";
        this.up = false;
        this.limit = PAGE_ROWS;
        this.found = null;
        this.makeHead();
        this.more.addEventListener("click", () => {
            this.limit *= 4;
            this.fill();
        });
    }

    makeHead() {
        const columns = [["name", "Function", ""], ["self", "Self", "figure"], ["self", "Self %", "share"], ["total", "Total", "figure"], ["total", "Total %", "share"]];
        for (const [key, label, className] of columns) {
            const button = element("button", "", label), cell = element("th", className, button);
            cell.scope = "col";
            cell.dataset.key = key;
            button.type = "button";
            button.addEventListener("click", () => {
                this.up = key === this.sort ? !this.up : key === "name";
                this.sort = key;
                this.fill();
            });
            this.head.append(cell);
        }
    }

    show(column, format) {
        this.rows = this.model.functionRows(column);
        this.whole = this.model.total(column)[0];
        this.format = format;
        this.limit = PAGE_ROWS;
        this.fill();
    }

    setFound(found) {
        this.found = found;
        this.limit = PAGE_ROWS;
        this.fill();
    }

    sorted() {
        const texts = this.model.texts, sign = this.up ? 1 : -1, rows = this.found ? this.rows.filter((row) => this.found[row.name]) : [...this.rows];
        if (this.sort === "name")
            return rows.sort((a, b) => sign * (texts[a.name] < texts[b.name] ? -1 : 1));
        return rows.sort((a, b) => sign * (a[this.sort] - b[this.sort]) || b.total - a.total || a.name - b.name);
    }

    fill() {
        const rows = this.sorted();
        for (const cell of this.head.children) {
            if (cell.dataset.key === this.sort)
                cell.setAttribute("aria-sort", this.up ? "ascending" : "descending");
            else
                cell.removeAttribute("aria-sort");
        }
        this.body.replaceChildren(...rows.slice(0, this.limit).map((row) => this.makeRow(row)));
        this.count.textContent = this.found ? `${formatCount(rows.length)} of ${formatCount(this.rows.length)}` : formatCount(rows.length);
        this.more.hidden = rows.length <= this.limit;
        this.more.textContent = `Show more of ${formatCount(rows.length)}`;
    }

    makeRow(row) {
        const {model} = this, text = model.texts[row.name], module = model.frameModule[row.frame];
        const name = element("button", "", text), cell = element("td", "", name);
        name.type = "button";
        name.title = text;
        name.addEventListener("click", () => this.onPick(text));
        if (module >= 0 && model.frameKind[row.frame] === KIND_NAMED)
            cell.append(" ", element("span", "quiet", model.modules[module].name));
        const made = element("tr", "", cell);
        for (const key of ["self", "total"]) {
            const share = element("td", `share ${key}`, element("span", "", formatShare(row[key], this.whole)));
            share.style.setProperty("--part", this.whole ? row[key] / this.whole : 0);
            made.append(element("td", "", this.format(row[key])), share);
        }
        return made;
    }
}
