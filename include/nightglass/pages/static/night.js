// A night's top anomalies: filter and sort them, give verdicts by click or by key, take the last one back.
"use strict";

(() => {
  const work = document.querySelector(".work");
  if (!work) return;

  const list = work.querySelector(".entries");
  const entries = [...work.querySelectorAll(".entry")];
  const find = (id) => document.getElementById(id);
  const [verdict, slice, sort, undo] = ["verdict", "slice", "sort", "undo"].map(find);
  const keys = { d: "defect", n: "normal", u: "unsure" };
  const mayChange = "mayChange" in work.dataset;
  let isUndoing = false;

  const shown = () => [...list.children].filter((entry) => !entry.hidden);

  const count = () => {
    const open = entries.filter((entry) => entry.dataset.verdict === "none").length;
    const disputed = entries.filter((entry) => "disputed" in entry.dataset).length;
    const dispute = disputed ? `, ${disputed} disputed` : "";
    find("counted").textContent = `${shown().length} of ${entries.length} shown, ${open} without verdict${dispute}`;
  };

  const fits = (entry) => {
    const number = slice ? slice.selectedOptions[0].dataset.number : undefined;
    if (number !== undefined && !entry.dataset.slices.split(" ").includes(number)) return false;
    if (verdict.value === "disputed") return "disputed" in entry.dataset;
    return verdict.value === "all" || entry.dataset.verdict === verdict.value;
  };

  const places = {
    score: (entry) => Number(entry.dataset.rank),
    lowest: (entry) => -Number(entry.dataset.rank),
    path: (entry) => Number(entry.dataset.byPath),
    slice: (entry) => Number(entry.dataset.bySlice),
  };

  const filter = () => {
    for (const entry of entries) entry.hidden = !fits(entry);
    count();
  };

  const arrange = () => {
    const place = places[sort.value];
    list.append(...[...entries].sort((one, other) => place(one) - place(other)));
  };

  // The address says what is shown, so that it can be passed on, and is still so after a reload.
  const remember = () => {
    const asked = new URLSearchParams(new FormData(verdict.form));
    history.replaceState(null, "", `${location.pathname}?${asked}${location.hash}`);
  };

  const renew = (told) => {
    const entry = find(`image-${told.rank}`);
    if (!entry) return;
    const focused = document.activeElement.closest(".verdict-bar [data-word]");
    const word = focused && entry.contains(focused) ? focused.dataset.word : null;
    entry.dataset.verdict = told.verdict;
    entry.toggleAttribute("data-disputed", told.disputed);
    entry.querySelector(".verdict-bar").outerHTML = told.html;
    if (word) entry.querySelector(`[data-word="${word}"]`).focus();
  };

  const take = (answer, told) => {
    answer.said.forEach(renew);
    find("bulk-words").innerHTML = answer.bulk;
    undo.hidden = !answer.undo;
    undo.dataset.entry = answer.undo ? answer.undo.entry : "";
    undo.querySelector("span").textContent = answer.undo ? answer.undo.text : "";
    find("told").textContent = told;
    find("problem").hidden = true;
    count();
  };

  const complain = (text) => {
    const problem = find("problem");
    problem.querySelector("span").textContent = text;
    problem.hidden = false;
    problem.scrollIntoView({ block: "center" });
  };

  const send = async (path, body) => {
    const answer = await fetch(`${work.dataset.url}${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Accept": "application/json", "X-Nightglass": "1" },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    return told;
  };

  const say = async (entry, word) => {
    if (!mayChange || entry.hasAttribute("aria-busy")) return;
    entry.setAttribute("aria-busy", "true");
    const { rank, sha256 } = entry.dataset;
    try {
      take(await send("", { rank: Number(rank), sha256, verdict: word }), `Image ${rank}: ${word}, saved.`);
    } catch (error) {
      complain(`Image ${rank}: the verdict was not saved. ${error.message}`);
    } finally {
      entry.removeAttribute("aria-busy");
    }
  };

  const takeBack = async () => {
    if (!mayChange || !undo.dataset.entry || isUndoing) return;
    isUndoing = true;
    try {
      const answer = await send("/undo", { entry: Number(undo.dataset.entry) });
      take(answer, `Taken back: ${answer.taken_back}.`);
    } catch (error) {
      complain(error.message);
    } finally {
      isUndoing = false;
    }
  };

  const move = (step) => {
    const some = shown();
    if (!some.length) return;
    const place = some.indexOf(document.activeElement.closest(".entry"));
    some[Math.min(Math.max(place + step, 0), some.length - 1)].focus();
  };

  list.addEventListener("click", (event) => {
    const button = event.target.closest("[data-word]");
    if (button) say(button.closest(".entry"), button.dataset.word);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("select, input, textarea, dialog")) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      move(event.key === "ArrowRight" ? 1 : -1);
      return;
    }
    if (event.repeat) return; // a key that is held says its word once
    if (event.key === "z") takeBack();
    const entry = document.activeElement.closest(".entry");
    if (entry && event.key in keys) say(entry, keys[event.key]);
  });

  if (undo) undo.addEventListener("click", takeBack);
  work.addEventListener("saved-in-bulk", (event) => take(event.detail.answer, event.detail.told));
  verdict.form.addEventListener("submit", (event) => event.preventDefault());
  for (const [chooser, act] of [[verdict, filter], [slice, filter], [sort, arrange]]) {
    if (chooser) chooser.addEventListener("change", () => { act(); remember(); });
  }
  arrange();
  filter();
})();
