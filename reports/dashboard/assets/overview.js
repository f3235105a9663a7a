"use strict";
// The results at a glance, on one screen: ranks, quality over time, three faces; sentences on each metric are folded.

Bench.views.overview = {
  loads: false,
  draw(set, container) {
    container.append(
      facts(),
      element("div", { class: "glance" }, ranking(), tradeOff(set), samples(set)),
      verdicts(set),
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

/** Mean ranks over sets and headline metrics; a bar spans the ranks that ties leave open. */
function ranking() {
  const { rows, columns, leftOut, sets, metrics } = Bench.run.ranks;
  const box = element("section", { class: "ranking" }, element("h2", {}, "Rank"));
  if (!rows.length) {
    box.append(element("p", {}, `No ranks: no headline metric has values of at least two methods on ${Bench.run.statistics.minimum} `
      + "images or people."));
    return box;
  }
  const most = Math.max(...rows.map(([, , , high]) => high), 2);
  const x = (rank) => `${(100 * (rank - 1)) / (most - 1)}%`;
  box.append(
    element("ol", {}, rows.map(([method, mean, low, high, count]) => element("li", {
      title: `${Bench.run.methods[method].title}: mean rank ${fixed(mean, 1)}, with its ties ${fixed(low, 1)} to ${fixed(high, 1)}, `
        + `over ${plural(count, "column")}`,
    },
    methodName(method), element("span", { class: "number" }, fixed(mean, 1) + (count < columns ? "\u2020" : "")),
    element("span", { class: "range", "aria-hidden": "true" }, element("span", { class: "track" },
      element("span", { class: "bar", style: `left:${x(low)};right:calc(100% - ${x(high)});background:${symbol(method).colour}` }),
      element("span", { class: "dot", style: `left:${x(mean)};background:${symbol(method).colour}` })))))),
    element("p", { class: "fine" }, `Mean rank over ${plural(columns, "column")}: ${metrics.join(", ")} on ${plural(sets, "set")}. `
      + "Methods that paired tests do not tell apart (Holm) share a rank; a bar spans the ranks that such ties leave open."
      + (rows.some((row) => row[4] < columns) ? " \u2020 Not on all of them." : "")
      + (leftOut ? ` ${plural(leftOut, "column")} with too few images left out.` : "")));
  return box;
}

/** Ticks of a logarithmic axis at 1, 2 and 5 times powers of ten. */
function logTicks(least, most) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.ceil(Math.log10(most)); power++) {
    for (const step of [1, 2, 5]) ticks.push(step * 10 ** power);
  }
  const inside = ticks.filter((tick) => tick >= least && tick <= most);
  return inside.length > 5 ? inside.filter((tick) => Number.isInteger(Math.log10(tick)) || tick === inside[0]) : inside;
}

/** Round numbers between two bounds: steps of 1, 2 or 5 times a power of ten, at least two and at most five. */
function linearTicks(low, high) {
  const power = 10 ** Math.floor(Math.log10(high - low));
  const step = [0.2, 0.5, 1, 2].map((factor) => factor * power).find((each) => (high - low) / each < 5);
  const ticks = [];
  for (let tick = Math.ceil(low / step); tick * step <= high; tick++) ticks.push(tick * step);
  return { ticks, digits: Math.max(0, -Math.floor(Math.log10(step))) };
}

/** Means of the first error over seconds, with their Pareto front; without plotly, so that it is there at once. */
function tradeOff(set) {
  const box = element("section", { class: "front" }, element("h2", {}, "Quality over time"));
  const index = set.opening[0];
  const column = set.columns[index];
  const points = frontPoints(set, index, frontMachines(set)[0]);
  if (!points.length) {
    box.append(element("p", {}, "No times were measured on this set."));
    return box;
  }
  const [width, height, left, bottom] = [380, 270, 66, 38];
  const times = points.map(({ time }) => time[0]);
  const [fast, slow] = [Math.min(...times) / 1.5, Math.max(...times) * 1.5];
  const bounds = points.flatMap(({ cell }) => [cell[0], cell[1] ?? cell[0], cell[2] ?? cell[0]]);
  const pad = 0.06 * (Math.max(...bounds) - Math.min(...bounds)) || 0.1;
  const [low, high] = [Math.min(...bounds) - pad, Math.max(...bounds) + pad];
  const x = (value) => left + ((width - left - 8) * Math.log(value / fast)) / Math.log(slow / fast);
  const y = (value) => 8 + ((height - bottom - 8) * (high - value)) / (high - low);
  const { ticks, digits } = linearTicks(low, high);
  const text = (attributes, words) => shape("text", attributes, words);
  const edge = paretoFront(points, column);
  box.append(
    element("a", { href: address("charts"), class: "figure" }, shape("svg", {
      viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `${heading(column)} over seconds per image; best trade-offs: ${edge.map(({ method }) => Bench.run.methods[method].title).join(", ")}`,
    },
    shape("path", { class: "axis", d: `M${left},8V${height - bottom}H${width - 8}` }),
    logTicks(fast, slow).map((tick) => text({ x: x(tick), y: height - bottom + 15, "text-anchor": "middle" }, String(Number(tick.toPrecision(1))))),
    ticks.map((tick) => text({ x: left - 5, y: y(tick) + 4, "text-anchor": "end" }, fixed(tick, digits))),
    text({ x: (left + width) / 2, y: height - 5, "text-anchor": "middle" }, "seconds per image"),
    text({ x: 0, y: 0, "text-anchor": "middle", transform: `translate(11,${(height - bottom) / 2}) rotate(-90)` }, `${heading(column)} ${arrow(column)}`),
    shape("polyline", { class: "edge", points: edge.map(({ time, cell }) => `${x(time[0])},${y(cell[0])}`).join(" ") }),
    points.map(({ method, time, cell }) => shape("g", {},
      shape("title", {}, `${Bench.run.methods[method].title}: ${fixed(cell[0], column.digits)} in ${fixed(time[0], 2)} s`),
      shape("line", { x1: x(time[0]), x2: x(time[0]), y1: y(cell[1] ?? cell[0]), y2: y(cell[2] ?? cell[0]), style: `stroke:${symbol(method).colour}` }),
      shape("path", { d: markerPath(method), transform: `translate(${x(time[0])},${y(cell[0])})`, style: `fill:${symbol(method).colour}` }))))),
    element("p", { class: "fine" }, `${set.title}: ${column.title} with intervals, seconds on ${frontMachines(set)[0]}. Dotted: the Pareto front, `,
      edge.flatMap(({ method }, place) => [place ? ", " : "", methodName(method)]), "."));
  return box;
}

/** Sentences and means of each metric, one click deeper. */
function verdicts(set) {
  const { statistics } = Bench.run;
  return element("details", { class: "verdicts" },
    element("summary", {}, `What the intervals bear out: ${plural(set.quality.length, "metric")} on ${set.title}, in words`),
    set.protocols.map((protocol) => {
      const indices = set.quality.filter((index) => set.columns[index].protocol === protocol);
      return indices.length ? element("section", { class: "summaries" },
        element("h2", {}, `${set.title}, ${protocol}`), key(set, indices), indices.map((index) => summary(set, index))) : null;
    }),
    element("p", { class: "fine" }, `Intervals have a level of ${percent(statistics.level)} (Student's t, skewness `
      + "corrected; images of one person count as one group); differences are paired by image. Marks of the best hold at "
      + "the level of their column (Holm); other comparisons are made on their own. An interval that contains zero does "
      + "not show that two methods are equal."));
}

function key(set, indices) {
  const shown = set.methods.filter((method) => indices.some((index) => set.cells[index][method]?.[0] != null));
  return element("ul", { class: "key", "aria-label": "Methods" }, shown.map((method) => element("li", {}, methodName(method))));
}

function summary(set, index) {
  const column = set.columns[index];
  return element("article", { class: "summary" },
    element("div", {},
      element("h3", {}, element("a", { href: address("charts", { metric: index }), title: recipeText(column) }, column.title),
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

/** The worst, the median and the best image of the best method by the first error. */
function samples(set) {
  const box = element("section", { class: "samples" }, element("h2", {}, "Faces"));
  if (!set.faces.length || !set.size) {
    box.append(element("p", {}, "No images are stored."));
    return box;
  }
  const words = set.faces.length === 3 ? ["Worst", "Median", "Best"] : [];
  Bench.load(set.index).then(() => {
    box.append(
      contactSheet(set, set.best, set.faces, set.opening[0], words),
      element("p", { class: "fine" }, "From the worst to the best image of ", methodName(set.best[0]), ` by ${set.columns[set.opening[0]].title}. `,
        element("a", { href: address("images") }, "All images")));
  }, (error) => box.append(element("p", {}, error.message)));
  return box;
}
