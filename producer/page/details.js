// details.js — one video: what it is now, its player, its facts and its history.

import { makeQuestion } from "./api.js";
import { badge, isLink, labelOf, make, percentOf, progressBar, setText, sizeText, span, stateOf, timeElement } from "./format.js"; // prettier-ignore

const byId = (id) => document.getElementById(id);
const askHistory = makeQuestion();

let shownId = null;
let announced = "";
let reason = ""; // of the last look at the history

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const STEPS = {
  expected: "Expected",
  received: "Webhook received",
  polled: "Provider asked",
  claimed: "Taken by a consumer",
  try_failed: "Try failed",
  stored: "Stored",
  failed: "Failed",
  announced: "Announced",
  deleted: "Deleted",
};

export function showDetails(videoId, video) {
  const fresh = shownId !== videoId;
  if (fresh) begin(videoId);
  if (video === undefined) return;
  showNow(video);
  showPlayer(video);
  showFacts(video);
  announce(video, fresh);
  const next = JSON.stringify([stateOf(video), video.tries, video.updatedAt, video.nextTryAt]);
  if (next !== reason) loadHistory(videoId, next);
}

export function hideDetails() {
  shownId = null;
  byId("details").hidden = true;
  byId("video").removeAttribute("src");
  byId("video").load();
}

function begin(videoId) {
  shownId = videoId;
  reason = "";
  setText(byId("title"), `Video ${videoId.slice(0, 8)}`);
  setText(byId("full-id"), videoId);
  for (const id of ["now", "facts", "history"]) {
    byId(id).replaceChildren();
    byId(id).dataset.shown = "";
  }
  byId("no-history").hidden = true;
  byId("details").hidden = false;
}

// Fill a node anew only when what it is made of has changed.
function fill(id, facts, makeContent) {
  const node = byId(id);
  const text = JSON.stringify(facts);
  if (node.dataset.shown === text) return;
  node.dataset.shown = text;
  node.replaceChildren(...makeContent());
}

function showNow(video) {
  const percent = percentOf(video);
  fill("now", [stateOf(video), video.message, percent, video.error, video.bytes, video.bytesTotal], () => {
    const parts = [badge(video)];
    if (video.message !== labelOf(video)) parts.push(make("p.text", video.message));
    if (percent !== null) parts.push(make("span.percent", progressBar(video), percentText(video, percent)));
    if (video.error) parts.push(...errorOf(video));
    return parts;
  });
}

// The message says in plain words why; what the last try met is for whoever looks after reelbus.
function errorOf({ error, message }) {
  const reason = error.message && !message.includes(error.message) ? [make("p.text", `Last try: ${error.message}`)] : [];
  return [...reason, make("p.error.mono", [error.class, error.code].filter(Boolean).join(" · "))];
}

function percentText(video, percent) {
  const known = stateOf(video) === "processing" && video.bytes && video.bytesTotal;
  return known ? `${percent} % · ${sizeText(video.bytes)} of ${sizeText(video.bytesTotal)}` : `${percent} %`;
}

function showPlayer(video) {
  const node = byId("video");
  const url = stateOf(video) === "stored" && isLink(video.videoUrl) ? video.videoUrl : null;
  node.hidden = url === null;
  if (url === null) node.removeAttribute("src");
  else if (node.getAttribute("src") !== url) node.src = url;
}

function showFacts(video) {
  const url = (text) => text && (isLink(text) ? link(text) : text);
  const time = (iso, says) => iso && timeElement(iso, says);
  const open = !["stored", "failed", "deleted"].includes(stateOf(video));
  const ours = video.videoUrl !== video.originalUrl && stateOf(video) === "stored";
  const facts = {
    User: [video.userId, (text) => make("span.mono", text)],
    Provider: [video.provider, (text) => text],
    Size: [sizeText(video.bytesTotal ?? video.bytes), (text) => text],
    Tries: [video.tries ? String(video.tries) : null, (text) => text],
    "Next try": [open ? video.nextTryAt : null, (iso) => time(iso, "in")],
    "URL expires": [video.expiresAt, (iso) => time(iso, "until")],
    Stored: [video.storedAt, (iso) => time(iso, "ago")],
    Changed: [video.updatedAt, (iso) => time(iso, "ago")],
    "Stored URL": [ours ? video.videoUrl : null, url],
    "Original URL": [video.originalUrl ?? (ours ? null : video.videoUrl), url],
  };
  const known = Object.entries(facts).filter(([, [value]]) => value);
  fill("facts", known.map(([name, [value]]) => [name, value]), () =>
    known.flatMap(([name, [value, show]]) => [make("dt", name), make("dd", show(value))])); // prettier-ignore
}

// The query of a signed URL is long, and not for eyes.
function link(url) {
  const { host, pathname } = new URL(url);
  const node = make("a.url", host + pathname);
  Object.assign(node, { href: url, title: url, target: "_blank", rel: "noopener noreferrer" });
  return node;
}

// What changes of the selected video is said, but not each percent.
function announce(video, fresh) {
  const percent = percentOf(video);
  const quarter = percent === null ? "" : `, ${Math.floor(percent / 25) * 25} percent`;
  const text = `Video ${video.videoId.slice(0, 8)}: ${labelOf(video)}. ${video.message}${quarter}`;
  if (text === announced) return;
  announced = text;
  if (!fresh) setText(byId("announce"), text);
}

async function loadHistory(videoId, why) {
  reason = why;
  try {
    const body = await askHistory(`api/video/history?videoId=${videoId}`);
    if (body === null || shownId !== videoId) return;
    showHistory(body.history);
  } catch (problem) {
    if (shownId !== videoId) return;
    const none = problem.status === 404;
    if (!none) reason = ""; // asked again with the next change, or the next look
    byId("no-history").hidden = byId("history").childElementCount > 0;
    setText(byId("no-history"), none ? "Nothing is known." : `Not available now: ${problem.message}`);
  }
}

function showHistory(history) {
  byId("no-history").hidden = history.length > 0;
  setText(byId("no-history"), "Nothing has happened yet.");
  fill("history", history, () => history.map((entry, index) => entryOf(entry, history[index - 1])));
}

function entryOf(entry, before) {
  const item = make("li");
  const at = new Date(entry.at);
  const time = make("time", `${CLOCK.format(at)}.${String(at.getMilliseconds()).padStart(3, "0")}`);
  const head = make("p.head", make("strong", STEPS[entry.what] || entry.what), time);

  item.dataset.what = entry.what;
  time.dateTime = entry.at;
  time.title = at.toLocaleString();
  if (before !== undefined) head.append(make("span.gap", `+${gapText(at - new Date(before.at))}`));
  item.append(head);
  if (entry.detail) item.append(make("p.detail", entry.detail));
  if (entry.topic) item.append(placeOf(entry));
  return item;
}

// The record on Kafka. Lines break between the parts.
function placeOf({ topic, partition, offset }) {
  const parts = offset === null ? [topic] : [`${topic} ·`, `partition ${partition} ·`, `offset ${offset}`];
  return make("p.mono.soft", ...parts.flatMap((part, index) => [index > 0 ? " " : "", make("span", part)]));
}

function gapText(ms) {
  return ms < 1000 ? `${Math.max(0, ms)} ms` : ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : span(ms);
}
