"use strict";
// Where the numbers come from, and files to take along.

Bench.views.about = {
  loads: false,
  draw(set, container) {
    const { run } = Bench;
    container.append(
      element("section", {}, element("h2", {}, "Files"),
        element("ul", { class: "files" }, run.downloads.map((path) => element("li", {},
          element("a", { href: path.split("/").map(encodeURIComponent).join("/"), download: true }, path.split("/").pop()))))),
      ...run.listings.map(listingTable),
      element("section", {}, element("h2", {}, "Configuration"), element("pre", { tabindex: "0" }, run.config)));
  },
};

function listingTable({ title, headers, rows, empty, notes }) {
  if (!rows.length) return element("section", {}, element("h2", {}, title), element("p", {}, empty));
  const heads = headers.map((content, place) => ({ content, key: (row) => row[place], first: "ascending", class: "text" }));
  const draw = (row) => element("tr", {}, row.map((text, place) => element(place ? "td" : "th", {
    class: "text", scope: place ? null : "row",
  }, text)));
  return element("section", {}, element("h2", {}, title),
    sortable({ caption: title, heads, rows, draw, sorted: null, change: () => {} }),
    notes.map((note) => element("p", {}, note)));
}
