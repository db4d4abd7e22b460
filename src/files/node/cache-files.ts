/**
 * What idat keeps between runs in folders that it was given for that: decoded images and what frozen prefixes compute. All of it
 * can be made again, so that a folder that grows beyond its limit loses what was not used for longest.
 */
import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { IdatError, printable } from '../../errors.js';
import { removeAbandoned } from './abandoned.js';

export interface CacheFile {
  readonly path: string;
  /** On the disk. */
  readonly bytes: number;
  /** When it was last used, in milliseconds since 1970. */
  readonly usedMs: number;
}

const CACHED = /^(pixels|prefix)-[0-9a-f]{32}\.bin$/;
const TEMPORARY = /^pixels-.*\.tmp$/;
const DEFAULT_LIMIT_GB = 20;

/** In use by this process: another run's files go first, never these. */
const inUse = new Set<string>();

/**
 * Bytes that a folder may hold; `IDAT_CACHE_GB` in the environment changes it.
 * @throws IdatError `files.environment` when that is no number from 0
 */
export function cacheLimitBytes(): number {
  const given = process.env.IDAT_CACHE_GB || String(DEFAULT_LIMIT_GB);
  const gigabytes = Number(given);
  if (gigabytes >= 0) return 1e9 * gigabytes;
  throw new IdatError(
    'files.environment',
    `IDAT_CACHE_GB: expected a number of gigabytes such as 20, got ${printable(given)}`,
  );
}

/** Last used first. None where there is no such folder. */
export async function listCache(folder: string): Promise<CacheFile[]> {
  const names = (await readdir(folder).catch((): string[] => [])).filter((name) => CACHED.test(name));
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const found = await stat(path).catch(() => null);
      return found ? [{ path, bytes: 512 * (found.blocks ?? found.size / 512), usedMs: found.mtimeMs }] : [];
    }),
  );
  return files.flat().sort((a, b) => b.usedMs - a.usedMs);
}

/** Removes them all, and what killed processes left. @returns what was removed */
export async function clearCache(folder: string): Promise<CacheFile[]> {
  await removeAbandoned(folder, TEMPORARY);
  const files = await listCache(folder);
  for (const { path } of files) await rm(path, { force: true });
  return files;
}

/**
 * Notes that a file is used now, and makes room in its folder: what killed processes left goes, and of other runs' files those
 * not used for longest, until the folder is within its limit. What cannot be removed stays.
 * @throws IdatError as `cacheLimitBytes`
 */
export async function useCacheFile(folder: string, path: string): Promise<void> {
  const limit = cacheLimitBytes();
  inUse.add(path);
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
  await removeAbandoned(folder, TEMPORARY);
  const files = await listCache(folder);
  let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const file of files.reverse()) {
    if (total <= limit) return;
    if (inUse.has(file.path)) continue;
    await rm(file.path, { force: true }).catch(() => {});
    total -= file.bytes;
  }
}
