import { startAdminServer, type AdminServer } from '../server.ts';
import { StandInBackend } from './stand-in-backend.ts';

export interface StandIn extends AsyncDisposable {
  backend: StandInBackend;
  server: AdminServer;
  url: string;
  /** What the server told about defects of its own. */
  defects: unknown[];
}

/** An admin server on a free port over a stand-in backend; closed at the end of the block. */
export async function startStandIn({ token }: { token?: string } = {}): Promise<StandIn> {
  const backend = new StandInBackend();
  const defects: unknown[] = [];
  const server = await startAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    token,
    backend,
    signal: new AbortController().signal,
    onError: (error) => defects.push(error),
  });
  return {
    backend,
    server,
    url: `http://127.0.0.1:${server.address.port}`,
    defects,
    async [Symbol.asyncDispose]() {
      await server.close();
      backend[Symbol.dispose]();
    },
  };
}
