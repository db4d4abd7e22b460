/** A Redis or Valkey server of a test's own, on a port of the loopback. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseQueueUrl } from '../src/queue/address.js';
import { connect, loadEngine } from '../src/queue/engine.js';

/** The program that is installed; null where none is. */
export const SERVER: string | null =
  ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0) ?? null;

export interface TestServer {
  readonly url: string;
  stop(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** @param more further arguments, such as `--requirepass` */
export async function startServer(folder: string, more: readonly string[] = [], port?: number): Promise<TestServer> {
  const own = port ?? (await freePort());
  const base = ['--port', `${own}`, '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
  const server: ChildProcess = spawn(SERVER!, [...base, ...more], { stdio: 'ignore' });
  const ended = new Promise((resolve) => server.once('close', resolve));
  const url = `redis://127.0.0.1:${own}`;
  const password = more[more.indexOf('--requirepass') + 1];
  const engine = await loadEngine();
  for (let tries = 0; ; tries++) {
    try {
      const environment = more.includes('--requirepass') ? { IDAT_QUEUE_PASSWORD: password } : {};
      (await connect(engine, parseQueueUrl(url, environment), 200)).disconnect();
      break;
    } catch (error) {
      if (tries > 50) throw error;
      await sleep(100);
    }
  }
  return {
    url,
    stop: async () => {
      server.kill('SIGKILL');
      await ended;
    },
  };
}
