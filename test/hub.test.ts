/** Fetching from the hub: what comes, what breaks off, and what must never happen. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { tensorShapes } from '../src/backbones/architecture.js';
import { KNOWN_BACKBONES, knownBackbone } from '../src/backbones/known-backbones.js';
import {
  findWeights,
  isModelPath,
  namedWeights,
  obtainWeights,
  resolveBackbone,
} from '../src/backbones/node/registry.js';
import { size } from '../src/graph/tensor.js';
import { cachedFile, repositoryFolder } from '../src/hub/cache.js';
import { hubCacheFolder, hubOf, isOffline } from '../src/hub/environment.js';
import { type FetchControl, fetchFromHub } from '../src/hub/fetch.js';
import { proxyFor } from '../src/hub/proxy.js';
import { redirectTarget } from '../src/hub/request.js';
import { addressOf, gitBlob, listen, type Reply, type Seen, sha256, startTestHub, type TestHub } from './hub-server.js';

const REPO = 'tests/model';
const WEIGHTS = { repo: REPO, file: 'model.safetensors', companions: [] };
const NAME = `${REPO}/model.safetensors`;
const SIZE = 600_000;
const noise = (length: number, salt = 1) => Uint8Array.from({ length }, (_, i) => (i * 2654435761 * salt) >>> 13);

const NOISE = noise(SIZE);
const content = (path: string) => sha256(readFileSync(path));

let hub: TestHub;
let root: string;
let cache: string;
let bytes: Uint8Array;
const notes: string[] = [];
const quick: FetchControl = { stallMs: 400, retryMs: 1, onNote: (text) => notes.push(text) };

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'idat-hub-'));
  cache = join(root, 'hub');
  hub = await startTestHub();
  bytes = NOISE;
  hub.files.set(NAME, bytes);
  notes.length = 0;
  const settings = { HF_ENDPOINT: hub.endpoint, HF_HOME: root, HF_HUB_CACHE: '', HF_TOKEN: '', HF_HUB_OFFLINE: '' };
  for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value);
  for (const name of ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'])
    vi.stubEnv(name, '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  rmSync(root, { recursive: true });
});

const folder = () => repositoryFolder(cache, REPO);
const blobs = () => (existsSync(join(folder(), 'blobs')) ? readdirSync(join(folder(), 'blobs')).sort() : []);
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: { code: string }) => error.code,
  );

/** Changes replies of the storage: the nth for the nth change, and all further ones as the last says. */
function storageReplies(...changes: ((reply: Reply) => void)[]): void {
  let n = 0;
  hub.alter = (reply, { server, method }: Seen) => {
    if (server === 'storage' && method === 'GET') changes[Math.min(n++, changes.length - 1)]!(reply);
  };
}
const asIs = () => {};
const breakAfter = (count: number) => (reply: Reply) => {
  reply.body = reply.body.subarray(0, count);
  reply.ending = 'break';
};
/** Unlike a connection that breaks, one that falls silent never takes bytes with it that were not read yet. */
const stallAfter = (count: number) => (reply: Reply) => {
  reply.body = reply.body.subarray(0, count);
  reply.ending = 'stall';
};
/** Where each request for bytes began; 0 without a range. */
const starts = () => hub.downloads().map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')?.[1]));
const always = (change: (reply: Reply, seen: Seen) => void, server: Seen['server']) => {
  hub.alter = (reply, seen) => {
    if (seen.server === server) change(reply, seen);
  };
};

