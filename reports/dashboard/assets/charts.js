"use strict";
// Charts by plotly.js, which is loaded when this view is first opened. A click on a point opens its images.

const PLOTLY_MARKERS = { o: "circle", s: "square", "^": "triangle-up", D: "diamond", v: "triangle-down", P: "cross", X: "x", "*": "star" };
const DRAWN = 4000; // points of single images in a chart, beyond which every k-th image is drawn
const drawn = new Map(); // element of a drawn chart -> function that draws it again, for a change of theme

/** Plotly parses <b>, <a href> and entities in labels: text is escaped by entities. */
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

Bench.views.charts = {
  loads: true,
  draw(set, container) {
    drawn.clear();
    container.append(element("p", { class: "loading" }, "Loading the charts \u2026"));
    script("dashboard/plotly.min.js").then(() => {
      container.querySelector(".loading").remove();
      container.append(...[front(set), scatter(set), distribution(set)].filter(Boolean));
    }, (error) => container.replaceChildren(element("p", { role: "alert" }, error.message)));
  },
};

document.addEventListener("theme", () => { for (const draw of drawn.values()) draw(); });

function chart(title, controls, text, figure) {
  const box = element("div", { class: "plot", role: "group", "aria-label": title });
  const caption = element("p", { class: "fine" }, text);
  const note = (message) => { caption.textContent = message; };
  const draw = () => {
    const { traces, layout, click } = figure(note);
    Plotly.react(box, traces, layout, { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] });
    box.removeAllListeners?.("plotly_click");
    box.on("plotly_click", (event) => click(event.points[0]));
  };
  const watch = new IntersectionObserver((entries) => { // a chart is drawn when it comes into view
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watch.disconnect();
    drawn.set(box, draw);
    draw();
  }, { rootMargin: "200px" });
  watch.observe(box);
  return element("section", { class: "chart" }, element("h2", {}, title), element("div", { class: "controls" }, controls), box, caption);
}

function colour(method) {
  const own = symbol(method).colour;
  return own.startsWith("var") ? css("--ink") : own;
}

const marker = (method, size) => ({ color: colour(method), symbol: PLOTLY_MARKERS[symbol(method).marker] ?? "circle", size });
const title = (method) => plain(Bench.run.methods[method].title);
const axisTitle = (column) => plain(`${heading(column)} ${arrow(column)}`);

/** Columns of a legend in this window, and what its rows need, so that axes keep their size. */
const legendColumns = () => Math.max(1, Math.min(6, Math.floor(window.innerWidth / 190)));
const legendHeight = () => 20 * Math.ceil(Bench.run.methods.length / legendColumns());

function layout(x, y, more) {
  const axis = { gridcolor: css("--rule"), zerolinecolor: css("--rule"), linecolor: css("--rule"), automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", height: 460 + legendHeight(), margin: { l: 56, r: 12, t: 12, b: 48 },
    font: { family: css("--sans"), size: 13, color: css("--ink") }, hovermode: "closest",
    hoverlabel: { bgcolor: css("--raised"), bordercolor: css("--rule"), font: { color: css("--ink") } },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, // above, so that it never covers an axis
      entrywidthmode: "fraction", entrywidth: 0.99 / legendColumns(), font: { size: window.innerWidth < 500 ? 11 : 13 } },
    xaxis: { ...axis, ...x }, yaxis: { ...axis, ...y }, ...more,
  };
}

const spread = (cell, color) => ({ type: "data", symmetric: false, thickness: 1, width: 3, color,
  array: [cell[2] - cell[0]], arrayminus: [cell[0] - cell[1]] });

const toImages = (set, column, method) => Bench.go("images", { set: set.name, sort: column, by: method });

/** Means of a metric over seconds per image on one kind of machine, with the Pareto front. */
function front(set) {
  const groups = frontMachines(set);
  if (!groups.length) return null;
  const group = groups[chosen("machine", groups.length, 0)];
  const index = pick("metric", set.quality, set.opening[0]);
  const column = set.columns[index];
  const controls = [
    choice("Metric", columnOptions(set, set.quality), index, (value) => Bench.go("charts", { metric: value })),
    groups.length > 1 ? choice("Measured on", groups.map((name, at) => [at, name]), groups.indexOf(group),
      (value) => Bench.go("charts", { machine: value })) : null,
  ].filter(Boolean);
  const points = frontPoints(set, index, group);
  const says = `Means with intervals; seconds on ${group}, logarithmic. The dotted line is the Pareto front of the means. `
    + "Select a point to see the method's worst images.";
  return chart("Quality over time", controls, says, () => {
    const edge = paretoFront(points, column);
    const line = { x: edge.map((point) => point.time[0]), y: edge.map((point) => point.cell[0]), mode: "lines",
      line: { dash: "dot", width: 1, color: css("--muted") }, hoverinfo: "skip", showlegend: false };
    const traces = points.map(({ method, time, cell }) => ({
      x: [time[0]], y: [cell[0]], error_x: spread(time, colour(method)), error_y: spread(cell, colour(method)),
      mode: "markers", marker: marker(method, 12), name: title(method), customdata: [method], hoverinfo: "text",
      hovertext: [`${title(method)}<br>${fixed(cell[0], column.digits)} in ${fixed(time[0], 2)} s`],
    }));
    return {
      traces: [line, ...traces],
      layout: layout({ type: "log", title: { text: "seconds per image" } }, { title: { text: axisTitle(column) } }),
      click: (point) => { if (point.customdata !== undefined) toImages(set, index, point.customdata); },
    };
  });
}

