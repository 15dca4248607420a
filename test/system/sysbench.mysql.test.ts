import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { startServerPair } from '../../servers/start-server.ts';
import { SwitchyardProcess } from '../../servers/switchyard-process.ts';
import { connect } from '../support/query.ts';

const USER = { user: 'sbtest', password: 'sysbench-1' };
const hasSysbench = spawnSync('sysbench', ['--version']).status === 0;

function sysbenchArguments(port: number, ...more: string[]): string[] {
  const server = [
    '--db-driver=mysql',
    '--mysql-host=127.0.0.1',
    `--mysql-port=${port}`,
    `--mysql-user=${USER.user}`,
    `--mysql-password=${USER.password}`,
  ];
  return ['oltp_read_write', ...server, '--tables=4', '--table-size=25000', ...more];
}

/**
 * A client that is not ours, in C, with prepared statements and transactions; apt-get install sysbench. Of its errors only
 * 1213 is passed over: its threads deadlock each other on a direct connection as well (tried: 16 threads on one server).
 */
test.skipIf(!hasSysbench)(
  'sysbench oltp_read_write with 16 threads runs through copy, switch and switch back without an error',
  async () => {
    await using pair = await startServerPair();
    for (const server of [pair.source, pair.target]) {
      await using connection = await connect(server);
      await connection.query(`CREATE USER sbtest@'%' IDENTIFIED BY '${USER.password}'; GRANT ALL ON *.* TO sbtest@'%'`);
    }
    {
      // Closed before the switch: it would be a connection past the proxy.
      await using source = await connect(pair.source);
      await source.query('CREATE DATABASE sbtest');
    }
    expect(spawnSync('sysbench', sysbenchArguments(pair.source.port, 'prepare')).status).toBe(0);

    await using switchyard = await SwitchyardProcess.start();
    const { client } = switchyard;
    const endpoint = (port: number) => ({ host: '127.0.0.1', port, ...USER });
    await client.createImport({
      id: 'sb',
      database: 'sbtest',
      source: endpoint(pair.source.port),
      target: endpoint(pair.target.port),
      // sysbench without a pause between transactions never lets a busy machine drain quickly.
      options: { drainBudgetMs: 10_000, pauseDeadlineMs: 15_000 },
    });
    const run = spawn(
      'sysbench',
      sysbenchArguments(switchyard.primaryPort, '--threads=16', '--time=15', '--mysql-ignore-errors=1213', 'run'),
    );
    const output = text(run.stdout);
    const exited = once(run, 'exit');
    while ((await client.getImport('sb')).phase !== 'running') await new Promise((resolve) => setTimeout(resolve, 100));
    for (const back of [false, true, false]) {
      expect(await client.switchTraffic('sb', { kind: 'primaries', back })).toMatchObject({ switched: true });
    }
    await exited;
    const printed = await output;
    expect(printed).not.toContain('FATAL');
    expect(printed).toMatch(/reconnects: +0 /);
    expect(run.exitCode).toBe(0);
    expect((await client.getImport('sb')).traffic.primary).toBe('target');
  },
);
