/** Fetching files of a repository into the shared cache. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, stat, statfs, truncate } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IdatError } from '../errors.js';
import { writeFully } from '../files/node/read-write.js';
import { addToSnapshot, checkFileName, repositoryFolder, setMain } from './cache.js';
import { describeFile, openBody, type RemoteFile } from './client.js';
import { type Hub, hubOf } from './environment.js';
import { claimIncomplete, releaseIncomplete } from './incomplete.js';
import { type Patience, TransientError } from './request.js';

/** How a caller follows and stops fetching. */
export interface FetchControl {
  readonly onNote?: (text: string) => void;
  /** Bytes of the file that are there, of all; null while nobody knows how many. */
  readonly onProgress?: (done: number, total: number | null, bytesPerSecond: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Silence for this long is taken for a broken connection; default 30 s. */
  readonly stallMs?: number;
  /** The pause before the second attempt; it doubles with each. Default 1 s. */
  readonly retryMs?: number;
}

/** Attempts in a row that bring less than `PROGRESS_BYTES` each. */
const ATTEMPTS = 5;
const PROGRESS_BYTES = 1 << 20;
/** To ask what a file is takes the hub a moment; nobody is kept waiting where it does not answer. */
const DESCRIBE_ATTEMPTS = 3;
const DESCRIBE_STALL_MS = 10_000;
/** A server that asks for a longer pause is not waited for. */
const LONGEST_PAUSE_MS = 60_000;
/** Of what the hub gives no size for: it keeps larger files elsewhere, with a size. */
const UNSIZED_LIMIT = 16 * 2 ** 20;

interface Fetching {
  readonly hub: Hub;
  readonly folder: string;
  readonly control: FetchControl;
  readonly patience: Patience;
  /** Whether the caller hears of the file: small ones beside it come and go in silence. */
  readonly announced: boolean;
}

/**
 * Fetches a file as it is on main, with those of its companions that exist, into the shared cache. What is there already
 * is not fetched again, what broke off goes on, and every byte is checked against the hub's hash before it gets its name.
 * A file that is there in parts alone is fetched as its index and all of them.
 *
 * @returns where the file is, or its index
 * @throws IdatError `hub.*`, saying what happened and what to do; `hub.interrupted` when the signal stopped it, with all
 *   bytes kept for the next attempt
 */
export async function fetchFromHub(
  { repo, file, companions }: { repo: string; file: string; companions: readonly string[] },
  control: FetchControl = {},
): Promise<string> {
  for (const name of [file, ...companions]) checkFileName(name, repo);
  const hub = await hubOf();
  const signal = control.signal ?? new AbortController().signal;
  const { stallMs = 30_000 } = control;
  const fetching: Fetching = {
    hub,
    folder: repositoryFolder(hub.cacheDir, repo),
    control,
    patience: { signal, stallMs },
    announced: true,
  };
  try {
    const { remote, whole } = await describeWeights(fetching, repo, file);
    const { commit } = remote;
    await makeFolder(join(fetching.folder, 'blobs'));
    for (const name of companions) {
      const companion = await describe(fetching, { repo, file: name, revision: commit }).catch(unlessMissing);
      if (companion) await fetchFile({ ...fetching, announced: false }, companion);
    }
    const path = await fetchFile(fetching, remote);
    for (const name of whole ? [] : await partsOf(path, repo)) {
      await fetchFile(fetching, await describe(fetching, { repo, file: name, revision: commit }));
    }
    await setMain(fetching.folder, commit);
    return path;
  } catch (error) {
    if (!signal.aborted || error instanceof IdatError) throw explainFileError(error, fetching.folder);
    const advice = 'what has come is kept, and the same command goes on from there';
    throw new IdatError('hub.interrupted', `stopped while fetching ${repo}: ${advice}`, { cause: error });
  }
}

/** What transformers writes beside the parts of a file that is too large for one. */
export const indexOf = (file: string): string => `${file}.index.json`;

/** The file, or where there is none of that name the index of its parts. */
async function describeWeights(fetching: Fetching, repo: string, file: string) {
  try {
    return { remote: await describe(fetching, { repo, file, revision: 'main' }), whole: true };
  } catch (error) {
    unlessMissing(error);
    const index = await describe(fetching, { repo, file: indexOf(file), revision: 'main' }).catch(unlessMissing);
    if (index === null) throw error;
    return { remote: index, whole: false };
  }
}

/** Parts that an index may name. */
const MAX_PARTS = 1000;

/** The files that an index names. @throws IdatError `hub.index` when it is none, and `hub.name` for names that are no files' */
async function partsOf(path: string, repo: string): Promise<string[]> {
  const wrong = (cause?: unknown) =>
    new IdatError('hub.index', `${path}: is no index of a file's parts; report it to those who published it`, {
      cause,
    });
  let map: unknown;
  try {
    map = (JSON.parse(await readFile(path, 'utf8')) as { weight_map?: unknown }).weight_map;
  } catch (error) {
    throw wrong(error);
  }
  if (typeof map !== 'object' || map === null) throw wrong();
  const names = [...new Set(Object.values(map))].sort();
  if (names.length === 0 || names.length > MAX_PARTS || !names.every((name) => typeof name === 'string')) throw wrong();
  for (const name of names as string[]) checkFileName(name, repo);
  return names as string[];
}

function unlessMissing(error: unknown): null {
  if (error instanceof IdatError && error.code === 'hub.missing') return null;
  throw error;
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    const advice = 'check its permissions, or choose another folder with HF_HOME';
    throw new IdatError('hub.cache', `${folder}: cannot make this folder (${error.code}); ${advice}`, { cause: error });
  });
}

