// list.js — the table of videos. Rows are kept and updated in place, so that focus and a screen reader's place stay.

import { badge, labelOf, make, percentOf, progressBar, sizeText, stateOf, timeElement } from "./format.js";

const body = document.getElementById("videos");
const rows = new Map(); // videoId -> row

function makeRow(videoId) {
  const row = make("tr");
  const link = make("a.mono", videoId.slice(0, 8));
  link.href = `#video=${videoId}`;
  link.title = videoId;
  for (const name of ["id", "status", "message", "user", "size", "age"]) {
    const cell = make(`td.${name}`);
    cell.setAttribute("role", "cell");
    row.append(cell);
  }
  row.setAttribute("role", "row");
  row.cells[0].append(link);
  row.dataset.video = videoId;
  return row;
}

// Fill a cell anew only when what it shows has changed.
function fill(cell, shown, makeContent) {
  if (cell.dataset.shown === shown) return;
  cell.dataset.shown = shown;
  cell.replaceChildren(...makeContent().filter((each) => each !== ""));
}

function updateRow(row, video) {
  const [, status, message, user, size, age] = row.cells;
  const state = stateOf(video);
  const percent = percentOf(video);
  const [next, expires] = state === "processing" ? [video.nextTryAt, video.expiresAt] : [];

  if (row.dataset.state && row.dataset.state !== state) flash(row);
  row.dataset.state = state;
  fill(status, state, () => [badge(video)]);
  fill(message, JSON.stringify([video.message, percent, next, expires]), () => [
    video.message === labelOf(video) ? "" : make("span.text", video.message),
    percent === null ? "" : make("span.percent", progressBar(video), `${percent} %`),
    next ? make("span.more", "Next try ", timeElement(next, "in")) : "",
    expires ? make("span.more", "URL expires ", timeElement(expires, "until")) : "",
  ]);
  fill(user, video.userId || "", () => {
    const short = make("span.mono", (video.userId || "").slice(0, 8));
    short.title = video.userId || "";
    return [short];
  });
  fill(size, sizeText(video.bytesTotal ?? video.bytes), () => [sizeText(video.bytesTotal ?? video.bytes)]);
  fill(age, video.updatedAt || "", () => [video.updatedAt ? timeElement(video.updatedAt, "ago") : ""]);
}

function flash(row) {
  row.classList.remove("changed");
  void row.offsetWidth; // begins the animation anew
  row.classList.add("changed");
}

export function showList(videos) {
  const listed = new Set(videos.map((video) => video.videoId));
  for (const [videoId, row] of rows) {
    if (listed.has(videoId)) continue;
    row.remove();
    rows.delete(videoId);
  }
  videos.forEach((video, index) => {
    const row = rows.get(video.videoId) || makeRow(video.videoId);
    rows.set(video.videoId, row);
    updateRow(row, video);
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] || null);
  });
}

export function showInList(video) {
  const row = rows.get(video.videoId);
  if (row !== undefined) updateRow(row, video);
}

export function markSelected(videoId) {
  for (const [each, row] of rows) {
    const link = row.cells[0].firstChild;
    if (each === videoId) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

export function focusRow(videoId) {
  const row = rows.get(videoId) || body.rows[0];
  (row ? row.cells[0].firstChild : document.getElementById("list")).focus();
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

body.addEventListener("keydown", (event) => {
  const row = event.target.closest("tr");
  if (row === null || !(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey) return;
  const index = Math.max(0, Math.min(body.rows.length - 1, row.sectionRowIndex + STEPS[event.key]));
  event.preventDefault();
  body.rows[index].cells[0].firstChild.focus();
});

// The whole row is a target for the pointer; the link in it is the one for everybody else.
body.addEventListener("click", (event) => {
  if (event.target.closest("a") || String(getSelection())) return;
  event.target.closest("tr")?.cells[0].firstChild.click();
});
