// Liveness, and nothing that a page would not do without it: parts of a page that may change carry the address of their
// newest version (data-live) and are asked for every two seconds; the server answers 304 while nothing has changed.
"use strict";

const EVERY = 2000, SLOWEST = 30000;
const SHOWN = { month: "short", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit" };
const said = document.getElementById("said");

function local(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const year = at.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
    time.title = time.textContent;
    time.textContent = at.toLocaleString(undefined, { ...SHOWN, year });
  }
}

function selects(part) {
  const selection = getSelection();
  return !selection.isCollapsed && part.contains(selection.anchorNode);
}

// The same place in the new version, so that somebody who uses the keyboard does not lose theirs.
function replace(part, html) {
  const held = part.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const open = [...part.querySelectorAll("details[open]")].map((details) => details.id);
  const box = document.createElement("template");
  box.innerHTML = html;
  const fresh = box.content.firstElementChild;
  local(fresh);
  for (const id of open) fresh.querySelector("#" + CSS.escape(id))?.setAttribute("open", "");
  if (fresh.dataset.say && fresh.dataset.say !== part.dataset.say) said.textContent = fresh.dataset.say;
  part.replaceWith(fresh);
  if (held) fresh.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
  return fresh;
}

async function follow(part) {
  let etag = "", pause = EVERY;
  while (part.dataset.live) {
    await new Promise((resume) => setTimeout(resume, pause));
    if (document.hidden || selects(part)) continue;
    try {
      const headers = etag ? { "If-None-Match": etag } : {};
      const answer = await fetch(part.dataset.live, { headers, cache: "no-store", redirect: "error" });
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) return location.reload();
      if (answer.status === 200) {
        etag = answer.headers.get("ETag") || "";
        part = replace(part, await answer.text());
      }
      pause = answer.ok || answer.status === 304 ? EVERY : Math.min(2 * pause, SLOWEST);
    } catch {
      pause = Math.min(2 * pause, SLOWEST);
    }
  }
}

local(document);
for (const part of document.querySelectorAll("[data-live]")) follow(part);
