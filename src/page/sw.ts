/**
 * The service worker: after the first visit the page opens and trains without a network. Each file is kept under the hash of
 * its bytes, so that a new version fetches only what has changed, and nothing is ever mixed from two.
 */

/** Path of each file, relative to this one, and sha256 of its bytes. Put in by the build. */
declare const IDAT_FILES: Readonly<Record<string, string>>;

interface Waiting {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Waiting {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
const worker = self as unknown as {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  addEventListener(kind: 'install' | 'activate', listener: (event: Waiting) => void): void;
  addEventListener(kind: 'fetch', listener: (event: Fetching) => void): void;
};

const CACHE = 'idat-page';
const { scope } = worker.registration;
/** Where bytes of a hash lie in the cache. */
const keyOf = (hash: string): string => new URL(`kept/${hash}`, scope).href;

worker.addEventListener('install', (event) => {
  // it waits until the pages of the version before are closed
  event.waitUntil(keepAll());
});

worker.addEventListener('activate', (event) => {
  event.waitUntil(dropOthers().then(() => worker.clients.claim()));
});

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(scope)) return;
  const path = new URL(request.url).pathname.slice(new URL(scope).pathname.length) || 'index.html';
  const hash = IDAT_FILES[decodeURIComponent(path)];
  if (hash === undefined) return;
  event.respondWith(kept(hash).then((response) => response ?? fetch(request)));
});

const kept = async (hash: string): Promise<Response | undefined> => (await caches.open(CACHE)).match(keyOf(hash));

async function keepAll(): Promise<void> {
  const cache = await caches.open(CACHE);
  for (const [path, hash] of Object.entries(IDAT_FILES)) {
    if (await cache.match(keyOf(hash))) continue;
    const response = await fetch(new URL(path, scope), { cache: 'no-cache' });
    const bytes = await response.arrayBuffer();
    // of a host that answers with a page for what it lacks, or that is just being updated, nothing is kept
    if (!response.ok || (await sha256(bytes)) !== hash) throw new Error(`${path} is not the file of this version`);
    const { headers } = response;
    await cache.put(keyOf(hash), new Response(bytes, { headers: withoutEncoding(headers) }));
  }
}

/** The bytes are unpacked already. */
function withoutEncoding(headers: Headers): Headers {
  const all = new Headers(headers);
  for (const name of ['content-encoding', 'content-length']) all.delete(name);
  return all;
}

/** Of this copy of the page: another on the same host has its own below another folder. */
async function dropOthers(): Promise<void> {
  const cache = await caches.open(CACHE);
  const current = new Set(Object.values(IDAT_FILES).map(keyOf));
  for (const { url } of await cache.keys()) {
    if (url.startsWith(keyOf('')) && !current.has(url)) await cache.delete(url);
  }
}

async function sha256(bytes: ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
