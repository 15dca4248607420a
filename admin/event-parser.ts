export interface ServerSentEvent {
  event: string;
  data: string;
}

/** Most text kept while an event is incomplete: far above any view, so that a broken server cannot fill the memory. */
const PENDING_CHARS_MAX = 64 * 1024 * 1024;

/** Takes text apart into server-sent events (HTML standard, section 9.2.6), as far as our server writes them. */
export class EventParser {
  #pending = '';

  push(text: string): ServerSentEvent[] {
    this.#pending += text;
    if (this.#pending.length > PENDING_CHARS_MAX) throw new Error('an event of the stream is too long');
    const blocks = this.#pending.split(/\r?\n\r?\n/);
    this.#pending = blocks.pop() ?? '';
    return blocks.flatMap((block) => parseBlock(block) ?? []);
  }
}

function parseBlock(block: string): ServerSentEvent | undefined {
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === 'event') event = value;
    if (field === 'data') data.push(value);
  }
  return data.length === 0 ? undefined : { event, data: data.join('\n') };
}
