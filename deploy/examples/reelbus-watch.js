// reelbus-watch.js — follows the state of videos. reelbus.js, beside this file, shows them; use that one.
//
// Changes come as Server-Sent Events, read with fetch because EventSource cannot send a key. Where a proxy holds streams
// back, the server is asked instead: by long polling, and plainly where it does not wait. All videos that are watched on
// one server share one connection, because browsers open only a few to one host.

const TOGETHER_MS = 20; // what is asked for within this time goes into one request
const IDS_MAX = 50; // in one request
const FIRST_MS = 10_000; // for the head of an answer, and for the first event of a stream
const SILENT_MS = 45_000; // a stream that says nothing for so long is dead: servers send comments in between
const WAIT_S = 25; // of a long poll
const ASK_MS = 2_000; // from one question to the next
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;
const RETRY_AFTER_MAX_MS = 300_000; // what a server may ask for; timers overflow after some weeks, and fire at once
const NO_STREAM_MS = 60_000; // how long to ask instead, when streams do not come through

const HOPELESS = [400, 401, 403]; // waiting does not mend these
const NO_STREAM = [404, 405, 406, 501]; // from a server, or a proxy, that has no streams

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const channels = new Map(); // API key and base URL -> channels

export class ReelbusError extends Error {
  constructor(message, status, retryAfterMs = 0) {
    super(message);
    Object.assign(this, { name: "ReelbusError", status, retryAfterMs }); // status: of HTTP
  }
}

// Will nothing more happen to this video by itself?
export function isTerminal(view) {
  return view.status === "failed" || ["stored", "failed", "deleted"].includes(view.storage);
}

/**
 * Watch one video.
 *
 * baseUrl       where the producer is, "https://reelbus.example.com/"
 * onChange      called with each new view of the video; {status: "unknown"} while the server does not know it
 * key           API key, when the server wants one
 * signal        AbortSignal that ends it
 * onConnection  called with "live", "polling" or "lost"
 * forever       go on after the video is stored or has failed
 *
 * Gives a promise of the last view, resolved at the end or when it is aborted (null when there was none). Rejected with a
 * ReelbusError only for what waiting does not mend: 400, 401 and 403.
 */
export function watchVideo(baseUrl, videoId, onChange, options = {}) {
  const { key = "", signal, onConnection, forever = false } = options;

  return new Promise((resolve, reject) => {
    if (!UUID.test(videoId)) throw new ReelbusError(`'${videoId}' is no UUID`, 400);
    if (signal?.aborted) {
      resolve(null);
      return;
    }
    const channel = channelFor(new URL(baseUrl, globalThis.location?.href).href, key);
    const watcher = { videoId: videoId.toLowerCase(), onChange, onConnection, forever, view: null, shown: "", end };
    function end(problem) {
      signal?.removeEventListener("abort", aborted);
      channel.remove(watcher);
      if (problem) reject(problem);
      else resolve(watcher.view);
    }
    const aborted = () => end();
    signal?.addEventListener("abort", aborted);
    channel.add(watcher);
  });
}

function channelFor(base, key) {
  const name = `${key} ${base}`;
  const list = channels.get(name) || [];
  let channel = list.find((each) => each.hasRoom());
  if (channel === undefined) {
    channel = new Channel(base, key, () => {
      const rest = channels.get(name).filter((each) => each !== channel);
      if (rest.length > 0) channels.set(name, rest);
      else channels.delete(name);
    });
    channels.set(name, [...list, channel]);
  }
  return channel;
}

// One connection to one server, for all that is watched there. It lives as long as something is. Its life is a row of
// turns: one stream, or one question. Whoever is added ends the turn, so that the next one has all ids.
class Channel {
  constructor(base, key, onClose) {
    Object.assign(this, { base, key, onClose, watchers: new Set(), views: new Map(), running: false });
    Object.assign(this, { connection: "", failures: 0, shortStreams: 0, askUntil: 0, turn: null, timer: 0 });
    Object.assign(this, { ids: "", lastId: "", etag: "" }); // of the last request
  }

  wanted() {
    return [...new Set([...this.watchers].map((watcher) => watcher.videoId))].sort();
  }