describe('weights in several files', () => {
  const index = (...files: string[]) =>
    new TextEncoder().encode(
      JSON.stringify({ weight_map: Object.fromEntries(files.map((file, i) => [`t${i}`, file])) }),
    );
  const INDEX = `${NAME}.index.json`;
  const parts = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  beforeEach(() => {
    hub.files.delete(NAME);
    hub.files.set(INDEX, index(...parts, parts[0]!));
    for (const [i, part] of parts.entries()) hub.files.set(`${REPO}/${part}`, noise(3000, i + 2));
  });

  it('come with their index, which stands for them', async () => {
    const path = await fetchFromHub(WEIGHTS, quick);
    expect(path).toMatch(/snapshots\/c+\/model\.safetensors\.index\.json$/);
    for (const [i, part] of parts.entries()) {
      expect(content(join(path, '..', part))).toBe(sha256(noise(3000, i + 2)));
    }
    expect(await findWeights(namedWeights(`hf-hub:${REPO}`)!)).toBe(path);
  });
  it('are not there while one is missing', async () => {
    hub.files.delete(`${REPO}/${parts[1]}`);
    expect(await codeOf(fetchFromHub(WEIGHTS, quick))).toBe('hub.missing');
    expect(await findWeights(namedWeights(`hf-hub:${REPO}`)!)).toBe(null);
  });
  it.each([
    ['names a file elsewhere', index('../a.safetensors'), 'hub.name'],
    ['names nothing', index(), 'hub.index'],
    ['is no index', new TextEncoder().encode('[]'), 'hub.index'],
  ])('are refused when the index %s', async (_, text, code) => {
    hub.files.set(INDEX, text);
    expect(await codeOf(fetchFromHub(WEIGHTS, quick))).toBe(code);
  });
  it('of neither kind are missing as before', async () => {
    hub.files.delete(INDEX);
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toThrow(/model\.safetensors/);
  });
});

describe('known backbones', () => {
  it.each(KNOWN_BACKBONES)('$name has the numbers its list says, a licence and a source', (backbone) => {
    const sizes = [...tensorShapes(backbone.config).values()].map(size);
    expect(sizes.reduce((a, b) => a + b, 0)).toBe(backbone.parameters);
    expect(['Apache-2.0', 'MIT', 'CC-BY-NC-4.0', 'LicenseRef-DINOv3']).toContain(backbone.licence);
    expect(backbone.licence === 'MIT').toBe(backbone.config.family === 'swin');
    expect(backbone.hub === null).toBe(backbone.name.includes('cifar10'));
    if (backbone.hub) expect(() => repositoryFolder('/', backbone.hub!.repo)).not.toThrow();
  });

  it('have names of their own, and the first of an architecture is meant without a tag', () => {
    expect(new Set(KNOWN_BACKBONES.map(({ name }) => name)).size).toBe(KNOWN_BACKBONES.length);
    expect(knownBackbone('vit_base_patch16_224')!.name).toBe('vit_base_patch16_224.augreg_in21k');
    expect(knownBackbone('vit_base_patch16_224.orig_in21k')!.name).toBe('vit_base_patch16_224.orig_in21k');
    expect(knownBackbone('google/vit-base-patch16-224-in21k')!.hub!.repo).toBe('google/vit-base-patch16-224-in21k');
  });
});

describe('a whole file', () => {
  it('lies as the hub’s own tools lay it', async () => {
    const path = await fetchFromHub(WEIGHTS, quick);
    expect(path).toBe(join(folder(), 'snapshots', hub.commit, 'model.safetensors'));
    expect(content(path)).toBe(sha256(bytes));
    expect(readlinkSync(path)).toBe(`../../blobs/${sha256(bytes)}`);
    expect(readFileSync(join(folder(), 'refs', 'main'), 'utf8')).toBe(hub.commit);
    expect(blobs()).toEqual([sha256(bytes)]);
    expect(notes).toEqual([
      expect.stringMatching(/^fetching tests\/model\/model\.safetensors, 0\.600 MB, from 127\.0\.0\.1/),
    ]);
  });

  it('is asked for once, and found again without asking', async () => {
    const path = await fetchFromHub(WEIGHTS, quick);
    await fetchFromHub(WEIGHTS, quick);
    expect(hub.downloads()).toHaveLength(1);
    hub.seen.length = 0;
    expect(await cachedFile(cache, REPO, 'model.safetensors')).toBe(path);
    expect(await obtainWeights(namedWeights(`hf-hub:${REPO}`)!, quick)).toBe(path);
    expect(hub.seen).toEqual([]);
  });

  it('tells its progress up to all of it', async () => {
    const told: [number, number | null][] = [];
    await fetchFromHub(WEIGHTS, { ...quick, onProgress: (done, total) => told.push([done, total]) });
    expect(told[0]).toEqual([0, SIZE]);
    expect(told.at(-1)).toEqual([SIZE, SIZE]);
  });

  it('brings the companions that exist, checked as git names them', async () => {
    const config = new TextEncoder().encode('{"layer_norm_eps": 1e-12}\n');
    hub.files.set(`${REPO}/config.json`, config);
    const path = await fetchFromHub({ ...WEIGHTS, companions: ['config.json', 'preprocessor_config.json'] }, quick);
    expect(readdirSync(join(path, '..')).sort()).toEqual(['config.json', 'model.safetensors']);
    expect(content(join(path, '..', 'config.json'))).toBe(sha256(config));
    expect(blobs()).toEqual([gitBlob(config), sha256(bytes)].sort());
  });

  it('gives its name in the cache only when all that belongs to it is there', async () => {
    hub.files.set(`${REPO}/config.json`, noise(10));
    always((reply) => {
      reply.status = 500;
    }, 'storage');
    expect(await codeOf(fetchFromHub({ ...WEIGHTS, companions: ['config.json'] }, quick))).toBe('hub.network');
    expect(await cachedFile(cache, REPO, 'config.json')).toBe(null);
  });
});

