/* List pages: which rows are ticked (kept in sessionStorage, one store per person and table), keys, column dialog.

   A store holds {scope: "picked", ids: [...]} or {scope: "all", query, shown, ids: exceptions}. */
(() => {
  "use strict";

  const list = () => document.getElementById("listing");
  const form = () => document.getElementById("selection");
  const boxes = () => [...list().querySelectorAll("[data-pick]")];
  const free = () => boxes().filter((box) => !box.disabled);
  // Said to screen readers by a place that stays: what is replaced itself is not announced.
  function say(words) {
    const place = document.getElementById("said");
    if (place) {
      place.textContent = words;
    }
  }
  document.addEventListener("listing:say", (event) => say(event.detail));

  function summary() {
    const nothing = list().querySelector(".empty p");
    const page = list().querySelector(".pager-number");
    const rows = `Rows ${list().querySelector(".pager-count").textContent}`;
    return nothing ? nothing.textContent : page ? `${rows}, ${page.textContent}` : rows;
  }

  const storeName = () => `picks:${document.body.dataset.person}:${list().dataset.store}`;
  const nothing = () => ({ scope: "picked", ids: [] });

  function read() {
    try {
      const kept = JSON.parse(sessionStorage.getItem(storeName())) || nothing();
      const stale = kept.scope === "all" && kept.query !== list().dataset.query && !("selectedView" in list().dataset);
      return stale ? nothing() : inPlay(kept);
    } catch {
      return nothing();
    }
  }

  // What was picked and can be seen to be out of play by now (removed elsewhere) is picked no longer. "All that match"
  // keeps its exceptions: they are counted in the number shown.
  function inPlay(kept) {
    const out = new Set(boxes().filter((box) => box.disabled).map((box) => box.value));
    if (kept.scope === "all" || !kept.ids.some((id) => out.has(id))) {
      return kept;
    }
    const picks = { ...kept, ids: kept.ids.filter((id) => !out.has(id)) };
    keep(picks);
    return picks;
  }

  function keep(picks) {
    if (picks.scope === "picked" && picks.ids.length === 0) {
      sessionStorage.removeItem(storeName());
    } else {
      sessionStorage.setItem(storeName(), JSON.stringify(picks));
    }
  }

  function write(picks) {
    keep(picks);
    draw();
    say(count(picks) ? `${count(picks).toLocaleString("en-US")} selected` : "Nothing is selected");
  }

  const count = (picks) => (picks.scope === "all" ? Math.max(picks.shown - picks.ids.length, 0) : picks.ids.length);
  const isPicked = (picks, id) => picks.ids.includes(id) !== (picks.scope === "all");

  function pick(ids, wanted) {
    const picks = read();
    const kept = new Set(picks.ids);
    for (const id of ids) {
      if (wanted === (picks.scope === "all")) {
        kept.delete(id);
      } else {
        kept.add(id);
      }
    }
    write({ ...picks, ids: [...kept] });
  }

  function draw() {
    const bar = form();
    if (!bar) {
      return;
    }
    const picks = read();
    const chosen = new Set(picks.ids);
    let onPage = 0;
    for (const box of boxes()) {
      box.checked = !box.disabled && chosen.has(box.value) !== (picks.scope === "all");
      box.closest("tr").classList.toggle("picked", box.checked);
      onPage += box.checked ? 1 : 0;
    }
    drawHeader(onPage);
    drawBar(bar, picks);
  }

  function drawHeader(onPage) {
    const page = document.getElementById("pick-page");
    const able = free().length;
    page.disabled = able === 0;
    page.checked = able > 0 && onPage === able;
    page.indeterminate = onPage > 0 && onPage < able;
  }

  function drawBar(bar, picks) {
    const number = count(picks);
    for (const place of document.querySelectorAll("[data-picked]")) { // in dialogs, too
      place.textContent = number.toLocaleString("en-US");
    }
    bar.hidden = number === 0;
    const chip = document.getElementById("selected-chip");
    if (chip && chip.tagName === "BUTTON") {
      chip.hidden = number === 0;
    }
    bar.elements.scope.value = picks.scope;
    bar.elements.ids.value = picks.ids.join(",");
    bar.elements.query.value = picks.scope === "all" ? picks.query : list().dataset.query;
    bar.elements.shown.value = picks.scope === "all" ? picks.shown : list().dataset.shown;
    const all = bar.querySelector("[data-select-all]");
    if (all) {
      all.hidden = picks.scope === "all" && picks.ids.length === 0;
    }
    document.dispatchEvent(new CustomEvent("listing:picked", { detail: { scope: picks.scope, count: number } }));
  }

  let lastTicked = null;

  document.addEventListener("click", (event) => {
    if (!list()) {
      return;
    }
    const box = event.target.closest("[data-pick]");
    if (box) {
      const row = free();
      const from = event.shiftKey && lastTicked ? row.findIndex((one) => one.value === lastTicked) : -1;
      const to = row.indexOf(box);
      const span = from < 0 ? [box] : row.slice(Math.min(from, to), Math.max(from, to) + 1);
      lastTicked = box.value;
      pick(span.map((one) => one.value), box.checked);
    } else if (event.target.id === "pick-page") {
      pick(free().map((one) => one.value), event.target.checked);
    } else if (event.target.closest("[data-select-all]")) {
      write({ scope: "all", query: list().dataset.query, shown: Number(list().dataset.shown), ids: [] });
    } else if (event.target.closest("[data-select-none]")) {
      write(nothing());
    }
  });

  // Arrows go from row to row and keep to the same control; Space ticks the box that has the focus, as ever.
  document.addEventListener("keydown", (event) => {
    const row = event.target.closest && event.target.closest(".rows tbody tr");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!row || !step || event.target.closest("select, input:not([type=checkbox]), textarea")) {
      return;
    }
    const controls = (tr) => [...tr.querySelectorAll("a[href], input, button")];
    const place = controls(row).indexOf(event.target);
    let next = row;
    do {
      next = step > 0 ? next.nextElementSibling : next.previousElementSibling;
    } while (next && controls(next).every((one) => one.disabled));
    if (next) {
      event.preventDefault();
      const there = controls(next);
      const same = there[Math.min(place, there.length - 1)];
      (same.disabled ? there.find((one) => !one.disabled) : same).focus();
    }
  });

  // --- column dialog: drag, or move with the arrow buttons ---

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]");
    if (!button) {
      return;
    }
    const item = button.closest("li");
    const other = button.dataset.move === "1" ? item.nextElementSibling : item.previousElementSibling;
    const moves = other && other.draggable;
    if (moves) {
      other.insertAdjacentElement(button.dataset.move === "1" ? "afterend" : "beforebegin", item);
      button.focus();
    }
    const items = [...item.parentElement.children];
    const name = item.querySelector("label").textContent.trim();
    const place = `${items.indexOf(item) + 1} of ${items.length}`;
    document.getElementById("column-moved").textContent = moves ? `${name}: now ${place}` : `${name} stays ${place}`;
  });

  let dragged = null;
  document.addEventListener("dragstart", (event) => {
    dragged = event.target.closest && event.target.closest(".column-list li[draggable=true]");
    if (dragged) {
      event.dataTransfer.effectAllowed = "move";
      dragged.classList.add("dragged");
    }
  });
  document.addEventListener("dragover", (event) => {
    const over = dragged && event.target.closest && event.target.closest(".column-list li[draggable=true]");
    if (over) {
      event.preventDefault();
      const middle = over.getBoundingClientRect().top + over.offsetHeight / 2;
      over.insertAdjacentElement(event.clientY > middle ? "afterend" : "beforebegin", dragged);
    }
  });
  document.addEventListener("dragend", () => {
    if (dragged) {
      dragged.classList.remove("dragged");
      dragged = null;
    }
  });

  // --- after each update ---

  // htmx gives the focus back to what has the same id. What is not there any more (a chip taken off, the link to the
  // next page on the last one) leaves it to its neighbour, so that nobody starts again at the top of the page.
  let left = null;
  let updated = false;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (list() && event.detail.target === list()) {
      updated = true;
      const focus = document.activeElement;
      left = list().contains(focus) ? focus.closest(".toolbar, .pager, .tiles, .scroller") : null;
      typed = focus.id === "search" && focus.value !== event.detail.requestConfig.parameters.q ? focus : null;
    }
  });

  // What was typed while the list was on its way is not in its answer: it stays, and is asked for next.
  let typed = null;
  document.addEventListener("htmx:afterSwap", () => {
    const search = document.getElementById("search");
    if (typed && search && search !== typed) {
      search.value = typed.value;
      search.setSelectionRange(typed.selectionStart, typed.selectionEnd);
    } else {
      typed = null;
    }
  });

  function refocus() {
    if (left && document.activeElement === document.body) {
      const part = list().querySelector(`.${left.classList[0]}`) || list();
      const inner = part.querySelector("#add-filter-button") || part.querySelector("a[href], button:not([disabled]), input");
      const neighbour = part.matches(".scroller") ? part : inner;
      (neighbour || list().querySelector(".scroller")).focus({ preventScroll: true });
    }
    left = null;
  }

  function settle() {
    if (!list()) {
      return;
    }
    draw();
    refocus();
    if (typed) {
      typed = null;
      htmx.trigger(document.getElementById("search").form, "submit");
    }
    if (updated) {
      updated = false;
      say(summary());
    }
    const scroller = list().querySelector(".scroller");
    scroller.addEventListener("scroll", () => scroller.classList.toggle("scrolled", scroller.scrollLeft > 0), { passive: true });
  }
  document.addEventListener("htmx:afterSwap", () => list() && draw()); // what is ticked is drawn with its row, not after
  document.addEventListener("htmx:afterSettle", settle);
  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", settle);
  } else {
    settle();
  }
})();
