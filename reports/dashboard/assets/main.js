"use strict";
// Views are functions (set, container) that draw into the container; `loads` says whether they need the images' numbers.

const TABS = [["overview", "Overview"], ["table", "Table"], ["charts", "Charts"], ["images", "Images"],
  ["failures", "Failures"], ["about", "About"]];
let turn = 0; // views load their data; only the last one asked for may draw

Bench.currentSet = () => {
  const found = Bench.sets.findIndex((set) => set.name === Bench.state.get("set"));
  return Math.max(found, 0);
};

async function show() {
  readState();
  const own = ++turn;
  const place = Bench.currentSet();
  const view = Bench.views[Bench.state.view];
  document.getElementById("nav").replaceChildren(...TABS.map(([name, text]) => element("a", {
    href: name === Bench.state.view ? address(name) : address(name, {}), "aria-current": name === Bench.state.view ? "page" : null,
  }, text)));
  document.getElementById("set").value = String(place);
  if (view.loads || Bench.state.get("image") !== null) await Bench.load(place);
  if (own !== turn) return;
  const container = element("div", { class: `view ${Bench.state.view}` });
  document.getElementById("view").replaceChildren(container);
  view.draw(Bench.sets[place], container);
  document.documentElement.dataset.ready = Bench.state.view;
  performance.mark(`ready-${Bench.state.view}`);
}

function start() {
  Bench.sets = Bench.run.sets.map((about, place) => new DataSet(place, about));
  startTheme();
  const select = document.getElementById("set");
  select.append(...Bench.sets.map((set, place) => element("option", { value: place }, set.title)));
  select.addEventListener("change", () => {
    // Columns are counted per set: what was chosen of one says nothing about another.
    location.hash = `#${Bench.state.view}?${new URLSearchParams({ set: Bench.sets[Number(select.value)].name })}`;
  });
  window.addEventListener("hashchange", () => showOrSay());
  showOrSay();
}

function showOrSay() {
  show().catch((error) => {
    document.getElementById("view").replaceChildren(element("p", { role: "alert" }, error.message));
    throw error;
  });
}

start();
