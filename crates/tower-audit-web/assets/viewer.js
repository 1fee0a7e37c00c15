// What a script adds to pages that work without one: local times, the keyboard, a drawer, and the live tail.
"use strict";
(() => {
  const page = document.documentElement;
  page.classList.add("js");
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

  // A value, as a search says it.
  const quoted = (text) =>
    /^[^\s,"*]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;

  // Times in the zone of whoever looks; UTC stays in the title.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const two = (number) => String(number).padStart(2, "0");
  const local = (time) =>
    `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ` +
    `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  const localize = (from) => {
    for (const element of $$("time[datetime]", from)) {
      const time = new Date(element.dateTime);
      if (!Number.isNaN(time.getTime())) {
        element.title = `${element.dateTime} (UTC)`;
        element.textContent = local(time);
      }
    }
  };
  localize(document);
  const zoneLabel = $("#zone");
  if (zoneLabel) zoneLabel.textContent = `(${zone})`;

  // Copying.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "copied";
    } catch {
      button.textContent = "select it";
    }
  });

  // The drawer shows the page of an event beside the others.
  const drawer = $("#drawer");
  let opener = null;
  const open = async (link) => {
    let text;
    try {
      const answer = await fetch(link.href, { headers: { accept: "text/html" } });
      text = await answer.text();
    } catch {
      location.href = link.href;
      return;
    }
    const found = new DOMParser().parseFromString(text, "text/html");
    const detail = $("#detail", found) || $("main", found);
    const close = document.createElement("button");
    close.type = "button";
    close.className = "close";
    close.textContent = "Close";
    close.addEventListener("click", () => drawer.close());
    const whole = document.createElement("a");
    whole.href = link.href;
    whole.textContent = "Open as a page";
    if (!detail) {
      location.href = link.href;
      return;
    }
    drawer.replaceChildren(close, whole, document.adoptNode(detail));
    localize(drawer);
    opener = link;
    if (!drawer.open) drawer.showModal();
    drawer.scrollTop = 0;
  };
  if (drawer) {
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a.open");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      open(link);
    });
    drawer.addEventListener("click", (event) => {
      if (event.target === drawer) drawer.close();
    });
    drawer.addEventListener("close", () => opener && opener.focus());
  }

  // The list below the search box completes the term that is written: its key, or one of its most frequent values.
  const box = $("#q");
  const list = $("#words");
  const picks = $$("option", list).map((option) => ({
    text: option.value,
    about: option.label,
    isCounted: "counted" in option.dataset,
  }));
  const values = new Map();
  const frequent = (key) => {
    if (!values.has(key)) {
      const query = new URLSearchParams({ field: key, limit: "20" });
      const fetched = fetch(`${box.dataset.base}/top?${query}`)
        .then((answer) => (answer.ok ? answer.json() : { values: [] }))
        .then((top) => top.values.filter(({ value }) => value))
        .catch(() => []);
      values.set(key, fetched);
    }
    return values.get(key);
  };
  const complete = async () => {
    const written = box.value;
    const [, before, minus, term] = /^(|.*\s)(-?)((?:[^\s"]|"[^"]*"?)*)$/.exec(written) ?? [, "", "", written];
    const [, key, others] = /^([a-z]+):((?:.*,)?)/.exec(term) ?? [];
    const counted = key && picks.find(({ text, isCounted }) => isCounted && text === `${key}:`);
    const found = counted
      ? (await frequent(key)).map(({ value, events }) => ({
          text: `${minus}${key}:${others}${quoted(value)}`,
          about: `${events} events`,
        }))
      : picks.map(({ text, about }) => ({ text: minus && !text.startsWith("-") ? minus + text : text, about }));
    // More was written meanwhile: that has a list of its own.
    if (box.value !== written) return;
    const options = found.map(({ text, about }) => {
      const option = document.createElement("option");
      option.value = before + text;
      option.label = about;
      return option;
    });
    list.replaceChildren(...options);
  };
  box.addEventListener("input", complete);

  // The keyboard.
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (event.key === "Escape" && typing) typing.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || (drawer && drawer.open)) return;
    if (event.key === "/") {
      event.preventDefault();
      $("#q").focus();
      $("#q").select();
    } else if (event.key === "j" || event.key === "k") {
      const links = $$("#rows a.open");
      const row = document.activeElement && document.activeElement.closest("tr.row");
      const at = row ? links.indexOf($("a.open", row)) : -1;
      const next = event.key === "j" ? at + 1 : Math.max(at - 1, 0);
      if (links[next]) links[next].focus();
    }
  });
  // One menu at a time, and none after Escape.
  const menus = $$("details.menu, details.help");
  for (const menu of menus) {
    menu.addEventListener("toggle", () => {
      if (menu.open) for (const other of menus) if (other !== menu) other.open = false;
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const menu of menus) menu.open = false;
  });

  // The live tail.
  const live = $("#live");
  if (!live) return;
  const state = $("#live-state");
  const rows = $("#rows");
  const template = $("#row-template");
  const base = new URL(live.dataset.stream, location.href).pathname.replace(/\/events\/stream$/, "");
  const query = new URLSearchParams(location.search).get("q") ?? "-action:audit.*";
  const link = (element, key, value, shown = value) => {
    element.textContent = shown;
    element.href = `${base || "/"}?q=${encodeURIComponent(`${query} ${key}:${quoted(value)}`.trim())}`;
  };
  const MOST = 500;
  let source = null;
  let told = 0;
  // What was seen last: the page itself, and then each event.
  const stream = new URL(live.dataset.stream, location.href);
  const show = (event) => {
    const row = template.content.firstElementChild.cloneNode(true);
    row.dataset.id = event.id;
    const opened = $("a.open", row);
    opened.href = `${base}/view/${event.id}?q=${encodeURIComponent(query)}`;
    $("time", row).dateTime = event.created_at;
    link($(".who a", row), "actor", event.actor_id, event.actor_name || event.actor_id);
    link($(".what a", row), "action", event.action);
    $(".target span", row).textContent = event.target_type;
    if (event.target_id) link($(".target a", row), "target", event.target_id);
    else $(".target a", row).remove();
    link($(".outcome a", row), "outcome", event.outcome);
    $(".outcome a", row).classList.add(event.outcome);
    $(".outcome span", row).textContent = [event.status, event.reason].filter(Boolean).join(" ");
    if (event.ip_address) link($(".where a", row), "ip", event.ip_address);
    else $(".where a", row).remove();
    localize(row);
    // What was completed takes its own place.
    const before = rows.querySelector(`tr[data-id="${CSS.escape(event.id)}"]`);
    if (before) before.replaceWith(row);
    else rows.prepend(row);
    while (rows.children.length > MOST) rows.lastElementChild.remove();
    const region = $(".scroll");
    region.hidden = false;
    const empty = $("#empty");
    if (empty) empty.hidden = true;
    told += 1;
    state.textContent = `${told} new`;
  };
  const pause = (word) => {
    if (source) source.close();
    source = null;
    live.setAttribute("aria-pressed", "false");
    live.textContent = "Live";
    state.textContent = word;
  };
  live.addEventListener("click", () => {
    if (source) return pause("paused");
    source = new EventSource(stream);
    live.setAttribute("aria-pressed", "true");
    live.textContent = "Pause";
    state.textContent = "connecting";
    const seen = (message) => stream.searchParams.set("after", message.lastEventId);
    source.addEventListener("ready", (message) => {
      seen(message);
      if (!told) state.textContent = "waiting for events";
    });
    source.addEventListener("audit", (message) => {
      seen(message);
      show(JSON.parse(message.data));
    });
    source.addEventListener("error", () => {
      // It comes again by itself, unless it was refused.
      if (source && source.readyState === EventSource.CLOSED) pause("the trail does not answer");
    });
  });
})();
