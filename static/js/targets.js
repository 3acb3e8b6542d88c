/* Editing a portfolio or model: the sum of the weights while they are typed, rows added and taken out.
   Sums are exact, in millionths of a percent; the server's check decides. */
(() => {
  "use strict";

  const ALL = 100_000_000n;
  const form = document.getElementById("target-form");
  const rows = form.querySelector("[data-rows]");
  const total = form.elements["rows-TOTAL_FORMS"];
  const sum = form.querySelector("[data-sum]");
  const words = form.querySelector("[data-sum-words]");

  function millionths(text) {
    const found = /^(-?)(\d*)(?:\.(\d{0,6}))?$/.exec(text.trim());
    if (!found) {
      return null;
    }
    const size = BigInt(found[2] || "0") * 1_000_000n + BigInt((found[3] || "").padEnd(6, "0"));
    return found[1] ? -size : size;
  }

  function percent(value) {
    const size = value < 0n ? -value : value;
    const fraction = String(size % 1_000_000n).padStart(6, "0").replace(/0+$/, "");
    return `${value < 0n ? "\u2212" : ""}${size / 1_000_000n}${fraction ? `.${fraction}` : ""} %`;
  }

  function draw() {
    const weights = [...rows.querySelectorAll(".weight")].map((field) => millionths(field.value));
    const known = weights.filter((value) => value !== null);
    const together = known.reduce((one, other) => one + other, 0n);
    const unread = weights.length - known.length;
    const right = unread === 0 && together === ALL;
    sum.textContent = percent(together);
    sum.className = right ? "up" : "down";
    if (unread > 0) {
      words.textContent = unread === 1 ? "One weight is no number with up to six decimals." : `${unread} weights are no numbers with up to six decimals.`;
    } else if (right) {
      words.textContent = "That is exactly 100 %.";
    } else {
      words.textContent = together < ALL ? `${percent(ALL - together)} missing to 100 %.` : `${percent(together - ALL)} above 100 %.`;
    }
  }

  function add() {
    const number = total.value;
    const made = document.createElement("template");
    made.innerHTML = document.getElementById("new-row").innerHTML.replaceAll("__prefix__", number);
    rows.append(made.content);
    total.value = Number(number) + 1;
    rows.lastElementChild.querySelector(".held").focus();
    draw();
  }

  function drop(row) {
    const next = row.nextElementSibling || row.previousElementSibling;
    row.remove();
    (next ? next.querySelector(".held") : form.querySelector("[data-add-row]")).focus();
    draw();
  }

  form.addEventListener("input", draw);
  form.addEventListener("click", (event) => {
    if (event.target.closest("[data-add-row]")) {
      add();
    } else if (event.target.closest("[data-drop-row]")) {
      drop(event.target.closest("tr"));
    }
  });
  form.querySelector("[data-add-row]").hidden = false;
  draw();
})();
