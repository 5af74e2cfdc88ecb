"use strict";
// Shows the state as it changes. Everything that comes from the data is set as text, never as markup.
const find = (id) => document.getElementById(id);
const COLOURS = 8;
const AT_ONCE = 4; // files that are sent at a time
const LARGEST = 256 * 2 ** 20; // bytes of a file
const FRAME = 320; // px of a camera's picture, shorter side
const HEARD = 1; // seconds of a recording
const TABLES = /\.(csv|tsv|jsonl|ndjson|json|parquet|xlsx|zip|tar|gz|tgz)$/i;
const SVG = "http://www.w3.org/2000/svg";
let state = null;
let probe = null; // what is answered about: a Blob that stays, while no device gives new ones
let asking = false;
let answered = 0; // the number of the head that answered last
let drawn = {};

function make(kind, facts = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(facts)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (name === "text") element.textContent = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((each) => each !== null));
  return element;
}

const button = (text, act, facts = {}) => make("button", { type: "button", text, on: { click: act }, ...facts });

function complain(text) { find("error").textContent = text || ""; }
function say(text) { if (text) find("said").textContent = text; }

async function send(place, body, kind) {
  try {
    const reply = await fetch(place, { method: "POST", headers: { "Content-Type": kind }, body });
    const told = await reply.json();
    if (place !== "glance") {
      complain(told.error);
      say(told.said);
    }
    return { ...told, ok: reply.ok };
  } catch {
    complain("No answer: `headstart studio` no longer runs. All that was given is kept; start it again.");
    return { ok: false };
  }
}

const act = (place, body = {}) => send(place, JSON.stringify(body), "application/json");
const give = (place, raw) => send(place, raw, "application/octet-stream");

// ---------------------------------------------------------------- examples

const placeOf = (label, name) => `add?${new URLSearchParams({ label, name })}`;

async function inTurn(jobs) {
  const waiting = [...jobs];
  const total = waiting.length;
  let sent = 0;
  find("uploaded").max = Math.max(1, total);
  const show = () => {
    find("uploading").hidden = sent === total;
    find("uploaded").value = sent;
    find("sent").textContent = `${sent} of ${total}`;
  };
  const problems = [];
  const worker = async () => {
    while (waiting.length) {
      const told = await waiting.shift()();
      if (told.error) problems.push(told.error);
      sent += 1;
      show();
    }
  };
  show();
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (problems.length) complain(problems.slice(0, 3).join(" ") + (problems.length > 3 ? ` And ${problems.length - 3} more.` : ""));
  return problems;
}

function large(file) {
  if (file.size <= LARGEST) return null;
  return async () => ({ error: `${file.name} is larger than ${LARGEST / 2 ** 20} MiB, which the page does not take. Give the folder to headstart studio in the shell.` });
}

const addFiles = (files, label) =>
  inTurn(files.map((file) => large(file) || (() => give(placeOf(label, file.name), file))));

async function takeIn(entries) {
  // Files with their ways below what was dropped: read there as `headstart fit` reads a folder.
  const { said: drop, ok } = await act("begin");
  if (!ok) return;
  const way = (path) => path.split("/").map(encodeURIComponent).join("/");
  const problems = await inTurn(entries.map(({ path, file }) => large(file) || (() => give(`stage/${drop}/${way(path)}`, file))));
  if (problems.length < entries.length) await act("take", { drop });
  else await act("forget", { drop });
}

async function below(entry, path = "") {
  const here = path ? `${path}/${entry.name}` : entry.name;
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) return [{ path: here, file: await new Promise((done, fail) => entry.file(done, fail)) }];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!some.length) return found;
    for (const each of some) found.push(...(await below(each, here)));
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => ({ path: file.name, file }));
  return (await Promise.all(entries.map((entry) => below(entry)))).flat();
}

function given(entries) {
  const plain = entries.every(({ path, file }) => !path.includes("/") && !TABLES.test(file.name));
  return plain ? addFiles(entries.map(({ file }) => file), "") : takeIn(entries);
}

