/** What is wrong with settings, as data and in sentences. */
import type { z } from 'zod';
import { IdatError, type Issue, inWords, nearest } from '../errors.js';

/**
 * A schema's complaints as issues.
 * @param known names of the settings there are, of which the nearest are offered
 * @param under where the checked value lies
 */
export function issuesOf(
  { issues }: z.ZodError,
  known: readonly string[],
  under: readonly (string | number)[] = [],
): Issue[] {
  return issues.flatMap((issue): Issue[] => {
    const path = [...under, ...(issue.path as (string | number)[])];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: [...path, key],
        code: issue.code,
        message: `no such setting; did you mean ${nearest(key, known, 2).join(' or ')}?`,
      }));
    }
    const got = issue.input === undefined ? 'nothing' : (JSON.stringify(issue.input) ?? typeof issue.input);
    const expected = issue.message.replace(/^Invalid (input|option): /, '').replace(/, received [\w ]+$/, '');
    return [{ path, code: issue.code, message: `${expected}, got ${got}` }];
  });
}

/** The error for settings that cannot be. */
export const configError = (issues: readonly Issue[], cause?: unknown): IdatError =>
  new IdatError('config.field', inWords(issues), { issues, cause });

/** The same for a single field. @param message what was expected and what came */
export const fieldError = (field: string, code: string, message: string, cause?: unknown): IdatError =>
  configError([{ path: field.split('.'), code, message }], cause);

/**
 * The input with its defaults.
 * @throws IdatError `config.field`: which field, what was expected, what came
 */
export function checkFields<Schema extends z.ZodObject>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw configError(issuesOf(parsed.error, Object.keys(schema.shape)), parsed.error);
}
