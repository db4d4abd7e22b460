/** Methods and losses of the user's own: a file given on the command line, which registers one when it is imported. */
import { access } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Option } from 'commander';
import { allLosses } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { allMethods } from '../methods/index.js';
import { shortPath } from './describe-run.js';

/** For commands that take up a run, which names its method but must not choose what code to load. */
export const METHOD_FILE = (): Option =>
  new Option('--method <file>', 'the file of its tuning method, where that is one of your own');
export const LOSS_FILE = (): Option =>
  new Option('--distill <file>', 'the file of its distillation loss, where that is one of your own');

/** Something that files register. */
interface Extension {
  /** In codes of errors. */
  readonly code: string;
  readonly flag: string;
  readonly registers: string;
  readonly docs: string;
  all(): readonly { readonly name: string }[];
}

const METHOD: Extension = {
  code: 'method.file',
  flag: '--method',
  registers: 'registerMethod',
  docs: 'docs/methods.md',
  all: allMethods,
};

const LOSS: Extension = {
  code: 'distill.file',
  flag: '--distill',
  registers: 'registerLoss',
  docs: 'docs/distillation.md',
  all: allLosses,
};

/** What has a separator or the ending of a module is a file; all else is a name. */
const isFile = (text: string): boolean => /[\\/]|\.[cm]?[jt]s$/.test(text);

/** What each file registered: a module runs once, however often it is imported. */
const imported = new Map<string, string>();

/** The method's name; where a file is given, it is imported first. */
export const importMethod = (nameOrFile: string): Promise<string> => importOne(METHOD, nameOrFile);

/** The loss's name; where a file is given, it is imported first. */
export const importLoss = (nameOrFile: string): Promise<string> => importOne(LOSS, nameOrFile);

async function importOne(kind: Extension, nameOrFile: string): Promise<string> {
  if (!isFile(nameOrFile)) return nameOrFile;
  const path = resolve(nameOrFile);
  const key = `${kind.code} ${path}`;
  const earlier = imported.get(key);
  if (earlier !== undefined) return earlier;
  const before = new Set(kind.all());
  await load(kind, path);
  const [own, ...others] = kind.all().filter((known) => !before.has(known));
  if (!own || others.length > 0) {
    const names = others.length > 0 ? [own, ...others].map((one) => one!.name).join(', ') : 'none';
    throw new IdatError(
      kind.code,
      `${shortPath(path)}: expected a file that calls ${kind.registers} of this idat once, it registered ${names}; ` +
        `${kind.docs} shows one (a copy of idat elsewhere has a registry of its own)`,
    );
  }
  imported.set(key, own.name);
  return own.name;
}

async function load({ code, flag }: Extension, path: string): Promise<void> {
  const found = await access(path).then(
    () => true,
    () => false,
  );
  if (!found) throw new IdatError(code, `${shortPath(path)}: no such file; check the path of ${flag}`);
  try {
    await import(pathToFileURL(path).href);
  } catch (error) {
    if (error instanceof IdatError) throw error;
    const { code: reason, message } = error as NodeJS.ErrnoException;
    const advice =
      reason === 'ERR_UNKNOWN_FILE_EXTENSION' && /ts$/.test(extname(path))
        ? `Node ${process.versions.node} does not read TypeScript: compile it to .js, or use Node from 22.18`
        : `it cannot be imported: ${message}`;
    throw new IdatError(code, `${shortPath(path)}: ${advice}`, { cause: error });
  }
}

/** Flags of a run with the files of methods and losses imported and replaced by their names. */
export async function importExtensions<Flags extends Record<string, unknown>>(flags: Flags): Promise<Flags> {
  const names: Record<string, string> = {};
  for (const flag of ['method', 'teacherMethod', 'adapter', 'teacherAdapter']) {
    const given = flags[flag];
    if (typeof given === 'string') names[flag] = await importMethod(given);
  }
  if (typeof flags.distill === 'string') names.distill = await importLoss(flags.distill);
  return { ...flags, ...names };
}