function droppable(element, take) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.remove("over");
    take(await dropped(event.dataTransfer));
  });
}

// ---------------------------------------------------------------- camera, microphone, text

const camera = { stream: null, timer: 0 };
const microphone = { context: null, stream: null, blocks: [], length: 0, timer: 0 };

async function device(wanted, what) {
  try {
    return await navigator.mediaDevices.getUserMedia(wanted);
  } catch (error) {
    complain(`The ${what} can't be used (${error.name}). Allow it for this page, or drop files.`);
    return null;
  }
}

function end(stream) { for (const track of stream ? stream.getTracks() : []) track.stop(); }

async function useCamera(on) {
  clearInterval(camera.timer);
  end(camera.stream);
  camera.stream = on ? await device({ video: { width: 640, height: 480 }, audio: false }, "camera") : null;
  const running = camera.stream !== null;
  find("camera").hidden = !running;
  find("try").classList.toggle("live", running);
  find("camera-on").setAttribute("aria-pressed", running);
  find("camera").srcObject = camera.stream;
  if (!running) return;
  probe = null;
  find("probe").hidden = true;
  await find("camera").play();
  camera.timer = setInterval(async () => { if (!asking && !document.hidden) glance(await frame()); }, 200);
}

function frame() {
  const video = find("camera");
  const canvas = document.createElement("canvas");
  const scale = FRAME / Math.min(video.videoWidth, video.videoHeight);
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
}

async function useMicrophone(on) {
  clearInterval(microphone.timer);
  end(microphone.stream);
  if (microphone.context) await microphone.context.close();
  Object.assign(microphone, { context: null, stream: null, blocks: [], length: 0 });
  if (on) microphone.stream = await device({ audio: true, video: false }, "microphone");
  const running = microphone.stream !== null;
  find("level").hidden = !running;
  find("microphone-on").setAttribute("aria-pressed", running);
  if (!running) return;
  probe = null;
  const context = (microphone.context = new AudioContext());
  await context.audioWorklet.addModule("studio-microphone.js");
  const listener = new AudioWorkletNode(context, "listener");
  listener.port.onmessage = ({ data }) => hear(data);
  context.createMediaStreamSource(microphone.stream).connect(listener);
  microphone.timer = setInterval(() => {
    if (!asking && !document.hidden && heard() >= HEARD) glance(recording());
  }, 500);
}

const heard = () => microphone.length / microphone.context.sampleRate;

function hear(block) {
  microphone.blocks.push(block);
  microphone.length += block.length;
  while (microphone.length - microphone.blocks[0].length >= HEARD * microphone.context.sampleRate) {
    microphone.length -= microphone.blocks.shift().length;
  }
  const loud = Math.sqrt(block.reduce((sum, value) => sum + value * value, 0) / block.length);
  const brush = find("level").getContext("2d");
  brush.fillStyle = getComputedStyle(document.body).getPropertyValue("--accent");
  brush.drawImage(find("level"), -2, 0);
  brush.clearRect(318, 0, 2, 48);
  const height = Math.min(48, Math.max(1, loud * 160));
  brush.fillRect(318, 24 - height / 2, 2, height);
}

function recording() {
  // 16-bit mono WAV of the last second.
  const bytes = new DataView(new ArrayBuffer(44 + 2 * microphone.length));
  const write = (at, text) => [...text].forEach((sign, place) => bytes.setUint8(at + place, sign.charCodeAt(0)));
  const rate = microphone.context.sampleRate;
  write(0, "RIFF"); write(8, "WAVEfmt "); write(36, "data");
  for (const [at, value] of [[4, 36 + 2 * microphone.length], [16, 16], [24, rate], [28, 2 * rate], [40, 2 * microphone.length]]) bytes.setUint32(at, value, true);
  for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) bytes.setUint16(at, value, true);
  let at = 44;
  for (const block of microphone.blocks) {
    for (const value of block) {
      bytes.setInt16(at, Math.max(-1, Math.min(1, value)) * 32767, true);
      at += 2;
    }
  }
  return new Blob([bytes], { type: "audio/wav" });
}

