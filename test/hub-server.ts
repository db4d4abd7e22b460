/** Two servers on loopback that behave as the Hugging Face hub and the storage it redirects to, and misbehave on demand. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const gitBlob = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

/** A request as it came. */
export interface Seen {
  server: 'hub' | 'storage';
  method: string;
  url: string;
  range: string | undefined;
  authorization: string | undefined;
}

export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
  /** What comes after the body: the end, a broken connection, or nothing for ever. */
  ending: 'end' | 'break' | 'stall';
}

export interface TestHub {
  endpoint: string;
  storage: string;
  /** By `repo/file`; those that end in .safetensors or .parquet lie in the storage. */
  files: Map<string, Uint8Array>;
  commit: string;
  seen: Seen[];
  /** Changes a reply before it is sent. */
  alter: (reply: Reply, seen: Seen) => void;
  /** Requests for bytes from the storage. */
  downloads(): Seen[];
  close(): Promise<void>;
}

export async function startTestHub(): Promise<TestHub> {
  const hub: Omit<TestHub, 'endpoint' | 'storage' | 'close'> = {
    files: new Map(),
    commit: 'c'.repeat(40),
    seen: [],
    alter: () => {},
    downloads: () => hub.seen.filter(({ server, method }) => server === 'storage' && method === 'GET'),
  };
  const serve = (server: Seen['server'], answer: (url: URL, seen: Seen) => Reply) =>
    createServer((request, response) => {
      const { range, authorization } = request.headers;
      const seen: Seen = { server, method: request.method!, url: request.url!, range, authorization };
      hub.seen.push(seen);
      const reply = answer(new URL(request.url!, 'http://any'), seen);
      hub.alter(reply, seen);
      send(request, response, reply);
    });
  const storage = serve('storage', (url, seen) => partOf(hub.files.get(url.pathname.slice(1)), seen.range));
  const main = serve('hub', (url) => describeTo(hub, url, storage));
  await Promise.all([listen(main), listen(storage)]);
  return Object.assign(hub, {
    endpoint: addressOf(main),
    storage: addressOf(storage),
    close: async () => {
      for (const server of [main, storage]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  });
}

export const listen = (server: Server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
export const addressOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const missing = (code: string): Reply => ({
  status: 404,
  headers: { 'x-error-code': code },
  body: new Uint8Array(),
  ending: 'end',
});

/** As the hub answers: large files lie elsewhere, small ones under another address of its own. */
function describeTo({ files, commit }: Pick<TestHub, 'files' | 'commit'>, url: URL, storage: Server): Reply {
  const cached = /^\/api\/resolve-cache\/(.+)$/.exec(url.pathname)?.[1];
  if (cached !== undefined) {
    const bytes = files.get(cached)!;
    const headers = { etag: `"${gitBlob(bytes)}"`, 'content-length': `${bytes.length}` };
    return { status: 200, headers, body: bytes, ending: 'end' };
  }
  const listed = /^\/api\/(datasets\/[^/]+\/[^/]+)\/revision\/main$/.exec(url.pathname)?.[1];
  if (listed !== undefined) return listOf(files, commit, listed);
  const [, repo, revision, file] = /^\/((?:datasets\/)?[^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname) ?? [];
  if (![...files.keys()].some((name) => name.startsWith(`${repo}/`))) return missing('RepoNotFound');
  const bytes = files.get(`${repo}/${file}`);
  if (!bytes || (revision !== 'main' && revision !== commit)) return missing('EntryNotFound');
  const large = /\.(safetensors|parquet)$/.test(file!);
  const headers: Record<string, string> = { 'x-repo-commit': commit, 'x-linked-size': `${bytes.length}` };
  headers['x-linked-etag'] = `"${large ? sha256(bytes) : gitBlob(bytes)}"`;
  headers.location = large ? `${addressOf(storage)}/${repo}/${file}?signed=1` : `/api/resolve-cache/${repo}/${file}`;
  return { status: large ? 302 : 307, headers, body: new TextEncoder().encode('moved'), ending: 'end' };
}

/** The files of a repository of data, as the hub's interface lists them. */
function listOf(files: TestHub['files'], commit: string, repo: string): Reply {
  const names = [...files.keys()].filter((name) => name.startsWith(`${repo}/`));
  if (names.length === 0) return missing('RepoNotFound');
  const siblings = names.map((name) => ({ rfilename: name.slice(repo.length + 1) }));
  return {
    status: 200,
    headers: {},
    body: new TextEncoder().encode(JSON.stringify({ sha: commit, siblings })),
    ending: 'end',
  };
}

function partOf(bytes: Uint8Array | undefined, range: string | undefined): Reply {
  if (!bytes) return missing('NoSuchKey');
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
  if (start > 0 && start >= bytes.length) {
    return { status: 416, headers: {}, body: new Uint8Array(), ending: 'end' };
  }
  const body = bytes.subarray(start);
  const headers: Record<string, string> = { etag: '"of-the-storage"', 'content-length': `${body.length}` };
  if (range !== undefined) headers['content-range'] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
  return { status: range === undefined ? 200 : 206, headers, body, ending: 'end' };
}

function send(request: IncomingMessage, response: ServerResponse, { status, headers, body, ending }: Reply): void {
  response.writeHead(status, headers);
  if (request.method === 'HEAD') return void response.end();
  if (ending === 'end') return void response.end(body);
  response.write(body, () => ending === 'break' && setTimeout(() => response.socket?.end(), 50));
}
