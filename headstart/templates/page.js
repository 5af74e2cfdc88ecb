// Pictures to answers in the browser. All numbers are made as Headstart makes them: see model.json.
const SHOWN = 10; // labels of an answer
const LONGEST = 20; // times the shorter side; what lies beyond is cut before resizing
const MOST_DIGITS = 22, MOST_WEIGHT = 1 << 15;

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const FILTERS = {
  box: [(x) => (x > -0.5 && x <= 0.5 ? 1 : 0), 0.5],
  bilinear: [(x) => Math.max(1 - Math.abs(x), 0), 1],
  bicubic: [(x) => {
    x = Math.abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  }, 2],
  lanczos: [(x) => (x > -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0), 3],
};

const at = (id) => document.getElementById(id);

function even(x) { // half goes to the even one
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

function wholeSize([width, height], facts) {
  const wide = Math.floor(facts.width / facts.crop), high = Math.floor(facts.height / facts.crop);
  if (facts.crop_mode === "squash") return [wide, high];
  if (facts.crop_mode !== "border" && wide === high) {
    const short = Math.min(width, height);
    return [Math.trunc((wide * width) / short), Math.trunc((wide * height) / short)];
  }
  const ratios = [height / high, width / wide];
  const ratio = facts.crop_mode === "border" ? Math.max(...ratios) : Math.min(...ratios);
  return [Math.max(1, even(width / ratio)), Math.max(1, even(height / ratio))];
}

// For each new line where the old ones begin and what they weigh, in whole numbers.
function weights(length, target, scale, mode) {
  const [filter, reach] = FILTERS[mode];
  const support = reach * Math.max(scale, 1), shrink = scale >= 1 ? 1 / scale : 1;
  const lines = [];
  let largest = 0;
  for (let place = 0; place < target; place++) {
    const centre = scale * (place + 0.5);
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const stop = Math.min(Math.trunc(centre + support + 0.5), length);
    const shares = [];
    let sum = 0;
    for (let old = first; old < stop; old++) {
      const share = filter((old - centre + 0.5) * shrink);
      shares.push(share);
      sum += share;
    }
    const scaled = shares.map((share) => share / sum);
    largest = Math.max(largest, ...scaled);
    lines.push([first, scaled]);
  }
  let digits = 0;
  while (digits < MOST_DIGITS && Math.trunc(0.5 + largest * 2 ** (digits + 1)) < MOST_WEIGHT) digits++;
  const unit = 2 ** digits;
  for (const line of lines) {
    line[1] = line[1].map((share) => Math.trunc(share * unit + (share < 0 ? -0.5 : 0.5)));
  }
  return { lines, unit };
}

// Lines that lie `step` apart, `count` of them beside one another, at a new number of lines.
function resizedAlong(values, { length, step, groups, gap, across }, target, scale, mode) {
  if (Math.trunc(length / scale) === length) return values;
  const { lines, unit } = weights(length, target, scale, mode);
  const out = new Uint8ClampedArray(groups * target * across);
  for (let group = 0; group < groups; group++) {
    for (let place = 0; place < target; place++) {
      const [first, own] = lines[place];
      const to = (group * target + place) * across, from = group * gap + first * step;
      for (let side = 0; side < across; side++) {
        let sum = unit / 2;
        for (let k = 0; k < own.length; k++) sum += own[k] * values[from + k * step + side];
        out[to + side] = Math.floor(sum / unit);
      }
    }
  }
  return out;
}

function resized(pixels, [width, height], channels, size, mode) {
  if (width === size[0] && height === size[1]) return pixels;
  const scales = [width / (size[0] + 1e-6), height / (size[1] + 1e-6)];
  const flat = { length: width, step: channels, groups: height, gap: width * channels, across: channels };
  const wide = resizedAlong(pixels, flat, size[0], scales[0], mode);
  const row = size[0] * channels;
  const upright = { length: height, step: row, groups: 1, gap: 0, across: row };
  return resizedAlong(wide, upright, size[1], scales[1], mode);
}

// A picture (a blob or what a video shows) as levels (1, C, H, W), as the model takes it in.
function levels(source, facts) {
  let { width, height } = source;
  const most = LONGEST * Math.min(width, height);
  const left = even(Math.max(0, width - most) / 2), top = even(Math.max(0, height - most) / 2);
  width = Math.min(width, most);
  height = Math.min(height, most);
  const canvas = new OffscreenCanvas(width, height);
  const drawing = canvas.getContext("2d", { willReadFrequently: true });
  drawing.fillStyle = "white"; // behind what is transparent
  drawing.fillRect(0, 0, width, height);
  drawing.drawImage(source, -left, -top);
  const drawn = drawing.getImageData(0, 0, width, height).data, channels = facts.channels;
  const pixels = new Uint8ClampedArray(width * height * channels);
  for (let n = 0, k = 0; n < drawn.length; n += 4) {
    const [red, green, blue] = [drawn[n], drawn[n + 1], drawn[n + 2]];
    if (channels === 1) {
      pixels[k++] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    } else {
      pixels[k++] = red;
      pixels[k++] = green;
      pixels[k++] = blue;
    }
  }
  const size = wholeSize([width, height], facts);
  return middle(resized(pixels, [width, height], channels, size, facts.interpolation), size, facts);
}

// The middle of the resized picture, channels first; a smaller one is surrounded.
function middle(pixels, [width, height], facts) {
  const { channels } = facts, begin = facts.crop_origin === "floor" ? Math.floor : even;
  const wide = Math.max(0, facts.width - width), high = Math.max(0, facts.height - height);
  const left = wide ? -Math.floor(wide / 2) : begin((width - facts.width) / 2);
  const top = high ? -Math.floor(high / 2) : begin((height - facts.height) / 2);
  const fill = facts.crop_mode === "border" ? facts.mean.map((value) => even(255 * value)) : [0, 0, 0];
  const out = new Uint8Array(channels * facts.height * facts.width);
  let k = 0;
  for (let channel = 0; channel < channels; channel++) {
    for (let y = top; y < top + facts.height; y++) {
      for (let x = left; x < left + facts.width; x++, k++) {
        const inside = x >= 0 && y >= 0 && x < width && y < height;
        out[k] = inside ? pixels[(y * width + x) * channels + channel] : fill[channel];
      }
    }
  }
  return out;
}

function rows(numbers, facts) {
  const each = facts.labels.map((label, n) => ({ label, value: numbers[n] }));
  if (!("probabilities" in facts.outputs)) return each;
  each.sort((one, other) => other.value - one.value);
  return each.slice(0, SHOWN);
}

function show(article, numbers, facts) {
  const list = document.createElement("dl");
  for (const { label, value } of rows(numbers, facts)) {
    const name = document.createElement("dt"), cell = document.createElement("dd");
    name.textContent = label;
    cell.dataset.value = value;
    if ("probabilities" in facts.outputs) {
      const bar = document.createElement("progress");
      bar.max = 1;
      bar.value = value;
      bar.setAttribute("aria-label", label);
      const holds = facts.threshold !== null && value > facts.threshold ? " ✓" : "";
      cell.append(bar, `${(100 * value).toFixed(1)} %${holds}`);
    } else {
      cell.textContent = value.toPrecision(5);
    }
    list.append(name, cell);
  }
  article.querySelector("dl")?.remove();
  article.append(list);
}

function titled(text) {
  const article = document.createElement("article"), title = document.createElement("h2");
  title.textContent = text;
  article.append(title);
  at("answers").prepend(article);
  return article;
}

async function answerer() {
  let runtime;
  try {
    runtime = await import("./ort.wasm.bundle.min.mjs");
  } catch {
    throw new Error(
      "The runtime isn't here. Lay ort.wasm.bundle.min.mjs and ort-wasm-simd-threaded.wasm of the " +
      "npm package onnxruntime-web (npm pack onnxruntime-web, folder dist) beside this page.");
  }
  runtime.env.wasm.numThreads = 1;
  runtime.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href };
  const found = await fetch("model.json");
  if (!found.ok) throw new Error("model.json isn't here. Export the model again.");
  const facts = await found.json();
  const session = await runtime.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
  const { channels, height, width } = facts.preprocess;
  const wanted = "probabilities" in facts.outputs ? "probabilities" : "values";
  const answer = async (source) => {
    const pixels = levels(source, facts.preprocess);
    const tensor = new runtime.Tensor("uint8", pixels, [1, channels, height, width]);
    return (await session.run({ pixels: tensor }, [wanted]))[wanted].data;
  };
  return { facts, answer };
}

