// usage.js — the usage page: what is stored, how it grows, and how long the room will last. The address says of whom, and for how
// many days.

import { makeQuestion } from "./api.js";
import { barChart } from "./chart.js";
import { watchFilters } from "./filters.js";
import { make, setText, sizeText } from "./format.js";
import { makeKeyForm } from "./key.js";

const EVERY_MS = 60_000;
const AGAIN_MS = 3000; // after an answer that was none
const TYPING_MS = 400;
const DAYS = "30";
const MANY_USERS = 10_000;

const byId = (id) => document.getElementById(id);
const filters = byId("filters");
const askUsage = makeQuestion();
const showKeyForm = makeKeyForm(refresh);
const COUNT = new Intl.NumberFormat("en-GB");
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });

let asked = null; // the query that is shown
let shown = ""; // what it showed, as text
let timer = 0;

// -- the address ---------------------------------------------------------------------------------------------------------

function queryNow() {
  const query = new URLSearchParams(location.search);
  return { user: query.get("user") || "", days: query.get("days") || DAYS };
}

function addressOf({ user, days }) {
  const query = new URLSearchParams();
  if (user) query.set("user", user);
  if (days !== DAYS) query.set("days", days);
  const text = query.toString();
  return `${location.pathname}${text && `?${text}`}`;
}

function filterChanged(replace) {
  const query = { user: filters.elements.user.value.trim(), days: filters.elements.days.value || DAYS };
  history[replace ? "replaceState" : "pushState"](null, "", addressOf(query));
  follow();
}

function follow() {
  const { user, days } = queryNow();
  if (filters.elements.user !== document.activeElement) filters.elements.user.value = user;
  for (const choice of filters.elements.days) choice.checked = choice.value === days;
  if (addressOf(queryNow()) !== asked) refresh();
}

// -- asking --------------------------------------------------------------------------------------------------------------

async function refresh() {
  const { user, days } = queryNow();
  let pause = EVERY_MS;
  asked = addressOf({ user, days });
  clearTimeout(timer);
  try {
    const body = await askUsage(`api/usage?${new URLSearchParams({ days, user })}`);
    if (body === null) return; // another question is on its way
    showKeyForm(false);
    show(body);
    say("live", "Up to date");
  } catch (problem) {
    if (problem.status === 401) {
      if (showKeyForm(true)) say("away", "An API key is needed");
      return;
    }
    if (problem.status === 400) show({ userId: user, stores: [], users: [], note: problem.message });
    else if (problem.status !== 429 && problem.status !== 503) pause = AGAIN_MS; // who is busy is not asked sooner
    say("away", `Not up to date: ${problem.message}`);
  }
  if (!document.hidden) timer = setTimeout(refresh, pause * (0.9 + 0.2 * Math.random()));
}

function say(what, text) {
  byId("connection").dataset.is = what;
  setText(byId("connection"), text);
}

// -- amounts -------------------------------------------------------------------------------------------------------------

function amountText(bytes) {
  return bytes < 0 ? `−${sizeText(-bytes)}` : sizeText(bytes);
}

function dayText(day) {
  return DAY.format(new Date(`${day}T00:00:00Z`));
}

function videosText(count) {
  return count === 1 ? "1 video" : `${COUNT.format(count)} videos`;
}

function usersText(count) {
  return count > MANY_USERS ? `more than ${COUNT.format(MANY_USERS)}` : COUNT.format(count);
}

function forecastText({ quota, dailyBytes }) {
  if (!quota) return "No quota is known";
  if (quota.level === "stop") return "Full now";
  if (quota.daysLeft === 0) return "Full within a day";
  if (quota.daysLeft === 1) return "Full in a day";
  if (quota.daysLeft !== null) return `Full in ${COUNT.format(quota.daysLeft)} days`;
  return dailyBytes === null ? "Not known yet" : "Not full at this pace";
}

const AMOUNTS = ["Videos", "Bytes"];
const LEVELS = { well: "", warn: "The warning mark is reached.", stop: "The mark is reached up to which is stored." };

// -- a store -------------------------------------------------------------------------------------------------------------

function storeCard(store) {
  const card = make("section.card.store");
  const title = make("h2", store.bucket, " ", make("span.kind", store.store));
  title.id = `store-${store.store}-${store.bucket}`;
  card.setAttribute("aria-labelledby", title.id);
  card.append(title, figuresOf(store));
  if (store.quota) card.append(quotaOf(store));
  card.append(daysOf(store));
  return card;
}

function figuresOf(store) {
  const figures = {
    Stored: amountText(store.bytes),
    Videos: COUNT.format(store.videos),
    Users: store.users === null ? null : usersText(store.users),
    "A day, in the last week": store.dailyBytes === null ? "Not known yet" : amountText(store.dailyBytes),
    "On their way": store.heldBytes > 0 ? amountText(store.heldBytes) : null,
    Forecast: forecastText(store),
  };
  const known = Object.entries(figures).filter(([, text]) => text !== null);
  return make("dl.figures", ...known.map(([name, text]) => make("div", make("dt", name), make("dd", text))));
}

function quotaOf({ bytes, quota }) {
  const bar = make("progress");
  bar.max = quota.quotaBytes;
  bar.value = Math.max(0, Math.min(bytes, quota.quotaBytes));
  bar.setAttribute("aria-label", "Quota used");
  const percent = Math.floor((bytes * 100) / quota.quotaBytes);
  const marks = `It warns at ${sizeText(quota.warnBytes)} and stops at ${sizeText(quota.stopBytes)}.`;
  const text = `${percent} % of ${sizeText(quota.quotaBytes)}. ${LEVELS[quota.level] || marks}`;
  const node = make("div.quota", bar, make("p", text));
  node.dataset.level = quota.level;
  return node;
}

