"use strict";
// Views are functions (set, container) that draw into the container; `loads`: whether they need the values of images.

const TABS = [["overview", "Overview"], ["table", "Table"], ["charts", "Charts"], ["images", "Images"],
  ["failures", "Failures"], ["about", "About"]];
let turn = 0; // views load their data; only the one requested last may draw

Bench.currentSet = () => {
  const index = Bench.sets.findIndex((set) => set.name === Bench.state.get("set"));
  return Math.max(index, 0);
};

async function show() {
  readState();
  const own = ++turn;
  const index = Bench.currentSet();
  const view = Bench.views[Bench.state.view];
  document.getElementById("nav").replaceChildren(...TABS.filter(([name]) => Object.hasOwn(Bench.views, name)).map(([name, text]) => element("a", {
    href: name === Bench.state.view ? address(name) : address(name, {}), "aria-current": name === Bench.state.view ? "page" : null,
  }, text)));
  document.getElementById("set").value = String(index);
  if (view.loads || Bench.state.get("image") !== null) await Bench.load(index);
  if (own !== turn) return;
  const container = element("div", { class: `view ${Bench.state.view}` });
  document.getElementById("view").replaceChildren(container);
  view.draw(Bench.sets[index], container);
  document.documentElement.dataset.ready = Bench.state.view;
  performance.mark(`ready-${Bench.state.view}`);
}

function start() {
  Bench.sets = Bench.run.sets.map((about, index) => new DataSet(index, about));
  startTheme();
  const select = document.getElementById("set");
  select.append(...Bench.sets.map((set, index) => element("option", { value: index }, set.title)));
  select.addEventListener("change", () => {
    // Indices of columns are per data set: a choice for one is not valid for another.
    location.hash = `#${Bench.state.view}?${new URLSearchParams({ set: Bench.sets[Number(select.value)].name })}`;
  });
  window.addEventListener("hashchange", () => showOrReport());
  showOrReport();
}

function showOrReport() {
  show().catch((error) => {
    document.getElementById("view").replaceChildren(element("p", { role: "alert" }, error.message));
    throw error;
  });
}

/** Tables and charts that are wider than the page are printed smaller. */
const PAPER = 1040; // px of A4 on its side between margins of 1 cm; style.css sets them
const wide = () => document.querySelectorAll(".scroll > table, .plot");
window.addEventListener("beforeprint", () => {
  for (const each of wide()) each.style.zoom = String(Math.min(1, PAPER / each.scrollWidth));
});
window.addEventListener("afterprint", () => { for (const each of wide()) each.style.zoom = ""; });

start();
