/** A piece of a text from `start` to `end` that was replaced. */
export interface Edit {
  start: number;
  end: number;
  text: string;
}

/** What a server was sent in place of the client's text; the edits in their order. */
export interface Rewritten {
  text: string;
  edits: readonly Edit[];
}

/** What a server shows of a text that it cannot read: so many characters from the place on. */
const SHOWN_MAX = 80;

/** `message` is that of a syntax error, which shows a piece of `sent`: as it would be for `written`, the client's text. As latin1. */
export function errorOfWritten(message: string, written: string, sent: Rewritten): string {
  const [from, to] = [message.indexOf(`'`) + 1, message.lastIndexOf(`'`)];
  const shown = message.slice(from, to);
  // What is said twice is more likely wrong where it stands last.
  const at = shown.length < SHOWN_MAX ? sent.text.length - shown.length : sent.text.lastIndexOf(shown);
  if (shown === '' || at === -1 || !sent.text.startsWith(shown, at)) return message;
  const place = placeInWritten(at, sent.edits);
  return message.slice(0, from) + written.slice(place, place + SHOWN_MAX) + message.slice(to);
}

function placeInWritten(at: number, edits: readonly Edit[]): number {
  let place = at;
  for (const { start, end, text } of edits) {
    if (start >= place) break;
    place = Math.max(start, place - text.length + (end - start));
  }
  return place;
}
