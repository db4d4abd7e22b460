/** Versions of what a result was computed with. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { IdatError } from '../../errors.js';
import { packageFile } from '../../files/node/package-root.js';

export interface Versions {
  readonly idat: string;
  readonly onnxruntime: string;
  readonly node: string;
}

const versionIn = (path: string | URL): string =>
  (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;

let onnxruntime: string | undefined;

/** Of the installed onnxruntime-node. @throws IdatError `runtime.missing` where there is none */
export function onnxruntimeVersion(): string {
  onnxruntime ??= versionIn(onnxruntimePackage());
  return onnxruntime;
}

function onnxruntimePackage(): string {
  try {
    return createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
  } catch (cause) {
    throw new IdatError(
      'runtime.missing',
      'ONNX Runtime is missing: onnxruntime-node is not installed beside idat; where an installation fails at api.nuget.org, ' +
        "set ONNXRUNTIME_NODE_INSTALL=skip and install again (idat's docs/install.md)",
      { cause },
    );
  }
}

export const idatVersion = (): string => versionIn(packageFile('package.json'));

export const versions = (): Versions => ({
  idat: idatVersion(),
  onnxruntime: onnxruntimeVersion(),
  node: process.versions.node,
});
