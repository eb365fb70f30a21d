// key.js — asks for the API key, when the server wants one.

import { getKey, setKey } from "./api.js";
import { setText } from "./format.js";

const byId = (id) => document.getElementById(id);

// Gives show(needed), which tells whether the form has just come up. `again` asks the server anew, with another key or without.
export function makeKeyForm(again) {
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setKey(byId("key").value.trim());
    byId("key").value = "";
    byId("key-form").hidden = true;
    again();
  });

  byId("forget").addEventListener("click", () => {
    setKey("");
    again();
  });

  return function show(needed) {
    const form = byId("key-form");
    byId("forget").hidden = needed || !getKey();
    byId("main").hidden = needed;
    if (form.hidden !== needed) return false;
    form.hidden = !needed;
    if (!needed) return false;
    setText(byId("key-note"), getKey() ? "That key was not accepted." : "It is kept until you close this tab.");
    byId("key").focus();
    return true;
  };
}