const capturing = { timer: 0, busy: false, last: 0, next: null }; // a key that was pressed meanwhile

async function capture(label) {
  if (capturing.busy) return;
  capturing.busy = true;
  capturing.last = Date.now();
  try {
    if (state.kind === "image") {
      if (!camera.stream) await useCamera(true);
      if (camera.stream) await give(placeOf(label, "camera.jpg"), await frame());
    } else if (state.kind === "audio") {
      if (!microphone.stream) await useMicrophone(true);
      if (!microphone.stream) return;
      microphone.blocks = [];
      microphone.length = 0;
      await new Promise((done) => {
        const wait = setInterval(() => {
          if (microphone.context && heard() < HEARD * 0.98) return;
          clearInterval(wait);
          done();
        }, 30);
      });
      if (microphone.context) await give(placeOf(label, "microphone.wav"), recording());
    }
  } finally {
    capturing.busy = false;
    const next = capturing.next;
    capturing.next = null;
    if (next !== null) capture(next);
  }
}

function press(label) {
  if (capturing.busy) capturing.next = label;
  else capture(label);
}

function holds(element, label) {
  const start = () => {
    clearInterval(capturing.timer);
    element.setAttribute("aria-pressed", "true");
    capture(label());
    capturing.timer = setInterval(() => capture(label()), 150);
  };
  const stop = () => {
    clearInterval(capturing.timer);
    element.setAttribute("aria-pressed", "false");
  };
  element.addEventListener("pointerdown", start);
  for (const over of ["pointerup", "pointerleave", "pointercancel", "blur"]) element.addEventListener(over, stop);
  element.addEventListener("keydown", (event) => {
    if ((event.key === " " || event.key === "Enter") && !event.repeat) start();
  });
  element.addEventListener("keyup", stop);
  element.addEventListener("click", () => { if (Date.now() - capturing.last > 500) capture(label()); });
}

// ---------------------------------------------------------------- the answer

async function glance(raw) {
  if (!raw || asking || !state || !state.head) return;
  asking = true;
  const told = await give("glance", raw);
  asking = false;
  if (told.error) {
    find("hint").textContent = told.error;
    return;
  }
  if (!told.answer) return;
  answered = told.head;
  drawBars(told.answer);
  if (probe && state.head && state.head.number > answered) glance(probe);
}

function drawBars(answer) {
  const best = Object.keys(answer).reduce((one, other) => (answer[one] >= answer[other] ? one : other));
  const rows = state.classes.filter((each) => each.name in answer).map((each) => {
    const percent = Math.round(100 * answer[each.name]);
    const fill = make("div", { class: "fill" });
    fill.style.width = `${100 * answer[each.name]}%`;
    const meter = make("div", { class: "meter", role: "meter", "aria-label": each.name, "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": String(percent) }, fill);
    const name = make("span", { text: each.name, class: each.name === best ? "best" : "" });
    return make("li", { class: `k${state.classes.indexOf(each) % COLOURS}` }, name, make("span", { class: "share", text: `${percent} %` }), meter);
  });
  find("bars").replaceChildren(...rows);
  find("bars").dataset.head = answered;
  find("hint").textContent = "";
}

function drawAge() {
  const head = state.head;
  find("age").textContent = head
    ? `From ${head.examples === head.total ? "all" : `${head.examples} of`} ${head.total} examples, fitted in ${head.seconds.toFixed(2)} s.`
    : "";
  if (!head) {
    find("bars").replaceChildren();
    find("hint").textContent = "Give two classes an example each, and answers come.";
  } else if (!find("bars").children.length) {
    find("hint").textContent = { image: "Turn on the camera, or try a file.", audio: "Turn on the microphone, or try a file.", text: "Write something above." }[state.kind];
  }
}

// ---------------------------------------------------------------- drawing

