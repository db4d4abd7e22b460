/**
 * Data sets of the hub: their Parquet files, in the shared cache.
 *
 * What main is at is noted file by file, so a list of the files that belong together is written when all are there: data
 * sets of which a part has come are not mistaken for whole ones.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IdatError, printable } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { checkFileName, isCommit, isFile, repositoryFolder } from './cache.js';
import { listFiles } from './client.js';
import { type Hub, hubCacheFolder, hubOf, isOffline } from './environment.js';
import { type FetchControl, fetchFromHub } from './fetch.js';
import { TransientError } from './request.js';

/** A data set by name: `hf-hub-data:ORG/NAME`, or one of several in it, `hf-hub-data:ORG/NAME/FOLDER`. */
export interface HubData {
  readonly name: string;
  /** As the hub addresses it, `datasets/ORG/NAME`. */
  readonly repo: string;
  /** The only folder wanted; null where all are. */
  readonly folder: string | null;
}

/** What a path names on the hub; null for a path. A folder may stand before it, where settings were made absolute. */
export function hubDataOf(path: string): HubData | null {
  const [, name, repo, folder] =
    /(?:^|[\\/])hf-hub-data:((\w[\w.-]*\/\w[\w.-]*)(?:\/(\w[\w.-]*))?)\/?$/.exec(path) ?? [];
  return repo === undefined ? null : { name: name!, repo: `datasets/${repo}`, folder: folder ?? null };
}

/**
 * The folder of a data set on this disk, fetched when it is not there.
 *
 * @param control how to fetch; undefined forbids it
 * @throws IdatError `hub.*`; `hub.data` where it has no Parquet files, or several data sets; `hub.offline`
 */
export async function obtainData(data: HubData, control: FetchControl | undefined): Promise<string> {
  const cached = await cachedData(data);
  if (cached !== null) return cached;
  if (control === undefined || isOffline()) {
    const what = `hf-hub-data:${data.name}: is not on this disk, and nothing is fetched`;
    throw new IdatError('hub.offline', `${what}; allow it once, or give the folder of its Parquet files`);
  }
  const hub = await hubOf();
  const { commit, files } = await list(hub, data, control);
  const wanted = parquetFiles(data, files);
  const root = snapshotOf(data, commit);
  for (const file of wanted) {
    const path = await fetchFromHub({ repo: data.repo, file, companions: [] }, control);
    if (path === join(root, ...file.split('/'))) continue;
    throw new IdatError('hub.answer', `${data.name} changed while it was fetched; run the command again`);
  }
  await writeFileAtomic(completeList(data, commit), JSON.stringify(wanted));
  return data.folder === null ? root : join(root, data.folder);
}

const snapshotOf = ({ repo }: HubData, commit: string): string =>
  join(repositoryFolder(hubCacheFolder(), repo), 'snapshots', commit);

const completeList = ({ repo, folder }: HubData, commit: string): string =>
  join(repositoryFolder(hubCacheFolder(), repo), `idat-files-${folder ?? ''}-${commit}.json`);

async function cachedData(data: HubData): Promise<string | null> {
  const main = join(repositoryFolder(hubCacheFolder(), data.repo), 'refs', 'main');
  const commit = (await readFile(main, 'utf8').catch(() => '')).trim();
  if (!isCommit(commit)) return null;
  try {
    const files = JSON.parse(await readFile(completeList(data, commit), 'utf8')) as string[];
    const root = snapshotOf(data, commit);
    for (const file of files) {
      checkFileName(file, data.repo);
      if (!(await isFile(join(root, file)))) return null;
    }
    return data.folder === null ? root : join(root, data.folder);
  } catch {
    return null;
  }
}

const ATTEMPTS = 3;

async function list(hub: Hub, data: HubData, { signal, stallMs = 10_000, retryMs = 1000 }: FetchControl) {
  const patience = { signal: signal ?? new AbortController().signal, stallMs };
  for (let attempt = 1; ; attempt++) {
    try {
      return await listFiles(hub, data.repo, patience);
    } catch (error) {
      if (patience.signal.aborted) throw new IdatError('hub.interrupted', `stopped while asking for ${data.name}`);
      if (!(error instanceof TransientError)) throw error;
      if (attempt === ATTEMPTS) throw new IdatError('hub.network', error.message, { cause: error });
      await sleep(retryMs * attempt);
    }
  }
}

/** Those wanted. @throws IdatError `hub.data` */
function parquetFiles({ name, folder }: HubData, files: readonly string[]): string[] {
  const all = files.filter((file) => /\.parquet$/i.test(file)).sort();
  const wanted = folder === null ? all : all.filter((file) => file.startsWith(`${folder}/`));
  const folders = [...new Set(all.map((file) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '')))];
  if (wanted.length > 0 && (folder !== null || folders.length === 1)) return wanted;
  const shown = folders.slice(0, 8).map(printable).join(', ');
  const what =
    all.length === 0
      ? 'has no Parquet files, which is what idat reads of the hub'
      : `has its Parquet files in ${shown}; give one of these folders, hf-hub-data:${name.split('/').slice(0, 2).join('/')}/${printable(folders[0]!)}`;
  throw new IdatError('hub.data', `hf-hub-data:${name}: ${what}`);
}