function daysOf(store) {
  const most = store.days.reduce((best, day) => (day.bytes > best.bytes ? day : best));
  const all = store.days.reduce((sum, day) => sum + day.bytes, 0);
  const peak = most.bytes > 0 ? `, the most on ${dayText(most.day)}: ${sizeText(most.bytes)}` : "";
  const label = `${amountText(all)} in ${daysText(store.days.length)}${peak}. The table has each day.`;
  const bars = store.days.map(({ day, bytes, videos }) =>
    ({ amount: bytes, title: `${dayText(day)}: ${amountText(bytes)}, ${videosText(videos)}` })); // prettier-ignore
  const ends = make("p.ends", make("span", dayText(store.days[0].day)), make("span", dayText(store.days.at(-1).day)));
  const caption = make("figcaption", `Stored each day, less what was deleted: ${amountText(all)} in ${daysText(store.days.length)}`);
  const top = make("p.top", most.bytes > 0 ? sizeText(most.bytes) : "");
  return make("div.days", make("figure", caption, top, barChart(bars, label), ends), dayTable(store));
}

function daysText(count) {
  return count === 1 ? "a day" : `${count} days`;
}

function dayTable(store) {
  const frame = make("div.scroll");
  const rows = [...store.days].reverse().map(({ day, videos, bytes }) =>
    rowOf([dayText(day), COUNT.format(videos), amountText(bytes)])); // prettier-ignore
  frame.append(tableOf(`Days of ${store.bucket}, the last first`, ["Day (UTC)", "Videos", "Bytes"], rows));
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", `Days of ${store.bucket}`);
  return frame;
}

// The first cell names the row; the others are amounts, but for those that are nodes.
function rowOf(cells) {
  const [first, ...rest] = cells;
  const head = make("th", first);
  head.scope = "row";
  return make("tr", head, ...rest.map((cell) => (typeof cell === "string" ? make("td.amount", cell) : make("td", cell))));
}

function tableOf(title, columns, rows) {
  const heads = columns.map((name) => {
    const head = make(AMOUNTS.includes(name) ? "th.amount" : "th", name);
    head.scope = "col";
    return head;
  });
  return make("table", make("caption.unseen", title), make("thead", make("tr", ...heads)), make("tbody", ...rows));
}

// -- users ---------------------------------------------------------------------------------------------------------------

function usersCard(body) {
  const most = Math.max(1, ...body.users.map(({ bytes }) => bytes));
  const many = body.stores.length > 1;
  const rows = body.users.map((user) =>
    rowOf([nameOf(user), ...(many ? [make("span", user.bucket)] : []), COUNT.format(user.videos), amountText(user.bytes),
           shareBar(user.bytes / most)])); // prettier-ignore
  const columns = ["User", ...(many ? ["Bucket"] : []), "Videos", "Bytes", "Share"];
  const title = make("h2", rows.length === 20 ? "The 20 users with the most" : "Users");
  title.id = "users-title";
  const card = make("section.card.users", title, tableOf("Users, those with the most first", columns, rows));
  card.setAttribute("aria-labelledby", "users-title");
  return card;
}

function nameOf({ userId }) {
  if (userId === "") return make("span.soft", "nobody's");
  const link = make("a.mono", userId);
  link.href = addressOf({ user: userId, days: queryNow().days });
  return link;
}

// As wide as its share of the largest. The amount stands beside it.
function shareBar(share) {
  const bar = make("span.share");
  bar.style.inlineSize = `${Math.max(0, share) * 100}%`;
  bar.setAttribute("aria-hidden", "true");
  return bar;
}

function oneUser(body) {
  const all = make("a", "All users");
  const videos = make("a", "Videos of this user");
  all.href = addressOf({ user: "", days: queryNow().days });
  videos.href = `./?${new URLSearchParams({ user: body.userId })}`;
  return make("p.whom", "User ", make("span.mono", body.userId), " · ", all, " · ", videos);
}

// -- all of it -----------------------------------------------------------------------------------------------------------

// Drawn anew only when it is something else, so that focus and a screen reader's place stay.
function show(body) {
  const text = JSON.stringify(body);
  if (text === shown) return;
  shown = text;
  const none = body.stores.length === 0;
  byId("empty").hidden = !none;
  setText(byId("empty"), body.note || (body.userId ? "Nothing of this user is stored." : "Nothing is stored yet."));
  const parts = body.stores.map(storeCard);
  if (body.userId) parts.unshift(oneUser(body));
  else if (!none) parts.push(usersCard(body));
  const place = placeOf(document.activeElement);
  byId("usage").replaceChildren(...parts);
  byId("usage").querySelectorAll("a, [tabindex]")[place]?.focus({ preventScroll: true });
  setText(byId("announce"), none ? byId("empty").textContent : body.stores.map(summary).join(" "));
}

function placeOf(node) {
  return [...byId("usage").querySelectorAll("a, [tabindex]")].indexOf(node);
}

function summary(store) {
  const whose = store.users === null ? "" : ` of ${usersText(store.users)} ${store.users === 1 ? "user" : "users"}`;
  return `${store.bucket}: ${amountText(store.bytes)}, ${videosText(store.videos)}${whose}.`;
}

// -- people --------------------------------------------------------------------------------------------------------------

watchFilters(filters, TYPING_MS, filterChanged);

// Links that lead to the same page with another address do not load it anew.
byId("usage").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link === null || new URL(link.href).pathname !== location.pathname) return;
  if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  byId("report").focus();
  follow();
});

byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("report").focus();
});
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});
window.addEventListener("popstate", follow);

follow();
