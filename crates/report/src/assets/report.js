"use strict";
// Tables sort by any column. Without this script they stand in the order of the report.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.querySelectorAll("thead th[data-sort]")];
  // Where headings have two rows, those of the first row span both and stand before the others.
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("number");
      const first = numeric ? "descending" : "ascending";
      const second = numeric ? "ascending" : "descending";
      const next = { null: first, [first]: second, [second]: null }[head.getAttribute("aria-sort")] ?? null;
      for (const other of heads) other.removeAttribute("aria-sort");
      if (next !== null) head.setAttribute("aria-sort", next);
      body.append(...(next === null ? original : sorted(original, column, numeric, next === "ascending" ? 1 : -1)));
    });
  });
}

// Rows by the values of one column; rows without a value come last either way, ties keep their order.
function sorted(rows, column, numeric, direction) {
  const value = (row) => {
    const cell = row.cells[column];
    if (cell === undefined) return null;
    if (!numeric) return cell.textContent;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };
  const compare = (one, other) => {
    if (one === null || other === null) return (one === null) - (other === null);
    return direction * (numeric ? one - other : one.localeCompare(other, "en", { numeric: true }));
  };
  return [...rows].sort((one, other) => compare(value(one), value(other)));
}
