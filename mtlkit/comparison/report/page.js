// Draws the figures of the page when they come into view, and hides and shows methods everywhere.
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
    const methods = [...document.querySelectorAll("[data-pick]")].map((each) => each.dataset.pick);
    button.addEventListener("click", () => pick(methods, button.dataset.pickAll === "true"));
  }
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.addEventListener("beforeprint", () => document.querySelectorAll(".plot").forEach(draw));
  document.documentElement.dataset.ready = "true";

  // The library comes compressed within the page: a third of its size, unpacked in a moment.
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
        const box = document.createElement("div");
        const title = document.createElement("h4");
        title.textContent = specs[name].title;
        const plot = document.createElement("div");
        plot.className = "plot";
        plot.dataset.figure = name;
        if (specs[name].wide) box.className = "wide";
        box.append(...(specs[name].title ? [title, plot] : [plot]));
        return box;
      }));
      for (const plot of place.querySelectorAll(".plot")) watch.observe(plot);
    };
    select.addEventListener("change", show);
    show();
  }

  // What is being drawn must be let finish: a purged plot cannot take its own last event.
  function drop(plot) {
    watch.unobserve(plot);
    near.delete(plot);
    drawn.get(plot)?.then(() => Plotly.purge(plot));
    drawn.delete(plot);
  }

  function pick(methods, shown) {
    for (const method of methods) shown ? hidden.delete(method) : hidden.add(method);
    for (const button of document.querySelectorAll("[data-pick]")) {
      button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.pick)));
    }
    for (const mark of document.querySelectorAll("[data-method]")) {
      mark.classList.toggle("off", hidden.has(mark.dataset.method));
    }
    redraw();
  }

  // What is out of sight is drawn when it comes back: a click answers at once on long pages.
  function redraw() {
    drawn.clear();
    near.forEach(draw);
  }

  function draw(plot) {
    if (drawn.has(plot)) return;
    const spec = specs[plot.dataset.figure];
    const traces = spec.traces.filter((trace) => !hidden.has(trace.meta));
    plot.querySelector("noscript")?.remove();
    drawn.set(plot, Plotly.react(plot, coloured(traces), layout(spec, traces), {
      displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false,
    }));
  }

  function layout(spec, traces) {
    const shown = new Set(traces.map((trace) => trace.meta));
    const axis = { gridcolor: "var(--line)", zerolinecolor: "var(--muted)", zerolinewidth: 1.5,
      linecolor: "var(--line)", automargin: true, fixedrange: true, zeroline: false, ticklabeloverflow: "hide past div" };
    const merged = (own) => ({ ...axis, ...own, title: { font: { size: 12, color: "var(--muted)" }, standoff: 8, ...own?.title } });
    const base = {
      ...spec.layout, xaxis: merged(spec.layout.xaxis), yaxis: merged(spec.layout.yaxis),
      height: spec.rows ? 90 + 27 * Math.max(shown.size, 2) : narrow() ? 300 : 340,
      margin: { l: 10, r: 14, t: 12, b: 46 }, dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: spec.layout.showlegend ?? false,
      hovermode: spec.layout.hovermode ?? "closest", hoverdistance: 24,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: "var(--ink)" },
      hoverlabel: { bgcolor: "var(--card)", bordercolor: "var(--line)", font: { color: "var(--ink)", size: 12.5 } },
      legend: { orientation: "h", y: -0.2, yanchor: "top", x: 0, bgcolor: "rgba(0,0,0,0)" },
    };
    return coloured(base);
  }

  // The same value with "var(--x)" replaced by what the style sheet says now.
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
