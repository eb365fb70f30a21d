// theme.js — light, dark, or as the system has it. Loaded before the page is drawn, so that nothing flashes.
"use strict";

{
  const KEY = "reelbus.theme";
  const NAMES = ["system", "light", "dark"];
  const root = document.documentElement;

  const read = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be forbidden; the choice then holds until the page is left
    }
  };

  const use = (name) => {
    root.dataset.theme = NAMES.includes(name) ? name : NAMES[0];
  };

  use(read());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const say = () => {
      button.setAttribute("aria-label", `Theme: ${root.dataset.theme}`);
      button.title = `Theme: ${root.dataset.theme}`;
    };
    say();
    button.addEventListener("click", () => {
      use(NAMES[(NAMES.indexOf(root.dataset.theme) + 1) % NAMES.length]);
      say();
      try {
        localStorage.setItem(KEY, root.dataset.theme);
      } catch {
        // as above
      }
    });
  });
}