function rebuild(place, facts, makeAll) {
  // Draw a list anew where it has changed, and keep the keyboard's place in it.
  const key = JSON.stringify(facts);
  if (drawn[place.id || place.parentElement.id] === key) return;
  drawn[place.id || place.parentElement.id] = key;
  const buttons = () => [...place.querySelectorAll("button, input, summary")];
  const at = buttons().indexOf(document.activeElement);
  place.replaceChildren(...makeAll());
  if (at < 0) return;
  const now = buttons();
  const heading = place.closest("section").querySelector("h2");
  (now[Math.min(at, now.length - 1)] || heading).focus({ preventScroll: true });
}

function picture(item) {
  if (item.text !== null) return make("span", { class: "text", text: item.text });
  return make("img", { src: `picture/${item.key}`, alt: item.name, loading: "lazy" });
}

function example(item) {
  const press = make("button", { type: "button", "aria-label": `${item.text || item.name}: change or remove`, on: { click: () => look(item) } }, picture(item));
  const element = make("li", { class: item.text === null ? "" : "text" }, press);
  element.dataset.key = item.key;
  return element;
}

function card(each, place) {
  const list = make("ul", { class: "items", "aria-label": `Examples of ${each.name}` });
  const more = async (event) => {
    const start = list.children.length;
    const reply = await fetch(`examples?${new URLSearchParams({ label: each.name, start })}`);
    list.append(...(await reply.json()).items.map(example));
    event.target.hidden = list.children.length >= state.classes[place].count;
  };
  const hold = state.kind === "image" ? "Hold to capture" : "Hold to record";
  const record = make("button", { type: "button", text: hold, "aria-pressed": "false", "aria-label": `${hold}: ${each.name}` });
  holds(record, () => each.name);
  const paste = make("textarea", { rows: "2", placeholder: "Examples, one a line", "aria-label": `Texts of ${each.name}, one a line` });
  const addTexts = () => {
    const lines = paste.value.split("\n").map((line) => line.trim()).filter(Boolean);
    paste.value = "";
    return inTurn(lines.map((line) => () => give(placeOf(each.name, line.slice(0, 40)), new Blob([line]))));
  };
  paste.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) addTexts();
  });
  const files = make("input", { type: "file", multiple: true, "aria-label": `Files of ${each.name}` });
  files.addEventListener("change", () => addFiles([...files.files], each.name));
  const rename = () => {
    const name = prompt(`What shall ${each.name} be called?`, each.name);
    if (name && name.trim() !== each.name) act("rename", { before: each.name, name });
  };
  const drop = () => {
    if (!state.classes[place].count || confirm(`Remove ${each.name}? Its examples stay without a class.`)) act("drop", { name: each.name });
  };
  const inputs = state.kind === "text" ? [button("Add", addTexts, { "aria-label": `Add texts to ${each.name}` })] : [record];
  const element = make(
    "article",
    { class: `card k${place % COLOURS}` },
    make("h3", {}, make("span", { text: each.name }), make("span", { class: "count" })),
    state.kind === "text" ? paste : null,
    make(
      "div",
      { class: "acts" },
      ...inputs,
      make("label", { class: "button", text: "Files" }, files),
    ),
    list,
    make(
      "div",
      { class: "acts" },
      button("Show more", more, { class: "quiet further", "aria-label": `Show more of ${each.name}` }),
      button("Rename", rename, { class: "quiet", "aria-label": `Rename ${each.name}` }),
      button("Remove", drop, { class: "quiet", "aria-label": `Remove the class ${each.name}` }),
    ),
  );
  droppable(element, (entries) => addFiles(entries.map(({ file }) => file), each.name));
  return element;
}

function drawCards() {
  const cards = find("cards");
  const old = new Map([...cards.children].map((each) => [each.dataset.key, each]));
  const next = state.classes.map((each, place) => {
    const key = JSON.stringify([each.name, place, state.kind]);
    const element = old.get(key) || card(each, place);
    element.dataset.key = key;
    renew(element, each);
    return element;
  });
  if (next.length !== old.size || next.some((each, place) => each !== cards.children[place])) cards.replaceChildren(...next);
}

