/** Versions of what a result was computed with. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { packageFile } from '../../files/node/package-root.js';

export interface Versions {
  readonly idat: string;
  readonly onnxruntime: string;
  readonly node: string;
}

const versionIn = (path: string | URL): string =>
  (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;

let onnxruntime: string | undefined;

/** Of the installed onnxruntime-node. */
export function onnxruntimeVersion(): string {
  onnxruntime ??= versionIn(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return onnxruntime;
}

export const versions = (): Versions => ({
  idat: versionIn(packageFile('package.json')),
  onnxruntime: onnxruntimeVersion(),
  node: process.versions.node,
});
