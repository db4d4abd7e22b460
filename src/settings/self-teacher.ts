/** A teacher that is no checkpoint of its own: the first blocks of the student's, written `self:6`. */
import { fieldError } from './issues.js';

const PREFIX = 'self:';

/**
 * How many of the student's blocks teach it; null where another checkpoint teaches, or nothing.
 * @throws IdatError `config.field` for what begins as one and is none
 */
export function selfDepth(teacher: string | null): number | null {
  if (!teacher?.startsWith(PREFIX)) return null;
  const count = teacher.slice(PREFIX.length);
  if (/^[1-9]\d{0,3}$/.test(count)) return Number(count);
  throw fieldError(
    'teacher',
    'invalid_format',
    `expected self: and a number of blocks such as self:6, got '${teacher}'`,
  );
}
