// Why one EVSE gets what it gets, and what a person may order about it, after he was asked.

import { ask } from "./stream.js";
import { amps, clock, make } from "./words.js";

export function drawWhy(place, evse, circuits) {
  const parts = [make("p", {}, make("strong", {}, evse.id), ` ${evse.reason}`)];
  const rises = evse.plan_a.findIndex((a) => a > (evse.setpoint_a ?? 0) + 0.5);
  if (evse.override) {
    const { limit_a: limit, boost, until, by } = evse.override;
    const what = boost ? "boosted" : limit === 0 ? "paused" : `limited to ${amps(limit)}`;
    parts.push(make("p", {}, `${what}${by ? ` by ${by}` : ""}${until ? ` until ${clock(Date.parse(until) / 1000)}` : ""}`));
  }
  if (rises > 0 && evse.times?.[rises]) parts.push(make("p", {}, `${amps(evse.plan_a[rises])} from ${clock(evse.times[rises])} by the plan.`));
  const tight = circuits.filter((c) => c.measured_a?.some((a, i) => c.limit_a[i] && a > 0.9 * c.limit_a[i])).map((c) => c.id);
  if (tight.length) parts.push(make("p", { class: "quiet" }, `Nearly full now: ${tight.join(", ")}.`));
  place.replaceChildren(...parts);
}

const ASKED = {
  boost: ["Boost", (id) => `${id} goes before all others, within the limits of its circuits.`, true],
  pause: ["Pause", (id) => `${id} gets 0 A.`, true],
  limit: ["Limit", (id) => `${id} gets no more than this.`, true],
  clear: ["Back to the plan", (id) => `What was ordered about ${id} is taken back.`, false],
};

export function wireOrders(buttons, dialog, said, current) {
  buttons.addEventListener("click", async (event) => {
    const kind = event.target.dataset?.order, { site, evse } = current();
    if (!kind || !evse) return;
    const answer = await confirmed(dialog, kind, evse);
    if (!answer) return;
    const path = `v1/sites/${encodeURIComponent(site)}/evses/${encodeURIComponent(evse)}/order`;
    try {
      await ask(path, kind === "clear" ? { method: "DELETE" } : { method: "PUT", body: answer });
      said.textContent = "Done: the controller has it.";
    } catch (error) {
      said.textContent = `Not done: ${error.message}`;
    }
  });
}

function confirmed(dialog, kind, evse) {
  const [title, text, lasts] = ASKED[kind];
  dialog.querySelector("#ask-title").textContent = `${title}: ${evse}?`;
  dialog.querySelector("#ask-text").textContent = text(evse);
  dialog.querySelector("#ask-limit").hidden = kind !== "limit";
  dialog.querySelector("#ask-hours").hidden = !lasts;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    const hours = Number(dialog.querySelector("#hours").value), limit = Number(dialog.querySelector("#limit-a").value);
    const body = kind === "limit" ? { limit_a: limit } : { [kind]: true };
    done(dialog.returnValue === "yes" ? { ...body, for_s: hours * 3600 } : null);
  }, { once: true }));
}
