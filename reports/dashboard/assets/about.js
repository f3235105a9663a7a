"use strict";
// Provenance, and files to download.

Bench.views.about = {
  loads: false,
  draw(set, container) {
    const { run } = Bench;
    container.append(citation());
    if (run.downloads.length) container.append(
      element("section", {}, element("h2", {}, "Files"),
        folders(run.downloads).map(([folder, paths]) => (folder
          ? element("details", {}, element("summary", {}, `${folder}: ${plural(paths.length, "file")}`), fileList(paths))
          : fileList(paths)))));
    container.append(
      ...run.listings.map(listingTable),
      run.config ? element("section", {}, element("h2", {}, "Configuration"), element("pre", { tabindex: "0" }, run.config)) : "");
  },
};

/** [folder, paths] of files, those without a folder first. */
function folders(paths) {
  const found = new Map([["", []]]);
  for (const path of paths) {
    const folder = path.split("/").slice(0, -1).join("/");
    if (!found.has(folder)) found.set(folder, []);
    found.get(folder).push(path);
  }
  return [...found];
}

const fileList = (paths) => element("ul", { class: "files" }, paths.map((path) => element("li", {},
  element("a", { href: path.split("/").map(encodeURIComponent).join("/"), download: true }, path.split("/").pop()))));

function citation() {
  const { citation: text, downloads } = Bench.run;
  const status = element("span", { role: "status", class: "fine" });
  return element("section", {}, element("h2", {}, "Cite and share"),
    downloads.includes("share.html") ? element("p", {}, "To send: ", element("a", { href: "share.html", download: true }, "share.html"),
      ", this page as one file with some of the images.") : null,
    element("p", {}, "To cite: this suite, and the papers of the methods and metrics that you report."),
    element("pre", { tabindex: "0", class: "cite", "aria-label": "BibTeX" }, text),
    element("div", { class: "exports" }, element("button", { type: "button", click: () => copy(text)
      .then(() => { status.textContent = "Copied."; }, (error) => { status.textContent = error.message; }) }, "Copy BibTeX"), status));
}

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
