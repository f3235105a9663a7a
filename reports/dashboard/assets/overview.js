"use strict";
// What the run shows: a verdict in words for each metric beside the means that it speaks of, then some pictures.

Bench.views.overview = {
  loads: false,
  draw(set, container) {
    const { statistics } = Bench.run;
    container.append(facts());
    for (const protocol of set.protocols) {
      const places = set.quality.filter((place) => set.columns[place].protocol === protocol);
      if (!places.length) continue;
      container.append(element("section", { class: "verdicts" },
        element("h2", {}, `${set.title}, ${protocol}`),
        key(set, places),
        places.map((place) => verdict(set, place))));
    }
    container.append(
      element("p", { class: "fine" }, `Intervals are ${percent(statistics.level)} percentile bootstrap intervals over `
        + `images (${statistics.resamples.toLocaleString("en")} resamples); differences are paired by image. Each `
        + "comparison is judged alone, without a correction for the number of comparisons. That an interval contains "
        + "zero does not say that two methods are equal."),
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
    fact(new Set(sets.flatMap((each) => each.quality.map((place) => each.columns[place].metric))).size, "metric", "metrics", "about"),
    fact(run.failed, "image without a number", "images without a number", "failures"));
}

function key(set, places) {
  const shown = set.methods.filter((method) => places.some((place) => set.cells[place][method]?.[0] != null));
  return element("ul", { class: "key", "aria-label": "Methods" }, shown.map((method) => element("li", {}, methodName(method))));
}

function verdict(set, place) {
  const column = set.columns[place];
  return element("article", { class: "verdict" },
    element("div", {},
      element("h3", {}, element("a", { href: address("charts", { metric: place }) }, column.title),
        element("span", { class: "arrow", title: better(column) }, ` ${arrow(column)}`)),
      element("p", {}, sentence(set.verdicts[place]))),
    strip(set, place));
}

/** All methods' means and intervals on one axis, a lane for each method in the order of the run. */
function strip(set, place) {
  const column = set.columns[place];
  const shown = set.methods.filter((method) => set.cells[place][method]?.[0] != null);
  if (!shown.length) return null;
  const cells = shown.map((method) => set.cells[place][method]);
  const bounds = cells.flatMap(([value, low, high]) => [value, low ?? value, high ?? value]);
  const [least, most] = [Math.min(...bounds), Math.max(...bounds)];
  const lane = shown.length > 8 ? 9 : 12;
  const width = 360;
  const x = (value) => 8 + (width - 16) * (most > least ? (value - least) / (most - least) : 0.5);
  const height = lane * shown.length + 4;
  const rows = cells.map(([value, low, high], index) => {
    const y = lane * (index + 0.5) + 2;
    const { colour } = sign(shown[index]);
    const said = `${Bench.run.methods[shown[index]].title}: ${fixed(value, column.digits)} `
      + `(${fixed(low ?? value, column.digits)} to ${fixed(high ?? value, column.digits)})`;
    return shape("g", {}, shape("title", {}, said),
      shape("rect", { x: 0, y: y - lane / 2, width, height: lane, fill: "transparent" }),
      shape("line", { x1: x(low ?? value), x2: x(high ?? value), y1: y, y2: y, style: `stroke:${colour}` }),
      shape("path", { d: markerPath(shown[index]), transform: `translate(${x(value)},${y}) scale(.8)`, style: `fill:${colour}` }));
  });
  return element("figure", { class: "strip" },
    shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${column.title}, means with intervals` }, rows),
    element("figcaption", {}, element("span", {}, fixed(least, column.digits)),
      element("span", {}, `${column.unit ? `${column.unit}, ` : ""}${better(column)}`), element("span", {}, fixed(most, column.digits))));
}

/** The worst, the median and the best image of the reference by the set's first metric. */
function samples(set) {
  const box = element("section", { class: "samples" });
  const place = set.quality[0];
  const method = set.ran[Bench.run.reference] ? Bench.run.reference : set.methods[0];
  if (place === undefined || !set.size) return box;
  Bench.load(set.place).then(() => {
    const ranked = set.ranked(place, method);
    if (!ranked.length) return;
    const picks = [["Worst", ranked[0]], ["Median", ranked[Math.floor(ranked.length / 2)]], ["Best", ranked[ranked.length - 1]]];
    box.append(
      element("h2", {}, "In pictures"),
      element("p", {}, "The worst, the median and the best image of ", methodName(method), ` by ${set.columns[place].title}. `,
        element("a", { href: address("images") }, "All images")),
      contactSheet(set, set.methods, picks.map(([, image]) => image), place, picks.map(([word]) => word)));
  });
  return box;
}
