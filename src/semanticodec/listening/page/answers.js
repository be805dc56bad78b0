// What passes between page and server, and what the browser keeps for itself.

const TOKEN_KEY = "listening-test-listener";
const DRAFT_KEY = "listening-test-draft";
const TIMEOUT_MS = 15000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// Ask until there is a reply: requests may be repeated, so a crash of the server loses nothing.
export async function request(path, { method = "GET", body, onTrouble }) {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS)) {
    try {
      const response = await fetch(path, {
        method,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (response.ok) {
        const isJson = response.headers.get("Content-Type").startsWith("application/json");
        return await (isJson ? response.json() : response.arrayBuffer());
      }
      if (response.status < 500) {
        const { detail } = await response.json().catch(() => ({}));
        throw new Refused(response.status, String(detail ?? response.statusText));
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    onTrouble();
    await new Promise((done) => setTimeout(done, wait));
  }
}

// A private window may have no storage: the test then works, but does not resume.
function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Nothing else can be done.
  }
}

export function knownListener() {
  const token = stored(TOKEN_KEY);
  return /^[0-9a-f]{32}$/.test(token ?? "") ? token : null;
}

export function newListener() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const token = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  store(TOKEN_KEY, token);
  return token;
}

// What was rated on a page that is not submitted yet.
export function draft(page) {
  try {
    const kept = JSON.parse(stored(DRAFT_KEY));
    return kept.page === page ? kept : null;
  } catch {
    return null;
  }
}

export function keepDraft(page, values, heard) {
  store(DRAFT_KEY, JSON.stringify({ page, values, heard: [...heard] }));
}
