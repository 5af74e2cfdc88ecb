"use strict";
// Shows one item at a time. Everything that comes from the data is set as text, never as markup.
const KEYS = "123456789abcdefghijklmnopqrtuvwxyz"; // without s, which skips
const find = (id) => document.getElementById(id);
let state = null;
let busy = false;

async function ask(place, content) {
  if (busy) return;
  busy = true;
  try {
    const options = content && {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(content),
    };
    const reply = await fetch(place, options || {});
    const told = await reply.json();
    if (told.classes) show(told);
    find("error").textContent = told.error || "";
    if (place === "finish" && reply.ok) end();
  } catch {
    find("error").textContent =
      "No answer: `headstart label` no longer runs. What was answered is kept; start it again.";
  } finally {
    busy = false;
  }
}

function show(told) {
  const before = state && state.item && state.item.key;
  state = told;
  const item = told.item;
  find("count").textContent = `${told.done} of ${told.total} · ${told.labels} in the table`;
  find("progress").max = Math.max(1, told.total);
  find("progress").value = told.done;
  document.querySelector("h1").textContent = item ? "Which class is this?" : "Nothing is left to label";
  find("name").textContent = item && !item.texts ? item.name : "";
  if (!item || item.key !== before) present(item);
  drawClasses();
  find("undo").disabled = !told.may_undo;
  find("skip").disabled = !item || told.total - told.done < 2;
  const next = item ? (item.texts ? "" : `Next: ${item.name}, `) : "All are done, ";
  find("said").textContent = `${told.said} ${next}${told.total - told.done} left.`.trim();
  if (told.next && item && !item.texts) new Image().src = `picture/${told.next}`;
}

function present(item) {
  const picture = find("picture");
  const texts = find("texts");
  picture.hidden = !item || Boolean(item.texts);
  texts.hidden = !item || !item.texts;
  picture.removeAttribute("src");
  texts.replaceChildren();
  hear(item);
  if (!item) return;
  if (item.texts) {
    for (const text of item.texts) {
      const paragraph = document.createElement("p");
      paragraph.textContent = text;
      paragraph.tabIndex = 0;
      texts.append(paragraph);
    }
  } else {
    picture.alt = `The picture to label, ${item.name}`;
    picture.src = `picture/${item.key}`;
  }
}

function hear(item) {
  const sound = find("sound");
  sound.hidden = true;
  sound.pause();
  sound.removeAttribute("src");
  if (!item || item.texts || !state.plays) return;
  sound.onloadedmetadata = () => { sound.hidden = false; };
  sound.src = `sound/${item.key}`;
}

function drawClasses() {
  const wanted = find("filter").value.trim().toLowerCase();
  find("filter").hidden = state.classes.length < 10;
  const buttons = state.classes.map((each, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.hidden = !each.name.toLowerCase().includes(wanted);
    button.disabled = !state.item;
    if (place < KEYS.length) {
      const key = document.createElement("kbd");
      key.textContent = KEYS[place];
      button.append(key);
      button.setAttribute("aria-keyshortcuts", KEYS[place]);
    }
    const name = document.createElement("span");
    name.textContent = each.name;
    const times = document.createElement("span");
    times.className = "times";
    times.textContent = each.count;
    times.setAttribute("aria-label", `${each.count} so far`);
    button.append(name, times);
    button.addEventListener("click", () => answer(place));
    return button;
  });
  const group = find("classes");
  const scrolled = group.scrollTop;
  const focused = [...group.children].indexOf(document.activeElement);
  group.replaceChildren(...buttons);
  group.scrollTop = scrolled;
  if (focused >= 0 && buttons[focused]) buttons[focused].focus({ preventScroll: true });
}

function answer(place) {
  const chosen = state && state.classes[place];
  if (chosen && state.item) ask("answer", { key: state.item.key, label: chosen.name });
}

function end() {
  for (const each of document.querySelectorAll("button, input")) each.disabled = true;
  document.querySelector("h1").textContent = "Finished. This page can be closed.";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !state) return;
  if (event.target.tagName === "INPUT") {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key.toLowerCase();
  const place = KEYS.indexOf(key);
  if (key === "backspace") ask("undo", {});
  else if (key === "s") find("skip").disabled || ask("skip", { key: state.item.key });
  else if (key === "/" && !find("filter").hidden) find("filter").focus();
  else if (key.length === 1 && place >= 0) answer(place);
  else return;
  event.preventDefault();
});
find("filter").addEventListener("input", drawClasses);
find("filter").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  const first = [...find("classes").children].findIndex((each) => !each.hidden);
  event.target.value = "";
  event.target.blur();
  if (first >= 0) answer(first);
});
find("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = find("class").value;
  find("class").value = "";
  find("class").blur();
  if (name.trim()) ask("class", { name });
});
find("skip").addEventListener("click", () => ask("skip", { key: state.item.key }));
find("undo").addEventListener("click", () => ask("undo", {}));
find("finish").addEventListener("click", () => ask("finish", {}));
find("picture").addEventListener("error", () => {
  find("error").textContent = "The item can't be shown as a picture. Skip it, or look at the file.";
});
ask("state");