function renew(element, each) {
  // What is seen of the examples; the rest stays, as one may be writing there or hold a button.
  const count = each.count === 1 ? "1 example" : `${each.count} examples`;
  element.setAttribute("aria-label", `${each.name}, ${count}`);
  element.querySelector(".count").textContent = count;
  const list = element.querySelector(".items");
  const keys = each.items.map((item) => item.key);
  if (list.dataset.keys === String(keys)) return;
  list.dataset.keys = keys;
  const old = new Map([...list.children].map((item) => [item.dataset.key, item]));
  list.replaceChildren(...each.items.map((item) => old.get(item.key) || example(item)));
  element.querySelector(".further").hidden = each.count <= each.items.length;
}

function curve(growth) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 300 90");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Score by number of examples: ${growth.map((each) => `${each.value.toFixed(2)} at ${each.examples}`).join(", ")}`);
  const most = Math.max(...growth.map((each) => each.examples));
  const x = (each) => (300 * each.examples) / most;
  const y = (value) => 86 - 82 * Math.max(0, Math.min(1, value));
  const add = (kind, name, facts) => {
    const part = document.createElementNS(SVG, kind);
    part.setAttribute("class", name);
    for (const [key, value] of Object.entries(facts)) part.setAttribute(key, value);
    svg.append(part);
  };
  const up = growth.map((each) => `${x(each)},${y(each.high)}`);
  const down = growth.map((each) => `${x(each)},${y(each.low)}`).reverse();
  add("polygon", "band", { points: [...up, ...down].join(" ") });
  add("polyline", "line", { points: growth.map((each) => `${x(each)},${y(each.value)}`).join(" ") });
  for (const each of growth) add("circle", "dot", { cx: Math.min(297, x(each)), cy: y(each.value), r: 3 });
  return svg;
}

function worth() {
  const score = state.score;
  if (!score) return [make("p", { class: "hint", text: "Give each class two different examples at least; then folds say how good answers are." })];
  return [
    make("p", { class: `big mood-${score.mood}`, text: score.value.toFixed(3) }),
    make("p", { text: `${score.metric} on held-out examples, 95 % interval ${score.low.toFixed(3)} to ${score.high.toFixed(3)}, of ${score.examples} examples.` }),
    state.growth.length > 1 ? curve(state.growth) : null,
    make("p", { class: `mood-${score.mood}`, id: "verdict", text: score.verdict }),
    make("p", { class: "hint", text: score.how }),
  ].filter(Boolean);
}

const mistakes = () =>
  state.suspects.map((row) =>
    make(
      "li",
      {},
      picture(row),
      make("p", { text: `Among ${row.label}, but looks like ${row.likely}.` }),
      button(`It is ${row.likely}`, () => act("label", { key: row.key, label: row.likely }), { class: "main" }),
      button(`Keep ${row.label}`, () => act("keep", { key: row.key })),
    ),
  );

const following = () =>
  (state.following.length ? state.following : state.unlabelled.items).map((row) => {
    const names = state.classes.map((each) => each.name).sort((one, other) => (other === row.guess) - (one === row.guess));
    const why = row.guess ? `Perhaps ${row.guess}; doubt ${row.doubt.toFixed(2)}, stands for ${row.covers}.` : "";
    return make(
      "li",
      {},
      make("button", { type: "button", class: "plain", "aria-label": `${row.text || row.name}: look closer`, on: { click: () => look(row) } }, picture(row)),
      make("p", { text: why }),
      ...names.slice(0, 9).map((name) => button(name, () => act("label", { key: row.key, label: name }), name === row.guess ? { class: "main" } : {})),
    );
  });

