"use strict";
// Tables are complete without this; it only lets a reader put the rows in another order. Rows are
// sorted by the values that the cells were printed from (data-v), never by parsing the text.
const value = (cell, numbers) => {
  const text = cell.dataset.v ?? cell.textContent.trim();
  if (text === "\u2013" || text === "" || text === "no interval") return null;
  return numbers ? Number(text) : text;
};
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  if (body.rows.length < 3) continue;
  heads.forEach((head, at) => {
    const numbers = "number" in head.dataset;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const way = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      [...body.rows]
        .map((row) => [value(row.cells[at], numbers), row])
        .sort(([x], [y]) => {
          if (x === null || y === null) return (x === null) - (y === null);
          return way * (numbers ? x - y : x.localeCompare(y));
        })
        .forEach(([, row]) => body.append(row));
    });
  });
}
