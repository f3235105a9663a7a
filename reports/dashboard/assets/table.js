"use strict";
// Tables of means or of paired differences to one method, and of costs.

const ALL = "*"; // all protocols, in the address

Bench.views.table = {
  loads: true, // for the paired differences
  draw(set, container) {
    // Opens on the first protocol, which is reconstruction: all columns at once are more than a screen shows.
    const wanted = Bench.state.get("protocol");
    const protocol = wanted === ALL ? "" : set.protocols.includes(wanted) ? wanted : (set.protocols[0] ?? "");
    const against = set.data.pairs.length ? chosen("against", Bench.run.methods.length, -1) : -1;
    const all = set.quality.filter((index) => !protocol || set.columns[index].protocol === protocol);
    const hidden = new Set((Bench.state.get("columns") ?? "").split(",").filter(Boolean).map(Number).filter((index) => all.includes(index)));
    const box = element("div");
    const picked = element("summary");
    let text = Bench.state.get("filter") ?? "";
    let sorted = readSorted(Bench.state.get("sort"));
    const draw = () => {
      const shown = all.filter((index) => !hidden.has(index));
      picked.textContent = `Columns: ${shown.length} of ${all.length}`;
      box.replaceChildren(...meansTable(set, shown, against, text, sorted, (next) => {
        sorted = next;
        Bench.keep({ sort: `${next.index}-${next.order}` });
      }));
    };
    const pickColumns = (change) => {
      change();
      sorted = null; // an order names a column by its place
      Bench.keep({ columns: [...hidden].join(","), sort: "" });
      draw();
    };
    const boxes = all.map((index) => {
      const input = element("input", { type: "checkbox", checked: !hidden.has(index),
        change: () => pickColumns(() => (input.checked ? hidden.delete(index) : hidden.add(index))) });
      return [input, element("label", { title: recipeText(set.columns[index]) }, input, heading(set.columns[index]))];
    });
    const every = (on) => element("button", { type: "button", click: () => pickColumns(() => {
      for (const [place, [input]] of boxes.entries()) {
        input.checked = on;
        if (on) hidden.delete(all[place]); else hidden.add(all[place]);
      }
    }) }, on ? "All" : "None");
    add(container,
      element("h2", {}, set.title),
      element("div", { class: "controls" },
        search("Methods", text, (value) => { text = value; Bench.keep({ filter: value }); draw(); }),
        choice("Protocol", [...set.protocols.map((name) => [name, name]), [ALL, "all"]], protocol || ALL,
          (value) => Bench.go("table", { protocol: value, sort: "", columns: "" })),
        set.data.pairs.length ? choice("Show", [["", "means"], ...methodOptions(set).map(([index, title]) => [index, `difference to ${title}`])],
          against < 0 ? "" : against, (value) => Bench.go("table", { against: value, sort: "" })) : null),
      element("details", { class: "which", open: hidden.size > 0 }, picked,
        element("div", { class: "checks" }, every(true), every(false), boxes.map(([, label]) => label))),
      exportButtons(() => box.querySelector("table"), `${set.slug}${protocol ? `-${protocol}` : ""}`),
      box, costTable(set));
    draw();
  },
};

function readSorted(text) {
  const found = /^(\d+)-(ascending|descending)$/.exec(text ?? "");
  return found ? { index: Number(found[1]), order: found[2] } : null;
}

function meansTable(set, indices, against, text, sorted, change) {
  const shown = set.methods.filter((method) => method !== against && (!indices.length || indices.some((index) => set.cells[index][method])));
  const rows = shown.filter((method) => matches(method, text));
  const reasons = [];
  const heads = [
    { content: "Method", key: (method) => Bench.run.methods[method].title, first: "ascending", class: "name" },
    ...indices.map((index) => {
      const column = set.columns[index];
      return {
        content: [heading(column), element("span", { class: "arrow" }, `\u00a0${arrow(column)}`)],
        title: recipeText(column),
        key: (method) => (against < 0 ? set.cells[index][method]?.[0] : set.difference(index, method, against)?.[0]) ?? null,
        first: sign(column) < 0 ? "ascending" : "descending",
      };
    }),
  ];
  const draw = (method) => element("tr", {}, element("th", { scope: "row", class: "name" }, methodName(method)),
    indices.map((index) => (against < 0 ? meanCell(set, index, method, reasons) : differenceCell(set, index, method, against))));
  const protocols = [...new Set(indices.map((index) => set.columns[index].protocol))];
  const spans = [];
  for (const index of indices) {
    const name = [set.columns[index].protocol, set.columns[index].section].filter(Boolean).join(", ");
    if (spans.at(-1)?.name === name) spans.at(-1).colspan += 1;
    else spans.push({ name, colspan: 1 });
  }
  const groups = [element("td"), ...spans.map(({ name, colspan }) => element("th", { scope: "colgroup", colspan }, name))];
  const valid = sorted && sorted.index < heads.length ? sorted : null;
  const caption = against < 0 ? `${set.title}: means` : `${set.title}: differences to ${Bench.run.methods[against].title}`;
  const parts = [sortable({ caption, groups, heads, rows, draw, sorted: valid, change })];
  if (!indices.length) parts.push(element("p", { class: "empty" }, "No column is chosen."));
  else if (!rows.length) parts.push(element("p", { class: "empty" }, "No method matches this filter."));
  parts.push(notes(set, protocols, against, reasons));
  return parts;
}