/** Every k-th image, so that a chart has at most DRAWN points. */
function thinned(set, methods) {
  const step = Math.max(1, Math.ceil((set.images.length * methods.length) / DRAWN));
  return { step, images: set.images.flatMap((_, image) => (image % step === 0 ? [image] : [])) };
}

const thinning = (step) => (step > 1 ? ` One image in ${step} is drawn.` : "");

/** Two columns against each other: points are images of methods, or means of methods. */
function scatter(set) {
  const indices = set.columns.map((_, index) => index);
  const first = pick("x", indices, set.opening[0]);
  const second = pick("y", indices, set.opening[1]);
  const means = Bench.state.get("points") === "means";
  const [x, y] = [set.columns[first], set.columns[second]];
  const controls = [
    choice("x axis", columnOptions(set, indices), first, (value) => Bench.go("charts", { x: value })),
    choice("y axis", columnOptions(set, indices), second, (value) => Bench.go("charts", { y: value })),
    choice("Points", [["", "images"], ["means", "means of methods"]], means ? "means" : "", (value) => Bench.go("charts", { points: value })),
  ];
  const says = "Select a point to see its images; click a name in the legend to hide a method, double-click to see it alone.";
  return chart("Two metrics", controls, says, (note) => {
    const { step, images } = thinned(set, set.methods);
    note(says + (means ? "" : thinning(step)));
    const traces = set.methods.flatMap((method) => {
      const [across, up] = [set.values(first, method), set.values(second, method)];
      if (across === null || up === null) return [];
      const shown = (means ? set.images.map((_, image) => image) : images)
        .filter((image) => !Number.isNaN(across[image]) && !Number.isNaN(up[image]));
      const common = { mode: "markers", type: "scatter", name: title(method), hoverinfo: "text" };
      if (means) {
        if (!shown.length) return [];
        const mean = (values) => shown.reduce((sum, image) => sum + values[image], 0) / shown.length;
        const [cx, cy] = [mean(across), mean(up)];
        return [{ ...common, x: [cx], y: [cy], marker: marker(method, 13), customdata: [[method, -1]],
          hovertext: [`${title(method)}<br>${fixed(cx, x.digits)}, ${fixed(cy, y.digits)}<br>${plural(shown.length, "image")}`] }];
      }
      return [{ ...common, x: shown.map((image) => across[image]), y: shown.map((image) => up[image]),
        marker: { ...marker(method, 6), opacity: 0.75 }, customdata: shown.map((image) => [method, image]),
        hovertext: shown.map((image) => `${title(method)}<br>${plain(set.images[image])}<br>`
          + `${fixed(across[image], x.digits)}, ${fixed(up[image], y.digits)}`) }];
    });
    return {
      traces, layout: layout({ title: { text: axisTitle(x) } }, { title: { text: axisTitle(y) } }),
      click: ({ customdata: [method, image] }) => (image < 0 ? toImages(set, second, method) : Bench.openImage(set, image, method)),
    };
  });
}

/** A box plot per method, with its images as points. */
function distribution(set) {
  const indices = set.columns.map((_, index) => index);
  const index = pick("spread", indices, set.opening[0]);
  const column = set.columns[index];
  const controls = [choice("Metric", columnOptions(set, indices), index, (value) => Bench.go("charts", { spread: value }))];
  const says = "Boxes: quartiles and median of all images, whiskers to 1.5 times the interquartile range; points are images.";
  return chart("Distribution over images", controls, says, (note) => {
    const { step, images } = thinned(set, set.methods);
    const shown = new Set(images);
    note(says + thinning(step));
    const traces = set.methods.flatMap((method) => {
      const values = set.values(index, method);
      if (values === null) return [];
      const sorted = [...values].filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
      if (!sorted.length) return [];
      const [q1, median, q3] = [0.25, 0.5, 0.75].map((at) => quantile(sorted, at));
      const inside = sorted.filter((value) => value >= q1 - 1.5 * (q3 - q1) && value <= q3 + 1.5 * (q3 - q1));
      const own = set.images.flatMap((_, image) => (shown.has(image) && !Number.isNaN(values[image]) ? [image] : []));
      return [
        { type: "box", x: [method], q1: [q1], median: [median], q3: [q3], lowerfence: [inside[0]], upperfence: [inside.at(-1)],
          name: title(method), line: { width: 1.5 }, marker: { color: colour(method) }, width: 0.36, hoverinfo: "skip", showlegend: false },
        { type: "scatter", mode: "markers", x: own.map((image) => method + 0.26 + 0.16 * jitter(image)), y: own.map((image) => values[image]),
          marker: { ...marker(method, 4), opacity: 0.55 }, customdata: own.map((image) => [method, image]), hoverinfo: "text", showlegend: false,
          hovertext: own.map((image) => `${title(method)}<br>${plain(set.images[image])}<br>${fixed(values[image], column.digits)}`) },
      ];
    });
    return {
      traces, layout: layout({ tickvals: set.methods, ticktext: set.methods.map(title), tickangle: "auto" }, { title: { text: axisTitle(column) } }),
      click: (point) => { if (point.customdata) Bench.openImage(set, point.customdata[1], point.customdata[0]); },
    };
  });
}

function quantile(sorted, at) {
  const index = at * (sorted.length - 1);
  const [low, high] = [Math.floor(index), Math.ceil(index)];
  return sorted[low] + (index - low) * (sorted[high] - sorted[low]);
}

/** Between 0 and 1, deterministic for an image. */
const jitter = (image) => (image * 0.6180339887498949) % 1;
