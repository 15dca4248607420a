import type { Command } from 'commander';
import type { SessionView } from '../../../core/control/protocol.ts';
import { apiCommand, withApi } from '../api-command.ts';
import { formatBytes, formatDuration } from '../format.ts';
import { textTable } from '../text-table.ts';

export function addSessions(program: Command): void {
  apiCommand(program, 'sessions', 'client sessions of every proxy').action(async (_options, command: Command) =>
    withApi(command, async ({ client, output }) => {
      const sessions = await client.sessions();
      output.result(sessions, () => sessionsText(sessions));
    }),
  );
}

function sessionsText(sessions: readonly SessionView[]): string {
  if (sessions.length === 0) return 'no sessions';
  return textTable(
    [
      { title: 'session' },
      { title: 'user' },
      { title: 'address' },
      { title: 'database' },
      { title: 'role' },
      { title: 'side' },
      { title: 'state' },
      { title: 'pinned by' },
      { title: 'in', align: 'right' },
      { title: 'out', align: 'right' },
      { title: 'age', align: 'right' },
    ],
    sessions.map((session) => [
      session.sessionId,
      session.user,
      session.address,
      session.database ?? '-',
      session.role,
      session.side ?? '-',
      session.state,
      [...openTransaction(session), ...session.pins].join(', ') || '-',
      formatBytes(session.bytesIn),
      formatBytes(session.bytesOut),
      formatDuration(session.ageMs),
    ]),
  );
}

function openTransaction({ transactionAgeMs }: SessionView): string[] {
  return transactionAgeMs === null ? [] : [`transaction (${formatDuration(transactionAgeMs)})`];
}
