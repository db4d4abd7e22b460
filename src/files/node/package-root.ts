/** Files of the package itself, which lie at the same place beside sources and beside what is built from them. */
import { readFileSync } from 'node:fs';
import { IdatError } from '../../errors.js';

let root: URL | undefined;

/**
 * @param path below the package's root, such as `assets/models`
 * @throws IdatError `package.bundled` where this code has been taken away from its package
 */
export function packageFile(path: string): URL {
  root ??= packageRoot(import.meta.url);
  return new URL(path, root);
}

/**
 * The root of the package a file of this folder belongs to.
 *
 * @param here the file's own URL; undefined in what a bundler makes for CommonJS
 * @throws IdatError `package.bundled`
 */
export function packageRoot(here: string | undefined): URL {
  const there = here === undefined ? null : new URL('../../../', here);
  if (there !== null && nameOfPackage(there) === 'idat') return there;
  throw new IdatError(
    'package.bundled',
    "idat's code has been bundled, and its worker, its models and its native libraries are not beside it: leave idat out of the " +
      "bundle, as a package that is installed (esbuild: --external:idat, webpack: externals, Vite: ssr.external, and 'Bundlers' in idat's docs/install.md)",
  );
}

function nameOfPackage(folder: URL): unknown {
  try {
    return (JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as { name?: unknown } | null)?.name;
  } catch {
    return undefined;
  }
}
