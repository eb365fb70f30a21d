// page.js — the status page: the address says what is shown; the list is asked for every few seconds, and what is shown
// of it, and may still change, comes live.

import { isTerminal, watchVideo } from "../reelbus-watch.js";
import { BASE, getKey, makeQuestion } from "./api.js";
import { hideDetails, showDetails } from "./details.js";
import { watchFilters } from "./filters.js";
import { setText, startClock } from "./format.js";
import { makeKeyForm } from "./key.js";
import { focusRow, markSelected, showInList, showList } from "./list.js";

const EVERY_MS = 3000;
const TYPING_MS = 250;
const PAGE_SIZE = 25;
const FILTERS = ["state", "q", "user", "before"];

const byId = (id) => document.getElementById(id);
const filters = byId("filters");
const askList = makeQuestion();
const keyForm = makeKeyForm(refresh);
const views = new Map(); // videoId -> the newest view
const watched = new Map(); // videoId -> AbortController
const newer = []; // what `before` was on the pages that led here

let selected = null;
let next = null; // cursor of the page of older ones
let asked = null; // the query that the list shows
let timer = 0;

// -- the address ---------------------------------------------------------------------------------------------------------

function queryNow() {
  const query = new URLSearchParams(location.search);
  const kept = new URLSearchParams();
  for (const name of FILTERS) if (query.get(name)) kept.set(name, query.get(name));
  return kept;
}

function go(query, hash, replace = false) {
  const text = query.toString();
  const address = `${location.pathname}${text && `?${text}`}${hash}`;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  follow();
}

// Show what the address says.
function follow() {
  const query = queryNow();
  for (const name of ["q", "user"]) {
    if (filters.elements[name] !== document.activeElement) filters.elements[name].value = query.get(name) || "";
  }
  filters.elements.state.value = query.get("state") || "";
  const match = /^#video=([0-9a-f-]{36})$/i.exec(location.hash);
  select(match && match[1].toLowerCase());
  if (query.toString() !== asked) refresh();
}

function filterChanged(replace) {
  const query = new URLSearchParams();
  for (const name of ["state", "q", "user"]) {
    const value = filters.elements[name].value.trim();
    if (value) query.set(name, name === "q" ? value.toLowerCase() : value);
  }
  newer.length = 0;
  go(query, location.hash, replace);
}

// -- the list ------------------------------------------------------------------------------------------------------------

async function refresh() {
  const query = queryNow();
  asked = query.toString();
  clearTimeout(timer);
  try {
    const body = await askList(`api/videos?limit=${PAGE_SIZE}${asked && `&${asked}`}`);
    if (body === null) return; // another question is on its way
    showKeyForm(false);
    take(body, query);
  } catch (problem) {
    if (problem.status === 401) {
      showKeyForm(true);
      return;
    }
    if (problem.status === 400) take({ videos: [], next: null, note: problem.message }, query);
    else say("away", `Not up to date: ${problem.message}`);
  }
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS * (0.9 + 0.2 * Math.random()));
}

function take({ videos, next: cursor = null, note }, query) {
  const shown = videos.map((video) => merge(video));
  next = cursor;
  showList(shown);
  markSelected(selected);
  watchAll(shown);
  showPages(query, videos.length);
  const filtered = ["state", "q", "user"].some((name) => query.has(name));
  byId("empty").hidden = videos.length > 0;
  setText(byId("empty"), note || (filtered ? "No video is like this." : "No videos yet."));
}

function showPages(query, count) {
  setText(byId("count"), count === 1 ? "1 video" : `${count} videos${next === null ? "" : ", and older ones"}`);
  byId("older").disabled = next === null;
  byId("newer").disabled = !query.has("before");
}

function turnPage(before) {
  const query = queryNow();
  if (before) query.set("before", before);
  else query.delete("before");
  go(query, location.hash);
  byId("list").focus();
}

// The list may be older than what came live.
function merge(video) {
  const known = views.get(video.videoId);
  if (known !== undefined && known.updatedAt > video.updatedAt) return known;
  const same = known !== undefined && known.storage === video.storage;
  const view = same ? { ...video, storedPercent: video.storedPercent ?? known.storedPercent } : video;
  views.set(video.videoId, view);
  if (video.videoId === selected) showDetails(selected, view);
  return view;
}

// -- live ----------------------------------------------------------------------------------------------------------------

function watchAll(videos) {
  const wanted = new Set(videos.filter((video) => !isTerminal(video)).map((video) => video.videoId));
  if (selected !== null) wanted.add(selected);
  for (const [videoId, control] of watched) if (!wanted.has(videoId)) control.abort();
  for (const videoId of wanted) if (!watched.has(videoId)) watch(videoId);
  for (const videoId of [...views.keys()]) {
    if (!wanted.has(videoId) && !videos.some((video) => video.videoId === videoId)) views.delete(videoId);
  }
  if (wanted.size === 0) say("live");
}

// What is listed may end by itself; what is selected is followed for as long as it is.
function watch(videoId) {
  const control = new AbortController();
  const forever = videoId === selected;
  watched.set(videoId, control);
  const onChange = (view) => {
    views.set(videoId, view);
    showInList(view);
    if (videoId === selected) showDetails(videoId, view);
  };
  watchVideo(BASE, videoId, onChange, { key: getKey(), signal: control.signal, onConnection: say, forever })
    .catch((problem) => problem.status === 401 && showKeyForm(true))
    .finally(() => watched.delete(videoId));
}

const SAID = { live: "Live", polling: "Polling", lost: "Connecting again" };

function say(what, text = SAID[what]) {
  byId("connection").dataset.is = what;
  setText(byId("connection"), text);
}

// -- one video -----------------------------------------------------------------------------------------------------------

function select(videoId) {
  if (videoId === selected) return;
  selected = videoId;
  byId("main").classList.toggle("open", videoId !== null);
  markSelected(videoId);
  if (videoId === null) {
    hideDetails();
    return;
  }
  showDetails(videoId, views.get(videoId));
  if (!watched.has(videoId)) watch(videoId);
  byId("title").focus({ preventScroll: true });
  byId("details").scrollIntoView({ block: "nearest" });
}

function close() {
  const last = selected;
  if (last === null) return;
  go(queryNow(), "");
  focusRow(last);
}

// -- the key -------------------------------------------------------------------------------------------------------------

function showKeyForm(needed) {
  if (!keyForm(needed)) return;
  say("away", "An API key is needed");
  for (const control of watched.values()) control.abort();
}

// -- people --------------------------------------------------------------------------------------------------------------

watchFilters(filters, TYPING_MS, filterChanged);

byId("older").addEventListener("click", () => {
  newer.push(queryNow().get("before"));
  turnPage(next);
});
byId("newer").addEventListener("click", () => turnPage(newer.pop()));
byId("close").addEventListener("click", close);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("list").focus();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !(event.target.type === "search" && event.target.value)) close();
});
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});
window.addEventListener("popstate", follow);

startClock();
follow();
