// One image: the map's opacity, verdicts by click or key, and the pieces that take longer than the page.
"use strict";

const one = document.querySelector(".one");

if (one) {
  const viewer = document.getElementById("viewer");
  const slider = document.getElementById("opacity");
  const overlay = viewer.querySelector(".overlay");
  const judge = document.getElementById("judge");
  const keys = { d: "defect", n: "normal", u: "unsure" };
  let before = 70;

  const reason = async (address) => {
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      return answer.ok ? "it is no picture that this browser shows" : (await answer.json()).error;
    } catch (error) {
      return error.message;
    }
  };

  const tell = (what, why) => {
    const place = viewer.querySelector(".failed");
    place.textContent = `${what} is not shown: ${why}`;
    place.hidden = false;
  };

  const setOpacity = (percent) => {
    slider.value = percent;
    viewer.style.setProperty("--map", percent / 100);
    viewer.querySelector("output").textContent = `${percent} %`;
  };

  const toggleMap = () => {
    const now = Number(slider.value);
    if (now) before = now;
    setOpacity(now ? 0 : before);
  };

  const fill = async (place) => {
    try {
      const answer = await fetch(place.dataset.load, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error((await answer.json()).error);
      place.innerHTML = await answer.text();
    } catch (error) {
      place.textContent = `Not shown: ${error.message}`;
    }
  };

  const withoutPicture = async (image) => {
    const said = document.createElement("span");
    said.className = "no-picture";
    image.replaceWith(said);
    said.textContent = await reason(image.src);
  };

  const say = async (word) => {
    if (!("mayChange" in judge.dataset) || judge.hasAttribute("aria-busy")) return;
    const problem = judge.querySelector(".alarm");
    judge.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(judge.dataset.url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Accept": "application/json", "X-Nightglass": "1" },
        body: JSON.stringify({ verdict: word }),
      });
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.error);
      for (const button of judge.querySelectorAll("[data-word]")) {
        button.setAttribute("aria-pressed", String(button.dataset.word === told.verdict));
      }
      judge.querySelector(".by").textContent = `${told.by}, ${told.at.slice(0, 16).replace("T", " ")}`;
      problem.hidden = true;
    } catch (error) {
      problem.textContent = `The verdict was not saved. ${error.message}`;
      problem.hidden = false;
    } finally {
      judge.removeAttribute("aria-busy");
    }
  };

  judge.addEventListener("click", (event) => {
    const button = event.target.closest("[data-word]");
    if (button) say(button.dataset.word);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, textarea, input:not([type=range])")) return;
    if (event.repeat) return; // a key that is held says its word once
    if (event.key in keys) say(keys[event.key]);
    if (event.key === "m" && slider && !slider.disabled) toggleMap();
  });

  // An error of a picture does not bubble.
  document.addEventListener("error", async (event) => {
    const image = event.target;
    if (!(image instanceof HTMLImageElement)) return;
    if (image === overlay) {
      image.hidden = true;
      slider.disabled = true;
      tell("The map", await reason(image.src));
    } else if (image.closest(".results")) {
      withoutPicture(image);
    } else if (image.classList.contains("photo")) {
      tell("The image", await reason(image.src));
    }
  }, true);

  if (slider) {
    slider.disabled = false;
    slider.addEventListener("input", () => setOpacity(Number(slider.value)));
    setOpacity(Number(slider.value));
  }
  const photo = viewer.querySelector(".photo");
  for (const image of [photo, overlay]) {
    // What failed before this script ran is told as well.
    if (image && image.complete && !image.naturalWidth) image.dispatchEvent(new Event("error"));
  }
  for (const place of document.querySelectorAll("[data-load]")) {
    if (place.dataset.after && overlay && !overlay.complete) {
      overlay.addEventListener("load", () => fill(place), { once: true });
      overlay.addEventListener("error", () => { place.textContent = ""; }, { once: true });
    } else {
      fill(place);
    }
  }
}