describe('a connection that breaks off', () => {
  it('is taken up where it broke', async () => {
    storageReplies(breakAfter(SIZE / 2), asIs);
    await fetchFromHub(WEIGHTS, quick);
    expect(starts()).toEqual([0, expect.toSatisfy((start: number) => start > 0 && start <= SIZE / 2)]);
    expect(content(join(folder(), 'blobs', sha256(bytes)))).toBe(sha256(bytes));
  });

  it('for good says that what came is kept, and it is', async () => {
    storageReplies(breakAfter(100_000));
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toMatchObject({
      code: 'hub.network',
      message: expect.stringMatching(
        /broke off .*0\.\d\d\d MB of 0\.600 MB are kept, the same command goes on from there/,
      ),
    });
    expect(hub.downloads()).toHaveLength(5);
    const left = `${sha256(bytes)}.idat.incomplete`;
    expect(blobs()).toEqual([left]);
    const { length } = readFileSync(join(folder(), 'blobs', left));
    hub.seen.length = 0;
    hub.alter = () => {};
    await fetchFromHub(WEIGHTS, quick);
    expect(starts()).toEqual([length]);
    expect(blobs()).toEqual([sha256(bytes)]);
  });

  it('is tried again for as long as it brings something', async () => {
    bytes = noise(12 * 2 ** 20);
    hub.files.set(NAME, bytes);
    storageReplies(breakAfter(1.5 * 2 ** 20));
    await fetchFromHub(WEIGHTS, quick);
    expect(hub.downloads().length).toBeGreaterThanOrEqual(8);
  });

  it('and then sends wrong rests ends, and what came is deleted', async () => {
    bytes = noise(3 * 2 ** 20);
    hub.files.set(NAME, bytes);
    storageReplies((reply) => {
      if (reply.status === 200) breakAfter(1.5 * 2 ** 20)(reply);
      else reply.body = noise(reply.body.length, 3);
    });
    expect(await codeOf(fetchFromHub(WEIGHTS, quick))).toBe('hub.hash');
    expect(hub.downloads().length).toBeLessThanOrEqual(10);
    expect(blobs()).toEqual([]);
  });

  it('again and again from the beginning ends: going back is no progress', async () => {
    bytes = noise(4 * 2 ** 20);
    hub.files.set(NAME, bytes);
    let n = 0;
    storageReplies((reply) => {
      Object.assign(reply, { status: 200, body: bytes });
      reply.headers = { 'content-length': `${bytes.length}` };
      breakAfter((n++ % 2 === 0 ? 1 : 3) * 2 ** 20)(reply);
    });
    expect(await codeOf(fetchFromHub(WEIGHTS, quick))).toBe('hub.network');
    expect(hub.downloads().length).toBeLessThanOrEqual(12);
  });

  it('is left when it is silent', async () => {
    storageReplies(stallAfter(1000), asIs);
    await fetchFromHub(WEIGHTS, quick);
    expect(starts()).toEqual([0, 1000]);
  });

  it('begins anew where the server gives no parts', async () => {
    storageReplies(breakAfter(SIZE / 2), (reply) => {
      Object.assign(reply, { status: 200, body: bytes });
      reply.headers = { 'content-length': `${SIZE}` };
    });
    await fetchFromHub(WEIGHTS, quick);
    expect(blobs()).toEqual([sha256(bytes)]);
    expect(hub.downloads()).toHaveLength(2);
  });

  it('begins anew where the server has less than is here', async () => {
    storageReplies(
      stallAfter(1000),
      (reply) => {
        reply.status = 416;
      },
      asIs,
    );
    await fetchFromHub(WEIGHTS, quick);
    expect(hub.downloads().map(({ range }) => range)).toEqual([undefined, 'bytes=1000-', undefined]);
  });

  it('does not take another part for the one it asked for', async () => {
    storageReplies(
      stallAfter(1000),
      (reply) => {
        reply.headers['content-range'] = `bytes 0-1/${SIZE}`;
      },
      asIs,
    );
    await fetchFromHub(WEIGHTS, quick);
    expect(hub.downloads()).toHaveLength(3);
  });

  it('begins anew when the file has changed meanwhile', async () => {
    storageReplies(breakAfter(100_000));
    expect(await codeOf(fetchFromHub(WEIGHTS, quick))).toBe('hub.network');
    hub.files.set(NAME, noise(SIZE, 3));
    hub.commit = 'd'.repeat(40);
    hub.seen.length = 0;
    hub.alter = () => {};
    const path = await fetchFromHub(WEIGHTS, quick);
    expect(hub.downloads().map(({ range }) => range)).toEqual([undefined]);
    expect(content(path)).toBe(sha256(noise(SIZE, 3)));
  });

  it('by the caller keeps what has come', async () => {
    const stop = new AbortController();
    const onProgress = (done: number) => done > 0 && stop.abort();
    const error = await fetchFromHub(WEIGHTS, { ...quick, onProgress, signal: stop.signal }).catch((e) => e);
    expect(error).toMatchObject({ code: 'hub.interrupted', message: expect.stringContaining('goes on from there') });
    expect(blobs()).toEqual([`${sha256(bytes)}.idat.incomplete`]);
  });
});

