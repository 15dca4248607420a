import { AppError } from '../core/errors.ts';
import type { SecretBox } from '../core/secrets.ts';
import type { StateStore } from '../core/store/state-store.ts';
import { readStored } from './read-stored.ts';
import {
  importDocumentSchema,
  importSecretsSchema,
  type ImportDocument,
  type ImportSecrets,
} from './import-document.ts';

/** The documents of imports, parsed. */
export class ImportStore {
  readonly #store: StateStore;
  readonly #box: SecretBox;

  constructor(store: StateStore, box: SecretBox) {
    this.#store = store;
    this.#box = box;
  }

  async create(document: ImportDocument, secrets: ImportSecrets): Promise<ImportRecord> {
    await this.#store.compareAndSet(`secret/${document.id}`, null, this.#box.seal(secrets));
    const revision = await this.#store.compareAndSet(`import/${document.id}`, null, document);
    return new ImportRecord(this.#store, document, revision);
  }

  async list(): Promise<ImportRecord[]> {
    const found = await this.#store.list('import/');
    return found.map(
      ({ key, value, revision }) =>
        new ImportRecord(this.#store, readStored(importDocumentSchema, value, `the state ${key}`), revision),
    );
  }

  /** The credentials; undefined once they were erased (I10). */
  async secrets(id: string): Promise<ImportSecrets | undefined> {
    const found = await this.#store.get(`secret/${id}`);
    return found === undefined ? undefined : importSecretsSchema.parse(this.#box.open(String(found.value)));
  }

  async eraseSecrets(id: string): Promise<void> {
    await this.#store.delete(`secret/${id}`);
  }
}

/** One import's document and the revision that the next write must name. Writes are one after the other. */
export class ImportRecord {
  readonly #store: StateStore;
  #document: ImportDocument;
  #revision: number;
  #writing: Promise<void> = Promise.resolve();

  constructor(store: StateStore, document: ImportDocument, revision: number) {
    this.#store = store;
    this.#document = document;
    this.#revision = revision;
  }

  get document(): ImportDocument {
    return this.#document;
  }

  /** Persists the change before it returns; rejects with STORE_CONFLICT when another engine wrote in between. */
  async update(change: (document: ImportDocument) => Partial<ImportDocument>): Promise<ImportDocument> {
    const write = this.#writing.then(async () => {
      const next = { ...this.#document, ...change(this.#document), updatedAtMs: Date.now() };
      this.#revision = await this.#store.compareAndSet(`import/${next.id}`, this.#revision, next);
      this.#document = next;
    });
    this.#writing = write.catch(() => {});
    await write;
    return this.#document;
  }
}

/** For a name that nobody knows. */
export function noSuchImport(id: string): AppError {
  return new AppError('NOT_FOUND', `there is no import named ${JSON.stringify(id.slice(0, 63))}`);
}
