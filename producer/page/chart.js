// chart.js — amounts of days as bars.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 10; // of a day, with the gap beside it
const HEIGHT = 100;
const LEAST = 1; // so that a little is not nothing

function draw(name, attributes, ...content) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...content);
  return node;
}

// days: [{amount, title}], oldest first. Says itself, to those who do not see it, what `label` says.
export function barChart(days, label) {
  const most = Math.max(0, ...days.map(({ amount }) => amount));
  const least = Math.min(0, ...days.map(({ amount }) => amount));
  const scale = HEIGHT / (most - least || 1);
  const zero = most === least ? HEIGHT : most * scale;
  const bars = days.map(({ amount, title }, index) => {
    const height = amount === 0 ? 0 : Math.max(LEAST, Math.abs(amount) * scale);
    const y = amount < 0 ? Math.min(zero, HEIGHT - LEAST) : Math.max(0, zero - height);
    const place = { x: index * WIDTH + 1, y, width: WIDTH - 2, height, class: amount < 0 ? "less" : "more" };
    const whole = { x: index * WIDTH, y: 0, width: WIDTH, height: HEIGHT, class: "day" };
    return draw("g", {}, draw("title", {}, title), draw("rect", whole), draw("rect", place));
  });
  const width = days.length * WIDTH;
  const line = draw("line", { x1: 0, x2: width, y1: zero, y2: zero, "vector-effect": "non-scaling-stroke" });
  const shape = { viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label };
  return draw("svg", { ...shape, class: "chart" }, ...bars, line);
}