  hasRoom() {
    return this.wanted().length < IDS_MAX;
  }

  add(watcher) {
    const asked = this.wanted().includes(watcher.videoId);
    const known = asked && this.views.get(watcher.videoId);
    this.watchers.add(watcher);
    if (!this.running) this.run();
    else if (!asked) this.timer ||= setTimeout(() => this.turn.abort(), TOGETHER_MS);
    queueMicrotask(() => {
      if (this.connection) call(watcher.onConnection, this.connection);
      if (known) this.tell(watcher, known);
    });
  }

  remove(watcher) {
    this.watchers.delete(watcher);
    if (!this.wanted().includes(watcher.videoId)) this.views.delete(watcher.videoId);
    if (this.watchers.size === 0) this.turn.abort();
  }

  async run() {
    this.running = true;
    this.turn = new AbortController();
    await pause(TOGETHER_MS, this.turn.signal);
    while (this.watchers.size > 0) {
      this.begin(this.wanted().join(","));
      try {
        await (Date.now() < this.askUntil ? this.ask() : this.stream());
      } catch (problem) {
        await this.recover(problem);
      }
    }
    clearTimeout(this.timer);
    this.running = false;
    this.onClose();
  }

  begin(ids) {
    clearTimeout(this.timer);
    this.timer = 0;
    this.turn = new AbortController();
    if (ids !== this.ids) Object.assign(this, { ids, lastId: "", etag: "" });
  }

  async recover(problem) {
    if (this.turn.signal.aborted && !problem.late) return; // others are wanted now, or none
    if (HOPELESS.includes(problem.status)) {
      for (const watcher of [...this.watchers]) watcher.end(problem);
    } else if (problem.noStream) {
      this.askUntil = Date.now() + NO_STREAM_MS;
    } else {
      this.say("lost");
      await this.rest(problem.retryAfterMs);
    }
  }

  async rest(atLeastMs = 0) {
    if (this.watchers.size === 0) return; // the last one has left when it was told that the connection is lost
    const ms = jitter(Math.min(RETRY_MIN_MS * 2 ** this.failures++, RETRY_MAX_MS));
    if (this.turn.signal.aborted) this.turn = new AbortController();
    await pause(Math.max(atLeastMs, ms), this.turn.signal);
  }

  fetch(path, headers) {
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    return fetch(new URL(path, this.base), { headers, cache: "no-store", signal: this.turn.signal });
  }

  async stream() {
    const began = Date.now();
    let count = 0;
    const follow = async (alarm) => {
      const body = await this.openStream();
      await readEvents(body, (events) => {
        count += events.length;
        if (count > 0) alarm(SILENT_MS);
        events.forEach((event) => this.take(event));
      });
    };
    await timed(this.turn, FIRST_MS, follow).catch((problem) => {
      throw problem.late && count === 0 ? noStream(problem) : problem; // something on the way holds it back
    });
    this.shortStreams = count > 0 && Date.now() - began > RETRY_MIN_MS ? 0 : this.shortStreams + 1;
    if (this.shortStreams > 1) throw noStream(new Error("streams break off")); // two in a row, at once
    await this.rest();
  }

  async openStream() {
    const headers = { Accept: "text/event-stream" };
    if (this.lastId) headers["Last-Event-ID"] = this.lastId;
    const answer = await this.fetch(`api/video/events?videoId=${this.ids}`, headers);
    const isStream = /^text\/event-stream\b/.test(answer.headers.get("Content-Type"));
    if (answer.ok && isStream) return answer.body;
    const problem = await problemOf(answer);
    throw answer.ok || NO_STREAM.includes(answer.status) ? noStream(problem) : problem;
  }

  take({ event, data, id }) {
    if (id !== undefined) this.lastId = id;
    if (data === "") return; // an id alone: all first states are out
    const value = JSON.parse(data);
    this.failures = 0;
    this.say("live");
    if (event === "status") this.show(value);
    else if (event === "progress") this.show({ ...this.views.get(value.videoId), ...value });
    else if (event === "unknown") this.showUnknown(value.videoId);
  }

