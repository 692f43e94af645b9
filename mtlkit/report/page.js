// Draws the figures of the page when they come into view, and hides and shows groups everywhere.
"use strict";
(async () => {
  const specs = JSON.parse(document.getElementById("figures").textContent);
  const hidden = new Set();
  const drawn = new Map();
  const near = new Set();
  const narrow = () => window.innerWidth < 640;

  await plotly();
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) { near.add(entry.target); draw(entry.target); }
      else near.delete(entry.target);
    }
  }, { rootMargin: "500px" });
  for (const plot of document.querySelectorAll(".plot")) watch.observe(plot);
  for (const choice of document.querySelectorAll(".choice")) offer(choice);
  for (const button of document.querySelectorAll("[data-pick]")) {
    button.addEventListener("click", () => pick([button.dataset.pick], hidden.has(button.dataset.pick)));
  }
  for (const button of document.querySelectorAll("[data-pick-all]")) {
    const groups = [...document.querySelectorAll("[data-pick]")].map((each) => each.dataset.pick);
    button.addEventListener("click", () => pick(groups, button.dataset.pickAll === "true"));
  }
  window.addEventListener("hashchange", unfold);
  unfold();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => document.querySelectorAll(".plot").forEach(draw));
  document.documentElement.dataset.ready = "true";

  // The library is stored compressed in the page, at a third of its size.
  async function plotly() {
    const packed = atob(document.getElementById("plotly").textContent.trim());
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  function offer(choice) {
    const select = choice.querySelector("select");
    const place = choice.querySelector(".plots");
    const show = () => {
      place.querySelectorAll(".plot").forEach(drop);
      place.replaceChildren(...select.value.trim().split(" ").map((name) => {
        const box = element("div");
        const plot = element("div", "plot");
        plot.dataset.figure = name;
        const { title, legend, caption } = specs[name];
        if (title) box.append(element("h4", "", title));
        if (legend.length) box.append(keys(legend));
        box.append(plot);
        if (caption) box.append(element("figcaption", "", caption));
        return box;
      }));
      for (const plot of place.querySelectorAll(".plot")) watch.observe(plot);
    };
    select.addEventListener("change", show);
    show();
  }

  function element(tag, name = "", text = "") {
    const made = document.createElement(tag);
    made.className = name;
    made.textContent = text;
    return made;
  }

  function keys(legend) {
    const list = element("ul", "legend");
    for (const { label, color, glyph } of legend) {
      const mark = element("span", "glyph", glyph);
      mark.style.color = color;
      const item = element("li");
      item.append(mark, label);
      list.append(item);
    }
    return list;
  }

  // A link to a folded part opens it.
  function unfold() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    target?.querySelector(":scope > details")?.setAttribute("open", "");
  }

  // A plot that is being drawn must finish before it is purged: it still receives its last event.
  function drop(plot) {
    watch.unobserve(plot);
    near.delete(plot);
    drawn.get(plot)?.then(() => Plotly.purge(plot));
    drawn.delete(plot);
  }

  function pick(groups, shown) {
    for (const group of groups) shown ? hidden.delete(group) : hidden.add(group);
    for (const button of document.querySelectorAll("[data-pick]")) {
      button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.pick)));
    }
    for (const mark of document.querySelectorAll("[data-group]")) {
      mark.classList.toggle("off", hidden.has(mark.dataset.group));
    }
    redraw();
  }

  // Charts out of sight are drawn when they return, so a click responds at once on long pages.
  function redraw() {
    drawn.clear();
    near.forEach(draw);
  }

  function draw(plot) {
    if (drawn.has(plot)) return;
    const spec = specs[plot.dataset.figure];
    const traces = spec.traces.filter((trace) => !hidden.has(trace.meta)).map(unlabeled);
    plot.querySelector("noscript")?.remove();
    drawn.set(plot, Plotly.react(plot, coloured(traces), layout(spec, traces), {
      displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false,
    }));
  }

  // Labels overlap on a narrow screen, where the buttons serve as the legend.
  function unlabeled(trace) {
    return trace.text && narrow() ? { ...trace, mode: "markers", text: null } : trace;
  }

  function layout(spec, traces) {
    const rows = new Set(traces.flatMap((trace) => trace.y));
    const axis = { gridcolor: "var(--line)", zerolinecolor: "var(--muted)", zerolinewidth: 1.5,
      linecolor: "var(--line)", automargin: true, fixedrange: true, zeroline: false, ticklabeloverflow: "hide past div" };
    const merged = (own) => ({ ...axis, ...own, title: { font: { size: 12, color: "var(--muted)" }, standoff: 8, ...own?.title } });
    const base = {
      ...spec.layout, xaxis: merged(spec.layout.xaxis), yaxis: merged(spec.layout.yaxis),
      height: spec.rows ? 76 + 27 * Math.max(rows.size, 2) : narrow() ? 300 : 340,
      margin: { l: 10, r: 14, t: 12, b: 46 }, dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      hovermode: spec.layout.hovermode ?? "closest", hoverdistance: 24,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: "var(--ink)" },
      hoverlabel: { bgcolor: "var(--card)", bordercolor: "var(--line)", font: { color: "var(--ink)", size: 12.5 } },
    };
    return coloured(base);
  }

  // The same value with "var(--x)" replaced by the current style sheet.
  function coloured(value) {
    if (typeof value === "string") {
      return value.startsWith("var(--") ? getComputedStyle(document.documentElement).getPropertyValue(value.slice(4, -1)).trim() : value;
    }
    if (Array.isArray(value)) return value.map(coloured);
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each)]));
    }
    return value;
  }
})();
