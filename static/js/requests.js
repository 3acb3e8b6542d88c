/* Pending Approval: rows at work are asked for again every five seconds while there are some and somebody looks. */
(() => {
  "use strict";

  const EVERY = 5000;
  let busy = false;

  const atWork = () => [...document.querySelectorAll("#listing [data-at-work]")].map((one) => one.dataset.atWork);

  // Somebody may have gone on to other rows while this was under way: what has no place any more is dropped.
  function stillThere(html) {
    const answer = document.createElement("template");
    answer.innerHTML = html;
    for (const part of answer.content.querySelectorAll("template")) {
      if (!document.getElementById(part.content.firstElementChild.id)) {
        part.remove();
      }
    }
    return answer.innerHTML;
  }

  // What is done now is said to those who do not see it.
  function tell(asked) {
    const still = new Set(atWork());
    const done = asked.filter((pk) => !still.has(pk)).map((pk) => document.getElementById(`row-${pk}`));
    const words = done.filter(Boolean).map((row) => `${row.querySelector("a").textContent}: ${row.querySelector(".state")?.textContent ?? "done"}`);
    if (words.length > 0) {
      document.dispatchEvent(new CustomEvent("listing:say", { detail: words.join(". ") }));
    }
  }

  // Not an htmx request: one that is cut off because the page is left is no error to report, and the next one
  // follows in five seconds anyway. What came is put in place by htmx.
  async function ask() {
    const rows = atWork();
    if (busy || document.hidden || rows.length === 0) {
      return;
    }
    busy = true;
    const place = document.getElementById("polling");
    try {
      const answer = await fetch(`${place.dataset.href}?${rows.map((row) => `at=${row}`).join("&")}`);
      if (new URL(answer.url).pathname === "/login/") {
        location.assign(`/login/?next=${encodeURIComponent(location.pathname + location.search)}`);
      } else if (answer.ok) {
        htmx.swap(place, stillThere(await answer.text()), { swapStyle: "none" });
        tell(rows);
      }
    } catch {
      // the server is not there just now
    } finally {
      busy = false;
    }
  }
  setInterval(ask, EVERY);
  document.addEventListener("visibilitychange", ask);
})();
