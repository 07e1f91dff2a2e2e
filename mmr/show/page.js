"use strict";
(() => {
  const dialog = document.querySelector("dialog");
  const stage = dialog.querySelector(".stage");
  const heading = document.getElementById("closer");
  const asked = dialog.querySelector(".asked");
  const about = dialog.querySelector(".about");
  const hits = [...document.querySelectorAll(".hit")];
  const sections = [...document.querySelectorAll(".query")];
  const place = new Map(hits.map((hit, i) => [hit, i]));
  let current = 0, query = 0, shown = 0;

  // One stop for the Tab key in each grid; the arrow keys move inside.
  for (const grid of document.querySelectorAll(".grid")) {
    grid.querySelectorAll(".hit").forEach((hit, i) => { hit.tabIndex = i ? -1 : 0; });
  }

  function focusOn(index) {
    if (index < 0 || index >= hits.length) return;
    const hit = hits[index];
    const head = hit.closest(".query")?.querySelector("header");
    hit.style.scrollMarginTop = `${(head?.offsetHeight ?? 0) + 12}px`;
    hit.closest(".grid").querySelectorAll('.hit[tabindex="0"]').forEach((other) => { other.tabIndex = -1; });
    hit.tabIndex = 0;
    current = index;
    hit.focus({ preventScroll: true });
    hit.scrollIntoView({ block: "nearest" });
  }

  // The hit in the next line of pictures, up or down, that lies nearest to the same column.
  function beside(index, step) {
    const from = hits[index].getBoundingClientRect();
    const middle = from.left + from.width / 2;
    let line = null, best = -1, least = Infinity;
    for (let i = index + step; i >= 0 && i < hits.length; i += step) {
      const box = hits[i].getBoundingClientRect();
      if (Math.abs(box.top - from.top) < 8) continue;
      if (line === null) line = box.top;
      if (Math.abs(box.top - line) >= 8) break;
      const away = Math.abs(box.left + box.width / 2 - middle);
      if (away < least) { least = away; best = i; }
    }
    return best < 0 ? index : best;
  }

  function show(index) {
    if (index < 0 || index >= hits.length) return;
    shown = index;
    const hit = hits[index];
    stage.replaceChildren(hit.querySelector(".picture").cloneNode(true));
    const facts = hit.parentElement.querySelector("dl").cloneNode(true);
    facts.hidden = false;
    about.replaceChildren(facts);
    const section = hit.closest("section");
    const all = section.querySelectorAll(".hit");
    const number = index - place.get(all[0]) + 1;
    heading.textContent = `${section.matches(".query") ? "Hit" : "Item"} ${number} of ${all.length.toLocaleString("en")}`;
    asked.textContent = section.querySelector("h2")?.textContent ?? "";
    dialog.querySelector('[data-turn="-1"]').disabled = index === 0;
    dialog.querySelector('[data-turn="1"]').disabled = index === hits.length - 1;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    heading.focus();
  }

  function toQuery(step) {
    const next = sections[query + step];
    if (!next) return;
    const hit = next.querySelector(".hit");
    if (hit) focusOn(place.get(hit));
    next.scrollIntoView({ block: "start" });
    query += step;
  }

  hits.forEach((hit, i) => {
    hit.addEventListener("click", () => show(i));
    hit.addEventListener("focus", () => {
      current = i;
      query = sections.indexOf(hit.closest("section"));
    });
  });
  dialog.addEventListener("close", () => focusOn(shown));
  dialog.addEventListener("click", (event) => {
    const turn = event.target.closest("[data-turn]")?.dataset.turn;
    if (turn === "0" || event.target === dialog) dialog.close();
    else if (turn) show(shown + Number(turn));
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowRight: 1, ArrowLeft: -1, j: 1, k: -1 }[event.key];
    if (dialog.open) {
      if (step) { show(shown + step); event.preventDefault(); }
      return;
    }
    if (event.target.closest?.("summary, a")) return;
    const inside = document.activeElement.classList.contains("hit");
    if (step && hits.length) focusOn(inside ? current + step : current);
    else if (inside && event.key === "ArrowDown") focusOn(beside(current, 1));
    else if (inside && event.key === "ArrowUp") focusOn(beside(current, -1));
    else if (inside && event.key === "Home") focusOn(0);
    else if (inside && event.key === "End") focusOn(hits.length - 1);
    else if (event.key === "n") toQuery(1);
    else if (event.key === "p") toQuery(-1);
    else return;
    event.preventDefault();
  });

  document.querySelector(".keys").hidden = !hits.length;
  if (sections.length > 1) {
    const contents = document.querySelector(".contents");
    contents.querySelector("summary").textContent = `${sections.length.toLocaleString("en")} queries`;
    contents.querySelector("ol").append(...sections.map((section) => {
      const title = section.querySelector("h2");
      const link = document.createElement("a");
      link.href = `#${section.id}`;
      link.textContent = title.textContent;
      const item = document.createElement("li");
      item.append(link);
      return item;
    }));
    contents.hidden = false;
    document.querySelector(".many").hidden = false;
  }
})();
