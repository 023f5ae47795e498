// What a person may order about one EVSE, after he was asked.

import { ask } from "./stream.js";

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
  dialog.querySelector("#limit-a").required = kind === "limit"; // nothing written is not 0 A
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => {
    const hours = Number(dialog.querySelector("#hours").value), limit = Number(dialog.querySelector("#limit-a").value);
    const body = kind === "limit" ? { limit_a: limit } : { [kind]: true };
    done(dialog.returnValue === "yes" ? { ...body, for_s: hours * 3600 } : null);
  }, { once: true }));
}