const choices = () =>
  state.sources.list.map((each) => {
    const radio = make("input", { type: "radio", name: "source", value: each.reference, checked: each.reference === state.source, on: { change: () => act("source", { reference: each.reference }) } });
    const parts = [radio, make("span", { text: each.reference })];
    if (each.expected !== null) {
      const fill = make("div", { class: "fill" });
      fill.style.width = `${100 * Math.max(0, Math.min(1, each.expected))}%`;
      parts.push(make("span", { text: each.expected.toFixed(3) }), make("div", { class: "meter" }, fill));
    }
    const facts = [each.expected === null ? "" : `95 % interval ${each.low.toFixed(3)} to ${each.high.toFixed(3)}`, each.parameters ? `${(each.parameters / 1e6).toFixed(1)}M parameters` : "", each.licence || "", each.dropped || ""];
    parts.push(make("span", { class: "why", text: facts.filter(Boolean).join(", ") }));
    return make("label", {}, ...parts);
  });

const models = () =>
  state.models.map((each) =>
    make(
      "li",
      {},
      make("p", { text: each.headline || `Model ${each.number}` }),
      each.report ? make("a", { class: "button", href: `report/${each.number}`, target: "_blank", rel: "noopener", text: "Report" }) : null,
      make("a", { class: "button", href: `model/${each.number}.zip`, download: `model-${each.number}.zip`, text: "Save" }),
      button("Copy predict command", () => copy(`${each.command} FILE`)),
      ...state.forms.map((form) => button(`Export ${form}`, () => act("export", { number: each.number, form }))),
    ),
  );

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {
    say(text);
  }
}

let jobSeen = 0;
function drawJob() {
  const job = state.job;
  const running = Boolean(job && job.running);
  find("job").hidden = !job;
  find("fit").disabled = find("rank").disabled = running;
  find("stop").hidden = !running;
  if (!job) return;
  jobSeen = Date.now() / 1000 - job.seconds;
  find("job-name").textContent = `headstart ${job.name}${running ? "" : job.error ? " failed" : " is done"}`;
  find("job-last").textContent = job.error || job.said[job.said.length - 1] || "";
  find("job-last").className = job.error ? "error" : "";
  find("job-said").textContent = job.said.join("\n");
  tick();
}

function tick() {
  const job = state && state.job;
  if (!job) return;
  const bar = find("job-bar");
  const seconds = job.running ? Date.now() / 1000 - jobSeen : job.seconds;
  find("job-time").textContent = `${seconds.toFixed(0)} s${job.budget ? ` of ${job.budget.toFixed(0)} s` : ""}`;
  bar.hidden = !job.running;
  if (job.budget) {
    bar.max = job.budget;
    bar.value = Math.min(seconds, job.budget);
  } else bar.removeAttribute("value");
}
setInterval(tick, 500);

function show(told) {
  const before = state;
  state = told;
  const begun = Boolean(told.kind);
  find("where").textContent = told.folder;
  find("start").hidden = begun;
  find("desk").hidden = !begun;
  if (told.said[0] && (!before || before.said[0] !== told.said[0])) say(told.said[1]);
  if (!begun) {
    rebuild(find("kinds"), told.kinds, () => Object.entries(told.kinds).map(([name, text]) => button(text, () => act("kind", { name }))));
    return;
  }
  find("busy").textContent = told.busy;
  find("undo").disabled = !told.can_undo;
  const own = [told.error, ...told.broken].filter(Boolean).join(" ");
  if (own || (before && before.error)) complain(own);
  find("camera-on").hidden = told.kind !== "image";
  find("microphone-on").hidden = told.kind !== "audio";
  find("text").hidden = told.kind !== "text";
  find("probe-file").hidden = told.kind === "text";
  find("keys").textContent = told.kind === "text" ? "" : "The keys 1 to 9 give an example to a class.";
  drawCards();
  drawAge();
  rebuild(find("score"), [told.score, told.growth], worth);
  find("mistakes").hidden = !told.suspects.length;
  rebuild(document.querySelector("#mistakes .rows"), told.suspects, mistakes);
  find("next").hidden = !told.unlabelled.count;
  find("waiting").textContent = `${told.unlabelled.count} examples have no class yet${told.following.length ? "; these help most" : ""}.`;
  rebuild(document.querySelector("#next .rows"), [told.following, told.unlabelled.items, told.classes.map((each) => each.name)], following);
  find("ranked").textContent = [told.sources.remark, told.sources.ranked ? `Ranked on ${told.sources.ranked} examples, the best first.` : "Not ranked yet: these are at hand."].filter(Boolean).join(" ");
  rebuild(find("choices"), [told.sources.list, told.source], choices);
  find("follow").checked = told.sources.follows;
  rebuild(find("models"), [told.models, told.forms], models);
  find("command").textContent = told.command;
  drawJob();
  if (probe && told.head && told.head.number !== answered) glance(probe);
}