describe('lies', () => {
  it('about the length, too short, end in an error and no file', async () => {
    storageReplies((reply) => {
      reply.body = reply.body.subarray(0, 1000);
      reply.headers['content-length'] = `${reply.body.length}`;
    });
    const shorter = bytes.subarray(0, 1000);
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toThrow(/ended the file early/);
    expect(blobs()).toEqual([`${sha256(bytes)}.idat.incomplete`]);
    // and a server that has no more than that is not asked for the rest of it for ever
    hub.files.set(NAME, shorter);
    always((reply) => {
      reply.headers['x-linked-etag'] = `"${sha256(bytes)}"`;
      reply.headers['x-linked-size'] = `${SIZE}`;
    }, 'hub');
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toThrow(/ended the file early/);
  });

  it('about the length, too long, are not read', async () => {
    storageReplies((reply) => {
      reply.body = Buffer.concat([bytes, noise(1_000_000, 7)]);
      reply.headers['content-length'] = `${10 ** 12}`;
      reply.ending = 'stall';
    });
    const path = await fetchFromHub(WEIGHTS, { ...quick, stallMs: 600_000 }); // whoever reads on waits for ever
    expect(content(path)).toBe(sha256(bytes));
  });

  it('about the bytes are found by the hash, and nothing stays', async () => {
    storageReplies((reply) => {
      reply.body = noise(SIZE, 5);
    });
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toMatchObject({
      code: 'hub.hash',
      message: expect.stringMatching(/not what it promised.*it was deleted/),
    });
    expect(blobs()).toEqual([]);
    expect(hub.downloads()).toHaveLength(1);
  });

  it('about the bytes of small files as well', async () => {
    hub.files.set(`${REPO}/config.json`, noise(100));
    always((reply, { url }) => {
      if (url.startsWith('/api/')) reply.body = noise(100, 9);
    }, 'hub');
    expect(await codeOf(fetchFromHub({ ...WEIGHTS, file: 'config.json' }, quick))).toBe('hub.hash');
    expect(blobs()).toEqual([]);
  });

  it('left behind by an earlier attempt cost one more attempt', async () => {
    mkdirSync(join(folder(), 'blobs'), { recursive: true });
    writeFileSync(join(folder(), 'blobs', `${sha256(bytes)}.idat.incomplete`), noise(1000, 8));
    await fetchFromHub(WEIGHTS, quick);
    expect(hub.downloads().map(({ range }) => range)).toEqual(['bytes=1000-', undefined]);
    expect(blobs()).toEqual([sha256(bytes)]);
  });

  it('about where files may lie, as a folder that is a file, are explained', async () => {
    writeFileSync(join(root, 'file'), '');
    vi.stubEnv('HF_HUB_CACHE', join(root, 'file'));
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toMatchObject({
      code: 'hub.cache',
      message: expect.stringMatching(/cannot make this folder .*choose another folder with HF_HOME/),
    });
    vi.stubEnv('HF_HUB_CACHE', '');
    mkdirSync(join(folder(), 'snapshots'), { recursive: true });
    writeFileSync(join(folder(), 'refs'), '');
    expect(await codeOf(fetchFromHub(WEIGHTS, quick))).toBe('hub.disk');
  });

  it('about a size no disk has end before the first byte', async () => {
    always((reply) => {
      reply.headers['x-linked-size'] = `${10 ** 14}`;
    }, 'hub');
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toMatchObject({
      code: 'hub.disk',
      message: expect.stringMatching(/needs 100000000 MB more.*free some space/),
    });
    expect({ downloads: hub.downloads(), blobs: blobs() }).toEqual({ downloads: [], blobs: [] });
  });

  it.each([
    ['x-repo-commit', '../../../../etc'],
    ['x-linked-etag', '"../../../escaped"'],
    ['x-linked-etag', '"of-the-storage"'],
  ])('in %s never become part of a path (%s)', async (header, value) => {
    always((reply) => {
      reply.headers[header] = value;
    }, 'hub');
    expect(await codeOf(fetchFromHub(WEIGHTS, quick))).toBe('hub.answer');
    expect(readdirSync(root)).toEqual([]);
  });

  it('about which file it is, told only with the bytes, end the attempt', async () => {
    always((reply, { method }) => {
      if (method === 'GET') reply.headers['x-linked-etag'] = `"${'0'.repeat(64)}"`;
    }, 'hub');
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toThrow(/changed while it was fetched/);
  });
});