async function answerFiles(files, { facts, answer }) {
  for (const file of files) {
    const article = titled(file.name);
    let picture, problem = "This browser can't read it as a picture. Give another.";
    try {
      const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
      picture = await createImageBitmap(file, options);
      problem = "This browser can't answer about it. Give a smaller one, or load the page again.";
      const small = document.createElement("canvas");
      const share = Math.min(1, 480 / Math.max(picture.width, picture.height));
      small.width = Math.max(1, share * picture.width);
      small.height = Math.max(1, share * picture.height);
      small.getContext("2d").drawImage(picture, 0, 0, small.width, small.height);
      article.append(small);
      show(article, await answer(picture), facts);
    } catch {
      const sentence = document.createElement("p");
      sentence.setAttribute("role", "alert");
      sentence.textContent = problem;
      article.append(sentence);
    } finally {
      picture?.close();
    }
  }
  at("state").textContent = `Answered: ${files.length}.`;
}

function filming({ facts, answer }) {
  let stream = null;
  const look = async (article) => {
    while (stream) {
      const frame = await createImageBitmap(at("video"));
      show(article, await answer(frame), facts);
      frame.close();
      await new Promise(requestAnimationFrame);
    }
  };
  return async () => {
    if (stream) {
      stream.getTracks().forEach((track) => track.stop());
      stream = null;
    } else {
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: true });
      } catch (error) {
        at("error").textContent = `The camera can't be used (${error.name}). Allow it, or give files.`;
        return;
      }
      at("error").textContent = "";
      at("video").srcObject = stream;
      await at("video").play();
      look(titled("Camera"));
    }
    at("video").hidden = !stream;
    at("camera").setAttribute("aria-pressed", String(Boolean(stream)));
  };
}

async function start() {
  const model = await answerer();
  const { labels } = model.facts, more = labels.length - SHOWN;
  at("labels").textContent = labels.slice(0, SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
  at("files").addEventListener("change", async (event) => {
    await answerFiles([...event.target.files], model);
    event.target.value = "";
  });
  at("camera").addEventListener("click", filming(model));
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.body.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") answerFiles([...event.dataTransfer.files], model);
    });
  }
  at("files").disabled = at("camera").disabled = false;
  at("state").textContent = "Ready. Drop pictures here. Nothing leaves this machine.";
}

start().catch((error) => {
  at("state").textContent = "";
  at("error").textContent = error.message;
});
