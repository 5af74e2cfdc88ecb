"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const drawings = read("drawings");
  const template = read("template");
  const pictures = new Map(Object.entries(read("pictures")));
  const places = [...document.querySelectorAll("[data-figure]")];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paper = matchMedia("print");
  const touched = matchMedia("(pointer: coarse)").matches;
  const PAPER_WIDTH = 680; // pixels that fit on A4 and Letter with their margins

  // Plotly knows no CSS variables: wherever a colour names one, it gets today's value.
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

  const draw = (width) => {
    const style = getComputedStyle(document.documentElement);
    const common = coloured(template, style, false);
    for (const place of places) {
      const name = place.dataset.figure;
      const { data, layout } = coloured(drawings[name], style, false);
      const free = name === "map" && !touched && !width;
      const size = width ? { width: Math.min(width, place.clientWidth || width) } : {};
      Plotly.react(
        place,
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
    document.documentElement.classList.toggle("printing", starts);
    draw(starts ? PAPER_WIDTH : 0);
  };

  const hover = document.getElementById("hover");
  const [picture, text, name] = hover.children;
  const show = (event) => {
    const [id, label, split] = event.points[0].customdata;
    const found = pictures.get(id);
    const drawn = found !== undefined && found.startsWith("data:image/jpeg;base64,");
    picture.hidden = !drawn;
    text.hidden = drawn || found === undefined;
    if (drawn) picture.src = found;
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

  for (const image of document.querySelectorAll("img[data-item]")) {
    image.src = pictures.get(image.dataset.item);
  }
  draw(0);
  for (const place of places.filter((each) => each.dataset.figure === "map")) {
    place.on("plotly_hover", show);
    place.on("plotly_unhover", hide);
  }
  addEventListener("scroll", hide, { passive: true });
  dark.addEventListener("change", () => draw(0));
  paper.addEventListener("change", (event) => print(event.matches));
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
})();
