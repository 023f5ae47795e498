// Sessions, stations, alarms and the bill.

import { amps, clock, kwh, make, money, percent, sentence } from "./words.js";

export function drawSessions(table, free, shown, chosen, choose) {
  const busy = shown.evses.filter((evse) => evse.session);
  const body = table.tBodies[0];
  const known = new Map([...body.rows].map((each) => [each.dataset.evse, each]));
  const rows = busy.map((evse) => {
    const said = JSON.stringify([evse.measured_a, evse.setpoint_a, evse.phases, evse.state_of_charge_ratio, evse.reason, evse.session, evse.session.departure < shown.at, chosen === evse.id]);
    const before = known.get(evse.id);
    if (before?.dataset.said === said) return before; // what did not change stays, and with it who reads it, and the focus
    const made = row(evse, chosen === evse.id, choose, shown.at);
    Object.assign(made.dataset, { evse: evse.id, said });
    return made;
  });
  const focused = document.activeElement?.dataset?.evse;
  if (rows.length !== body.rows.length || rows.some((each, i) => each !== body.rows[i])) body.replaceChildren(...rows);
  if (focused && document.activeElement === document.body) body.querySelector(`button[data-evse="${CSS.escape(focused)}"]`)?.focus();
  const others = shown.evses.filter((evse) => !evse.session);
  const odd = others.filter((evse) => evse.standing !== "obeying");
  free.textContent = others.length
    ? `${others.length} without a vehicle${odd.length ? `; ${odd.map((evse) => `${evse.id}: ${evse.reason}`).join("; ")}` : ""}`
    : "Every EVSE is taken.";
}

function row(evse, isChosen, choose, at) {
  const { session } = evse;
  const wanted = session.wanted_wh == null ? `${kwh(session.delivered_wh)} kWh` : ` ${kwh(session.delivered_wh)} / ${kwh(session.wanted_wh)} kWh`;
  const bar = session.wanted_wh == null ? null : make("progress", { max: session.wanted_wh || 1, value: session.delivered_wh, "aria-label": `energy of ${evse.id}` });
  return make("tr", { class: isChosen ? "chosen" : null },
    cell("th", "EVSE", make("button", { type: "button", "data-evse": evse.id, "aria-pressed": isChosen ? "true" : "false", onclick: () => choose(evse.id) }, evse.id)),
    cell("td", "Vehicle", `${session.token || "?"}${evse.phases ? ` ${evse.phases}~` : ""}${evse.state_of_charge_ratio == null ? "" : `, ${percent(evse.state_of_charge_ratio)} full`}`),
    cell("td", "Draws / limit", `${amps(evse.measured_a ?? 0)} / ${amps(evse.setpoint_a)}`),
    cell("td", "Energy", make("span", {}, bar, wanted)),
    cell("td", "Leaves", leaves(session, at)),
    cell("td", "Forecast", forecast(session)),
    cell("td", "Promise", make("span", { class: "promise", "data-state": session.promise }, session.promise === "none" ? "–" : session.promise)),
    cell("td", "Why", evse.reason));
}

function leaves({ departure, source }, at) {
  if (departure == null) return "not said";
  return `${clock(departure)}${source === "default" ? " (assumed)" : ""}${departure < at ? ", still here" : ""}`;
}

function forecast(session) {
  if (session.wanted_wh == null) return "–";
  if (session.promise === "kept") return "has it";
  return `${kwh(session.expected_wh)} kWh${session.full_by ? ` by ${clock(session.full_by)}` : ""}`;
}

// A cell with its column's name, which a phone shows beside it.
function cell(tag, label, content) {
  const inner = content instanceof Node ? content : make("span", {}, content);
  return make(tag, { "data-label": label, class: label === "Why" || label === "Quirks" ? "why" : null, scope: tag === "th" ? "row" : null }, inner);
}

let stationsShown = "";

export function drawStations(table, stations) {
  const said = JSON.stringify(stations);
  if (said === stationsShown) return; // what a person unfolded stays so
  stationsShown = said;
  table.tBodies[0].replaceChildren(...stations.map((station) => {
    const bad = station.evses.filter((evse) => evse.disobeying_since);
    const obeys = bad.length ? `no: ${bad.map((e) => e.evse).join(", ")}` : station.evses.some((e) => e.proven) ? "proven" : "so far";
    const writes = station.writes.map((w) => `${w.evse ?? "maximum"} ${w.written}/${w.budget}`).join(", ");
    const quirks = Object.entries(station.quirks || {}).map(([name, { value, by }]) => `${name.replaceAll("_", " ")}: ${value} (${by})`);
    const known = make("details", {}, make("summary", {}, `${quirks.length} known`), ...quirks.map((text) => make("div", {}, text)));
    return make("tr", {}, cell("th", "Station", station.station),
      cell("td", "Link", make("span", { class: station.connected ? null : "over" }, station.connected ? `up, OCPP ${station.version}` : station.seen ? "down" : "never seen")),
      cell("td", "Model", [station.vendor, station.model, station.firmware].filter(Boolean).join(" ") || "–"),
      cell("td", "Obeys", make("span", { class: bad.length ? "over" : null }, obeys)), cell("td", "Writes today", writes || "–"), cell("td", "Quirks", quirks.length ? known : "–"));
  }));
}

const since = (alarm) => (alarm.since ? ` (since ${clock(Date.parse(alarm.since) / 1000)})` : "");

export function drawAlarms(list, alarms) {
  list.replaceChildren(...(alarms.length ? alarms.map((alarm) => make("li", { "data-severity": alarm.severity },
    make("strong", {}, `${sentence(alarm.severity)}, ${alarm.subject}:`), ` ${alarm.cause}`, make("br"), make("span", { class: "quiet" }, `${sentence(alarm.advice)}${since(alarm)}`)))
    : [make("li", { "data-severity": "note" }, "none")]));
}

export function pairs(place, rows) {
  place.replaceChildren(...rows.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

export function drawBill(section, place, bill) {
  section.hidden = !bill;
  if (!bill) return;
  const saved = bill.at_once_cost - bill.ended_cost;
  const rows = [[`Energy since ${clock(bill.since)}`, `${kwh(bill.energy_wh)} kWh`], ["It cost", money(bill.cost)]];
  if (!bill.sessions_ended) rows.push(["Against charging at once", "known when a session has ended"]);
  if (bill.sessions_ended) rows.push([`${bill.sessions_ended} sessions that ended`, money(bill.ended_cost)],
    ["Charged at once they had cost", money(bill.at_once_cost)], [saved >= 0 ? "Saved" : "Cost more", money(Math.abs(saved))]);
  pairs(place, rows);
}