describe('the token', () => {
  it.each([
    ['HF_TOKEN', () => vi.stubEnv('HF_TOKEN', 'hf_secret')],
    ['the file that signing in writes', () => writeFileSync(join(root, 'token'), 'hf_secret\n')],
  ])('of %s goes to the hub and not where the hub redirects to', async (_, give) => {
    give();
    await fetchFromHub(WEIGHTS, quick);
    const to = (server: string) => hub.seen.filter((seen) => seen.server === server).map((seen) => seen.authorization);
    expect(new Set(to('hub'))).toEqual(new Set(['Bearer hf_secret']));
    expect(new Set(to('storage'))).toEqual(new Set([undefined]));
  });

  it('that cannot be one is refused without being shown', async () => {
    vi.stubEnv('HF_TOKEN', 'hf_secret\nX-Evil: 1');
    const error = await fetchFromHub(WEIGHTS, quick).catch((e) => e);
    expect(error).toMatchObject({ code: 'hub.environment', message: expect.not.stringContaining('secret') });
  });
});

describe('redirects', () => {
  it('in a circle end', async () => {
    always((reply, { url }) => {
      reply.headers = { location: url };
      reply.status = 302;
    }, 'hub');
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toMatchObject({ code: 'hub.redirect' });
    expect(hub.seen.length).toBeLessThan(12);
  });

  it('never leave encryption, nor go to what is no web address', () => {
    const from = new URL('https://huggingface.co/a/b');
    expect(redirectTarget(from, '/c').href).toBe('https://huggingface.co/c');
    expect(redirectTarget(new URL('http://mirror/'), 'http://other/').href).toBe('http://other/');
    for (const location of ['http://huggingface.co/c', 'file:///etc/passwd', 'https://me:secret@x/', undefined])
      expect(() => redirectTarget(from, location)).toThrow(/does not follow/);
  });

  it('to a repository’s new name are followed', async () => {
    always((reply, { url }) => {
      if (!url.startsWith('/tests/old/')) return;
      reply.status = 307;
      reply.headers = { location: url.replace('/old/', '/model/') };
    }, 'hub');
    const path = await fetchFromHub({ ...WEIGHTS, repo: 'tests/old' }, quick);
    expect(content(path)).toBe(sha256(bytes));
  });
});

