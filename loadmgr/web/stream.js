// Speaks with the service: requests with the token, and the stream of documents with redialling.

const KEY = "loadmgr-token";
const LONGEST_PAUSE_MS = 15000;

export class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

function headers() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export function keepToken(token) { sessionStorage.setItem(KEY, token.trim()); }

export async function ask(path, { method = "GET", body } = {}) {
  const answer = await fetch(path, {
    method,
    headers: { ...headers(), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, said.detail || said.title || `the service answered ${answer.status}`);
  return said;
}

// Calls `take` with the kind and the data of each event, for ever; `lost` when nobody answers. An EventSource cannot show a token.
export async function follow(path, take, lost) {
  let pause = 500;
  for (;;) {
    try {
      const answer = await fetch(path, { headers: headers(), cache: "no-store" });
      if (!answer.ok) throw new Refused(answer.status, `the service answered ${answer.status}`);
      pause = 500;
      await read(answer.body.getReader(), take);
    } catch (error) {
      lost(error);
      if (error instanceof Refused && error.status === 401) throw error;
    }
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}

async function read(reader, take) {
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const said = (field) => event.split("\n").filter((line) => line.startsWith(`${field}: `)).map((line) => line.slice(field.length + 2)).join("");
      const data = said("data");
      if (data) take(said("event"), JSON.parse(data));
    }
  }
}
