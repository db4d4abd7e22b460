/** Which tuning method each model has, and with which options. */
import { nearest } from '../errors.js';
import { type AnyMethod, methodByName, optionNames } from '../methods/index.js';
import { configError, fieldError, issuesOf } from './issues.js';

/** By name: numbers, words and switches, as they stand in config.json. */
export type MethodOptions = Record<string, number | boolean | string>;

/** What was asked for. */
export interface MethodRequest {
  readonly method: string;
  readonly teacherMethod?: string | undefined;
  /** For the student's method, and for the teacher's if it is the same. */
  readonly options?: MethodOptions | undefined;
  readonly teacherOptions?: MethodOptions | undefined;
  /** Options that go to whichever method has them. */
  readonly hidden?: number | undefined;
  readonly scale?: number | undefined;
}

export interface MethodSettings {
  method: string;
  /** All options of the method, defaults included. */
  options: MethodOptions;
  teacherMethod: string;
  teacherOptions: MethodOptions;
}

/**
 * Finds the methods and fills in their options.
 * @throws IdatError `config.field`: which method or option, what was expected, what came
 */
export function resolveMethods(request: MethodRequest): MethodSettings {
  const { method: name, options = {}, teacherOptions = {} } = request;
  const student = named('method', name);
  const teacher = named('teacherMethod', request.teacherMethod ?? name);
  const shared = Object.entries({ hidden: request.hidden, scale: request.scale });
  const sharedWith = (method: AnyMethod) =>
    Object.fromEntries(
      shared.filter(([key, value]) => value !== undefined && optionNames(method).includes(key)),
    ) as MethodOptions;
  const inherited = teacher === student ? options : {};
  return {
    method: student.name,
    options: checked('options', student, { ...sharedWith(student), ...options }),
    teacherMethod: teacher.name,
    teacherOptions: checked('teacherOptions', teacher, { ...sharedWith(teacher), ...inherited, ...teacherOptions }),
  };
}

function named(field: string, name: string): AnyMethod {
  try {
    return methodByName(name);
  } catch (error) {
    throw fieldError(field, 'unknown', (error as Error).message, error);
  }
}

function checked(field: string, method: AnyMethod, given: MethodOptions): MethodOptions {
  const known = optionNames(method);
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    const offer = known.length > 0 ? `; did you mean ${nearest(unknown, known, 2).join(' or ')}?` : ', which has none';
    throw fieldError(`${field}.${unknown}`, 'unrecognized_keys', `no such option of ${method.name}${offer}`);
  }
  const parsed = method.options.safeParse(given, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw configError(issuesOf(parsed.error, known, [field]), parsed.error);
}
