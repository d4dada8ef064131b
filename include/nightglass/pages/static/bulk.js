// A verdict on a slice or on the whole night: says how many images it is about, and asks before it is given.
"use strict";

(() => {
  const work = document.querySelector(".work");
  const dialog = document.getElementById("bulk");
  if (!work || !dialog) return;

  const find = (id) => document.getElementById(id);
  const [slice, note, told, problem, confirm] = ["slice", "note", "told", "problem", "confirm"].map((id) => find(`bulk-${id}`));
  const form = dialog.querySelector("form");
  const numbers = new Intl.NumberFormat("en");
  let images = null;

  const word = () => new FormData(form).get("bulk-word");
  const about = (number) => `${numbers.format(number)} ${number === 1 ? "image" : "images"}`;

  const renew = () => {
    for (const effect of dialog.querySelectorAll("[data-effect]")) effect.hidden = effect.dataset.effect !== word();
    confirm.disabled = images === null || !word() || !note.value.trim();
    confirm.textContent = images !== null && word() ? `Call ${about(images)} ${word()}` : "Say it";
    if (images === null) return;
    const shown = [...work.querySelectorAll(".entry")].filter((entry) => isAbout(entry)).length;
    const which = slice.value ? `${slice.selectedOptions[0].textContent} of ${work.dataset.night}` : work.dataset.night;
    told.textContent = `It is about ${about(images)}: all of ${which}, ${shown} of them shown here.`;
  };

  const isAbout = (entry) => {
    const number = slice.selectedIndex - 1; // the first option is the whole night
    return number < 0 || entry.dataset.slices.split(" ").includes(String(number));
  };

  const complain = (text) => {
    problem.textContent = text;
    problem.hidden = !text;
  };

  const count = async () => {
    const asked = slice.value;
    images = null;
    told.textContent = "Counting the images …";
    complain("");
    renew();
    try {
      const query = asked ? `?${new URLSearchParams({ slice: asked })}` : "";
      const answer = await fetch(`${work.dataset.url}/coverage${query}`, { headers: { Accept: "application/json" } });
      const counted = await answer.json();
      if (slice.value !== asked) return;
      if (!answer.ok) throw new Error(counted.error);
      images = counted.images;
      renew();
    } catch (error) {
      told.textContent = "The images could not be counted.";
      complain(error.message);
    }
  };

  const say = async () => {
    confirm.disabled = true;
    const seen = Number(dialog.dataset.seen);
    const body = { slice: slice.value || null, verdict: word(), note: note.value, images, seen };
    try {
      const answer = await fetch(`${work.dataset.url}/bulk`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Accept": "application/json", "X-Nightglass": "1" },
        body: JSON.stringify(body),
      });
      const saved = await answer.json();
      if (!answer.ok) throw new Error(saved.error);
      const detail = { answer: saved, told: `${about(images)}: ${body.verdict}, saved.` };
      dialog.close();
      form.reset();
      work.dispatchEvent(new CustomEvent("saved-in-bulk", { detail }));
    } catch (error) {
      complain(error.message);
      renew();
    }
  };

  find("open-bulk").addEventListener("click", () => {
    const filtered = find("slice");
    if (filtered) slice.value = filtered.value;
    dialog.showModal();
    count();
  });
  find("bulk-cancel").addEventListener("click", () => dialog.close());
  slice.addEventListener("change", count);
  form.addEventListener("input", renew);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!confirm.disabled) say();
  });
})();
