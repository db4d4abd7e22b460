/**
 * Spares an installation the fetching of CUDA: npm runs this before any package's `postinstall`.
 *
 * On Linux x64, onnxruntime-node's own `postinstall` fetches CUDA's libraries, which are too large for npm's registry, from
 * nuget.org on every machine, with or without a GPU, and where that host is not reached the whole installation fails.
 * It fetches nothing when the files are there, so a line of text is put where each would be; src/runtime/node/worker.ts
 * tells that line from a library. docs/install.md says how to get CUDA, and what else was tried.
 *
 * Does nothing where somebody has chosen: where onnxruntime-node's own switch is set, or the project itself depends on it.
 * Never fails: at worst, onnxruntime-node's script does what it would have done.
 */
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const PLACEHOLDER =
  "Not a library: idat's place holder. To fetch the real one: ONNXRUNTIME_NODE_INSTALL=true npm rebuild onnxruntime-node\n";

/** As onnxruntime-node's script reads it. */
const SWITCHES = ['ONNXRUNTIME_NODE_INSTALL', 'ONNXRUNTIME_NODE_INSTALL_CUDA'].flatMap((name) => [
  name,
  `npm_config_${name.toLowerCase()}`,
]);

/** @param {NodeJS.ProcessEnv} env */
function isChosen(env) {
  if (SWITCHES.some((name) => env[name])) return true;
  if (env.npm_config_global === 'true' || !env.npm_config_local_prefix) return false;
  const project = join(env.npm_config_local_prefix, 'package.json');
  if (!existsSync(project)) return false;
  const {
    dependencies = {},
    devDependencies = {},
    optionalDependencies = {},
  } = JSON.parse(readFileSync(project, 'utf8'));
  return 'onnxruntime-node' in { ...dependencies, ...devDependencies, ...optionalDependencies };
}

/**
 * Puts a place holder where each file would be that onnxruntime-node would fetch for this platform and that is not there.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {string | URL} from a file of the package whose onnxruntime-node is meant
 * @returns {string[]} the files written
 */
export function withoutCuda(
  env = process.env,
  from = import.meta.url,
  platform = `${process.platform}/${process.arch}`,
) {
  if (isChosen(env)) return [];
  const require = createRequire(from);
  const root = dirname(require.resolve('onnxruntime-node/package.json'));
  const { requirements, manifests } = require(join(root, 'script', 'install-metadata.js'));
  const files = (requirements[platform] ?? [])
    .flatMap((/** @type {string} */ name) => Object.keys(manifests[`${platform}:${name}`] ?? {}))
    .map((/** @type {string} */ name) => join(root, 'bin', 'napi-v6', platform, name))
    .filter((/** @type {string} */ file) => !existsSync(file));
  for (const file of files) writeFileSync(file, PLACEHOLDER, { flag: 'wx' });
  return files;
}

// npm may have come here through a link
if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  try {
    withoutCuda();
  } catch {
    // onnxruntime-node lies elsewhere, or has changed: its own script decides
  }
}
