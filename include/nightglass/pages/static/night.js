// Verdicts on a night's top anomalies: by click or by key, saved at once.
"use strict";

const work = document.querySelector(".work");

if (work) {
  const entries = [...work.querySelectorAll(".entry")];
  const problem = document.getElementById("problem");
  const filter = document.getElementById("filter");
  const keys = { d: "defect", n: "normal", u: "unsure" };
  const mayChange = "mayChange" in work.dataset;

  const shown = () => entries.filter((entry) => !entry.hidden);

  const count = () => {
    const open = entries.filter((entry) => entry.dataset.verdict === "none").length;
    document.getElementById("counted").textContent = `${shown().length} shown, ${open} without verdict`;
  };

  const apply = () => {
    for (const entry of entries) {
      entry.hidden = filter.value !== "all" && entry.dataset.verdict !== filter.value;
    }
    count();
  };

  const mark = (entry, said) => {
    entry.dataset.verdict = said.verdict;
    for (const button of entry.querySelectorAll("[data-word]")) {
      button.setAttribute("aria-pressed", String(button.dataset.word === said.verdict));
    }
    entry.querySelector(".by").textContent = `${said.by}, ${said.at.slice(0, 16).replace("T", " ")}`;
    count();
  };

  const say = async (entry, word) => {
    if (!mayChange || entry.hasAttribute("aria-busy")) return;
    entry.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(work.dataset.url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Accept": "application/json", "X-Nightglass": "1" },
        body: JSON.stringify({ rank: Number(entry.dataset.rank), sha256: entry.dataset.sha256, verdict: word }),
      });
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.error);
      mark(entry, told);
      problem.hidden = true;
    } catch (error) {
      problem.textContent = `Image ${entry.dataset.rank}: the verdict was not saved. ${error.message}`;
      problem.hidden = false;
      problem.scrollIntoView({ block: "center" });
    } finally {
      entry.removeAttribute("aria-busy");
    }
  };

  const move = (step) => {
    const some = shown();
    if (!some.length) return;
    const place = some.indexOf(document.activeElement.closest(".entry"));
    some[Math.min(Math.max(place + step, 0), some.length - 1)].focus();
  };

  work.addEventListener("click", (event) => {
    const button = event.target.closest("[data-word]");
    if (button) say(button.closest(".entry"), button.dataset.word);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input, textarea")) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      move(event.key === "ArrowRight" ? 1 : -1);
      return;
    }
    const entry = document.activeElement.closest(".entry");
    if (entry && event.key in keys) say(entry, keys[event.key]);
  });

  filter.addEventListener("change", apply);
  apply();
}
