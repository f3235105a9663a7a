"use strict";
// Provenance, and files to download.

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
  const heads = headers.map((content, index) => ({ content, key: (row) => row[index], first: "ascending", class: "text" }));
  const draw = (row) => element("tr", {}, row.map((text, index) => element(index ? "td" : "th", {
    class: "text", scope: index ? null : "row",
  }, text)));
  return element("section", {}, element("h2", {}, title),
    sortable({ caption: title, heads, rows, draw, sorted: null, change: () => {} }),
    notes.map((note) => element("p", {}, note)));
}
