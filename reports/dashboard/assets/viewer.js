"use strict";
// One image: two versions under a slider, all versions side by side, further files, and its values.

Bench.openImage = (set, image, method) => {
  const dialog = document.getElementById("viewer");
  const order = Bench.order?.set === set.name ? Bench.order.images : set.images.map((_, index) => index);
  const at = order.indexOf(image);
  const step = (by) => { if (at >= 0 && order[at + by] !== undefined) Bench.openImage(set, order[at + by], method); };
  const files = [-1, ...set.methods].filter((file) => set.has(file, image));
  const right = files.includes(method) && method >= 0 ? method : (files.find((file) => file >= 0) ?? -1);
  const close = () => dialog.close();

  dialog.replaceChildren(
    element("div", { class: "viewer-bar" },
      element("h2", {}, set.images[image]), element("span", { class: "fine" }, set.title),
      element("button", { type: "button", "aria-label": "Previous image", disabled: !(at > 0), click: () => step(-1) }, "\u2039"),
      element("button", { type: "button", "aria-label": "Next image", disabled: at < 0 || at >= order.length - 1, click: () => step(1) }, "\u203a"),
      element("button", { type: "button", "aria-label": "Close", class: "close", click: close }, "\u00d7")),
    files.length ? element("div", { class: "viewer-body" }, comparison(set, image, files, right),
      element("div", {}, sideBySide(set, image, files), strips(set, image))) : element("p", {}, "No image files."),
    numbers(set, image));
  dialog.onkeydown = (event) => {
    if (event.target.matches("input, select") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  };
  dialog.onclick = (event) => { if (event.target === dialog) close(); };
  if (!dialog.open) {
    dialog.showModal();
    dialog.onclose = () => { if (Bench.state.view === "images") Bench.keep({ image: null, method: null }); };
  }
  if (Bench.state.view === "images") Bench.keep({ image: set.images[image], method });
};

window.addEventListener("hashchange", () => document.getElementById("viewer").close());

const fileTitle = (file) => (file < 0 ? "target" : Bench.run.methods[file].title);
const fileOptions = (files) => files.map((file) => [file, fileTitle(file)]);
const full = (set, image, file, alt) => element("img", {
  src: set.imagePath(file, image), alt, class: set.size <= 256 ? "pixels" : null, draggable: "false",
});

/** The left image over the right one, cut at a line that the slider moves. */
function comparison(set, image, files, right) {
  const sides = [files.includes(-1) ? -1 : files[0], right];
  const stage = element("div", { class: "stage" });
  const slider = element("input", { type: "range", min: 0, max: 100, step: 1, value: 50, class: "divider", input: () => moveDivider() });
  const captions = [element("span"), element("span")];
  function moveDivider() {
    stage.style.setProperty("--cut", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} % ${fileTitle(sides[0])}`);
  }
  function draw() {
    const [before, after] = sides.map((file) => full(set, image, file, `${set.images[image]}, ${fileTitle(file)}`));
    before.classList.add("before");
    captions.forEach((caption, side) => { caption.textContent = fileTitle(sides[side]); });
    slider.setAttribute("aria-label", `Line between ${fileTitle(sides[0])} and ${fileTitle(sides[1])}`);
    stage.replaceChildren(after, before, element("span", { class: "line", "aria-hidden": "true" }), slider);
    moveDivider();
  }
  const side = (label, at) => choice(label, fileOptions(files), sides[at], (value) => { sides[at] = Number(value); draw(); });
  draw();
  return element("div", { class: "comparison" }, element("div", { class: "controls" }, side("Left", 0), side("Right", 1)),
    stage, element("p", { class: "sides" }, captions));
}

function sideBySide(set, image, files) {
  return element("ul", { class: "side-by-side" }, files.map((file) => element("li", {},
    element("a", { href: Bench.pictures ? null : set.imagePath(file, image), "aria-label": Bench.pictures ? null : fileTitle(file), target: "_blank", rel: "noopener" },
      element("img", { src: set.thumbnail(file, image), alt: "", loading: "lazy", class: set.size <= 256 ? "pixels" : null })),
    file < 0 ? element("span", {}, "target") : methodName(file))));
}

/** Edits, masks and other files of an image, a strip per method. */
function strips(set, image) {
  const extras = set.extras(image);
  if (!extras.length) return null;
  const owners = [...new Set(extras.map((extra) => extra.method))];
  return element("section", { class: "strips" }, element("h3", {}, "More images"), owners.map((owner) => element("div", { class: "extra" },
    owner < 0 ? element("span", {}, "image") : methodName(owner),
    element("ul", {}, extras.filter((extra) => extra.method === owner).map((extra) => element("li", {},
      element("a", { href: extra.path, "aria-label": extra.label, target: "_blank", rel: "noopener" }, element("img", { src: extra.path, alt: "", loading: "lazy" })),
      element("span", { class: "note" }, extra.label)))))));
}

/** All values of the image: rows are methods, the best of each column is marked. */
function numbers(set, image) {
  const indices = set.columns.map((_, index) => index).filter((index) => set.methods.some((method) => !Number.isNaN(set.value(index, method, image))
    || set.reason(index, method, image)));
  const best = new Map(indices.map((index) => {
    const values = set.methods.map((method) => set.value(index, method, image)).filter((value) => !Number.isNaN(value));
    return [index, values.sort((a, b) => sign(set.columns[index]) * (b - a))[0]];
  }));
  const heads = [
    { content: "Method", key: (method) => Bench.run.methods[method].title, first: "ascending", class: "name" },
    ...indices.map((index) => {
      const column = set.columns[index];
      return {
        content: `${heading(column)} ${arrow(column)}`, title: recipeText(column),
        key: (method) => { const value = set.value(index, method, image); return Number.isNaN(value) ? null : value; },
        first: sign(column) < 0 ? "ascending" : "descending",
      };
    }),
  ];
  const draw = (method) => element("tr", {}, element("th", { scope: "row", class: "name" }, methodName(method)), indices.map((index) => {
    const value = set.value(index, method, image);
    if (Number.isNaN(value)) return element("td", { class: "none", title: set.reason(index, method, image) }, "n/a");
    return element("td", { class: value === best.get(index) ? "best" : null }, fixed(value, set.columns[index].digits));
  }));
  const reasons = [...new Set(set.methods.flatMap((method) => indices.map((index) => set.reason(index, method, image))
    .filter(Boolean).map((reason) => `${Bench.run.methods[method].title}: ${reason}`)))];
  return element("section", {}, element("h3", {}, "Values of this image"),
    sortable({ caption: `Values of ${set.images[image]}`, heads, rows: set.methods, draw, sorted: null, change: () => {} }),
    element("div", { class: "notes" }, reasons.map((reason) => element("p", {}, reason))));
}
