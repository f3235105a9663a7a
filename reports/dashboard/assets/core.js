"use strict";
// Bench is the only global. Names, reasons and titles of a run are not trusted: they enter the page as text nodes and
// attribute values through element() and shape(), never as markup.
const Bench = { run: null, views: {}, pictures: null, kept: [] };

Bench.receiveRun = (run) => { Bench.run = run; };

// A page that is one file brings its data sets, and images by the path that they have in a report.
Bench.keepSet = (index, data) => { Bench.kept[index] = data; };
Bench.receivePictures = (pictures) => { Bench.pictures = new Map(Object.entries(pictures)); };

// --- elements ---------------------------------------------------------------------------------------------------

/** An element. attributes: strings, true for a bare one, false or null to leave it out, functions for events. */
function element(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
function shape(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** Add children to a node; those that are null are left out. */
function add(node, ...children) {
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, String(value));
  }
  return add(node, ...children);
}

// --- numbers and texts ------------------------------------------------------------------------------------------

/** Fixed decimals, never "-0.00"; as reports/table.py prints them, with a true minus. */
function fixed(value, digits, signed) {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? "\u2212" : signed ? "+" : "") + text;
}

/** 1 where higher values are better, -1 where lower ones are. */
const sign = (column) => (column.direction === "lower" ? -1 : 1);
const isBetter = (difference, column) => sign(column) * difference > 0;
const arrow = (column) => (sign(column) < 0 ? "\u2193" : "\u2191");
const directionText = (column) => `${column.direction} is better`;
const heading = ({ title, unit }) => title + (unit && !title.includes(`(${unit})`) ? ` (${unit})` : "");
const recipeText = (column) => `${column.protocol}; ${directionText(column)}. ${column.recipe}`;
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
const percent = (level) => `${Math.round(level * 100)} %`;

/** The mark of a footnote: a, b, ..., z, aa, ab, ... */
function letter(index) {
  return (index >= 26 ? letter(Math.floor(index / 26) - 1) : "") + "abcdefghijklmnopqrstuvwxyz"[index % 26];
}

// --- the state is in the address, #view?key=value: every state has a link and the back button works ---------------

Bench.state = { view: "overview", get: (key) => Bench.state.parameters.get(key), parameters: new URLSearchParams() };

function readState() {
  const [view, query] = location.hash.slice(1).split("?");
  Bench.state.view = Object.hasOwn(Bench.views, view) ? view : Object.keys(Bench.views)[0];
  Bench.state.parameters = new URLSearchParams(query || "");
}

function address(view, changes) {
  const parameters = new URLSearchParams();
  const set = Bench.state.get("set");
  if (set !== null) parameters.set("set", set);
  if (view === Bench.state.view) for (const [key, value] of Bench.state.parameters) parameters.set(key, value);
  for (const [key, value] of Object.entries(changes || {})) {
    if (value === null || value === "") parameters.delete(key);
    else parameters.set(key, value);
  }
  const query = parameters.toString();
  return `#${view}${query ? `?${query}` : ""}`;
}

/** Go to a view: a step in the browser's history. */
Bench.go = (view, changes) => { location.hash = address(view, changes); };

/** Store a setting of the current view in the address, without a step in the history and without drawing. */
Bench.keep = (changes) => {
  history.replaceState(null, "", address(Bench.state.view, changes));
  readState();
};

/** A parameter that has to be an index of a list; the fallback otherwise. */
function chosen(key, length, fallback) {
  const text = Bench.state.get(key);
  const value = text === null || text === "" ? NaN : Number(text);
  return Number.isInteger(value) && value >= 0 && value < length ? value : fallback;
}

/** A parameter that has to be one of the indices; the fallback otherwise. */
function pick(key, indices, fallback) {
  const value = Number(Bench.state.get(key) ?? NaN);
  return indices.includes(value) ? value : fallback;
}

// --- light and dark -------------------------------------------------------------------------------------------------

const THEMES = ["auto", "light", "dark"];

function storage() {
  try {
    return window.localStorage;
  } catch {
    return null; // forbidden for pages from the disk in some browsers: the choice is then not stored
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  const button = document.getElementById("theme");
  button.textContent = { auto: "\u25d0 Auto", light: "\u25cb Light", dark: "\u25cf Dark" }[theme];
  button.setAttribute("aria-label", `Colours: ${theme}. Change to ${next}`);
  button.onclick = () => {
    storage()?.setItem("inversion-bench-theme", next);
    setTheme(next);
    document.dispatchEvent(new Event("theme"));
  };
}

function startTheme() {
  const stored = storage()?.getItem("inversion-bench-theme");
  setTheme(THEMES.includes(stored) ? stored : "auto");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new Event("theme"));
  });
}

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
