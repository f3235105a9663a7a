"use strict";
// A table as it is shown, taken elsewhere: CSV, LaTeX (booktabs) and markdown.

/** {heads, rows: [{texts, marks}]} of a shown table: first lines of its cells in the order shown, and their marks. */
function shownTable(table) {
  const text = (cell) => (cell.querySelector(".value, .method") ?? cell).textContent.trim();
  const heads = [...table.querySelectorAll("thead tr:last-child th .head")].map((head) => head.textContent.trim());
  const rows = [...table.querySelectorAll("tbody tr")].map((row) => ({
    texts: [...row.children].map(text),
    marks: [...row.children].map((cell) => ["best", "second", "better"].find((mark) => cell.classList.contains(mark)) ?? ""),
  }));
  return { heads, rows };
}

const ascii = (text) => text.replaceAll("\u2212", "-").replaceAll("\u00a0", " ");

const FORMATS = {
  csv({ heads, rows }) {
    // A spreadsheet would carry out a text that begins like a formula.
    const safe = (text) => (/^[=+@\t\r]|^-(?![\d.])/.test(text) && !/^[+-]?[\d.]+$/.test(text) ? `'${text}` : text);
    const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    return `${[heads, ...rows.map(({ texts }) => texts)].map((line) => line.map((each) => quoted(safe(ascii(each)))).join(",")).join("\n")}\n`;
  },
  markdown({ heads, rows }) {
    const plainText = (text) => ascii(text).replace(/[\\`*_{}[\]<>|#]/g, "\\$&");
    const mark = { best: (text) => `**${text}**`, better: (text) => `**${text}**`, second: (text) => `<ins>${text}</ins>` };
    const line = (texts) => `| ${texts.join(" | ")} |`;
    const body = rows.map(({ texts, marks }) => line(texts.map((text, place) => (mark[marks[place]] ?? String)(plainText(text)))));
    return `${[line(heads.map(plainText)), line(heads.map((_, place) => (place ? "--:" : ":--"))), ...body].join("\n")}\n`;
  },
  latex({ heads, rows }) {
    const special = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}",
      "\u2193": "$\\downarrow$", "\u2191": "$\\uparrow$", "\u2020": "$^\\dagger$" };
    const plainText = (text) => ascii(text).replace(/[\\~^<>\u2193\u2191\u2020]|[&%$#_{}]/g, (sign) => special[sign] ?? `\\${sign}`);
    const mark = { best: "textbf", better: "textbf", second: "underline" };
    const line = (texts) => `${texts.join(" & ")} \\\\`;
    const body = rows.map(({ texts, marks }) => line(texts.map((text, place) => (
      marks[place] ? `\\${mark[marks[place]]}{${plainText(text)}}` : plainText(text)))));
    return ["% needs \\usepackage{booktabs}", `\\begin{tabular}{l${"r".repeat(heads.length - 1)}}`, "\\toprule", line(heads.map(plainText)),
      "\\midrule", ...body, "\\bottomrule", "\\end{tabular}", ""].join("\n");
  },
};

/** Buttons for the table that find() returns. */
function exportButtons(find, name) {
  const status = element("span", { role: "status", class: "fine" });
  const button = (text, click) => element("button", { type: "button", click }, text);
  const copyAs = (format, title) => button(`Copy as ${title}`, () => copy(FORMATS[format](shownTable(find())))
    .then(() => { status.textContent = `Copied as ${title}.`; }, (error) => { status.textContent = error.message; }));
  const save = () => {
    const link = element("a", { download: `${name}.csv`, href: URL.createObjectURL(new Blob([FORMATS.csv(shownTable(find()))], { type: "text/csv" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  return element("div", { class: "exports", role: "group", "aria-label": "Take this table" },
    button("Save CSV", save), copyAs("latex", "LaTeX"), copyAs("markdown", "markdown"), status);
}

/** Put a text on the clipboard, by a selection where the browser keeps its interface from pages of the disk. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("The browser does not let this page copy.");
  }
}