/** What the hub says of a file. When nobody answers at all, no further attempt keeps the user waiting. */
async function describe(
  { hub, control, patience: { signal, stallMs } }: Fetching,
  what: { repo: string; file: string; revision: string },
): Promise<RemoteFile> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await describeFile(hub, what, { signal, stallMs: Math.min(stallMs, DESCRIBE_STALL_MS) });
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (error.unreachable || attempt === DESCRIBE_ATTEMPTS) throw unavailable(error, '');
      await pause(error, attempt, control, signal);
    }
  }
}

/** @returns the path of the file in its snapshot */
async function fetchFile(fetching: Fetching, remote: RemoteFile): Promise<string> {
  const { folder, control, patience, hub } = fetching;
  const { repo, file, commit, hash, size } = remote;
  const blob = join(folder, 'blobs', hash);
  const note = (text: string) => fetching.announced && control.onNote?.(text);
  const onWait = () => note(`another process is fetching ${repo}/${file}; waiting for it`);
  const incomplete = await claimIncomplete(blob, { signal: patience.signal, onWait });
  if (incomplete !== null) {
    const there = await lengthOf(incomplete).catch(() => 0);
    const amount = size === null ? '' : `, ${megabytes(size)}${there > 0 ? ` (${megabytes(there)} are here)` : ''},`;
    note(`fetching ${repo}/${file}${amount} from ${hub.endpoint.host} into ${hub.cacheDir}`);
    try {
      await download(fetching, remote, incomplete);
      await rename(incomplete, blob);
    } finally {
      await releaseIncomplete(blob, incomplete);
    }
  }
  return addToSnapshot(folder, commit, file, blob);
}

/** Brings the file at `path` from what it holds to all of the remote file, checked. */
async function download(
  { hub, control, patience, announced }: Fetching,
  remote: RemoteFile,
  path: string,
): Promise<void> {
  const { size } = remote;
  await (await open(path, 'a')).close(); // now it is there, and others see that it has an owner
  await checkSpace(path, remote);
  const started = { at: performance.now(), bytes: await lengthOf(path) };
  const report = (done: number) => {
    const seconds = (performance.now() - started.at) / 1000;
    if (announced) control.onProgress?.(done, size, Math.max(0, done - started.bytes) / Math.max(seconds, 1e-3));
  };
  let furthest = started.bytes;
  let begunAnew = false;
  for (let attempt = 1; ; attempt++) {
    const before = await lengthOf(path);
    let failure: TransientError | null = null;
    if (size === null || before !== size) {
      failure = await receive(hub, remote, path, { patience, report }).catch((error: unknown) => {
        if (error instanceof TransientError) return error;
        throw error;
      });
    }
    const length = await lengthOf(path);
    if (length === size || (failure === null && size === null)) {
      if ((await hashOf(path, remote.hash.length)) === remote.hash) return;
      await truncate(path);
      if (before === 0 || begunAnew) throw wrongHash(hub, remote);
      begunAnew = true; // what an earlier attempt left may be to blame, but not twice
      continue;
    }
    failure ??= new TransientError(`${hub.endpoint.host} ended the file early`, {});
    if (length - furthest >= PROGRESS_BYTES) attempt = 0; // a server that begins again and again comes no further
    furthest = Math.max(furthest, length);
    if (attempt === ATTEMPTS) throw unavailable(failure, kept(length, size));
    await pause(failure, Math.max(1, attempt), control, patience.signal);
  }
}

