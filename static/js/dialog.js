/* A dialog whose content htmx brings: it opens when that has come, and gives the focus back when it closes. */
(() => {
  "use strict";

  const dialog = () => document.getElementById("dialog");
  let asked = null; // the id of the link that gets the focus back

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id === "dialog-content") {
      asked = event.detail.requestConfig.elt.id;
      bootstrap.Modal.getOrCreateInstance(dialog()).show();
    }
  });
  document.addEventListener("shown.bs.modal", (event) => {
    if (event.target === dialog()) {
      dialog().querySelector(".modal-footer .btn").focus();
    }
  });
  document.addEventListener("hidden.bs.modal", (event) => {
    if (event.target === dialog()) {
      document.getElementById(asked)?.focus();
    }
  });
})();
