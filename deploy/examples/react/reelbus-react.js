// reelbus-react.js — a video that reelbus stores, as a React component and as a hook. No build step is needed, and none is
// in the way: "react" is whatever your bundler, or your import map, says it is.
//
//   <ReelbusVideo baseUrl="https://reelbus.example.com/" videoId={row.id} />
//   const { video, connection, problem } = useVideo(baseUrl, videoId);

import { createElement, useEffect, useRef, useState } from "react";
import { describeVideo, isGone, playSource, watchVideo } from "../reelbus.js";

const NOTHING = { video: null, connection: "connecting", problem: null };

/**
 * Watch one video for as long as the component is there.
 *
 * Gives the last view (null before the first), the connection ("connecting", "live", "polling" or "lost"), and the
 * problem when the server refuses (an Error, or null).
 */
export function useVideo(baseUrl, videoId, { apiKey } = {}) {
  const [state, setState] = useState(NOTHING);

  useEffect(() => {
    const control = new AbortController();
    const update = (change) => control.signal.aborted || setState((old) => ({ ...old, ...change }));
    setState(NOTHING);
    watchVideo(baseUrl, videoId, (video) => update({ video }), {
      key: apiKey,
      signal: control.signal,
      onConnection: (connection) => update({ connection }),
    }).catch((problem) => update({ problem }));
    return () => control.abort();
  }, [baseUrl, videoId, apiKey]);
  return state;
}

/** The message, the percent, the player or the failure. Other properties go to the <div>. */
export function ReelbusVideo({ baseUrl, videoId, apiKey, className = "reelbus", ...rest }) {
  const { video, connection, problem } = useVideo(baseUrl, videoId, { apiKey });
  const shown = describeVideo(video);
  const { phase, message, percent, sources } = shown;
  const { player, source } = usePlayer(phase, sources);
  const gone = isGone(shown, source);
  const quiet = ["stored", "original"].includes(phase) && !gone;
  const lost = connection === "lost" ? "Connecting again..." : "";

  return createElement("div", { className, "data-phase": phase, ...rest },
    createElement("video", { className: "reelbus-player", controls: true, playsInline: true, preload: "metadata", ...player }),
    createElement("p", { className: "reelbus-message", role: "status", hidden: quiet },
      gone ? `${message} It cannot be played now.` : message),
    percent !== null && createElement("progress", {
      className: "reelbus-progress", max: 100, value: percent, "aria-label": "Progress",
    }),
    percent !== null && createElement("p", { className: "reelbus-percent" }, `${Math.floor(percent)} %`),
    createElement("p", { className: "reelbus-note", role: "status" },
      problem ? `This video cannot be shown: ${problem.message}` : lost)); // prettier-ignore
}

// The first of the URLs that plays; what could not be played in one phase may be there in the next. Properties for a <video>.
function usePlayer(phase, sources) {
  const ref = useRef(null);
  const [broken, setBroken] = useState([]);
  const source = sources.find((url) => !broken.includes(url));
  const take = () => ref.current && playSource(ref.current, source);
  const onError = () => {
    const url = ref.current?.getAttribute("src");
    if (url) setBroken((old) => [...old, url]);
  };

  useEffect(() => setBroken([]), [phase]);
  useEffect(() => {
    take();
  });
  return { player: { ref, onError, onPause: take, onEnded: take }, source };
}
