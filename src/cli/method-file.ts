/** Tuning methods of the user's own: a file given on the command line, which registers one when it is imported. */
import { access } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Option } from 'commander';
import { IdatError } from '../errors.js';
import { allMethods } from '../methods/index.js';
import { shortPath } from './describe-run.js';

/** For commands that take up a run, which names its method but must not choose what code to load. */
export const METHOD_FILE = (): Option =>
  new Option('--method <file>', 'the file of its tuning method, where that is one of your own');

/** What has a separator or the ending of a module is a file; all else is a name. */
const isFile = (text: string): boolean => /[\\/]|\.[cm]?[jt]s$/.test(text);

/** What each file registered: a module runs once, however often it is imported. */
const imported = new Map<string, string>();

/** The method's name; where a file is given, it is imported first. */
export async function importMethod(nameOrFile: string): Promise<string> {
  if (!isFile(nameOrFile)) return nameOrFile;
  const path = resolve(nameOrFile);
  const earlier = imported.get(path);
  if (earlier !== undefined) return earlier;
  const before = new Set(allMethods());
  await load(path);
  const [method, ...others] = allMethods().filter((known) => !before.has(known));
  if (!method || others.length > 0) {
    const names = others.length > 0 ? [method, ...others].map((m) => m!.name).join(', ') : 'none';
    throw new IdatError(
      'method.file',
      `${shortPath(path)}: expected a file that calls registerMethod of this idat once, it registered ${names}; ` +
        `docs/methods.md shows one (a copy of idat elsewhere has a registry of its own)`,
    );
  }
  imported.set(path, method.name);
  return method.name;
}

async function load(path: string): Promise<void> {
  const found = await access(path).then(
    () => true,
    () => false,
  );
  if (!found) throw new IdatError('method.file', `${shortPath(path)}: no such file; check the path of --method`);
  try {
    await import(pathToFileURL(path).href);
  } catch (error) {
    if (error instanceof IdatError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const advice =
      code === 'ERR_UNKNOWN_FILE_EXTENSION' && /ts$/.test(extname(path))
        ? `Node ${process.versions.node} does not read TypeScript: compile it to .js, or use Node from 22.18`
        : `it cannot be imported: ${message}`;
    throw new IdatError('method.file', `${shortPath(path)}: ${advice}`, { cause: error });
  }
}

/** Flags of a run with the files of methods imported and replaced by the methods' names. */
export async function importMethods<Flags extends Record<string, unknown>>(flags: Flags): Promise<Flags> {
  const names: Record<string, string> = {};
  for (const flag of ['method', 'teacherMethod', 'adapter', 'teacherAdapter']) {
    const given = flags[flag];
    if (typeof given === 'string') names[flag] = await importMethod(given);
  }
  return { ...flags, ...names };
}