// ---------------------------------------------------------------- one example

function look(item) {
  find("look-name").textContent = item.name;
  const content = item.text !== null ? [make("p", { text: item.text })] : [make("img", { src: `picture/${item.key}`, alt: item.name })];
  if (state.kind === "audio") content.push(make("audio", { controls: true, src: `sound/${item.key}`, "aria-label": item.name }));
  find("look-content").replaceChildren(...content);
  const done = async (place, body) => {
    find("look").close();
    await act(place, body);
  };
  find("look-classes").replaceChildren(
    ...state.classes.map((each) => button(each.name, () => done("label", { key: item.key, label: each.name }))),
    button("No class", () => done("label", { key: item.key, label: "" })),
  );
  find("look-remove").onclick = () => done("remove", { key: item.key });
  find("look").showModal();
}

// ---------------------------------------------------------------- what one does

find("look-close").addEventListener("click", () => find("look").close());
find("camera-on").addEventListener("click", () => useCamera(!camera.stream));
find("microphone-on").addEventListener("click", () => useMicrophone(!microphone.stream));
find("undo").addEventListener("click", () => act("undo"));
find("finish").addEventListener("click", async () => {
  if (!(await act("finish")).ok) return;
  news.close();
  for (const each of document.querySelectorAll("button, input, textarea, select")) each.disabled = true;
});
find("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = find("name").value;
  find("name").value = "";
  if (name.trim()) act("class", { name });
});
find("folder").addEventListener("change", (event) => {
  const files = [...event.target.files].filter((file) => !file.webkitRelativePath.split("/").some((part) => part.startsWith(".")));
  given(files.map((file) => ({ path: file.webkitRelativePath, file })));
  event.target.value = "";
});
find("files").addEventListener("change", (event) => {
  given([...event.target.files].map((file) => ({ path: file.name, file })));
  event.target.value = "";
});
find("probe-file").querySelector("input").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (!file) return;
  useCamera(false);
  useMicrophone(false);
  probe = file;
  const image = find("probe");
  if (image.src) URL.revokeObjectURL(image.src);
  image.hidden = state.kind !== "image";
  if (state.kind === "image") image.src = URL.createObjectURL(file);
  event.target.value = "";
  glance(probe);
});
let typing = 0;
find("text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    probe = find("text").value.trim() ? new Blob([find("text").value]) : null;
    glance(probe);
  }, 120);
});
find("rank").addEventListener("click", () => act("rank"));
find("follow").addEventListener("change", (event) => act("follow", { on: event.target.checked ? "yes" : "no" }));
find("fit").addEventListener("click", () => act("fit", { budget: find("budget").value }));
find("stop").addEventListener("click", () => act("stop"));
find("copy").addEventListener("click", () => copy(state.command));
droppable(document.body, (entries) => given(entries));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !state || !state.classes) return;
  if (/INPUT|TEXTAREA|SELECT/.test(event.target.tagName) || find("look").open) return;
  const chosen = state.classes[Number(event.key) - 1];
  if (chosen && state.kind !== "text") press(chosen.name);
});

let news = null;
function listen() {
  if (news) news.close();
  news = new EventSource("news");
  news.onmessage = ({ data }) => show(JSON.parse(data));
  news.onerror = () => { if (news.readyState === EventSource.CLOSED) setTimeout(listen, 2000); };
}
document.addEventListener("visibilitychange", () => {
  // A browser keeps few lines to one place open: a hidden tab gives its own back.
  if (document.hidden) news.close();
  else listen();
});
listen();
