"use strict";
// Shared widgets: method symbols, choices, sortable tables, pages.

/** Colour and marker of a method in all charts, as in the printed figures. */
function symbol(method) {
  const colour = Bench.run.palette[method % Bench.run.palette.length];
  return {
    colour: colour === "#000000" ? "var(--ink)" : colour, // black ink becomes light on a dark page
    marker: Bench.run.markers[method % Bench.run.markers.length],
  };
}

const MARKER_PATHS = { // in a square of 16 around the origin; keys are matplotlib's
  o: "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",
  s: "M-4.5,-4.5H4.5V4.5H-4.5Z",
  "^": "M0,-5.5L5.5,4.5H-5.5Z",
  D: "M0,-6L6,0L0,6L-6,0Z",
  v: "M0,5.5L5.5,-4.5H-5.5Z",
  P: "M-2,-5.5H2V-2H5.5V2H2V5.5H-2V2H-5.5V-2H-2Z",
  X: "M-5.5,-3L-3,-5.5L0,-2.5L3,-5.5L5.5,-3L2.5,0L5.5,3L3,5.5L0,2.5L-3,5.5L-5.5,3L-2.5,0Z",
  "*": "M0,-6.5L1.7,-2.2L6.2,-2L2.7,0.9L3.9,5.3L0,2.8L-3.9,5.3L-2.7,0.9L-6.2,-2L-1.7,-2.2Z",
};

const markerPath = (method) => MARKER_PATHS[symbol(method).marker] ?? MARKER_PATHS.o;

function swatch(method) {
  return shape("svg", { class: "swatch", viewBox: "-8 -8 16 16", "aria-hidden": "true" },
    shape("path", { d: markerPath(method), style: `fill:${symbol(method).colour}` }));
}

function methodName(method) {
  return element("span", { class: "method" }, swatch(method), element("span", {}, Bench.run.methods[method].title));
}

/** A sentence of summaries.py: texts and indices of methods. */
const sentence = (parts) => parts.map((part) => (typeof part === "number" ? methodName(part) : part));

/** A labelled choice. options: [value, text] pairs, or {group, options}. */
function choice(label, options, value, change) {
  const one = ([key, text]) => element("option", { value: key, selected: String(key) === String(value) }, text);
  const select = element("select", { "aria-label": label, change: () => change(select.value) }, options.map((option) =>
    (Array.isArray(option) ? one(option) : element("optgroup", { label: option.group }, option.options.map(one)))));
  return element("label", { class: "choice" }, label, select);
}

/** Options for columns of a set, grouped by protocol. */
function columnOptions(set, indices) {
  return set.protocols.map((protocol) => ({
    group: protocol,
    options: indices.filter((index) => set.columns[index].protocol === protocol)
      .map((index) => [index, `${heading(set.columns[index])} ${arrow(set.columns[index])}`]),
  })).filter((group) => group.options.length);
}

const methodOptions = (set) => set.methods.map((method) => [method, Bench.run.methods[method].title]);

function search(label, value, change) {
  const input = element("input", { type: "search", "aria-label": label, value, spellcheck: "false", input: () => change(input.value) });
  return element("label", { class: "choice" }, label, input);
}

/** Whether all words of a text occur in the method's title, name or description. */
function matches(method, text) {
  const { title, name, about } = Bench.run.methods[method];
  const all = [title, name, ...about].join(" ").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

/**
 * A sortable table. heads: [{content, key, first}] with key(row) -> number, string or null, first "ascending"
 * or "descending"; nulls always last. draw(row) -> <tr>. sorted: {index, order}, change(sorted) receives a new order.
 */
function sortable({ caption, groups, heads, rows, draw, sorted, change }) {
  const body = element("tbody");
  const cells = heads.map((head, index) => element("th", { scope: "col", class: head.class || null },
    element("button", { type: "button", class: "sort", title: head.title || null, click: () => turn(index) },
      element("span", { class: "head" }, head.content), element("span", { class: "order", "aria-hidden": "true" }))));
  let state = sorted;

  function turn(index) {
    const flip = { ascending: "descending", descending: "ascending" };
    state = { index, order: state?.index === index ? flip[state.order] : heads[index].first };
    change(state);
    arrange();
  }

  function arrange() {
    const ordered = [...rows];
    if (state) {
      const { key } = heads[state.index];
      const way = state.order === "ascending" ? 1 : -1;
      ordered.sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return way * (typeof x === "string" ? x.localeCompare(y, "en") : x - y);
      });
    }
    cells.forEach((cell, index) => {
      if (state?.index === index) cell.setAttribute("aria-sort", state.order);
      else cell.removeAttribute("aria-sort");
    });
    body.replaceChildren(...ordered.map(draw));
  }

  arrange();
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element("table", {}, element("caption", { class: "unseen" }, caption),
      element("thead", {}, groups ? element("tr", { class: "groups" }, groups) : null, element("tr", {}, cells)), body));
}

/** Buttons to turn pages. */
function pager(page, pages, change) {
  const button = (text, label, to) => element("button", {
    type: "button", "aria-label": label, disabled: to < 0 || to >= pages || to === page, click: () => change(to),
  }, text);
  const input = element("input", {
    type: "number", min: "1", max: pages, value: page + 1, "aria-label": "Page",
    change: () => change(Math.min(pages, Math.max(1, Math.round(Number(input.value)) || 1)) - 1),
  });
  return element("div", { class: "pager", role: "group", "aria-label": "Pages" },
    button("\u00ab", "First page", 0), button("\u2039", "Previous page", page - 1),
    element("span", {}, input, ` of ${pages.toLocaleString("en")}`),
    button("\u203a", "Next page", page + 1), button("\u00bb", "Last page", pages - 1));
}

/** A thumbnail of an image by a method (-1: the target) that opens the viewer; n/a without a file. */
function tile(set, image, method, note) {
  const who = method < 0 ? "target" : Bench.run.methods[method].title;
  const thumbnail = set.has(method, image)
    ? element("img", { src: set.thumbnail(method, image), alt: "", loading: "lazy", decoding: "async", width: 96, height: 96 })
    : element("span", { class: "none" }, note === "n/a" ? null : "n/a");
  return element("button", {
    type: "button", class: "tile", "aria-label": `${note?.includes(set.images[image]) ? note : set.images[image]}, ${who}`
      + (note === undefined || note.includes(set.images[image]) ? "" : `, ${note}`), // holds the words that are seen
    click: () => Bench.openImage(set, image, method),
  }, thumbnail, note === undefined ? null : element("span", { class: "note" }, note));
}
