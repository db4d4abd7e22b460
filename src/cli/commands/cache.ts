/** idat cache: what idat keeps between runs, and clearing it. */
import { stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { type CacheFile, cacheLimitBytes, clearCache, listCache } from '../../files/node/cache-files.js';
import { cacheFolder } from '../../files/node/cache-folder.js';
import { shortPath } from '../describe-run.js';
import { table } from '../format.js';
import { print } from '../terminal.js';

interface CacheFlags {
  cacheDir?: string;
  json?: true;
}

const CACHE_DIR = ['--cache-dir <folder>', 'also what runs with this --cache-dir have kept'] as const;

/** The choices measured on this machine, which lie in the user's cache folder; null where there are none. */
async function tuningFile(): Promise<CacheFile | null> {
  const path = join(cacheFolder(), 'tuning.json');
  const found = await stat(path).catch(() => null);
  return found && { path, bytes: found.size, usedMs: found.mtimeMs };
}

async function kept({ cacheDir }: CacheFlags): Promise<CacheFile[]> {
  const tuning = await tuningFile();
  return [...(tuning ? [tuning] : []), ...(cacheDir === undefined ? [] : await listCache(cacheDir))];
}

const size = (files: readonly CacheFile[]): string => {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
};

const clear = new Command('clear')
  .description('remove it; all of it is made again when it is needed')
  .option(...CACHE_DIR)
  .action(async (_: CacheFlags, command: Command) => {
    const flags = command.optsWithGlobals<CacheFlags>();
    const files = await kept(flags);
    if (flags.cacheDir !== undefined) await clearCache(flags.cacheDir);
    const tuning = await tuningFile();
    if (tuning) await unlink(tuning.path);
    print(`removed ${files.length} files, ${size(files)}\n`);
  });

export const cache = new Command('cache')
  .description('list what is kept between runs, or clear it')
  .option(...CACHE_DIR)
  .option('--json', 'print the list as one JSON object')
  .addCommand(clear)
  .action(async (flags: CacheFlags) => {
    const files = await kept(flags);
    if (flags.json) {
      print(`${JSON.stringify({ files, limitBytes: cacheLimitBytes() })}\n`);
      return;
    }
    const rows = files.map((file) => [
      shortPath(file.path),
      size([file]),
      new Date(file.usedMs).toISOString().slice(0, 16).replace('T', ' '),
    ]);
    print(
      `${table([['file', 'size', 'last used'], ...rows])}\n\n` +
        `${size(files)}. A --cache-dir keeps up to ${cacheLimitBytes() / 1e9} GB (IDAT_CACHE_GB); what was not used for longest goes first.\n` +
        'Weights lie in the cache of the Hugging Face hub, which its own tools share and clear.\n',
    );
  });
