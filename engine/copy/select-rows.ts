import { serverError, type Bytes, type ServerConnection } from '../server/connection.ts';
import { PacketSplitter, type PayloadHandler } from '../server/packet-splitter.ts';
import { serverMessage } from '../server/server-message.ts';

/** Takes rows of the text protocol, as the bytes that came. */
export interface RowSink {
  row(buffer: Buffer, start: number, end: number): void;
  /** A part of a long row, wherever it was cut; no other row comes before its last part. */
  piece(buffer: Buffer, start: number, end: number, isLast: boolean): void;
  /** True while it wants no more; `whenReady` then resolves once it does. */
  readonly full: boolean;
  whenReady(): Promise<void>;
}

/** Below this length a packet beginning with 0xFE is the end; above, it is a row with a very long first field. */
const EOF_BYTES_MAX = 9;

/** Runs a SELECT into `sink`, pausing the socket while the sink is full. Rejects with what the server said, or SERVER_GONE. */
export async function selectRows(connection: ServerConnection, sql: Bytes, sink: RowSink): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let state: 'header' | 'columns' | 'rows' | 'over' = 'header';
  let broken = false;
  const fail = (error: unknown) => {
    state = 'over';
    reject(serverError(connection.server, error));
  };
  const packet: PayloadHandler = (buffer, start, end) => {
    const first = buffer[start];
    if (state === 'rows') {
      if (first === 0xfe && end - start < EOF_BYTES_MAX) {
        state = 'over';
        resolve();
      } else if (first === 0xff) fail(serverMessage(buffer.subarray(start, end)));
      else sink.row(buffer, start, end);
    } else if (first === 0xff) fail(serverMessage(buffer.subarray(start, end)));
    else if (state === 'header') state = 'columns';
    else if (state === 'columns' && first === 0xfe && end - start < EOF_BYTES_MAX) state = 'rows';
  };
  // Errors, ends and descriptions of columns are short; what comes in pieces is a row.
  const splitter = new PacketSplitter(packet, (buffer, start, end, isLast) => {
    if (state === 'rows') sink.piece(buffer, start, end, isLast);
  });
  const lease = connection.lease({
    onData(data) {
      splitter.push(data);
      if (!sink.full || state === 'over') return;
      lease.socket.pause();
      void sink.whenReady().then(() => {
        if (!broken) lease.socket.resume();
      });
    },
    onClose(error) {
      broken = true;
      fail(error);
    },
  });
  lease.socket.write(lease.query(sql));
  try {
    await promise;
  } finally {
    broken = true;
    lease.release();
  }
}