  // A question at once, and then long polls; where the server does not wait, a question every now and then.
  async ask() {
    const began = Date.now();
    const [headers, wait] = this.etag ? [{ "If-None-Match": this.etag }, `&wait=${WAIT_S}`] : [{}, ""];
    await timed(this.turn, FIRST_MS + WAIT_S * 1000, async () => {
      const answer = await this.fetch(`api/video/status?videoId=${this.ids}${wait}`, headers);
      if (answer.status === 304) return;
      if (!answer.ok && answer.status !== 404) throw await problemOf(answer);
      const body = await answer.json();
      this.etag = answer.headers.get("ETag") || "";
      if (answer.status === 404) this.ids.split(",").forEach((videoId) => this.showUnknown(videoId));
      else (body.videos || [body]).forEach((view) => this.show(view));
      body.unknown?.forEach((videoId) => this.showUnknown(videoId));
    });
    this.failures = 0;
    this.say("polling");
    await pause(jitter(ASK_MS) - (Date.now() - began), this.turn.signal);
  }

  showUnknown(videoId) {
    this.show({ videoId, status: "unknown", storage: "none", message: "Waiting for video..." });
  }

  show(view) {
    if (view.status === undefined) return; // progress of what was never described
    this.views.set(view.videoId, view);
    for (const watcher of [...this.watchers]) if (watcher.videoId === view.videoId) this.tell(watcher, view);
  }

  tell(watcher, view) {
    const text = JSON.stringify(view);
    if (!this.watchers.has(watcher) || watcher.shown === text) return;
    Object.assign(watcher, { shown: text, view });
    call(watcher.onChange, view);
    if (isTerminal(view) && !watcher.forever) watcher.end();
  }

  say(connection) {
    if (this.connection === connection) return;
    this.connection = connection;
    for (const watcher of [...this.watchers]) call(watcher.onConnection, connection);
  }
}

async function readEvents(body, onEvents) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const parse = eventParser();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      onEvents(parse(value));
    }
  } finally {
    reader.cancel().catch(() => {}); // it may be at its end
  }
}

// The events of a stream as the HTML standard has them, and blocks that have nothing but an id: with no data. Gives a
// function from the next piece of text to the events in it.
export function eventParser() {
  let rest = "";
  let event = { event: "message", lines: [] };
  const readLine = (line, events) => {
    if (line === "") {
      const { lines, ...fields } = event;
      if (lines.length > 0 || fields.id !== undefined) events.push({ ...fields, data: lines.join("\n") });
      event = { event: "message", lines: [] };
      return;
    }
    const [, name, value] = /^([^:]*):? ?([^]*)$/.exec(line);
    if (name === "data") event.lines.push(value);
    else if (name === "event" || name === "id") event[name] = value;
  };
  return (text) => {
    const events = [];
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) readLine(line, events);
    return events;
  };
}

// Do something, and abort the turn when it takes longer than it set its alarm to.
async function timed(turn, firstMs, work) {
  let timer = 0;
  let late = false;
  const ring = () => {
    late = true;
    turn.abort();
  };
  const alarm = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(ring, ms);
  };
  alarm(firstMs);
  try {
    return await work(alarm);
  } catch (problem) {
    throw late ? Object.assign(new Error("the server is silent"), { late }) : problem;
  } finally {
    clearTimeout(timer);
  }
}

function noStream(problem) {
  return Object.assign(problem, { noStream: true });
}

async function problemOf(answer) {
  const text = await answer.text().catch(() => "");
  let message = `the server answered ${answer.status}`;
  try {
    message = JSON.parse(text).error || message;
  } catch {
    // not ours: a proxy's page
  }
  const retryAfterMs = Number(answer.headers.get("Retry-After")) * 1000 || 0;
  return new ReelbusError(message, answer.status, Math.min(retryAfterMs, RETRY_AFTER_MAX_MS));
}

function jitter(ms) {
  return ms * (0.5 + Math.random());
}

// Resolved when the time is over, or at once when it is aborted; the timer never stays behind.
function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal.aborted || ms <= 0) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

// A mistake of the caller's must not end the watching of the others.
function call(fn, value) {
  try {
    fn?.(value);
  } catch (problem) {
    (globalThis.reportError || console.error)(problem);
  }
}
