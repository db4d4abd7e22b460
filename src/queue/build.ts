/** Which build of idat this is, by what its runs' bytes depend on: other builds do not share a run. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageFile } from '../files/node/package-root.js';
import { sha256 } from '../files/node/sha256.js';
import { versions } from '../runtime/node/versions.js';

export interface Build {
  /** Versions as a person reads them. */
  readonly says: string;
  /** Equal where all code that makes numbers is equal, and ONNX Runtime: 12 hex digits. */
  readonly key: string;
}

/** Rooms of which nothing ends in a number. */
const SILENT =
  /^(cli|queue|report|bench|analysis|export|verify|hub|paper|experiments|browser|studio|serving|page)[\\/]|^(browser|index)\.js$/;

let known: Build | undefined;

/** Reads the code that runs are made with, once. */
export function thisBuild(): Build {
  if (known) return known;
  const { idat, onnxruntime } = versions();
  const root = fileURLToPath(packageFile('dist'));
  const names = (readdirSync(root, { recursive: true }) as string[])
    .filter((name) => name.endsWith('.js') && !SILENT.test(name))
    .sort();
  const code = names.map((name) => [name.replaceAll('\\', '/'), sha256(readFileSync(join(root, name)))]);
  const key = sha256(JSON.stringify([idat, onnxruntime, code])).slice(0, 12);
  known = { says: `idat ${idat}, ONNX Runtime ${onnxruntime}, build ${key}`, key };
  return known;
}
