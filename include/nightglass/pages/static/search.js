// Search: an image by file or drop is sent as it is; what was picked on another page goes with the form.
"use strict";

const ask = document.getElementById("ask");

if (ask) {
  const file = document.getElementById("file");
  const drop = document.getElementById("drop");
  const problem = document.getElementById("problem");
  const place = document.getElementById("answer");
  const go = ask.querySelector(".go");
  const mostBytes = Number(ask.dataset.mostBytes);
  let given = null;

  const tell = (text) => {
    problem.textContent = text;
    problem.hidden = !text;
  };

  const query = () => {
    const chosen = new URLSearchParams();
    for (const [name, value] of new FormData(ask)) {
      if (["collections", "from", "to"].includes(name) && value) chosen.append(name, value);
    }
    return chosen;
  };

  const search = async () => {
    tell("");
    if (given.size > mostBytes) {
      tell(`Expected an image of at most ${Math.round(mostBytes / 1048576)} MiB, got ${(given.size / 1048576).toFixed(1)} MiB.`);
      return;
    }
    go.disabled = true;
    place.setAttribute("aria-busy", "true");
    place.textContent = "Searching …";
    try {
      const answer = await fetch(`${ask.dataset.url}?${query()}`, {
        method: "POST",
        headers: { "Content-Type": given.type.startsWith("image/") ? given.type : "application/octet-stream", "Accept": "application/json", "X-Nightglass": "1" },
        body: given,
      });
      if (!answer.ok) throw new Error((await answer.json()).error);
      place.innerHTML = await answer.text();
    } catch (error) {
      place.textContent = "";
      tell(`Not searched: ${error.message}`);
    } finally {
      go.disabled = false;
      place.removeAttribute("aria-busy");
    }
  };

  const take = (one, isDropped) => {
    if (!one) return;
    given = one;
    drop.querySelector(".dropped")?.remove();
    if (isDropped) {
      file.value = "";  // it would go on naming the file before
      const said = document.createElement("p");
      said.className = "dropped";
      said.textContent = `Dropped: ${one.name}`;
      drop.append(said);
    }
    search();
  };

  ask.addEventListener("submit", (event) => {
    if (!given) {
      if (!ask.querySelector("[name=sha256]")) {
        event.preventDefault();
        tell("Give an image first, or pick one on its own page.");
      }
      return;
    }
    event.preventDefault();
    search();
  });
  file.addEventListener("change", () => take(file.files[0], false));
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    drop.addEventListener(kind, () => drop.classList.remove("over"));
  }
  drop.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files[0], true); });

  // An error of a picture does not bubble.
  document.addEventListener("error", async (event) => {
    const image = event.target;
    if (!(image instanceof HTMLImageElement)) return;
    const said = document.createElement("span");
    said.className = "no-picture";
    image.replaceWith(said);
    try {
      const answer = await fetch(image.src, { headers: { Accept: "application/json" } });
      said.textContent = answer.ok ? "no picture" : (await answer.json()).error;
    } catch (error) {
      said.textContent = error.message;
    }
  }, true);
}
