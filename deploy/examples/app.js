// app.js — the ids come from the application's own table; here, from the address:
// index.html?server=http://127.0.0.1:8080/&video=ID&video=ID
import { renderVideo } from "./reelbus.js";

const query = new URLSearchParams(location.search);
const baseUrl = query.get("server") || "http://127.0.0.1:8080/";
const list = document.getElementById("videos");

for (const videoId of query.getAll("video")) {
  const item = document.createElement("li");
  list.append(item);
  renderVideo(item, baseUrl, videoId);
}
