// SPDX-License-Identifier: GPL-3.0-or-later
// Live updates for the person who is signed in: the bell, a line about what came, and a fresh list. Pages work without.
"use strict";
(() => {
  const bell = document.querySelector("[data-bell]");
  if (!bell || !window.EventSource) return;
  const badge = bell.querySelector("[data-unread]");
  const live = document.createElement("div");
  live.setAttribute("role", "status");
  document.body.append(live);
  let hiding;

  const say = (text, message) => {
    const toast = document.createElement("div");
    toast.className = "toast";
    const place = document.createElement(message ? "a" : "span");
    if (message) place.href = "/messages/" + encodeURIComponent(message);
    place.textContent = text;
    toast.append(place);
    live.replaceChildren(toast);
    clearTimeout(hiding);
    hiding = setTimeout(() => live.replaceChildren(), 12000);
  };

  const count = (unread) => {
    badge.hidden = unread === 0;
    badge.textContent = unread > 99 ? "99+" : String(unread);
    const label = bell.getAttribute("aria-label").replace(/\d+/, String(unread));
    bell.setAttribute("aria-label", label);
  };

  // Puts the server's newer rendering of the marked parts in place of the old one, without moving the reader's focus.
  const refresh = async () => {
    const parts = document.querySelectorAll("[data-live]");
    if (parts.length === 0 || document.querySelector("[data-live] :focus, [data-live] details[open]")) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
      if (fresh) part.replaceWith(fresh);
    }
  };

  const source = new EventSource("/api/v1/notifications/stream");
  source.addEventListener("notification", (event) => {
    const notification = JSON.parse(event.data);
    say(notification.text, notification.message);
    if (window.Notification && Notification.permission === "granted" && document.hidden) {
      new Notification("Fairtrack", { body: notification.text, tag: "fairtrack-" + notification.id });
    }
    refresh();
  });
  source.addEventListener("unread", (event) => count(Number(event.data)));
  source.addEventListener("activity", refresh);
  addEventListener("pagehide", () => source.close());

  const ask = document.querySelector("[data-ask-notifications]");
  if (ask && window.Notification && Notification.permission === "default") {
    ask.hidden = false;
    ask.addEventListener("click", async () => {
      await Notification.requestPermission();
      ask.hidden = true;
    });
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) break;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = button.dataset.copied;
    });
  }
})();
