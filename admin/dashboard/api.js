/** A problem document of the server as an error. */
export class Problem extends Error {
  constructor(body) {
    super(body.detail ?? 'unknown error');
    this.code = body.code ?? 'INTERNAL';
    this.remedy = body.remedy ?? '';
    this.details = body.details ?? {};
  }
}

const UNREACHABLE = {
  code: 'ADMIN_UNREACHABLE',
  detail: 'The admin server does not answer.',
  remedy: 'Check that `switchyard serve` runs. Traffic goes on without it.',
};

let token = sessionStorage.getItem('switchyard-token') ?? '';

export function setToken(value) {
  token = value;
  sessionStorage.setItem('switchyard-token', value);
}

function headers(more) {
  return { 'x-switchyard-actor': 'dashboard', ...(token === '' ? {} : { authorization: `Bearer ${token}` }), ...more };
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(UNREACHABLE);
  }
  if (response.ok) return response;
  throw new Problem(await response.json().catch(() => ({ detail: `HTTP status ${response.status}` })));
}

export async function get(path) {
  return (await call(`/api/v1${path}`, { headers: headers({}) })).json();
}

export async function send(method, path, body = {}) {
  const options = { method, headers: headers({ 'content-type': 'application/json' }), body: JSON.stringify(body) };
  return (await call(`/api/v1${path}`, options)).json();
}

/** 503 is an answer here: not ready, and why. */
export async function readiness() {
  const response = await fetch('/readyz').catch(() => null);
  if (response === null) throw new Problem(UNREACHABLE);
  return response.json();
}

/** Three heartbeats: a server whose machine is gone sends no end of the stream. */
const SILENCE_MS_MAX = 45_000;

/** Server-sent events by `fetch`, because EventSource cannot send the token. Resolves when the stream has ended. */
export async function follow(path, { onOpen, onEvent }) {
  const silence = new AbortController();
  let timer;
  const restart = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS_MAX);
  };
  restart();
  try {
    await readEvents(await call(`/api/v1${path}`, { headers: headers({}), signal: silence.signal }), {
      onOpen,
      onEvent,
      onChunk: restart,
    });
  } finally {
    clearTimeout(timer);
  }
}

async function readEvents(response, { onOpen, onEvent, onChunk }) {
  onOpen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onChunk();
    const blocks = (pending + value).split('\n\n');
    pending = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      if (fields.event !== undefined) onEvent(fields.event, JSON.parse(fields.data));
    }
  }
}
