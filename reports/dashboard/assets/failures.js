"use strict";
// Images without a value, grouped by reason.

const STATUS_WORDS = {
  failed: "Failed",
  undefined: "Undefined",
  blocked: "Blocked by an earlier result",
  missing: "Not run",
  skipped: "Skipped on purpose",
};

Bench.views.failures = {
  loads: true,
  draw(set, container) {
    container.append(element("h2", {}, `${set.title}: failures and gaps`));
    const { lost } = set.data;
    if (!lost.length) container.append(element("p", {}, "None: all methods have all images and metrics."));
    for (const [status, words] of Object.entries(STATUS_WORDS)) {
      const groups = lost.filter((group) => group.status === status).map((group, index) => ({ ...group, index }));
      if (groups.length) container.append(element("section", { class: status }, element("h3", {}, words), lostTable(set, groups, words)));
    }
  },
};

function lostTable(set, groups, words) {
  const count = (group) => (group.images === null ? set.data.images.length : group.images.length);
  const which = (group) => (group.columns === null ? "all" : group.columns.map((index) => set.columns[index].title).join(", "));
  const heads = [
    { content: "Method", key: (group) => Bench.run.methods[group.method].title, first: "ascending", class: "name" },
    { content: "Protocol", key: (group) => group.protocol, first: "ascending", class: "text" },
    { content: "Reason", key: (group) => group.reason, first: "ascending", class: "text" },
    { content: "Metrics", key: which, first: "ascending", class: "text" },
    { content: "Images", key: count, first: "descending" },
  ];
  const draw = (group) => element("tr", {},
    element("th", { scope: "row", class: "name" }, methodName(group.method)),
    element("td", { class: "text" }, group.protocol),
    element("td", { class: "text reason" }, group.reason, group.images === null ? null : imageLinks(set, group)),
    element("td", { class: "text reason" }, which(group)),
    element("td", {}, `${count(group).toLocaleString("en")} of ${set.n.toLocaleString("en")}`));
  return sortable({ caption: `${set.title}: ${words}`, heads, rows: groups, draw, sorted: { index: 4, order: "descending" }, change: () => {} });
}

/** The images of a group, fifty at a time, in a foldable list. */
function imageLinks(set, group) {
  const list = element("p", { class: "links" });
  let shown = 0;
  const more = element("button", { type: "button", class: "quiet", click: () => extend() }, "Show more");
  function extend() {
    list.append(...group.images.slice(shown, shown + 50).map((image) => element("button", {
      type: "button", class: "link", click: () => Bench.openImage(set, image, group.method),
    }, set.images[image])));
    shown += 50;
    more.hidden = shown >= group.images.length;
  }
  const details = element("details", { toggle: () => { if (details.open && shown === 0) extend(); } },
    element("summary", {}, plural(group.images.length, "image")), list, more);
  return details;
}
