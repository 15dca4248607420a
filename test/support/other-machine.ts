import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What a program prints once it has done what the test waits for. */
const READY = 'ready';

/** A network of its own with one cable to us, as another machine has; it needs root. */
export class OtherMachine implements AsyncDisposable {
  /** Our end of the cable. */
  readonly ourAddress: string;
  readonly #name: string;
  readonly #network: string;
  #program: ChildProcess | undefined;

  private constructor(number: number) {
    this.#name = `sw${number}`;
    this.#network = `10.231.${number % 250}`;
    this.ourAddress = `${this.#network}.1`;
  }

  /** Null where this is not possible: not root, or no `ip`. */
  static async start(): Promise<OtherMachine | null> {
    const machine = new OtherMachine(process.pid % 10_000);
    try {
      await machine.#connect();
      return machine;
    } catch {
      await machine[Symbol.asyncDispose]();
      return null;
    }
  }

  /** Runs a module's source there; resolves when it prints `ready`. */
  async run(source: string): Promise<void> {
    const args = ['netns', 'exec', this.#name, process.execPath, '--input-type=module', '-e', source];
    const program = spawn('ip', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#program = program;
    const [output] = (await once(program.stdout, 'data')) as [Buffer];
    if (!output.toString().includes(READY)) throw new Error(output.toString());
  }

  /** Bytes that our end has sent there from `port` and that were not acknowledged yet, of each connection. */
  async unacknowledged(port: number): Promise<string[]> {
    const { stdout } = await run('ss', ['-Htn', 'sport', '=', `:${port}`, 'and', 'dst', `${this.#network}.2`]);
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[2] ?? '');
  }

  /** From now on nothing that is sent either way arrives, and nobody is told. */
  async pullThePlug(): Promise<void> {
    // With the cable itself gone our kernel would know that it sends nothing, and not count that as an answer that is missing.
    await this.#there('addr', 'flush', 'dev', `${this.#name}b`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#program?.kill('SIGKILL');
    await run('ip', ['link', 'del', `${this.#name}a`]).catch(() => {});
    await run('ip', ['netns', 'del', this.#name]).catch(() => {});
  }

  async #connect(): Promise<void> {
    const [ours, theirs] = [`${this.#name}a`, `${this.#name}b`];
    await run('ip', ['netns', 'add', this.#name]);
    await run('ip', ['link', 'add', ours, 'type', 'veth', 'peer', 'name', theirs, 'netns', this.#name]);
    await run('ip', ['addr', 'add', `${this.ourAddress}/24`, 'dev', ours]);
    await run('ip', ['link', 'set', ours, 'up']);
    await this.#there('addr', 'add', `${this.#network}.2/24`, 'dev', theirs);
    await this.#there('link', 'set', theirs, 'up');
  }

  async #there(...args: string[]): Promise<void> {
    await run('ip', ['-n', this.#name, ...args]);
  }
}
