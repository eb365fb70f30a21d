// api.js — asks the producer. The key, when it wants one, is kept for as long as the tab is open.

const KEY = "reelbus.key";
const TIMEOUT_MS = 30_000;

export const BASE = new URL(".", location.href).href;

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let memory = "";

export function getKey() {
  try {
    return sessionStorage.getItem(KEY) || memory;
  } catch {
    return memory;
  }
}

export function setKey(key) {
  memory = key;
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch {
    // kept in memory
  }
}

// Ask for JSON. Remembers the last answer and its ETag, so that what has not changed is not sent again. One question of a
// kind at a time: a new one ends the old one, which then gives null.
export function makeQuestion() {
  let last = { path: "", etag: "", body: null };
  let control = new AbortController();

  return async function question(path) {
    control.abort();
    control = new AbortController();
    const mine = control;
    const timer = setTimeout(() => mine.abort(new Error("the server does not answer")), TIMEOUT_MS);
    const headers = {};
    if (last.path === path && last.etag) headers["If-None-Match"] = last.etag;
    if (getKey()) headers.Authorization = `Bearer ${getKey()}`;
    try {
      const answer = await fetch(new URL(path, BASE), { headers, cache: "no-store", signal: mine.signal });
      if (answer.status === 304) return last.body;
      const body = await answer.json().catch(() => ({}));
      if (!answer.ok) throw new Refused(body.error || `the server answered ${answer.status}`, answer.status);
      last = { path, etag: answer.headers.get("ETag"), body };
      return body;
    } catch (problem) {
      if (mine !== control) return null;
      throw problem;
    } finally {
      clearTimeout(timer);
    }
  };
}
