export interface BenchOptions {
  /** Smaller work, under a minute, for a first look. */
  quick: boolean;
  onProgress: (message: string) => void;
}

/** The figures of one benchmark: keys of docs, then every raw value. Peers by name: their version, or `absent`. */
export interface BenchResult {
  peers: Record<string, string>;
  figures: Record<string, number>;
  raw: Record<string, unknown>;
}

export type Bench = (options: BenchOptions) => Promise<BenchResult>;
