"use strict";
// What a reader can change on the page. Without scripts, everything else is there.

const all = (selector, from = document) => [...from.querySelectorAll(selector)];
for (const tool of all("[data-script]")) tool.hidden = false;

// The results: sorting, filtering and CSV. A row with a header begins an entry; rows without one belong to it.
const table = document.getElementById("results-table");
if (table) {
  const body = table.tBodies[0];
  const entries = [];
  for (const row of body.rows) {
    if (row.dataset.record) entries.push({ rows: [], record: JSON.parse(row.dataset.record) });
    entries.at(-1)?.rows.push(row);
  }
  const asWritten = [...entries];
  const heads = all("th[data-sort]", table);
  const chosen = document.getElementById("results-sort");
  const filter = document.getElementById("results-filter");
  const state = document.getElementById("results-state");

  const compare = (key, turn) => (one, other) => {
    const [a, b] = [one.record[key] ?? null, other.record[key] ?? null];
    if (a === null || b === null) return (a === null) - (b === null);
    return turn * (typeof a === "string" ? a.localeCompare(b) : a - b);
  };
  const sort = (key, turn) => {
    entries.splice(0, entries.length, ...asWritten);
    if (key) entries.sort(compare(key, turn));
    for (const entry of entries) body.append(...entry.rows);
    for (const head of heads) {
      const is = head.dataset.sort === key;
      is ? head.setAttribute("aria-sort", turn > 0 ? "ascending" : "descending") : head.removeAttribute("aria-sort");
    }
    chosen.value = key ? `${key} ${turn}` : "";
  };
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => {
      sort(head.dataset.sort, head.getAttribute("aria-sort") === "ascending" ? -1 : 1);
    });
    head.append(button);
  }
  chosen.addEventListener("change", () => {
    const [key, turn] = chosen.value.split(" ");
    sort(key, Number(turn));
  });

  const shown = () => entries.filter((entry) => !entry.rows[0].hidden);
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const entry of entries) {
      const text = entry.rows.map((row) => row.textContent).join(" ").toLowerCase();
      for (const row of entry.rows) row.hidden = !words.every((word) => text.includes(word));
    }
    state.textContent = `${shown().length} of ${entries.length} shown`;
  });

  const cell = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  document.getElementById("results-csv").addEventListener("click", () => {
    const columns = Object.keys(asWritten[0].record);
    const lines = [columns, ...shown().map((entry) => columns.map((column) => entry.record[column]))];
    const text = lines.map((line) => line.map(cell).join(",") + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = "results.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
}

// Predictive values at another prevalence: Bayes' theorem, as in pupila.predictive_values.
const prevalence = document.getElementById("prevalence");
if (prevalence) {
  const unchanged = prevalence.value;
  const note = document.getElementById("prevalence-note");
  const percent = (share) => (Number.isNaN(share) ? "\u2013" : (100 * share).toFixed(1));
  const number = (text) => ({ inf: Infinity, nan: NaN })[text] ?? Number(text);
  const update = () => {
    const share = prevalence.valueAsNumber / 100;
    const usable = prevalence.checkValidity() && share > 0 && share < 1;
    note.textContent = !usable ? "give a number between 0.01 and 99.99"
      : prevalence.value === unchanged ? "as among the test images" : "";
    prevalence.setAttribute("aria-invalid", String(!usable));
    for (const place of all("[data-prevalence]")) place.textContent = usable ? `${prevalence.value}\u00a0%` : "\u2013";
    for (const place of all("[data-ratios]")) {
      const negative = "negative" in place.dataset;
      const values = place.dataset.ratios.split(" ").map(number).map((ratio) => {
        const odds = (share / (1 - share)) * ratio;
        const positive = odds === Infinity ? 1 : odds / (1 + odds);
        return usable ? (negative ? 1 - positive : positive) : NaN;
      });
      const [value, low, high] = [values[0], Math.min(values[1], values[2]), Math.max(values[1], values[2])].map(percent);
      place.querySelector("b").textContent = value === "\u2013" ? value : `${value}\u00a0%`;
      place.querySelector(".interval-text").textContent = usable ? `${low}\u2013${high}` : "";
    }
  };
  prevalence.addEventListener("input", update);
}

// Pictures open large by a link to themselves; Escape closes them as well.
document.addEventListener("keydown", (event) => {
  const close = event.key === "Escape" && document.querySelector(".photo:target .close");
  if (close) close.click();
});
