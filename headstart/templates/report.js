"use strict";
(async () => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const make = (name, options = {}) => Object.assign(document.createElement(name), options);
  const drawings = read("drawings");
  const template = read("template");
  const pictures = new Map(Object.entries(read("pictures")));
  const places = all("[data-figure]");
  const root = document.documentElement;
  const paper = matchMedia("print");
  const touched = matchMedia("(pointer: coarse)").matches;
  const PAPER_WIDTH = 680; // pixels that fit on A4 and Letter with their margins
  const NARROW = 600; // pixels of a figure below which labels stand above their rows, or are fewer
  const ROOM = 34; // pixels for the label of the first row
  const SMALL = 64; // pixels of a picture that is shown as squares, not blurred
  const LONG = 12; // rows of a table above which it can be searched

  const isPicture = (shown) => shown !== undefined && shown.startsWith("data:image/jpeg;base64,");
  const largest = (id) => pictures.get(`${id} large`) ?? pictures.get(id);

  // Pictures: on cards, and large on a click or a key.

  const show = (image, source) => {
    image.onload = () => image.classList.toggle("small", image.naturalWidth < SMALL);
    image.src = source;
  };
  const openers = all("button.picture");
  const opened = document.getElementById("opened");
  const steps = all("[data-step]", opened);
  let place = -1; // of the opener whose picture is shown; -1 for an item of the map

  const fill = (id, name, about) => {
    const shown = largest(id);
    const [image, text] = one(".stage", opened).children;
    image.hidden = !isPicture(shown);
    text.hidden = isPicture(shown);
    if (isPicture(shown)) show(image, shown);
    else text.textContent = shown ?? "";
    image.alt = name;
    one(".name", opened).textContent = name;
    one(".about", opened).textContent = about;
    for (const step of steps) step.hidden = place < 0;
    if (!opened.open) opened.showModal();
  };
  const open = (number) => {
    place = (number + openers.length) % openers.length;
    const { item, name, about } = openers[place].dataset;
    fill(item, name, about);
  };
  for (const [number, opener] of openers.entries()) {
    const id = opener.dataset.item;
    show(one("img", opener), opener.classList.contains("near") ? pictures.get(id) : largest(id));
    opener.addEventListener("click", () => open(number));
  }
  for (const step of steps) {
    step.addEventListener("click", () => open(place + Number(step.dataset.step)));
  }
  opened.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by && place >= 0) open(place + by);
  });
  opened.addEventListener("click", (event) => {
    if (event.target === opened) opened.close(); // beside it
  });
  opened.addEventListener("close", () => {
    if (place >= 0) openers[place].focus();
  });

  // Tables: searched where they are long, sorted by a click on a column's name.

  const number = (text) => (/^[-+]?[\d.,]+/.test(text) ? parseFloat(text.replace(/,/g, "")) : NaN);
  const compare = (one, other) => {
    const [a, b] = [number(one), number(other)];
    if (!Number.isNaN(a) && !Number.isNaN(b)) return a - b;
    return one.localeCompare(other, "en", { numeric: true });
  };
  const searchable = (scroll, rows) => {
    const field = make("input", { type: "search", placeholder: `Search ${rows.length} rows` });
    field.setAttribute("aria-label", "Search this table");
    const count = make("span", { className: "count" });
    count.setAttribute("role", "status");
    const bar = make("div", { className: "search" });
    bar.append(field, count);
    scroll.before(bar);
    field.addEventListener("input", () => {
      const wanted = field.value.trim().toLowerCase();
      const fits = rows.filter((row) => {
        row.hidden = !row.textContent.toLowerCase().includes(wanted);
        return !row.hidden;
      });
      count.textContent = wanted ? `${fits.length} of ${rows.length}` : "";
      let group = null;
      for (const row of all("tbody tr", scroll)) {
        if (row.className === "group") (group = row).hidden = true;
        else if (group && !row.hidden) group.hidden = false;
      }
    });
  };
  const sortable = (table, rows) => {
    const body = one("tbody", table);
    const before = [...body.children];
    const heads = all("thead th", table);
    for (const [column, head] of heads.entries()) {
      const button = make("button", { type: "button", textContent: head.textContent });
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const next = { none: "ascending", ascending: "descending", descending: "none" };
        const order = next[head.getAttribute("aria-sort") ?? "none"];
        for (const each of heads) each.removeAttribute("aria-sort");
        body.classList.toggle("sorted", order !== "none");
        if (order === "none") return body.replaceChildren(...before);
        head.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const text = (row) => row.children[column].textContent;
        body.append(...[...rows].sort((a, b) => sign * compare(text(a), text(b))));
      });
    }
  };
  for (const scroll of all(".scroll")) {
    const rows = all("tbody tr:not(.group)", scroll);
    if (rows.length > 2) sortable(one("table", scroll), rows);
    if (rows.length > LONG) searchable(scroll, rows);
  }

  // Sections: which one is being read.

  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const reading = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(target.id).setAttribute("aria-current", "true");
      }
    },
    { rootMargin: "-20% 0px -70% 0px" },
  );
  for (const section of all("section")) reading.observe(section);

  // Figures. Plotly knows no CSS variables: a colour that names one gets its value of today.

  const coloured = (value, style, colour) => {
    if (Array.isArray(value)) return value.map((each) => coloured(each, style, colour));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(
        Object.entries(value).map(([name, each]) => [
          name,
          coloured(each, style, colour || /color/i.test(name)),
        ]),
      );
    }
    const named = colour && typeof value === "string" && value.match(/^var\((--[\w-]+)\)$/);
    return named ? style.getPropertyValue(named[1]).trim() : value;
  };
  const above = (rows, layout) => {
    const place = { xref: "paper", x: 0, xanchor: "left", yanchor: "bottom", yshift: 3 };
    const names = rows.map((text, y) => ({ ...place, text, y, showarrow: false }));
    layout.annotations = [...(layout.annotations ?? []), ...names];
    Object.assign(layout.yaxis, { showticklabels: false, range: [layout.yaxis.range[0], -1] });
  };
  let picked = ""; // the label that alone is seen on the map

  const draw = (width, wanted = places) => {
    const style = getComputedStyle(root);
    const common = coloured(template, style, false);
    for (const each of wanted.filter((one) => one.checkVisibility())) {
      const name = each.dataset.figure;
      const { data, layout } = coloured(drawings[name], style, false);
      const free = name === "map" && !touched && !width;
      const size = width ? { width: Math.min(width, each.clientWidth || width) } : {};
      const rows = data[0].type === "scatter" && layout.yaxis.ticktext;
      if (rows?.length && each.clientWidth < NARROW && !width) {
        above(rows, layout);
        layout.height += ROOM;
        each.style.height = `${layout.height}px`;
      }
      if (name === "map" && each.clientWidth < NARROW) {
        layout.annotations = layout.annotations?.filter((label) => label.name === "narrow");
      }
      if (name === "map" && picked) {
        layout.annotations = [];
        for (const trace of data) {
          trace.selectedpoints = trace.customdata.flatMap(([, l], n) => (l === picked ? [n] : []));
          trace.unselected = { marker: { opacity: 0.08 } };
        }
      }
      Plotly.react(
        each,
        data,
        { ...layout, ...size, template: common, dragmode: free ? "pan" : false },
        {
          responsive: !width,
          displaylogo: false,
          displayModeBar: free,
          modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
        },
      );
    }
  };
  const print = (starts) => {
    root.classList.toggle("printing", starts);
    draw(starts ? PAPER_WIDTH : 0);
  };

  const hover = document.getElementById("hover");
  const [picture, text, name] = hover.children;
  const point = (event) => {
    const [id, label, split] = event.points[0].customdata;
    const found = pictures.get(id);
    picture.hidden = !isPicture(found);
    text.hidden = isPicture(found) || found === undefined;
    if (isPicture(found)) show(picture, found);
    else text.textContent = found ?? "";
    name.textContent = `${label} · ${split} · ${id}`;
    hover.hidden = false;
    const { clientX, clientY } = event.event.touches?.[0] ?? event.event;
    const left = Math.min(clientX + 16, innerWidth - hover.offsetWidth - 8);
    const top = Math.min(clientY + 16, innerHeight - hover.offsetHeight - 8);
    hover.style.left = `${Math.max(8, left)}px`;
    hover.style.top = `${Math.max(8, top)}px`;
  };
  const hide = () => {
    hover.hidden = true;
  };
  const pick = (map) => {
    const labels = new Set(drawings.map.data.flatMap((trace) => trace.customdata.map((c) => c[1])));
    const list = make("datalist", { id: "labels-of-the-map" });
    list.append(...[...labels].sort().map((value) => make("option", { value })));
    const field = make("input", { type: "search", placeholder: "Pick out a label" });
    field.setAttribute("list", list.id);
    field.setAttribute("aria-label", "Pick out a label on the map");
    const bar = make("div", { className: "search" });
    bar.append(field, list);
    map.before(bar);
    field.addEventListener("input", () => {
      picked = labels.has(field.value) ? field.value : "";
      draw(0, [map]);
    });
  };

  const unpack = async () => {
    const bytes = Uint8Array.from(atob(document.getElementById("library").textContent), (each) =>
      each.charCodeAt(0),
    );
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    document.head.append(make("script", { textContent: await new Response(stream).text() }));
  };
  try {
    await unpack();
  } catch {
    document.getElementById("trouble").hidden = false;
    for (const each of places) each.hidden = true;
    return;
  }
  const map = places.find((each) => each.dataset.figure === "map");
  if (drawings.map?.layout.annotations) pick(map);
  draw(0);
  if (map) {
    map.on("plotly_hover", point);
    map.on("plotly_unhover", hide);
    map.on("plotly_click", (event) => {
      const [id, label, split] = event.points[0].customdata;
      hide();
      place = -1;
      fill(id, id, `${label} · ${split}`);
    });
  }
  for (const fold of all("details.fold")) {
    fold.addEventListener("toggle", () => draw(0, all("[data-figure]", fold)));
  }
  addEventListener("scroll", hide, { passive: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(0));
  paper.addEventListener("change", (event) => print(event.matches));
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  root.classList.add("drawn");
})();
