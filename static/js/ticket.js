/* The order ticket: shares that are typed are kept until they are saved, whatever the page brings in meanwhile. */
(() => {
  "use strict";

  const typed = new Map(); // name of the field: what was typed, where it is not as the server said

  // --- what is typed ---

  function note(field) {
    if (field.value === field.defaultValue) {
      typed.delete(field.name);
    } else {
      typed.set(field.name, field.value);
    }
    field.classList.toggle("is-typed", typed.has(field.name));
    tell();
  }

  function tell() {
    const bar = document.getElementById("unsaved");
    if (!bar) {
      return;
    }
    bar.hidden = typed.size === 0;
    const words = document.getElementById("unsaved-words");
    words.textContent = `${typed.size} ${typed.size === 1 ? "change is" : "changes are"} not saved yet.`;
  }

  document.addEventListener("input", (event) => {
    if (event.target.matches("input.shares")) {
      note(event.target);
    }
  });

  // Rows that come in again show what was typed in them, not what is stored.
  document.addEventListener("htmx:afterSwap", (event) => {
    for (const field of event.detail.target?.querySelectorAll?.("input.shares") ?? []) {
      if (typed.has(field.name)) {
        field.value = typed.get(field.name);
        field.classList.add("is-typed");
      }
    }
  });

  // Every form of the ticket sends what was typed along, also in rows that are not shown any more.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.hasAttribute("data-ticket")) {
      return;
    }
    for (const [name, value] of typed) {
      if (form.id !== "ticket" || !form.elements.namedItem(name)) {
        const field = document.createElement("input");
        Object.assign(field, { type: "hidden", name, value });
        form.append(field);
      }
    }
    const open = form.querySelector("[data-open]");
    if (open) {
      open.value = [...document.querySelectorAll(".opens[aria-expanded=true]")].map((one) => one.dataset.opens).join(",") || open.value;
    }
  }, true);

  // Transmitting sends what is saved: what is typed has to be saved or discarded first.
  document.addEventListener("click", (event) => {
    if (event.target.closest("#transmit") && typed.size > 0) {
      event.preventDefault();
      document.getElementById("unsaved-words").textContent = "Save these changes, or discard them, before you transmit.";
      document.querySelector("#unsaved .btn-primary").focus();
    }
  });

  // --- opening and closing ---

  function show(opener, open) {
    opener.setAttribute("aria-expanded", String(open));
    opener.classList.toggle("collapsed", !open);
    document.getElementById(opener.getAttribute("aria-controls")).hidden = !open;
  }

  // Rows that are there already are only shown and hidden; htmx asks for the others.
  document.addEventListener("click", (event) => {
    const opener = event.target.closest(".opens");
    if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) {
      return;
    }
    const lines = document.getElementById(opener.getAttribute("aria-controls"));
    if (lines.rows.length) {
      event.preventDefault();
      event.stopPropagation();
      show(opener, lines.hidden);
    }
  }, true);
  document.addEventListener("htmx:afterSwap", (event) => {
    const pk = event.detail.target?.dataset?.lines;
    if (pk) {
      show(document.getElementById(`opener-${pk}`), true);
    }
  });

  // --- the form of an execution: only the fields that count ---

  function fit(form) {
    const algorithm = form.querySelector("[name=algorithm]");
    for (const part of form.querySelectorAll("[data-for]")) {
      part.hidden = !part.dataset.for.split(" ").includes(algorithm.value);
      const tick = part.querySelector("[type=checkbox]");
      if (part.hidden && tick && !part.querySelector(".field-error")) {
        tick.checked = false; // what is not seen is not asked for
      }
    }
  }
  document.addEventListener("change", (event) => {
    const form = event.target.closest(".execution-form");
    if (form && event.target.name === "algorithm") {
      fit(form);
    }
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const form = event.detail.target?.querySelector?.(".execution-form");
    if (form?.querySelector("[name=algorithm]")) {
      fit(form);
    }
  });

  document.querySelectorAll(".execution-form:has([name=algorithm])").forEach(fit);
  for (const field of document.querySelectorAll("input.shares")) {
    if (field.classList.contains("is-wrong")) {
      typed.set(field.name, field.value);
    }
  }
  tell();
})();
