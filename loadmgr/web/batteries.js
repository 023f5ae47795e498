// Stationary batteries: how full each is, what it does and is told, and what is planned for it.

import { color, plot, time } from "./circuits.js";
import { clock, kw, make, percent, sentence } from "./words.js";

const HOURS_BACK = 6, LEAST_W = 50, CHANGES = 4;
let charts = [];

export function drawBatteries(section, place, shown) {
  section.hidden = !shown.batteries.length;
  const known = new Map([...place.children].map((each) => [each.dataset.battery, each]));
  const cards = shown.batteries.map((battery) => known.get(battery.id) ?? card(battery.id));
  if (cards.length !== known.size || cards.some((each) => !each.parentNode)) place.replaceChildren(...cards);
  cards.forEach((each, i) => fill(each, shown.batteries[i], shown));
}

function card(id) {
  const full = make("div", { class: "bar", role: "meter", "aria-label": `${id} state of charge`, "aria-valuemin": 0, "aria-valuemax": 100 },
    make("i", { class: "charge" }));
  return make("div", { class: "circuit battery", "data-battery": id }, make("h3", {}, id),
    make("div", { class: "phase" }, make("span", {}, "Charge"), full, make("span", { class: "full" })),
    make("p", { class: "does" }), make("p", { class: "quiet ahead" }),
    make("div", { class: "chart", role: "img", "aria-label": `Power of ${id} over the last hours, and the plan ahead` }));
}

function fill(place, battery, shown) {
  const ratio = battery.state_of_charge_ratio, bar = place.querySelector(".bar"), full = ratio == null ? "not known" : percent(ratio);
  bar.setAttribute("aria-valuenow", Math.round(100 * (ratio ?? 0)));
  bar.setAttribute("aria-valuetext", full);
  bar.firstChild.style.width = `${Math.min(100, 100 * (ratio ?? 0))}%`;
  say(place.querySelector(".full"), full);
  const does = battery.power_w == null ? "Does not say what it does" : sentence(doing(battery.power_w));
  const told = battery.setpoint_w == null ? "told nothing yet" : `told: ${doing(battery.setpoint_w)}`;
  say(place.querySelector(".does"), `${does}; ${told}. ${sentence(battery.reason)}.`);
  say(place.querySelector(".ahead"), ahead(battery, shown));
}

const say = (place, text) => { if (place.textContent !== text) place.textContent = text; };
const doing = (w) => (w > LEAST_W ? `charges with ${kw(w)}` : w < -LEAST_W ? `discharges with ${kw(-w)}` : "rests");

// The plan in words, for those who do not see the chart: what comes next, each with its hour.
function ahead(battery, shown) {
  const steps = [];
  battery.plan_w.forEach((w, i) => {
    const way = Math.abs(w) > LEAST_W ? Math.sign(w) : 0;
    if (shown.plan_times[i + 1] <= shown.at) return;
    if (way !== steps.at(-1)?.way) steps.push({ way, most: 0, at: shown.plan_times[i] });
    steps.at(-1).most = Math.max(steps.at(-1).most, Math.abs(w));
  });
  if (!steps.length) return "Nothing is planned for it.";
  const said = steps.slice(0, CHANGES).map(({ way, most, at }) => {
    const what = way ? `${way > 0 ? "charges" : "discharges"} with up to ${kw(most)}` : "rests";
    return `${what} ${at <= shown.at ? "now" : `from ${clock(at)}`}`;
  });
  return `By the plan it ${said.join(", ")}${steps.length > CHANGES ? ", and so on" : ""}.`;
}

export function drawBatteryPlans(place, history, shown) {
  charts.forEach((chart) => chart.destroy());
  const places = [...place.children].map((each) => each.querySelector(".chart"));
  charts = shown.batteries.map((battery, i) => planOf(battery, places[i], history, shown));
}

function planOf(battery, place, history, shown) {
  const past = history.filter((slot) => slot.at > shown.at - HOURS_BACK * 3600 && slot.at < shown.at && slot.batteries[battery.id] != null);
  const planned = battery.plan_w.map((w, i) => [shown.plan_times[i], w]).filter(([s]) => s > shown.at);
  const xs = [...past.map((slot) => slot.at), shown.at, ...planned.map(([s]) => s)];
  const inKw = (values) => values.map((w) => (w == null ? null : w / 1000));
  const was = inKw([...past.map((slot) => slot.batteries[battery.id]), battery.power_w, ...planned.map(() => null)]);
  const willBe = inKw([...past.map(() => null), battery.power_w, ...planned.map(([, w]) => w)]);
  const points = { show: false }, value = (_, each) => (each == null ? "–" : kw(1000 * each)), stroke = color("l1");
  const series = [time, { label: "power", stroke, width: 2, points, value },
    { label: "planned", stroke, width: 1.5, dash: [7, 4], points, paths: globalThis.uPlot.paths.stepped({ align: 1 }), value }];
  return plot(place, [xs, was, willBe], series, "kW", 160, shown.at);
}
