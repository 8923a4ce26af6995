// Draws the page's charts from the JSON beside them. Everything from the data is set as text, never as HTML.
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paper = matchMedia("print");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const number = (v) =>
    new Intl.NumberFormat("en", { maximumFractionDigits: Math.abs(v) < 1 ? 4 : 2 }).format(v);
  const short = (v) => new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(v);
  const element = (name, text, parent) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (parent) parent.append(made);
    return made;
  };

  // What the pointer is on: a title, and names with numbers.
  function tip(title, lines) {
    const box = document.createElement("div");
    box.className = "tip";
    element("strong", title, box);
    for (const [name, value] of lines) {
      const line = element("div", "", box);
      element("span", name, line);
      element("b", value == null ? "–" : number(value), line);
    }
    return box;
  }

  function tooltip(extra) {
    return { confine: true, backgroundColor: colour("card"), borderColor: colour("line"), ...extra };
  }

  function axes(data, shown, width) {
    const ink = colour("ink"), soft = colour("soft"), line = { lineStyle: { color: colour("line") } };
    const lying = data.kind === "bars", lines = data.kind === "lines";
    const names = Math.min(220, Math.round(width * 0.34));
    const label = { color: lying ? ink : soft, hideOverlap: true };
    Object.assign(label, lying ? { width: names, overflow: "truncate", interval: 0 } : { showMaxLabel: !lines });
    const items = lines
      ? { type: "time", minInterval: 864e5, axisLabel: { ...label, formatter: "{MMM} {d}" } }
      : { type: "category", data: data.labels, inverse: lying, axisLabel: label };
    Object.assign(items, { axisLine: line, axisTick: { show: false }, splitLine: { show: false } });
    const values = {
      type: "value", splitLine: line, axisLabel: { color: soft, formatter: short, hideOverlap: true },
      splitNumber: width < 500 ? 3 : 5, max: data.max,
    };
    const series = shown.map(([entry, index]) => ({
      type: lines ? "line" : "bar", name: entry.name, color: colour("c" + (index % 9)), showSymbol: data.labels.length < 32,
      symbolSize: 5, barMaxWidth: 22, barGap: "12%", emphasis: { disabled: true },
      data: lines ? data.labels.map((day, i) => [day, entry.values[i]]) : entry.values,
    }));
    const formatter = (points) => tip(data.labels[points[0].dataIndex],
      points.map((p) => [p.seriesName, shown[p.componentIndex ?? p.seriesIndex][0].values[p.dataIndex]]));
    return {
      grid: { left: 4, right: 20, top: 8, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
      tooltip: tooltip({ trigger: "axis", axisPointer: { type: lines ? "line" : "shadow" }, formatter }),
      xAxis: lying ? values : items, yAxis: lying ? items : values, series,
    };
  }

  function flow(data, width) {
    // names are not keys: an item may be called like a source
    const nodes = new Map();
    const node = (side, label) => {
      const key = side + label;
      if (!nodes.has(key)) nodes.set(key, { name: key, depth: side, side, says: label });
      return key;
    };
    const links = data.labels.map((label, i) => (
      { source: node(0, label), target: node(1, data.targets[i]), value: data.series[0].values[i] }));
    const all = [...nodes.values()];
    all.forEach((n, i) => { n.itemStyle = { color: n.side ? colour("c1") : colour("c0") }; });
    const room = Math.round(width * 0.3);
    const label = { color: colour("ink"), textBorderWidth: 0, width: room - 10, overflow: "truncate",
      formatter: (p) => nodes.get(p.name).says };
    for (const n of all) n.label = { position: n.side ? "right" : "left" };
    return {
      tooltip: tooltip({ formatter: (p) => p.dataType === "edge"
        ? tip(nodes.get(p.data.source).says + " → " + nodes.get(p.data.target).says, [[data.series[0].name, p.data.value]])
        : tip(nodes.get(p.name).says, [[data.series[0].name, p.value]]) }),
      series: [{ type: "sankey", data: all, links, left: room, right: room, top: 8, bottom: 8, nodeWidth: 12, nodeGap: 14,
        draggable: false, label, lineStyle: { color: "gradient", opacity: 0.35 }, emphasis: { focus: "adjacency" } }],
    };
  }

  function height(data, shown) {
    if (data.kind === "bars") return data.labels.length * Math.max(26, 10 + 12 * shown.length) + 44;
    if (data.kind === "flow") return Math.max(260, 28 * Math.max(new Set(data.labels).size, new Set(data.targets).size));
    return 300;
  }

  function start(figure) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const place = figure.querySelector(".chart"), legend = figure.querySelector(".legend");
    const marks = [];
    figure.hidden = false;
    data.series.forEach((entry) => {
      const label = element(data.series.length > 1 ? "label" : "span", "", legend);
      if (data.series.length > 1) {
        const box = element("input", "", label);
        box.type = "checkbox";
        box.checked = entry.shown;
        box.addEventListener("change", () => { entry.shown = box.checked; draw(); });
      }
      if (data.kind !== "flow") marks.push(element("i", "", label));
      element("span", entry.name, label);
    });
    const chart = echarts.init(place, null, { renderer: "svg", height: height(data, data.series) });
    function draw() {
      const shown = data.series.map((entry, index) => [entry, index]).filter(([entry]) => entry.shown);
      marks.forEach((mark, i) => { mark.style.background = colour("c" + (i % 9)); });
      chart.resize({ width: place.clientWidth, height: height(data, shown) });
      const width = place.clientWidth;
      const option = data.kind === "flow" ? flow(data, width) : axes(data, shown, width);
      const described = { enabled: true, label: { general: { withoutTitle: place.dataset.says } } };
      const font = { fontFamily: getComputedStyle(document.body).fontFamily };
      chart.setOption({ ...option, aria: described, animation: false, textStyle: font }, { notMerge: true });
    }
    place.dataset.says = place.getAttribute("aria-label");
    draw();
    let width = place.clientWidth;
    new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== width) { width = place.clientWidth; draw(); }
    }).observe(place);
    dark.addEventListener("change", draw);
    paper.addEventListener("change", draw);
  }

  document.querySelectorAll("figure").forEach(start);
})();
