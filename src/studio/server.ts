/** The studio as a server: on the loopback address unless told otherwise, and for nobody without its token. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { IdatError } from '../errors.js';
import { guard, hostInUrl, isLoopback, knownHosts, LOOPBACK, newToken } from '../serving/guard.js';
import { routesOf } from './routes.js';
import { POLICY } from './shell.js';
import { Studio, type StudioOptions } from './studio.js';

export interface ServeStudioOptions extends StudioOptions {
  /** Address to be bound to; default 127.0.0.1. */
  readonly host?: string;
  /** Default: 7457, or the next one that is free; 0: any. */
  readonly port?: number;
  /** Names by which others reach this machine. */
  readonly names?: readonly string[];
}

export interface ServedStudio {
  /** With the token: whoever has it may do what the page does. */
  readonly address: string;
  readonly url: string;
  readonly token: string;
  readonly host: string;
  readonly studio: Studio;
  /** Whether only this machine reaches it. */
  readonly loopback: boolean;
  /** Stops and saves what is at work. */
  close(): Promise<void>;
}

const PORT = 7457;
const PORTS_TRIED = 20;
/** A socket that sends its headers more slowly is no page's. */
const HEADERS_MS = 15_000;
/** One over which nothing has come or gone for so long is let go; as long as something does, an upload may take hours. */
const IDLE_MS = 15 * 60_000;

/**
 * Serves the studio of a folder.
 * @throws IdatError `run.folder`, `studio.port` when the address cannot be had
 */
export async function serveStudio(folder: string, options: ServeStudioOptions = {}): Promise<ServedStudio> {
  const { host = LOOPBACK, port, names = [], ...rest } = options;
  const studio = await Studio.open(folder, rest);
  const token = newToken();
  let bound = 0;
  const app = new Hono();
  app.use(
    guard({ hosts: () => knownHosts(host, bound, names), token, cookie: () => `idat-studio-${bound}`, policy: POLICY }),
  );
  app.route('/', routesOf(studio));
  const server = createAdaptorServer({
    fetch: app.fetch,
    // other code of this process has the platform's own
    overrideGlobalObjects: false,
    serverOptions: { headersTimeout: HEADERS_MS, requestTimeout: 0 },
  }) as Server;
  server.timeout = IDLE_MS;
  try {
    bound = await listen(server, host, port);
  } catch (error) {
    await studio.close();
    throw error;
  }
  const url = `http://${hostInUrl(isAny(host) ? LOOPBACK : host)}:${bound}/`;
  return {
    ...{ address: `${url}?token=${token}`, url, token, host, studio, loopback: isLoopback(host) },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      await studio.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const isAny = (host: string): boolean => host === '0.0.0.0' || host === '::';

async function listen(server: Server, host: string, port: number | undefined): Promise<number> {
  const tried = port === undefined ? Array.from({ length: PORTS_TRIED }, (_, i) => PORT + i) : [port];
  for (const one of tried) {
    const code = await new Promise<string | null>((resolve) => {
      const onError = ({ code: found }: NodeJS.ErrnoException) => resolve(found ?? 'unknown');
      server.once('error', onError);
      server.listen(one, host, () => {
        server.off('error', onError);
        resolve(null);
      });
    });
    if (code === null) return (server.address() as AddressInfo).port;
    if (code === 'EADDRINUSE' && one !== tried.at(-1)) continue;
    const what = code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be had (${code})`;
    throw new IdatError('studio.port', `${host}:${one}: this address ${what}; choose another port`);
  }
  throw new IdatError('studio.port', 'no port');
}
