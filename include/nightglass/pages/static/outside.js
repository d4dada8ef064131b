// Addresses outside of these pages. Airflow shows the pages in a frame that may open no other page, and its own pages
// would nest in it: there the address is copied, to be pasted into another tab.
"use strict";

(() => {
  if (window.top === window.self) return;

  const tell = (link, text) => {
    let told = link.nextElementSibling;
    if (!told || !told.classList.contains("copied")) {
      told = document.createElement("span");
      told.className = "copied";
      told.setAttribute("role", "status");
      link.after(told);
    }
    told.textContent = text;
  };

  for (const link of document.querySelectorAll("a.outside")) {
    link.title = "Copies the address: open it in another tab";
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      try {
        await navigator.clipboard.writeText(link.href);
        tell(link, "Address copied: open it in another tab.");
      } catch {
        tell(link, `Open in another tab: ${link.href}`); // without https a page may not write to the clipboard
      }
    });
  }
})();
