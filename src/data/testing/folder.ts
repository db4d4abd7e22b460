/**
 * Temporary folders with made-up content.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { craftPng } from './png.js';

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'idat-data-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes files by relative path into a new temporary folder; a path that ends in a slash becomes an empty folder. */
export async function folderWith(files: Record<string, string | Uint8Array>): Promise<string> {
  const root = await temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    const target = join(root, path);
    await mkdir(path.endsWith('/') ? target : dirname(target), { recursive: true });
    if (!path.endsWith('/')) await writeFile(target, content);
  }
  return root;
}

/** A PNG of one pixel, told apart by its gray level. */
export const dot = (level = 0): Buffer => craftPng({ width: 1, height: 1, bitDepth: 8, colourType: 0 }, [0, level]);

/** `count` one-pixel images a class, as `prefix + class/00.png`. */
export function imageFolder(counts: Record<string, number>, prefix = ''): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const [className, count] of Object.entries(counts)) {
    for (let i = 0; i < count; i++) files[`${prefix}${className}/${String(i).padStart(2, '0')}.png`] = dot(i);
  }
  return files;
}
