/** Hands out the page on this machine alone: its own files, to its own address, and nothing else. */
import { type ServerType, serve } from '@hono/node-server';
import { Hono } from 'hono';
import { IdatError } from '../../errors.js';
import { guard, knownHosts, LOOPBACK } from '../../serving/guard.js';
import { contentOf, siteFiles } from './site.js';

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  txt: 'text/plain; charset=utf-8',
  wasm: 'application/wasm',
  zip: 'application/zip',
  webmanifest: 'application/manifest+json',
};

const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'cross-origin-embedder-policy': 'require-corp',
  'permissions-policy': 'camera=(self), microphone=(), geolocation=()',
  'cache-control': 'no-cache',
} as const;

export interface PageServer {
  readonly url: string;
  /** Whether it is the port that was asked for. */
  readonly asAsked: boolean;
  close(): Promise<void>;
}

/**
 * Starts the server; a port that is taken gives way to a free one.
 * @throws IdatError `page.missing`, `page.port` where none can be listened on
 */
export async function servePage(port: number): Promise<PageServer> {
  const files = new Map((await siteFiles()).map((file) => [file.path, file]));
  const app = new Hono();
  let own: ReadonlySet<string> = new Set();
  app.use(guard({ hosts: () => own, token: null, cookie: () => '', policy: POLICY }));
  app.use(async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) context.res.headers.set(name, value);
  });
  app.on(['GET', 'HEAD'], '*', async (context) => {
    const path = context.req.path.slice(1) || 'index.html';
    const file = files.get(path);
    if (!file) return context.text('There is no such file.', 404);
    const etag = `"${file.sha256}"`;
    if (context.req.header('if-none-match') === etag) return context.body(null, 304, { etag });
    const type = TYPES[path.split('.').at(-1)!] ?? 'application/octet-stream';
    const headers = { etag, 'content-type': type, 'content-length': `${file.bytes}` };
    if (context.req.method === 'HEAD') return context.body(null, 200, headers);
    return context.body(new Uint8Array(await contentOf(file)), 200, headers);
  });
  app.all('*', (context) => context.text('Only GET is answered.', 405));

  const wanted = await listen(app, port).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE' || error.code === 'EACCES') return null;
    throw noPort(error);
  });
  const started =
    wanted ??
    (await listen(app, 0).catch((error: Error) => {
      throw noPort(error);
    }));
  const address = started.address() as { port: number };
  own = knownHosts(LOOPBACK, address.port);
  return {
    url: `http://${LOOPBACK}:${address.port}/`,
    asAsked: wanted !== null,
    close: () =>
      new Promise((resolve) => {
        started.close(() => resolve());
        if ('closeAllConnections' in started) started.closeAllConnections();
      }),
  };
}

const noPort = (cause: Error): IdatError =>
  new IdatError('page.port', `no port of this machine can be listened on (${cause.message})`, { cause });

const listen = (app: Hono, port: number): Promise<ServerType> =>
  new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: LOOPBACK, port }, () => resolve(server));
    server.once('error', reject);
  });
