"use strict";
// Sorting, filtering and choosing a language. Without it the page shows everything, one below the other.

for (const button of document.querySelectorAll("th[aria-sort] button")) {
  button.addEventListener("click", () => {
    const header = button.parentElement;
    const table = header.closest("table");
    const column = [...header.parentElement.children].indexOf(header);
    const first = header.cellIndex === 0 ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = header.getAttribute("aria-sort") === first ? other : first;
    for (const one of header.parentElement.querySelectorAll("[aria-sort]")) one.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => row.children[column].dataset.sort;
    const compared = (a, b) =>
      column === 0 ? key(a).localeCompare(key(b)) : number(key(a)) - number(key(b)) || 0;
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort((a, b) => sign * compared(a, b)));
  });
}

function number(text) {
  return text === "-inf" ? -Infinity : Number(text);
}

for (const input of document.querySelectorAll("[data-filters]")) {
  const table = document.getElementById(input.dataset.filters);
  const told = document.querySelector(`[data-counts="${CSS.escape(input.dataset.filters)}"]`);
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += !row.hidden;
    }
    told.textContent = wanted ? `${shown} of ${table.tBodies[0].rows.length} languages` : "";
  });
}

for (const select of document.querySelectorAll("[data-chooses]")) {
  const articles = document.querySelectorAll(`article[data-of="${CSS.escape(select.dataset.chooses)}"]`);
  const choose = () => {
    for (const article of articles) article.hidden = article.dataset.choice !== select.value;
  };
  select.addEventListener("change", choose);
  choose();
}
