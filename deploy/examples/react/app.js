// app.js — the ids come from the application's own table; here, from the address:
// index.html?server=http://127.0.0.1:8080/&video=ID&video=ID
import { createElement } from "react";
import { ReelbusVideo } from "./reelbus-react.js";

const query = new URLSearchParams(location.search);
const baseUrl = query.get("server") || "http://127.0.0.1:8080/";
const videos = query.getAll("video").map((videoId) =>
  createElement("li", { key: videoId }, createElement(ReelbusVideo, { baseUrl, videoId })));

window.ReactDOM.createRoot(document.getElementById("videos")).render(createElement("ul", { className: "videos" }, videos));