/** One request's bytes, added to what is there; nothing beyond the size the hub promised is read. */
async function receive(
  hub: Hub,
  remote: RemoteFile,
  path: string,
  { patience, report }: { patience: Patience; report: (done: number) => void },
): Promise<null> {
  const limit = remote.size ?? UNSIZED_LIMIT;
  const body = await openBody(hub, remote, Math.min(await lengthOf(path), limit), patience);
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r+');
    await handle.truncate(body.start);
    let done = body.start;
    report(done);
    for await (const chunk of body.chunks()) {
      const wanted = chunk.subarray(0, limit - done);
      await writeFully(handle, wanted, done);
      done += wanted.length;
      report(done);
      if (done === limit) break;
    }
    await handle.sync();
    return null;
  } finally {
    await handle?.close();
  }
}

async function pause(error: TransientError, attempt: number, { retryMs = 1000 }: FetchControl, signal: AbortSignal) {
  const ms = error.retryAfterMs ?? retryMs * 2 ** (attempt - 1);
  if (ms > LONGEST_PAUSE_MS) throw unavailable(error, ` for ${Math.ceil(ms / 60_000)} minutes`);
  await sleep(ms, undefined, { signal });
}

const lengthOf = async (path: string): Promise<number> => (await stat(path)).size;

/** sha256 for 64 digits; for 40 git's name of a blob, the sha1 of its length and its bytes. */
async function hashOf(path: string, digits: number): Promise<string> {
  const hash = createHash(digits === 64 ? 'sha256' : 'sha1');
  if (digits === 40) hash.update(`blob ${await lengthOf(path)}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Before gigabytes have come, rather than after. */
async function checkSpace(path: string, { repo, file, size }: RemoteFile): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  const needed = (size ?? 0) - (await lengthOf(path));
  if (needed <= bavail * bsize) return;
  const what = `${repo}/${file} needs ${megabytes(needed)} more, and the disk of ${dirname(path)} has ${megabytes(bavail * bsize)}`;
  throw new IdatError('hub.disk', `${what}; free some space, or choose another folder with HF_HOME`);
}

/** What each refusal of the system means; the cache may lie on any disk, and belong to others. */
const REASONS: Record<string, string> = {
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'your disk quota is used up: delete something',
  EACCES: 'no permission: change access rights',
  EPERM: 'no permission: change access rights',
  EROFS: 'the disk is read-only: mount it otherwise',
  EIO: 'the disk has an error: check it',
  ENOTDIR: 'there is a file where a folder belongs: remove it',
  EEXIST: 'there is a file where a folder belongs: remove it',
  ENOENT: 'a file was taken away meanwhile, perhaps by another process: run the command again',
};

function explainFileError(error: unknown, folder: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const reason = typeof code === 'string' ? REASONS[code] : undefined;
  if (error instanceof IdatError || reason === undefined) return error;
  const what = `cannot write in ${folder} (${code}): ${reason}, or choose another folder with HF_HOME`;
  return new IdatError('hub.disk', what, { cause: error });
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e6 ? 3 : 0)} MB`;

const kept = (done: number, size: number | null): string =>
  done === 0
    ? ''
    : `; ${megabytes(done)}${size === null ? '' : ` of ${megabytes(size)}`} are kept, the same command goes on from there`;

const unavailable = (error: TransientError, more: string): IdatError =>
  new IdatError('hub.network', `${error.message}${more}`, { cause: error });

function wrongHash({ endpoint }: Hub, { repo, file, hash }: RemoteFile): IdatError {
  const what = `what ${endpoint.host} sent as ${repo}/${file} is not what it promised (hash ${hash.slice(0, 12)}…)`;
  return new IdatError('hub.hash', `${what}; it was deleted. Run the command again, and report it if it stays so`);
}
