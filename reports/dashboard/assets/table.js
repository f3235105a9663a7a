"use strict";
// The tables of means, or of paired differences to one method, with what they cost.

Bench.views.table = {
  loads: true, // for the paired differences
  draw(set, container) {
    const protocol = set.protocols.includes(Bench.state.get("protocol")) ? Bench.state.get("protocol") : "";
    const against = chosen("against", Bench.run.methods.length, -1);
    const box = element("div");
    let text = Bench.state.get("filter") ?? "";
    let sorted = readSorted(Bench.state.get("sort"));
    const draw = () => box.replaceChildren(...meansTable(set, protocol, against, text, sorted, (next) => {
      sorted = next;
      Bench.keep({ sort: `${next.place}-${next.order}` });
    }));
    container.append(
      element("h2", {}, set.title),
      element("div", { class: "controls" },
        search("Methods", text, (value) => { text = value; Bench.keep({ filter: value }); draw(); }),
        choice("Protocol", [["", "all"], ...set.protocols.map((name) => [name, name])], protocol,
          (value) => Bench.go("table", { protocol: value, sort: "" })),
        choice("Show", [["", "means"], ...methodOptions(set).map(([place, title]) => [place, `difference to ${title}`])],
          against < 0 ? "" : against, (value) => Bench.go("table", { against: value, sort: "" }))),
      box, costTable(set));
    draw();
  },
};

function readSorted(text) {
  const found = /^(\d+)-(ascending|descending)$/.exec(text ?? "");
  return found ? { place: Number(found[1]), order: found[2] } : null;
}

function meansTable(set, protocol, against, text, sorted, change) {
  const places = set.quality.filter((place) => !protocol || set.columns[place].protocol === protocol);
  const shown = set.methods.filter((method) => method !== against && places.some((place) => set.cells[place][method]));
  const rows = shown.filter((method) => answers(method, text));
  const reasons = [];
  const heads = [
    { content: "Method", key: (method) => Bench.run.methods[method].title, first: "ascending", class: "name" },
    ...places.map((place) => {
      const column = set.columns[place];
      return {
        content: [heading(column), element("span", { class: "arrow" }, ` ${arrow(column)}`)],
        title: `${better(column)}. ${column.recipe}`,
        key: (method) => (against < 0 ? set.cells[place][method]?.[0] : set.difference(place, method, against)?.[0]) ?? null,
        first: column.direction === "lower" ? "ascending" : "descending",
      };
    }),
  ];
  const draw = (method) => element("tr", {}, element("th", { scope: "row", class: "name" }, methodName(method)),
    places.map((place) => (against < 0 ? meanCell(set, place, method, reasons) : differenceCell(set, place, method, against))));
  const protocols = [...new Set(places.map((place) => set.columns[place].protocol))];
  const spans = [];
  for (const place of places) {
    const name = [set.columns[place].protocol, set.columns[place].section].filter(Boolean).join(", ");
    if (spans.at(-1)?.name === name) spans.at(-1).colspan += 1;
    else spans.push({ name, colspan: 1 });
  }
  const groups = [element("td"), ...spans.map(({ name, colspan }) => element("th", { scope: "colgroup", colspan }, name))];
  const valid = sorted && sorted.place < heads.length ? sorted : null;
  const caption = against < 0 ? `${set.title}: means` : `${set.title}: differences to ${Bench.run.methods[against].title}`;
  const parts = [sortable({ caption, groups, heads, rows, draw, sorted: valid, change })];
  if (!rows.length) parts.push(element("p", { class: "empty" }, "No method answers to this filter."));
  parts.push(notes(set, protocols, against, reasons));
  return parts;
}

function meanCell(set, place, method, reasons) {
  const cell = set.cells[place][method];
  if (!cell) return element("td", { class: "none" }, "n/a");
  const [value, low, high, n, expected, mark, reason] = cell;
  const { digits } = set.columns[place];
  if (value === null) {
    if (!reasons.includes(reason)) reasons.push(reason);
    return element("td", { class: "none", title: reason }, "n/a", element("sup", {}, letter(reasons.indexOf(reason))));
  }
  const words = { best: "best, or not to be told from the best", second: "second, or not to be told from the second" }[mark];
  return element("td", { class: mark || null, title: words ?? null },
    element("span", { class: "value" }, fixed(value, digits), n < expected ? "\u2020" : null),
    element("span", { class: "interval" }, `${fixed(low, digits)} to ${fixed(high, digits)}`),
    n < expected ? element("span", { class: "interval" }, `n = ${n}`) : null);
}