describe('refusals', () => {
  const answering = (status: number, headers: Record<string, string> = {}, times = Infinity) => {
    let n = 0;
    always((reply) => {
      if (n++ < times) Object.assign(reply, { status, headers });
    }, 'hub');
  };

  it.each([
    [404, { 'x-error-code': 'EntryNotFound' }, 'hub.missing', /has no file model\.safetensors/],
    [404, {}, 'hub.missing', /tests\/model or its file .* does not exist/],
    [
      401,
      { 'x-error-code': 'RepoNotFound' },
      'hub.access',
      /does not exist or is private: give your token in HF_TOKEN/,
    ],
    [403, { 'x-error-code': 'GatedRepo' }, 'hub.access', /wants its terms accepted first/],
    [418, {}, 'hub.answer', /status 418/],
    [429, { 'retry-after': '7200' }, 'hub.network', /come back later \(status 429\) for 120 minutes/],
    [503, {}, 'hub.network', /has a problem \(status 503\)/],
  ])('with status %i are explained', async (status, headers, code, message) => {
    answering(status, headers as Record<string, string>);
    const work = obtainWeights(namedWeights(`hf-hub:${REPO}`)!, quick);
    await expect(work).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(work).rejects.toThrow('Without fetching: get it from https://huggingface.co/tests/model');
    expect(blobs()).toEqual([]);
  });

  it.each([
    [429, { 'retry-after': '0' }],
    [429, { 'retry-after': new Date(0).toUTCString() }],
    [502, {}],
  ])('with status %i that pass are waited for', async (status, headers) => {
    answering(status, headers as Record<string, string>, 2);
    await fetchFromHub(WEIGHTS, quick);
    expect(blobs()).toEqual([sha256(bytes)]);
  });

  it('of a signature that has expired lead to a new one', async () => {
    storageReplies((reply) => {
      reply.status = 403;
    }, asIs);
    await fetchFromHub(WEIGHTS, quick);
    expect(hub.seen.filter(({ server, method }) => server === 'hub' && method === 'GET')).toHaveLength(2);
  });

  it('to be reached at all are told at once, with what to do', async () => {
    await hub.close();
    const work = obtainWeights(namedWeights('vit_tiny_patch16_224.augreg_in21k')!, { ...quick, retryMs: 600_000 });
    await expect(work).rejects.toThrow(
      /^cannot reach 127\.0\.0\.1:\d+ \(ECONNREFUSED\)\. Without fetching: get it from https:\/\/huggingface\.co\/timm\/vit_tiny_patch16_224\.augreg_in21k \(model\.safetensors\) and put it at .*vit_tiny_patch16_224\.augreg_in21k\.safetensors$/,
    );
    hub = await startTestHub(); // for afterEach to close
  });
});

describe('several at once', () => {
  it('leave one whole file', async () => {
    const paths = await Promise.all([fetchFromHub(WEIGHTS, quick), fetchFromHub(WEIGHTS, quick)]);
    expect(paths[0]).toBe(paths[1]);
    expect(content(paths[0]!)).toBe(sha256(bytes));
    expect(blobs()).toEqual([sha256(bytes)]);
  });

  it('of which one is at work: the other waits', async () => {
    const halfway = new Promise<void>((resolve) => {
      storageReplies((reply) => {
        reply.body = reply.body.subarray(0, SIZE / 2);
        reply.ending = 'stall';
        resolve();
      }, asIs);
    });
    const first = fetchFromHub(WEIGHTS, { ...quick, stallMs: 1500 });
    await halfway;
    await vi.waitFor(() => expect(blobs()).toHaveLength(1));
    const second = fetchFromHub(WEIGHTS, quick);
    await vi.waitFor(() => expect(notes.at(-1)).toMatch(/another process is fetching .*; waiting for it/));
    await Promise.all([first, second]);
    expect(hub.downloads().map(({ range }) => range)).toEqual([undefined, `bytes=${SIZE / 2}-`]);
  });

  it('of which one, dead or gone for long, is not waited for', async () => {
    mkdirSync(join(folder(), 'blobs'), { recursive: true });
    const left = join(folder(), 'blobs', `${sha256(bytes)}.00000000-1-00000000.incomplete`);
    writeFileSync(left, bytes.subarray(0, 1000));
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(left, hourAgo, hourAgo);
    await fetchFromHub(WEIGHTS, quick);
    expect(hub.downloads().map(({ range }) => range)).toEqual(['bytes=1000-']);
    expect(blobs()).toEqual([sha256(bytes)]);
  });
});

