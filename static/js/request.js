/* A request: its decisions act on all open accounts, so with only some of them selected they rest and say why;
   the dialog that removes accounts says how many. */
(() => {
  "use strict";

  const WHY = "Only some of the open accounts are selected. This acts on all of them: clear the selection, or select all.";
  const NOTE = "Approve and Cancel act on all open accounts, so they rest while only some are selected.";

  function rest(place, resting) {
    const button = place.querySelector("button");
    if (resting === (place.dataset.resting === "yes")) {
      return;
    }
    if (resting && button.disabled) {
      return; // it says already why it cannot be done at all
    }
    place.dataset.resting = resting ? "yes" : "no";
    place.title = resting ? WHY : "";
    button.disabled = resting;
    button.querySelector("[data-why]").textContent = resting ? `: ${WHY}` : "";
  }

  function drawDialog(count, all) {
    const dialog = document.getElementById("remove");
    if (!dialog) {
      return;
    }
    dialog.querySelector("[data-picked-count]").textContent = `${count.toLocaleString("en-US")} account${count === 1 ? "" : "s"}`;
    dialog.querySelector("[data-if-all]").hidden = !all;
    dialog.querySelector("[data-unless-all]").hidden = all;
  }

  document.addEventListener("listing:picked", (event) => {
    const count = event.detail.count;
    let open = 0;
    for (const place of document.querySelectorAll("[data-needs-all]")) {
      open = Number(place.dataset.needsAll);
      rest(place, count > 0 && count < open);
    }
    const note = document.getElementById("some-selected");
    if (note) {
      note.textContent = count > 0 && count < open ? NOTE : "";
    }
    drawDialog(count, open > 0 && count >= open);
  });
})();
