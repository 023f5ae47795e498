// Circuits: a bar for each phase, and one chart of the past, the plan, the limit and the price.

import { amps, clock, flow, make, price } from "./words.js";

const PHASES = ["L1", "L2", "L3"];
const HOURS_BACK = 6;
let charts = [];

export function drawCircuits(place, circuits, limits) {
  place.replaceChildren(...circuits.map((circuit) => {
    const rated = circuit.rated_a.filter((a) => a != null);
    const fuse = rated.length ? `${circuit.id}: ${Math.max(...rated)} A fuse` : circuit.id;
    const title = [fuse, ...limits.filter((each) => each.circuit === circuit.id).map(outside)].join(", ");
    return make("div", { class: "circuit" }, make("h3", {}, title),
      ...PHASES.map((name, i) => phaseLine(circuit, name, i)).filter(Boolean));
  }));
}

// What limits a circuit beside its fuse: without it a bar that is full far below the fuse is a riddle.
const outside = ({ source, until }) => `limited by ${source}${until ? ` until ${clock(Date.parse(until) / 1000)}` : ""}`;

function phaseLine(circuit, name, i) {
  const limit = circuit.limit_a[i];
  if (!circuit.phases.includes(i)) return null;
  const now = circuit.measured_a ? circuit.measured_a[i] : 0;
  const over = limit != null && now > limit;
  const share = (a) => (limit == null ? 0 : Math.max(0, Math.min(100, (100 * a) / Math.max(limit, 0.1))));
  const building = Math.min(circuit.building_a[i], now), back = now < -0.05;
  const most = Math.max(limit ?? 1000, now), mostBack = Math.max(circuit.rated_a[i] ?? most, -now); // what flows back is up to the fuse
  const said = back ? flow(now) : `${over ? "over: " : ""}${now.toFixed(1)} of ${limit ?? "unlimited"} A`;
  const bar = make("div", { class: "bar", role: "meter", "aria-label": `${circuit.id} ${name}`, "aria-valuemin": back ? -mostBack : 0,
    "aria-valuemax": most, "aria-valuenow": now.toFixed(1), "aria-valuetext": said });
  const house = make("i", { class: "building" }), cars = make("i", { class: back ? "back" : name.toLowerCase() });
  house.style.width = `${share(building)}%`;
  cars.style.width = `${back ? (100 * -now) / mostBack : share(now) - share(building)}%`;
  bar.append(house, cars);
  const text = limit == null || back ? flow(now) : `${now.toFixed(1)} / ${limit.toFixed(1)} A`;
  return make("div", { class: "phase" }, make("span", {}, name), bar, make("span", { class: over ? "over" : null }, over ? `over: ${text}` : text));
}

export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function drawChart(loadPlace, pricePlace, history, shown, id) {
  const circuit = shown.circuits.find((c) => c.id === id) || shown.circuits[0];
  const past = history.filter((slot) => slot.at > shown.at - HOURS_BACK * 3600 && slot.circuits[circuit.id]);
  const ahead = shown.plan_times.map((s, i) => [s, i]).filter(([s]) => s > shown.at);
  const horizon = ahead.length ? [] : shown.prices.map(([s]) => s).filter((s) => s > shown.at);
  const xs = [...past.map((slot) => slot.at), shown.at, ...ahead.map(([s]) => s), ...horizon].filter((s, i, all) => i === 0 || s > all[i - 1]);
  const behind = new Map(past.map((slot) => [slot.at, slot.circuits[circuit.id]]));
  const planned = new Map(ahead.map(([s, i]) => [s, circuit.plan_a.map((phase) => phase[i])]));
  if (circuit.measured_a) behind.set(shown.at, circuit.measured_a);
  planned.set(shown.at, circuit.measured_a || [null, null, null]);
  const known = circuit.phases.map((i) => circuit.limit_a[i]).filter((a) => a != null), limit = known.length ? Math.min(...known) : null;
  const limits = new Map(past.map((slot) => [slot.at, slot.limits[circuit.id] ?? null]));
  const data = [xs, xs.map((s) => (s < shown.at ? limits.get(s) ?? null : limit))];
  for (let i = 0; i < 3; i += 1) data.push(xs.map((s) => behind.get(s)?.[i] ?? null), xs.map((s) => planned.get(s)?.[i] ?? null));
  const points = { show: false }, stepped = globalThis.uPlot.paths.stepped({ align: 1 });
  const series = [time, { label: "limit", stroke: color("bad"), width: 2, dash: [2, 3], points, value: said }];
  PHASES.forEach((name) => {
    const stroke = color(name.toLowerCase());
    series.push({ label: name, stroke, width: 2, points, value: said }, { label: `${name} planned`, stroke, width: 1.5, dash: [7, 4], points, paths: stepped, value: said });
  });
  charts.forEach((chart) => chart.destroy());
  charts = [plot(loadPlace, data, series, "A", 240, shown.at)];
  const band = shown.prices.filter(([s]) => s <= xs[xs.length - 1]);
  pricePlace.hidden = band.length < 2;
  if (band.length < 2) return;
  const at = (s) => band.findLast(([start]) => start <= s)?.[1] ?? null;
  const priceSeries = [time, { label: "price", stroke: color("good"), fill: `${color("good")}33`, width: 2, points, paths: stepped,
    value: (_, p) => (p == null ? "–" : price(p)) }];
  charts.push(plot(pricePlace, [xs, xs.map(at)], priceSeries, "", 120, shown.at));
}

export const time = { label: "Time", value: (_, s) => (s == null ? "–" : clock(s)) };
const said = (_, a) => (a == null ? "–" : `${a.toFixed(1)} A`);

export function plot(place, data, series, unit, height, now) {
  const ink = color("quiet"), grid = { stroke: color("line"), width: 1 };
  const options = {
    width: Math.max(260, place.clientWidth), height, series, legend: { live: true }, cursor: { drag: { x: false } },
    scales: { x: { time: true }, y: { range: (_, low, high) => [1.08 * Math.min(0, low ?? 0), 1.08 * Math.max(0, high ?? 0) || 1] } },
    axes: [{ stroke: ink, grid, values: (_, ticks) => ticks.map(clock) },
      { stroke: ink, grid, size: 60, values: (_, ticks) => ticks.map((v) => (unit ? `${v} ${unit}` : (100 * v).toFixed(0) + " ct")) }],
    hooks: { draw: [(chart) => nowLine(chart, now)] },
  };
  place.replaceChildren();
  return new globalThis.uPlot(options, data, place);
}

function nowLine(chart, now) {
  const x = Math.round(chart.valToPos(now, "x", true)), { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = color("ink");
  ctx.lineWidth = 1;
  ctx.setLineDash([]); // the last series may have left its own
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}