describe('without network', () => {
  it('nothing is asked for when the environment or the caller says so', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(obtainWeights(namedWeights(`hf-hub:${REPO}`)!, quick)).rejects.toMatchObject({
      code: 'backbone.absent',
      message: expect.stringMatching(/HF_HUB_OFFLINE forbids to fetch it; get it from/),
    });
    vi.stubEnv('HF_HUB_OFFLINE', '0');
    expect(await codeOf(obtainWeights(namedWeights(`hf-hub:${REPO}`)!, undefined))).toBe('backbone.absent');
    expect(hub.seen).toEqual([]);
  });

  it('what another tool fetched is used', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    const weights = namedWeights('vit_small_patch16_224.augreg_in21k')!;
    const place = join(cache, 'models--timm--vit_small_patch16_224.augreg_in21k');
    for (const part of ['blobs', 'refs', `snapshots/${hub.commit}`]) mkdirSync(join(place, part), { recursive: true });
    writeFileSync(join(place, 'blobs', 'abc'), 'weights');
    symlinkSync('../../blobs/abc', join(place, 'snapshots', hub.commit, 'model.safetensors'));
    expect(await findWeights(weights)).toBe(null); // nothing says yet which commit main is at
    writeFileSync(join(place, 'refs', 'main'), hub.commit);
    expect(await findWeights(weights)).toBe(join(place, 'snapshots', hub.commit, 'model.safetensors'));
    mkdirSync(join(cache, 'escaped'));
    writeFileSync(join(cache, 'escaped', 'model.safetensors'), 'weights');
    writeFileSync(join(place, 'refs', 'main'), '../../escaped');
    expect(await findWeights(weights)).toBe(null);
  });
});

describe('names', () => {
  it('hf-hub: opens any repository', async () => {
    const file = new URL('../assets/models/vit_nano_patch4_32.cifar10.safetensors', import.meta.url);
    hub.files.set(NAME, readFileSync(file));
    const backbone = await resolveBackbone(`hf-hub:${REPO}`, { fetch: quick });
    expect(backbone).toMatchObject({
      name: `hf-hub:${REPO}`,
      sha256: sha256(readFileSync(file)),
      config: { width: 64 },
    });
  });

  it('hf-hub: reads sizes and normalisation from what stands beside the weights', async () => {
    const fixture = new URL('fixtures/checkpoints/huggingface-vit/', import.meta.url);
    for (const file of readdirSync(fixture)) hub.files.set(`${REPO}/${file}`, readFileSync(new URL(file, fixture)));
    expect(await resolveBackbone(`hf-hub:${REPO}`, { fetch: quick })).toMatchObject({
      config: { family: 'vit', heads: 2, layerNormEps: 0.1 }, // of config.json
      mean: [0.5, 0.4, 0.3], // of preprocessor_config.json
      std: [0.5, 0.6, 0.7],
    });
  });

  it('hf-hub: with the repository of a known backbone is that backbone', () => {
    const name = 'vit_small_patch16_224.augreg_in21k';
    expect(namedWeights(`hf-hub:timm/${name}`)).toBe(namedWeights(name));
    expect(isModelPath('google/vit-base-patch16-224-in21k')).toBe(false);
    expect(isModelPath('./google/vit-base-patch16-224-in21k')).toBe(true);
    expect(isModelPath('hf-hub:a/b')).toBe(false);
  });

  it.each(['', 'a', '../a', 'a/..', 'a/b/c', '/a', 'a/b--c', '.a/b', 'a/b\\c', 'a/b?x', 'a/b.git', 'a/%2e%2e'])(
    'hf-hub:%s is no repository',
    async (repo) => {
      expect(await codeOf(fetchFromHub({ ...WEIGHTS, repo }, quick))).toBe('hub.name');
      expect(await codeOf(resolveBackbone(`hf-hub:${repo}`))).toBe('hub.name');
      expect(hub.seen).toEqual([]);
    },
  );

  it.each(['../x', 'a/b', '.hidden', ''])('%j is no file', async (file) => {
    mkdirSync(join(folder(), 'refs'), { recursive: true });
    writeFileSync(join(folder(), 'refs', 'main'), hub.commit);
    expect(await codeOf(cachedFile(cache, REPO, file))).toBe('hub.name');
    expect(await codeOf(fetchFromHub({ ...WEIGHTS, file }, quick))).toBe('hub.name');
    expect(await codeOf(fetchFromHub({ ...WEIGHTS, companions: [file] }, quick))).toBe('hub.name');
    expect(hub.seen).toEqual([]);
  });
});

