import { printable } from './text-table.ts';

/** Results go to stdout, progress and reasons to stderr, so that a pipe gets results only. */
export class ConsoleOutput {
  readonly json: boolean;

  constructor({ json }: { json: boolean }) {
    this.json = json;
  }

  /** `value` with --json, else `text`. */
  result(value: unknown, text: () => string): void {
    process.stdout.write(this.json ? `${JSON.stringify(value, null, 2)}\n` : `${text()}\n`);
  }

  /** One value a line, for what goes on and on. */
  line(value: unknown, text: () => string): void {
    process.stdout.write(this.json ? `${JSON.stringify(value)}\n` : `${text()}\n`);
  }

  note(text: string): void {
    process.stderr.write(`${printable(text)}\n`);
  }
}
