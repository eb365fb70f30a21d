// filters.js — tells when somebody has chosen something, or has typed and pauses.

// changed(replace): whether the address that was there last need not be gone back to.
export function watchFilters(form, pauseMs, changed) {
  let typing = 0;
  form.addEventListener("input", (event) => {
    clearTimeout(typing);
    if (event.target.type === "radio") changed(false);
    else typing = setTimeout(changed, pauseMs, true);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    changed(true);
  });
}