function meanCell(set, index, method, reasons) {
  const cell = set.cells[index][method];
  if (!cell) return element("td", { class: "none" }, "n/a");
  const [value, low, high, n, expected, mark, reason] = cell;
  const { digits } = set.columns[index];
  if (value === null) {
    if (!reasons.includes(reason)) reasons.push(reason);
    return element("td", { class: "none", title: reason }, "n/a", element("sup", {}, letter(reasons.indexOf(reason))));
  }
  const explanation = { best: "best, or not distinguishable from the best", second: "second best, or not distinguishable from it" }[mark];
  return element("td", { class: mark || null, title: explanation ?? null },
    element("span", { class: "value" }, fixed(value, digits), n < expected ? "\u2020" : null),
    low === null ? null : element("span", { class: "interval" }, `${fixed(low, digits)} to ${fixed(high, digits)}`),
    n < expected ? element("span", { class: "interval" }, `n = ${n}`) : null);
}

function differenceCell(set, index, method, against) {
  const difference = set.difference(index, method, against);
  if (difference === null) return element("td", { class: "none", title: "no image is ok for both" }, "n/a");
  const [mean, low, high, n, excludesZero] = difference;
  const column = set.columns[index];
  // As in the summaries: a difference whose interval excludes zero is not printed as 0.000.
  const near = Math.min(Math.abs(low), Math.abs(high));
  const extra = excludesZero ? [0, 1, 2, 3].find((more) => more === 3 || Number(near.toFixed(column.digits + more)) !== 0) : 0;
  const digits = column.digits + extra;
  const side = !excludesZero ? "undecided" : isBetter(mean, column) ? "better" : "worse";
  return element("td", { class: side },
    element("span", { class: "value" }, fixed(mean, digits, true)),
    element("span", { class: "interval" }, `${fixed(low, digits, true)} to ${fixed(high, digits, true)}`),
    element("span", { class: "interval" }, side + (n < set.cells[index][method][4] ? `, n = ${n}` : "")));
}

function notes(set, protocols, against, reasons) {
  const absent = Bench.run.methods.flatMap((each, method) => (set.ran[method] ? [] : [each.title]));
  const { level, minimum } = Bench.run.statistics;
  return element("div", { class: "notes" },
    against < 0
      ? element("details", {}, element("summary", {}, "How to read this table: intervals and marks"),
        protocols.map((protocol) => element("p", {}, set.captions[protocol])),
        element("p", {}, "The recipe of a metric is in About and in the tooltip of its title."))
      : element("p", {}, `Mean difference to ${Bench.run.methods[against].title}, paired by image, with its `
        + `${percent(level)} interval. Better and worse: the interval excludes zero, with at least ${minimum} images; undecided otherwise.`),
    against < 0 && protocols.some((protocol) => set.quality.some((index) => set.columns[index].protocol === protocol
      && set.cells[index].some((cell) => cell?.[0] != null && cell[3] < cell[4])))
      ? element("p", {}, `\u2020 ${set.daggers[protocols[0]]}`) : null,
    reasons.map((reason, index) => element("p", {}, element("sup", {}, letter(index)), ` ${reason}`)),
    absent.length ? element("p", {}, `Not part of the suite on this data set: ${absent.join(", ")}.`) : null);
}

function costTable(set) {
  if (!set.costs.length) return null;
  const names = [...new Set(set.costs.flatMap((cost) => Object.keys(cost.cells)))];
  const columns = names.map((name) => set.columns.find((column) => column.metric === name));
  const labels = ["Device", "Precision", "Batch size"];
  const heads = [
    { content: "Method", key: (cost) => Bench.run.methods[cost.method].title, first: "ascending", class: "name" },
    ...labels.map((label, index) => ({ content: label, key: (cost) => cost.measured[index], first: "ascending", class: "text" })),
    ...names.map((name, index) => ({
      content: columns[index] ? heading(columns[index]) : name, title: columns[index] ? directionText(columns[index]) : null, key: (cost) => cost.cells[name]?.[0] ?? null, first: "ascending",
    })),
  ];
  const draw = (cost) => element("tr", {}, element("th", { scope: "row", class: "name" }, methodName(cost.method)),
    cost.measured.map((text) => element("td", { class: "text" }, text)),
    names.map((name, index) => {
      const [value, low, high, n] = cost.cells[name] ?? [null];
      if (value === null) return element("td", { class: "none" }, "n/a");
      const digits = columns[index]?.digits ?? 3;
      return element("td", {}, element("span", { class: "value" }, fixed(value, digits)),
        element("span", { class: "interval" }, `${fixed(low, digits)} to ${fixed(high, digits)}, n = ${n}`));
    }));
  return element("section", {}, element("h2", {}, "Costs per image"),
    sortable({ caption: `${set.title}: costs`, heads, rows: set.costs, draw, sorted: null, change: () => {} }));
}
