import type { Side } from '../../core/phase.ts';
import { PreparedSchema } from '../ddl/prepared-schema.ts';
import { existingTables } from '../schema/existing-tables.ts';
import type { ServerConnection } from '../server/connection.ts';
import { executedPosition } from '../server/position.ts';
import { createSidecar } from '../sidecar.ts';
import { flavorOf, hasStreamBack, type SwitchWorld } from './switch-world.ts';

/**
 * What the tables of the new primary are, for the stream from there to the old one: that begins when applications write there already,
 * and may change them (ADR 33).
 */
export class StagedDefinitions {
  readonly #world: SwitchWorld;
  readonly #side: Side;
  readonly #from: ServerConnection;
  readonly #to: ServerConnection;
  /** Statements that streams had met by then. */
  #redefinitions: number | undefined;

  /** `side`: of the new primary. */
  constructor(world: SwitchWorld, side: Side, { from, to }: { from: ServerConnection; to: ServerConnection }) {
    this.#world = world;
    this.#side = side;
    this.#from = from;
    this.#to = to;
  }

  /** Ahead of the pause. */
  async stage(): Promise<void> {
    if (!hasStreamBack(this.#world.record.document, this.#side)) return;
    await createSidecar(this.#from);
    const gone = await this.#keep();
    // It keeps the switch back unless that is forced; from then on the stream takes it for dropped.
    if (gone.length > 0)
      this.#world.log('error', `not on the ${this.#side} any more, and not replicated from there: ${gone.join(', ')}`);
  }

  /** In the pause, when all that the old primary had is applied: where DDL was among that, it takes the time for another look. */
  async renew(): Promise<void> {
    if (this.#redefinitions === undefined || this.#redefinitions === this.#world.streams.redefinitions) return;
    await this.#keep();
  }

  /** Answers the imported tables that are not there. */
  async #keep(): Promise<string[]> {
    const { record, streams } = this.#world;
    const { id, database, tables: names } = record.document;
    this.#redefinitions = streams.redefinitions;
    const position = (await executedPosition(this.#to, flavorOf(record.document, this.#side))).toString();
    const tables = await existingTables(this.#to, database, names);
    await new PreparedSchema(id).keep(this.#from, { tables, position });
    return names.filter((name) => !tables.some((table) => table.name === name));
  }
}
