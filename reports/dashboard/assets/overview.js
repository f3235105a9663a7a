"use strict";
// The results at a glance: a summary and the means of each metric, then example images.

Bench.views.overview = {
  loads: false,
  draw(set, container) {
    const { statistics } = Bench.run;
    container.append(facts());
    for (const protocol of set.protocols) {
      const indices = set.quality.filter((index) => set.columns[index].protocol === protocol);
      if (!indices.length) continue;
      container.append(element("section", { class: "summaries" },
        element("h2", {}, `${set.title}, ${protocol}`),
        key(set, indices),
        indices.map((index) => summary(set, index))));
    }
    container.append(
      element("p", { class: "fine" }, `Intervals have a level of ${percent(statistics.level)} (Student's t, skewness `
        + "corrected; images of one person count as one group); differences are paired by image. Marks of the best hold at "
        + "the level of their column (Holm); other comparisons are made on their own. An interval that contains zero does "
        + "not show that two methods are equal."),
      samples(set),
    );
  },
};

function facts() {
  const { run, sets } = Bench;
  const images = sets.reduce((sum, each) => sum + each.n, 0);
  const fact = (number, word, words, view) => element("a", { href: address(view) },
    element("strong", {}, number.toLocaleString("en")), ` ${number === 1 ? word : words}`);
  return element("p", { class: "facts" },
    fact(run.methods.length, "method", "methods", "about"), fact(sets.length, "set", "sets", "about"), fact(images, "image", "images", "images"),
    fact(new Set(sets.flatMap((each) => each.quality.map((index) => each.columns[index].metric))).size, "metric", "metrics", "about"),
    fact(run.failed, "image without a value", "images without a value", "failures"));
}

function key(set, indices) {
  const shown = set.methods.filter((method) => indices.some((index) => set.cells[index][method]?.[0] != null));
  return element("ul", { class: "key", "aria-label": "Methods" }, shown.map((method) => element("li", {}, methodName(method))));
}

function summary(set, index) {
  const column = set.columns[index];
  return element("article", { class: "summary" },
    element("div", {},
      element("h3", {}, element("a", { href: address("charts", { metric: index }) }, column.title),
        element("span", { class: "arrow", title: directionText(column) }, ` ${arrow(column)}`)),
      element("p", {}, sentence(set.summaries[index]))),
    strip(set, index));
}

/** Means and intervals of all methods on one axis, in the order of the run. */
function strip(set, index) {
  const column = set.columns[index];
  const shown = set.methods.filter((method) => set.cells[index][method]?.[0] != null);
  if (!shown.length) return null;
  const cells = shown.map((method) => set.cells[index][method]);
  const bounds = cells.flatMap(([value, low, high]) => [value, low ?? value, high ?? value]);
  const [least, most] = [Math.min(...bounds), Math.max(...bounds)];
  const rowHeight = shown.length > 8 ? 9 : 12;
  const width = 360;
  const x = (value) => 8 + (width - 16) * (most > least ? (value - least) / (most - least) : 0.5);
  const height = rowHeight * shown.length + 4;
  const rows = cells.map(([value, low, high], row) => {
    const y = rowHeight * (row + 0.5) + 2;
    const { colour } = symbol(shown[row]);
    const text = `${Bench.run.methods[shown[row]].title}: ${fixed(value, column.digits)} `
      + `(${fixed(low ?? value, column.digits)} to ${fixed(high ?? value, column.digits)})`;
    return shape("g", {}, shape("title", {}, text),
      shape("rect", { x: 0, y: y - rowHeight / 2, width, height: rowHeight, fill: "transparent" }),
      shape("line", { x1: x(low ?? value), x2: x(high ?? value), y1: y, y2: y, style: `stroke:${colour}` }),
      shape("path", { d: markerPath(shown[row]), transform: `translate(${x(value)},${y}) scale(.8)`, style: `fill:${colour}` }));
  });
  return element("figure", { class: "strip" },
    shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${column.title}, means with intervals` }, rows),
    element("figcaption", {}, element("span", {}, fixed(least, column.digits)),
      element("span", {}, `${column.unit ? `${column.unit}, ` : ""}${directionText(column)}`), element("span", {}, fixed(most, column.digits))));
}

/** The worst, the median and the best image of the reference by the first metric. */
function samples(set) {
  const box = element("section", { class: "samples" });
  const index = set.quality[0];
  const method = set.ran[Bench.run.reference] ? Bench.run.reference : set.methods[0];
  if (index === undefined || !set.size) return box;
  Bench.load(set.index).then(() => {
    const ranked = set.ranked(index, method);
    if (!ranked.length) return;
    const picks = [["Worst", ranked[0]], ["Median", ranked[Math.floor(ranked.length / 2)]], ["Best", ranked[ranked.length - 1]]];
    box.append(
      element("h2", {}, "Example images"),
      element("p", {}, "The worst, the median and the best image of ", methodName(method), ` by ${set.columns[index].title}. `,
        element("a", { href: address("images") }, "All images")),
      contactSheet(set, set.methods, picks.map(([, image]) => image), index, picks.map(([word]) => word)));
  });
  return box;
}
