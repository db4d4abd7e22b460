/**
 * What to type: the command line's own words behind those of the library, which knows no flags. Advice for an error goes by
 * its code and what it is about, advice for a note by its code.
 */
import type { IdatError } from '../errors.js';
import type { NoteCode } from '../train/progress.js';
import { shortPath } from './describe-run.js';

const resumeAdvice = ({ about }: IdatError): string | null =>
  about.run === undefined ? null : `go on with: idat resume ${shortPath(about.run)}`;

const FOR_ERRORS: Readonly<Record<string, (error: IdatError) => string | null>> = {
  'run.interrupted': resumeAdvice,
  'run.exists': resumeAdvice,
  'export.unfinished': resumeAdvice,
  'export.images': () => 'that is --data PATH',
  'run.weights': ({ about }) => `say where they are now: --${about.role} PATH`,
  'data.path.missing': ({ about }) => {
    if (about.config !== undefined) return `say where it is now: idat train PATH --config ${shortPath(about.config)}`;
    return about.run === undefined ? null : 'say where it is now: --data PATH';
  },
  'run.directory': () => 'choose another with --out',
  'run.settings': () => 'choose another folder with --out',
  'report.out': () => 'name it with --out FILE',
  'runtime.device': () => 'use --device cpu',
  'runtime.int8': () => 'use --frozen float32',
  'method.unknown': () => 'a method of your own is given by its file: --method ./my-method.js',
  'distill.unknown': () => 'a loss of your own is given by its file: --distill ./my-loss.js',
};

/** What stands in a field that nobody knows may be somebody's own. */
function fieldAdvice({ issues }: IdatError): string | null {
  const unknown = issues.find(({ code }) => code === 'unknown')?.path.at(-1);
  if (unknown === 'method' || unknown === 'teacherMethod') {
    return 'a method of your own is given by its file: --method ./my-method.js';
  }
  return unknown === 'distill' ? 'a loss of your own is given by its file: --distill ./my-loss.js' : null;
}

/** The error's message, and what to type where there is something. */
export function messageOf(error: IdatError): string {
  const advice = FOR_ERRORS[error.code]?.(error) ?? fieldAdvice(error);
  return advice === null ? error.message : `${error.message}; ${advice}`;
}

const FOR_NOTES: Readonly<Partial<Record<NoteCode, string>>> = {
  'student.preset': 'choose it with --student NAME (idat models lists them)',
  'run.unfinished': 'finish it with idat resume',
  'cache.unasked': 'that is --cache-dir FOLDER',
  'threads.more': 'that is --threads NUMBER',
  'recipe.recognised': '--recipe none trains without it, --recipe NAME with another',
  'prefix.uncached': 'free space, choose another --cache-dir or raise --prefix-memory',
};

/** A note's text, and what to type where there is something. */
export const noteText = ({ text, code }: { text: string; code?: NoteCode }): string =>
  code === undefined || FOR_NOTES[code] === undefined ? text : `${text}; ${FOR_NOTES[code]}`;
