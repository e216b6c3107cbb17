"use strict";
// Tables are complete without this; it only lets a reader put the rows in another order.
const number = (text) => {
  const found = text.replace(/\u2212/g, "-").match(/^[^\d-]*(-?[\d,]*\.?\d+)(?:\u00a0([MG]))?/);
  if (!found || /^[a-z]/i.test(text)) return null;
  return parseFloat(found[1].replace(/,/g, "")) * { M: 1e6, G: 1e9 }[found[2] || ""] || parseFloat(found[1].replace(/,/g, ""));
};
const compare = (a, b) => {
  const [x, y] = [number(a), number(b)];
  if (x !== null && y !== null) return x - y;
  return a.localeCompare(b);
};
const empty = (text) => text === "\u2013" || text === "";
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  if (body.rows.length < 3) continue;
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const way = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      const text = (row) => row.cells[at].textContent.trim();
      [...body.rows]
        .sort((a, b) => {
          const [x, y] = [text(a), text(b)];
          if (empty(x) || empty(y)) return empty(x) - empty(y);
          return way * compare(x, y);
        })
        .forEach((row) => body.append(row));
    });
  });
}
