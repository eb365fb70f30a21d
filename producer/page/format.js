// format.js — how facts about videos are said in a few words.

// Our storage when there is one, else the generation.
export function stateOf(video) {
  if (video.storage !== "none") return video.storage;
  return video.status === "completed" ? "original" : video.status;
}

const LABELS = {
  waiting: "Waiting",
  original: "Not stored",
  processing: "Processing",
  stored: "Stored",
  failed: "Failed",
  deleted: "Deleted",
  unknown: "Unknown",
};

export function labelOf(video) {
  return LABELS[stateOf(video)] || stateOf(video);
}

// How far it is, or null: bytes while it is stored, the provider's own percent before.
export function percentOf(video) {
  const percent = { processing: video.storedPercent, waiting: video.progress }[stateOf(video)];
  return percent === undefined || percent === null ? null : Math.max(0, Math.min(100, Math.floor(percent)));
}

export function sizeText(bytes) {
  if (bytes === null || bytes === undefined) return "";
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes < 1e12 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e12).toFixed(2)} TB`;
}

export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function countdown(ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60 || seconds >= 86400) return span(ms);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

// What a <time> says, by its data-says.
const SAYINGS = {
  ago: (ms) => (-ms < 2000 ? "now" : `${span(-ms)} ago`),
  in: (ms) => (ms <= 0 ? "now" : `in ${countdown(ms)}`),
  until: (ms) => (ms <= 0 ? `expired ${span(-ms)} ago` : `in ${countdown(ms)}`),
};

export function timeElement(iso, says) {
  const node = document.createElement("time");
  node.dateTime = iso;
  node.title = new Date(iso).toLocaleString();
  node.dataset.says = says;
  tick(node);
  return node;
}

function tick(node) {
  setText(node, SAYINGS[node.dataset.says](Date.parse(node.dateTime) - Date.now()));
}

// Every time on the page, once a second, while somebody looks.
export function startClock() {
  setInterval(() => {
    if (!document.hidden) document.querySelectorAll("time[data-says]").forEach(tick);
  }, 1000);
}

export function isLink(url) {
  return /^https?:\/\//.test(url ?? "") && URL.canParse(url);
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// make("p.message", text or node, ...)
export function make(what, ...content) {
  const [name, ...classes] = what.split(".");
  const node = document.createElement(name);
  if (classes.length > 0) node.className = classes.join(" ");
  node.append(...content);
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

export function badge(video) {
  const state = stateOf(video);
  const node = make("span.state", icon(state), labelOf(video));
  node.dataset.state = state;
  return node;
}

export function progressBar(video) {
  const bar = make("progress");
  bar.max = 100;
  bar.value = percentOf(video);
  bar.setAttribute("aria-label", stateOf(video) === "processing" ? "Bytes stored" : "Generated");
  return bar;
}
