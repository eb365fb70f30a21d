"use strict";

// Asks for the recent videos every second and shows what has changed. Rows are kept and updated in place, so that a
// screen reader's place and a playing video are not lost.

const EVERY_MS = 1000;
const rows = new Map(); // videoId -> {row, video}
let selected = null;

const byId = (id) => document.getElementById(id);

// What the state column says: our storage when there is one, else the generation.
function stateOf(video) {
  return video.storage === "none" ? video.status : video.storage;
}

function sizeText(bytes) {
  if (bytes === null) return "";
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function ageText(iso, now) {
  if (iso === null) return "";
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function makeRow(videoId) {
  const row = document.createElement("tr");
  for (const name of ["id", "status", "message", "number size", "number age"]) {
    row.append(Object.assign(document.createElement("td"), { className: name }));
  }
  const button = Object.assign(document.createElement("button"), { type: "button", className: "link" });
  button.textContent = videoId.slice(0, 8);
  button.title = videoId;
  button.setAttribute("aria-label", `Show video ${videoId}`);
  button.addEventListener("click", () => select(videoId));
  row.cells[0].append(button);
  row.cells[1].append(document.createElement("span"));
  return row;
}

function updateRow(row, video, now) {
  const state = stateOf(video);
  const badge = row.cells[1].firstChild;
  setText(badge, state);
  badge.className = `state ${state}`;
  setText(row.cells[2], video.message);
  setText(row.cells[3], sizeText(video.bytes));
  setText(row.cells[4], ageText(video.updatedAt, now));
}

function select(videoId) {
  selected = videoId;
  showSelected();
  byId("player").scrollIntoView({ block: "nearest" });
}

function showSelected() {
  const known = rows.get(selected);
  const player = byId("player");
  const video = byId("video");
  player.hidden = known === undefined;
  if (known === undefined) {
    video.removeAttribute("src");
    return;
  }
  const url = known.video.videoUrl;
  if (url !== null && video.getAttribute("src") !== url) video.src = url;
  if (url === null) video.removeAttribute("src");
  showDetails(known.video);
}

function showDetails(video) {
  const facts = {
    Video: video.videoId,
    User: video.userId,
    State: stateOf(video),
    Message: video.message,
    URL: video.videoUrl,
    Size: sizeText(video.bytes),
    Tries: video.tries,
    "URL expires": video.expiresAt,
    Stored: video.storedAt,
  };
  const list = byId("details");
  const text = JSON.stringify(facts);
  if (list.dataset.shown === text) return;
  list.dataset.shown = text;
  list.replaceChildren();
  for (const [name, value] of Object.entries(facts)) {
    if (value === null || value === "") continue;
    const term = document.createElement("dt");
    const fact = document.createElement("dd");
    term.textContent = name;
    fact.textContent = value;
    list.append(term, fact);
  }
}

function showAll(videos) {
  const body = byId("videos");
  const now = Date.now();
  const listed = new Set();
  const counts = new Map();
  videos.forEach((video, index) => {
    const known = rows.get(video.videoId) || { row: makeRow(video.videoId) };
    known.video = video;
    rows.set(video.videoId, known);
    listed.add(video.videoId);
    updateRow(known.row, video, now);
    if (body.rows[index] !== known.row) body.insertBefore(known.row, body.rows[index] || null);
    const state = stateOf(video);
    counts.set(state, (counts.get(state) || 0) + 1);
  });
  for (const [videoId, known] of rows) {
    if (listed.has(videoId)) continue;
    known.row.remove();
    if (videoId !== selected) rows.delete(videoId);
  }
  byId("empty").hidden = videos.length > 0;
  say([...counts].map(([state, count]) => `${count} ${state}`).join(", "), false);
}

function say(text, away) {
  const summary = byId("summary");
  setText(summary, text);
  summary.classList.toggle("away", away);
}

async function refresh() {
  try {
    const answer = await fetch("api/videos?limit=50", { cache: "no-store" });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.error);
    showAll(body.videos);
    showSelected();
  } catch (problem) {
    say(`Not up to date: ${problem.message}`, true);
  }
  setTimeout(refresh, document.hidden ? EVERY_MS * 10 : EVERY_MS);
}

byId("close").addEventListener("click", () => {
  const known = rows.get(selected);
  selected = null;
  showSelected();
  if (known !== undefined) known.row.querySelector("button").focus();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) for (const [, known] of rows) updateRow(known.row, known.video, Date.now());
});
refresh();
