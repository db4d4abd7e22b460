/** The server of `idat serve`, and how much a visitor of its page downloads. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PageServer, servePage } from '../src/page/node/server.js';
import { contentOf, siteFiles } from '../src/page/node/site.js';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}
/** As a client would that chooses its headers itself, which fetch does not let it. */
const ask = (url: string, path: string, headers: Record<string, string> = {}, method = 'GET') =>
  new Promise<Answer>((resolve, reject) => {
    const asked = request(new URL(url), { path, headers, method }, (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers }));
    });
    asked.on('error', reject);
    asked.end();
  });

describe('the server', () => {
  let server: PageServer;
  beforeAll(async () => {
    server = await servePage(0);
  });
  afterAll(() => server.close());

  it('answers to its own name and pages alone, and hands out the page’s files alone', async () => {
    const port = new URL(server.url).port;
    const status = async (...asked: [path: string, headers?: Record<string, string>, method?: string]) =>
      (await ask(server.url, ...asked)).status;
    expect(await status('/')).toBe(200);
    expect(await status('/', { host: `localhost:${port}`, origin: `http://localhost:${port}` })).toBe(200);
    expect(await status('/', { host: 'evil.example' })).toBe(403);
    expect(await status('/', { host: `evil.example:${port}` })).toBe(403);
    expect(await status('/page.js', { origin: 'http://evil.example' })).toBe(403);
    expect(await status('/page.js', { origin: 'null' })).toBe(403);
    for (const path of ['/../../package.json', '/%2e%2e/package.json', '/files.json', '/node/server.js', '/models']) {
      expect([path, await status(path)]).toEqual([path, 404]);
    }
    expect(await status('/', {}, 'POST')).toBe(405);
  });

  it('isolates the page and lets it reach nobody else', async () => {
    const { headers } = await ask(server.url, '/engine-worker.js');
    expect(headers).toMatchObject({
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'x-content-type-options': 'nosniff',
      'content-type': expect.stringContaining('text/javascript'),
    });
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(headers['content-security-policy']).not.toContain('unsafe-inline');
    const again = await ask(server.url, '/engine-worker.js', { 'if-none-match': `${headers.etag}` });
    expect(again.status).toBe(304);
  });

  it('takes a free port where the one asked for is taken', async () => {
    const other = await servePage(Number(new URL(server.url).port));
    expect(other.asAsked).toBe(false);
    expect((await ask(other.url, '/')).status).toBe(200);
    await other.close();
  });
});

describe('what a visitor downloads', async () => {
  const sizes = new Map<string, number>();
  for (const file of await siteFiles()) sizes.set(file.path, gzipSync(await contentOf(file), { level: 9 }).length);
  const sum = (...names: string[]) => names.reduce((all, name) => all + sizes.get(name)!, 0);

  it('is small until training begins, and has no part of it', () => {
    expect(sum('index.html', 'page.css', 'page.js')).toBeLessThan(32e3);
    expect(readFileSync('dist/page/page.js', 'utf8')).not.toMatch(/LayerNormalization|AdamW/);
  });
  it('is 10 MB in all, of which the runtime and the models are most', () => {
    expect(sum('training-worker.js', 'engine-worker.js', 'run-worker.js')).toBeLessThan(300e3);
    expect(sum(...sizes.keys()) - sum('example.zip')).toBeLessThan(10e6);
  });
  it('holds nothing of training in what only predicts', () => {
    // what the update and the differentiation say when they fail
    const training = /has no gradient rule|start again with a lower lr/g;
    const found = (path: string) => [...readFileSync(path, 'utf8').matchAll(training)].length;
    expect(found('dist/browser/training-worker.js')).toBe(2);
    expect(found('dist/page/run-worker.js')).toBe(0);
  });
});
