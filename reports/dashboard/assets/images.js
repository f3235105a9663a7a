"use strict";
// The image browser: targets and methods side by side, in pages, by name or from worst to best by a metric.

const PAGE = 20;

Bench.views.images = {
  loads: true,
  draw(set, container) {
    const all = set.columns.map((_, index) => index);
    const sort = pick("sort", all, -1);
    const by = pick("by", set.methods, set.ran[Bench.run.reference] ? Bench.run.reference : set.methods[0]);
    const shows = pick("shows", all, sort >= 0 ? sort : (set.quality[0] ?? all[0]));
    const best = Bench.state.get("order") === "best";
    const hidden = new Set((Bench.state.get("hide") ?? "").split(",").filter(Boolean));
    const shown = set.methods.filter((method) => !hidden.has(Bench.run.methods[method].slug));
    let text = Bench.state.get("find") ?? "";
    let page = chosen("page", Infinity, 0);
    const box = element("div");
    const ranked = (sort < 0 ? set.images.map((_, image) => image) : set.ranked(sort, by))
      .filter((image) => !Bench.pictures || set.has(-1, image)); // a shared page has some images only
    if (sort >= 0 && best) ranked.reverse();
    Bench.order = { set: set.name, images: ranked };

    function draw() {
      const query = text.toLowerCase();
      const matching = query ? ranked.filter((image) => set.images[image].toLowerCase().includes(query)) : ranked;
      const pages = Math.max(1, Math.ceil(matching.length / PAGE));
      page = Math.min(page, pages - 1);
      const turnTo = (next) => { page = next; Bench.keep({ page: next || null }); draw(); box.scrollIntoView({ block: "nearest" }); };
      const without = Bench.pictures ? 0 : set.images.length - ranked.length;
      box.replaceChildren(
        element("div", { class: "above" },
          element("span", { role: "status" }, plural(matching.length, "image") + (without ? `; ${without.toLocaleString("en")} without a value` : "")),
          pager(page, pages, turnTo)),
        matching.length ? contactSheet(set, shown, matching.slice(page * PAGE, (page + 1) * PAGE), shows)
          : element("p", { class: "empty" }, "No image matches this filter."));
    }

    add(container,
      element("h2", {}, set.title),
      Bench.pictures ? element("p", { class: "fine" }, `${ranked.length} of ${plural(set.images.length, "image")}: as many as a file to send holds.`) : null,
      element("div", { class: "controls" },
        choice("Order", [["", "by name"], ["worst", "worst first"], ["best", "best first"]], sort < 0 ? "" : best ? "best" : "worst",
          (value) => Bench.go("images", { order: value, sort: value === "" ? "" : Math.max(sort, shows, 0), page: "" })),
        sort < 0 ? null : choice("by", columnOptions(set, all), sort, (value) => Bench.go("images", { sort: value, shows: "", page: "" })),
        sort < 0 ? null : choice("of", methodOptions(set), by, (value) => Bench.go("images", { by: value, page: "" })),
        choice("Values", columnOptions(set, all), shows, (value) => Bench.go("images", { shows: value })),
        search("Image name", text, (value) => { text = value; page = 0; Bench.keep({ find: value, page: "" }); draw(); })),
      element("details", { class: "which", open: hidden.size > 0 }, element("summary", {}, `Methods: ${shown.length} of ${set.methods.length}`),
        element("div", { class: "checks" }, set.methods.map((method) => {
          const { slug } = Bench.run.methods[method];
          const box_ = element("input", { type: "checkbox", checked: !hidden.has(slug), change: () => {
            if (box_.checked) hidden.delete(slug); else hidden.add(slug);
            Bench.go("images", { hide: [...hidden].join(",") });
          } });
          return element("label", {}, box_, methodName(method));
        }))),
      box);
    draw();
    const image = set.images.indexOf(Bench.state.get("image") ?? "\0");
    if (image >= 0) Bench.openImage(set, image, pick("method", set.methods, by));
  },
};

/** A contact sheet: rows are images, columns methods; below each image its value in a column. */
function contactSheet(set, methods, images, index, labels) {
  const column = set.columns[index];
  const number = (image, method) => {
    const value = set.value(index, method, image);
    return Number.isNaN(value) ? "n/a" : fixed(value, column.digits);
  };
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Images with ${column.title}` },
    element("table", { class: "sheet" },
      element("caption", { class: "unseen" }, `Images; values are ${column.title}`),
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Target"),
        methods.map((method) => element("th", { scope: "col" }, methodName(method))))),
      element("tbody", {}, images.map((image, row) => element("tr", {},
        element("th", { scope: "row" }, tile(set, image, -1, labels?.[row] ? `${labels[row]}: ${set.images[image]}` : set.images[image])),
        methods.map((method) => element("td", {}, tile(set, image, method, number(image, method)))))))));
}
