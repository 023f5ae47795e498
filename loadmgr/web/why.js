// Why one EVSE gets what it gets: what binds it, and what would help.

import { amps, clock, kwh, make, price } from "./words.js";

const STARTS_A = 6;

export function drawWhy(place, evse, shown) {
  const parts = [make("p", {}, make("strong", {}, evse.id), ` ${evse.reason}`), ...orderOf(evse), ...aheadOf(evse, shown)];
  const binds = bindsOf(evse, shown), helps = helpsOf(evse, shown, binds);
  if (binds.length) parts.push(heading("What binds"), list(binds.map(({ text }) => text)));
  parts.push(heading("What would help"), list(helps.length ? helps : ["Nothing has to: it gets what it is to get."]));
  const said = parts.map((part) => part.textContent).join("\n");
  if (place.dataset.said === said) return; // or a screen reader would read it again each second
  place.dataset.said = said;
  place.replaceChildren(...parts);
}

const heading = (text) => make("h3", {}, text);
const list = (texts) => make("ul", {}, ...texts.map((text) => make("li", {}, text)));

function orderOf({ override }) {
  if (!override) return [];
  const { limit_a: limit, boost, until, by } = override;
  const what = boost ? "Boosted" : limit === 0 ? "Paused" : `Limited to ${amps(limit)}`;
  return [make("p", {}, `${what}${by ? ` by ${by}` : ""}${until ? ` until ${clock(Date.parse(until) / 1000)}` : ""}.`)];
}

// When the plan gives it more than now, or gives it anything again.
function riseOf(evse, shown) {
  const at = evse.plan_a.findIndex((a, i) => shown.plan_times[i] > shown.at && a > Math.max(0, evse.setpoint_a ?? 0) + 0.5);
  return at < 0 ? null : { at: shown.plan_times[at], a: evse.plan_a[at] };
}

function aheadOf(evse, shown) {
  const rise = riseOf(evse, shown);
  return rise ? [make("p", {}, `By the plan ${amps(rise.a)} from ${clock(rise.at)}.`)] : [];
}

export function pathOf(evse, circuits) {
  const path = [];
  for (let at = evse.circuit; at; at = path.at(-1).parent) {
    const found = circuits.find((circuit) => circuit.id === at);
    if (!found) break;
    path.push(found);
  }
  return path;
}

function bindsOf(evse, shown) {
  const path = pathOf(evse, shown.circuits), binds = [];
  if (evse.setpoint_a < 0) return binds; // what feeds back waits for no room
  for (const circuit of path) {
    circuit.limit_a.forEach((limit, i) => {
      if (limit == null) return;
      const room = Math.max(0, limit - circuit.assumed_a[i]);
      if (room < STARTS_A) binds.push({ circuit: circuit.id, text: `${circuit.id} on L${i + 1}: ${amps(room)} left of ${amps(limit)}` });
    });
  }
  for (const limit of shown.limits.filter((each) => path.some((circuit) => circuit.id === each.circuit))) {
    const until = limit.until ? ` until ${clock(Date.parse(limit.until) / 1000)}` : "";
    binds.push({ outside: true, text: `${limit.source} limits ${limit.circuit}${until}` });
  }
  return binds;
}

function helpsOf(evse, shown, binds) {
  const helps = shown.alarms.filter((alarm) => [evse.id, evse.station].includes(alarm.subject)).map((alarm) => alarm.advice);
  if (evse.override) helps.push("“Back to the plan” ends the order.");
  if (!evse.session || (evse.session.wanted_wh != null && evse.session.delivered_wh >= evse.session.wanted_wh)) return helps;
  const rise = riseOf(evse, shown), others = sharing(evse, shown, binds);
  const wantsMore = rise || evse.session.promise === "at risk";
  if (wantsMore && others.length) helps.push(`Less on ${others.join(", ")} makes room; “Boost” puts ${evse.id} before them.`);
  if (wantsMore && !others.length && binds.some((bind) => bind.outside)) helps.push("It gets more when the limit from outside ends.");
  if (rise && !binds.length && /cheaper/.test(evse.reason)) helps.push(`“Boost” charges it at once${dearer(rise, shown)}.`);
  return [...helps, ...shortfall(evse)];
}

function sharing(evse, shown, binds) {
  const full = new Set(binds.map((bind) => bind.circuit).filter(Boolean));
  return shown.evses
    .filter((each) => each.id !== evse.id && each.measured_a > 0.5 && pathOf(each, shown.circuits).some((circuit) => full.has(circuit.id)))
    .sort((a, b) => b.measured_a - a.measured_a).slice(0, 3).map((each) => each.id);
}

function dearer(rise, shown) {
  const at = (s) => shown.prices.findLast(([start]) => start <= s)?.[1];
  const more = (at(shown.at) ?? NaN) - (at(rise.at) ?? NaN);
  return more > 0 ? `, for ${price(more)} more` : "";
}

function shortfall({ session }) {
  if (session.promise !== "at risk") return [];
  const short = session.wanted_wh - session.expected_wh;
  return [`${kwh(short)} kWh will be missing at ${clock(session.departure)}: a later departure, or ${kwh(session.expected_wh)} kWh as target, can be kept.`];
}
