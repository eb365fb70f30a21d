// reelbus.js — shows videos while they are generated, while they are stored, and when they are there. No dependencies, no
// build step: this file and reelbus-watch.js are all of it.
//
//   watchVideo(baseUrl, videoId, onChange, options)    calls back with each change until the video is stored or has failed
//   renderVideo(element, baseUrl, videoId, options)    shows the message, the percent, the player or the failure
//   describeVideo(view), isGone, playSource            the same decisions, for a component of your own

import { watchVideo } from "./reelbus-watch.js";

export { watchVideo, isTerminal, ReelbusError } from "./reelbus-watch.js";

/**
 * What to show of a view (null when there is none yet): the phase ("waiting", "original", "processing", "stored", "failed"
 * or "deleted"), the message, the percent or null, and the URLs to play, best first. Until the bytes are stored, and when
 * they could not be, that is the original URL.
 */
export function describeVideo(view) {
  if (view === null) return { phase: "waiting", message: "Waiting for video...", percent: null, sources: [] };
  const failed = view.status === "failed" || view.storage === "failed";
  const none = view.status === "completed" ? "original" : "waiting";
  const phase = failed ? "failed" : view.storage === "none" ? none : view.storage;
  const urls = view.storage === "deleted" || view.status === "failed" ? [] : [view.videoUrl, view.originalUrl];
  return {
    phase,
    message: view.message,
    percent: { waiting: view.progress, processing: view.storedPercent }[phase] ?? null,
    sources: [...new Set(urls)].filter((url) => /^https?:\/\//.test(url ?? "")),
  };
}

// Has everything been tried, and nothing more is to come?
export function isGone({ phase, sources }, source) {
  return sources.length > 0 && source === undefined && !["waiting", "processing"].includes(phase);
}

/**
 * Show one video in an element, from waiting to playing. Options as of watchVideo. Gives a function that ends it and
 * empties the element. Style it by [data-phase] and the classes.
 */
export function renderVideo(element, baseUrl, videoId, options = {}) {
  const parts = makeParts();
  const control = new AbortController();
  const stop = () => {
    control.abort();
    options.signal?.removeEventListener("abort", stop);
    playSource(parts.video, undefined);
    parts.box.remove();
  };
  const broken = new Set();
  let shown = describeVideo(null);
  const show = () => {
    const source = shown.sources.find((url) => !broken.has(url));
    const gone = isGone(shown, source);
    parts.box.dataset.phase = shown.phase;
    setText(parts.message, gone ? `${shown.message} It cannot be played now.` : shown.message);
    parts.message.hidden = ["stored", "original"].includes(shown.phase) && !gone;
    parts.progress.hidden = shown.percent === null;
    parts.progress.value = shown.percent ?? 0;
    setText(parts.percent, shown.percent === null ? "" : `${Math.floor(shown.percent)} %`);
    playSource(parts.video, source);
  };
  parts.video.addEventListener("error", () => {
    const source = parts.video.getAttribute("src");
    if (source === null) return;
    broken.add(source);
    show();
  });
  for (const name of ["pause", "ended"]) parts.video.addEventListener(name, show);
  element.append(parts.box);
  show();
  options.signal?.addEventListener("abort", stop);
  if (options.signal?.aborted) {
    stop();
    return stop;
  }
  watchVideo(baseUrl, videoId, onView, { ...options, signal: control.signal, onConnection }).catch((problem) => {
    setText(parts.note, `This video cannot be shown: ${problem.message}`);
  });
  function onView(view) {
    const before = shown.phase;
    shown = describeVideo(view);
    if (before !== shown.phase) broken.clear(); // what could not be played then may be there now
    show();
  }
  function onConnection(connection) {
    setText(parts.note, connection === "lost" ? "Connecting again..." : "");
    options.onConnection?.(connection);
  }
  return stop;
}

function makeParts() {
  const make = (name, className) => Object.assign(document.createElement(name), { className });
  const parts = {
    box: make("div", "reelbus"),
    video: make("video", "reelbus-player"),
    message: make("p", "reelbus-message"),
    progress: make("progress", "reelbus-progress"),
    percent: make("p", "reelbus-percent"),
    note: make("p", "reelbus-note"),
  };
  Object.assign(parts.video, { controls: true, playsInline: true, preload: "metadata", hidden: true });
  parts.progress.max = 100;
  parts.progress.setAttribute("aria-label", "Progress");
  parts.message.setAttribute("role", "status");
  parts.note.setAttribute("role", "status");
  parts.box.append(parts.video, parts.message, parts.progress, parts.percent, parts.note);
  return parts;
}

// Give a player its source, none for undefined. One that plays is not interrupted: call again when it pauses or ends, and
// what was stored meanwhile is taken, at the same place.
export function playSource(video, source) {
  if (source === undefined) {
    video.hidden = true;
    if (video.hasAttribute("src")) {
      video.removeAttribute("src");
      video.load();
    }
    return;
  }
  video.hidden = false;
  if (video.getAttribute("src") === source || (!video.paused && !video.ended && video.error === null)) return;
  const at = video.ended ? 0 : video.currentTime;
  video.src = source;
  if (at > 0) video.currentTime = at;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
