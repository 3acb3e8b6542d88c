/* The frame of every page: keys, dismissing, confirmations, answers of a server that went away or a session that ended. */
(() => {
  "use strict";

  const typing = (element) => element.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !typing(event.target) && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const search = document.getElementById("search");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    }
    if (event.key === "Escape") {
      closeMenus(document);
    }
  });

  // Menus made of <details>: Escape and a click elsewhere close them, and Escape gives the focus back.
  function closeMenus(except) {
    for (const menu of document.querySelectorAll("details.adder[open]")) {
      if (except === document && menu.contains(document.activeElement)) {
        menu.querySelector("summary").focus();
      }
      if (except === document || !menu.contains(except)) {
        menu.open = false;
      }
    }
  }

  document.addEventListener("click", (event) => {
    if (event.target.isConnected) {
      closeMenus(event.target);
    }
    const dismiss = event.target.closest("[data-dismiss]");
    if (dismiss) {
      dismiss.closest(".notice").remove();
    }
  });

  // A confirmation starts at the button that leaves everything as it is.
  document.addEventListener("shown.bs.modal", (event) => event.target.querySelector("[data-first]")?.focus());

  // A form is sent once, however often its button is clicked. Coming back by the browser's history frees it again.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || event.defaultPrevented || form.hasAttribute("data-again")) {
      return;
    }
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) {
      delete form.dataset.sent;
    }
  });

  // Closing a section, and signing out, also forget what was ticked in its lists (listing.js keeps that in this tab).
  document.addEventListener("submit", (event) => {
    const area = event.target.dataset.forgets;
    if (area === undefined) {
      return;
    }
    for (const name of Object.keys(sessionStorage)) {
      if (name.startsWith("picks:") && (area === "" || name.split(":")[2] === area)) {
        sessionStorage.removeItem(name);
      }
    }
  });

  // So does the answer of a command that is done, and only that: it leads to an address that ends with the name of the
  // selection (answers.py), and is shown without it.
  const [place, done] = location.hash.split("&done=");
  if (done !== undefined) {
    const store = new URLSearchParams(`store=${done}`).get("store");
    sessionStorage.removeItem(`picks:${document.body.dataset.person}:${store}`);
    history.replaceState(history.state, "", location.pathname + location.search);
    if (place.length > 1) {
      location.replace(place);
    }
  }

  // A partial update that lands on the sign-in page means that the session ended: go there, and come back here after.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const landed = new URL(event.detail.xhr.responseURL || location.href);
    if (landed.pathname === "/login/" && location.pathname !== "/login/") {
      event.detail.shouldSwap = false;
      location.assign(`/login/?next=${encodeURIComponent(location.pathname + location.search)}`);
    }
  });

  // What asks again by itself (data-poll) rests while nobody looks at the page.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.detail.elt.hasAttribute("data-poll")) {
      event.preventDefault();
    }
  });

  function say(words) {
    document.querySelector(".toast-line")?.remove();
    const line = document.createElement("div");
    line.className = "notice notice-error toast-line";
    line.setAttribute("role", "alert");
    line.textContent = words;
    document.body.append(line);
    setTimeout(() => line.remove(), 8000);
  }
  document.addEventListener("htmx:sendError", () => say("The server did not answer; what you see is as of before. Try again."));
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 403) {
      say("This was refused, and nothing was done. Reload the page and try again.");
    } else {
      say("The server could not answer; what you see is as of before. Reload the page.");
    }
  });
})();