function differenceCell(set, place, method, against) {
  const found = set.difference(place, method, against);
  if (found === null) return element("td", { class: "none", title: "no image is ok for both" }, "n/a");
  const [mean, low, high, n, told] = found;
  const { digits: usual, direction } = set.columns[place];
  // As the verdicts do: a difference that can be told from zero is not printed as 0.000.
  const near = Math.min(Math.abs(low), Math.abs(high));
  const extra = told ? [0, 1, 2, 3].find((more) => more === 3 || Number(near.toFixed(usual + more)) !== 0) : 0;
  const digits = usual + extra;
  const side = !told ? "undecided" : (mean < 0) === (direction === "lower") ? "better" : "worse";
  return element("td", { class: side },
    element("span", { class: "value" }, fixed(mean, digits, true)),
    element("span", { class: "interval" }, `${fixed(low, digits, true)} to ${fixed(high, digits, true)}`),
    element("span", { class: "interval" }, side + (n < set.cells[place][method][4] ? `, n = ${n}` : "")));
}

function notes(set, protocols, against, reasons) {
  const absent = Bench.run.methods.flatMap((each, method) => (set.ran[method] ? [] : [each.title]));
  const { level, minimum } = Bench.run.statistics;
  return element("div", { class: "notes" },
    against < 0
      ? element("details", {}, element("summary", {}, "How to read this table: intervals and marks"),
        protocols.map((protocol) => element("p", {}, set.captions[protocol])),
        element("p", {}, "The recipe of a metric is in About, and shown where the pointer rests on its title."))
      : element("p", {}, `Mean difference to ${Bench.run.methods[against].title}, paired by image, with its `
        + `${percent(level)} interval. Better and worse: the interval excludes zero, from ${minimum} images on; otherwise undecided.`),
    against < 0 && protocols.some((protocol) => set.quality.some((place) => set.columns[place].protocol === protocol
      && set.cells[place].some((cell) => cell?.[0] != null && cell[3] < cell[4])))
      ? element("p", {}, `\u2020 ${set.daggers[protocols[0]]}`) : null,
    reasons.map((reason, place) => element("p", {}, element("sup", {}, letter(place)), ` ${reason}`)),
    absent.length ? element("p", {}, `Not part of the suite on this set: ${absent.join(", ")}.`) : null);
}

function costTable(set) {
  if (!set.costs.length) return null;
  const names = [...new Set(set.costs.flatMap((cost) => Object.keys(cost.cells)))];
  const columns = names.map((name) => set.columns.find((column) => column.metric === name));
  const labels = ["Device", "Precision", "Batch size"];
  const heads = [
    { content: "Method", key: (cost) => Bench.run.methods[cost.method].title, first: "ascending", class: "name" },
    ...labels.map((label, place) => ({ content: label, key: (cost) => cost.measured[place], first: "ascending", class: "text" })),
    ...names.map((name, place) => ({
      content: columns[place] ? heading(columns[place]) : name, key: (cost) => cost.cells[name]?.[0] ?? null, first: "ascending",
    })),
  ];
  const draw = (cost) => element("tr", {}, element("th", { scope: "row", class: "name" }, methodName(cost.method)),
    cost.measured.map((text) => element("td", { class: "text" }, text)),
    names.map((name, place) => {
      const [value, low, high, n] = cost.cells[name] ?? [null];
      if (value === null) return element("td", { class: "none" }, "n/a");
      const digits = columns[place]?.digits ?? 3;
      return element("td", {}, element("span", { class: "value" }, fixed(value, digits)),
        element("span", { class: "interval" }, `${fixed(low, digits)} to ${fixed(high, digits)}, n = ${n}`));
    }));
  return element("section", {}, element("h2", {}, "What it costs, per image"),
    sortable({ caption: `${set.title}: costs`, heads, rows: set.costs, draw, sorted: null, change: () => {} }));
}