describe('the environment', () => {
  it('decides where files lie, as the hub’s own tools read it', () => {
    expect(hubCacheFolder({ XDG_CACHE_HOME: '/x' })).toBe('/x/huggingface/hub');
    expect(hubCacheFolder({ HF_HOME: '/h', XDG_CACHE_HOME: '/x' })).toBe('/h/hub');
    expect(hubCacheFolder({ HUGGINGFACE_HUB_CACHE: '/old', HF_HOME: '/h' })).toBe('/old');
    expect(hubCacheFolder({ HF_HUB_CACHE: '/new', HUGGINGFACE_HUB_CACHE: '/old' })).toBe('/new');
    expect(hubCacheFolder({})).toMatch(/[\\/]\.cache[\\/]huggingface[\\/]hub$/);
    expect(hubCacheFolder({ HF_HOME: '~/h' })).not.toContain('~');
    expect(['1', 'true', 'YES', 'on', '0', 'no', ''].map((text) => isOffline({ HF_HUB_OFFLINE: text }))).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('may name another hub, as an address', async () => {
    expect((await hubOf({ HF_ENDPOINT: 'https://mirror.example/hf', HF_HOME: root })).endpoint.href).toBe(
      'https://mirror.example/hf/',
    );
    expect((await hubOf({ HF_HOME: root })).endpoint.href).toBe('https://huggingface.co/');
    for (const text of ['mirror.example', 'ftp://mirror.example', 'https://me:secret@mirror.example']) {
      const error = await hubOf({ HF_ENDPOINT: text, HF_HOME: root }).catch((e) => e);
      expect(error).toMatchObject({ code: 'hub.environment', message: expect.not.stringContaining('secret') });
    }
  });

  it('may name a proxy', async () => {
    const seen: string[] = [];
    const proxy = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
      response.writeHead(503).end();
    });
    proxy.on('connect', (request, socket) => {
      seen.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`);
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    });
    await listen(proxy);
    const address = addressOf(proxy).replace('//', '//me:word@');
    vi.stubEnv('HTTP_PROXY', address);
    vi.stubEnv('HTTPS_PROXY', address);
    expect(await codeOf(fetchFromHub(WEIGHTS, quick))).toBe('hub.network');
    vi.stubEnv('HF_ENDPOINT', 'https://huggingface.co');
    await expect(fetchFromHub(WEIGHTS, quick)).rejects.toThrow(
      /refuses to connect to huggingface\.co:443 \(status 407\)/,
    );
    const basic = `Basic ${Buffer.from('me:word').toString('base64')}`;
    expect(seen[0]).toBe(`HEAD ${hub.endpoint}/${REPO}/resolve/main/model.safetensors ${basic}`);
    expect(seen.at(-1)).toBe(`CONNECT huggingface.co:443 ${basic}`);
    expect(hub.seen).toEqual([]);
    proxy.close();
  });

  it('exempts hosts from the proxy', () => {
    const exempt = (address: string, no_proxy: string) =>
      proxyFor(new URL(address), { https_proxy: 'http://proxy', no_proxy }) === null;
    expect(exempt('https://huggingface.co/', '')).toBe(false);
    expect(exempt('https://huggingface.co/', 'other.co, .huggingface.co')).toBe(true);
    expect(exempt('https://cdn.huggingface.co/', 'huggingface.co')).toBe(true);
    expect(exempt('https://nothuggingface.co/', 'huggingface.co')).toBe(false);
    expect(exempt('https://huggingface.co/', 'huggingface.co:8080')).toBe(false);
    expect(exempt('https://huggingface.co/', '*')).toBe(true);
    expect(() => proxyFor(new URL('https://x/'), { HTTPS_PROXY: 'socks5://p' })).toThrow(/expected a proxy such as/);
  });
});
