/** Parsers for flags' values. */
import { InvalidArgumentError, Option } from 'commander';
import { nearest } from '../errors.js';

/** One of the names, or an error that offers the nearest. */
export const nameOf =
  (names: readonly string[]) =>
  (text: string): string => {
    if (names.includes(text)) return text;
    throw new InvalidArgumentError(`Did you mean ${nearest(text, names, 1)[0]}? (${names.join(', ')})`);
  };

export function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new InvalidArgumentError('Expected a whole number from 1.');
}

/** As a seed is. */
export function anyInteger(text: string): number {
  if (/^-?\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number.');
}

/** For commands that take up a run whose weights have moved. */
export const STUDENT_PLACE = (): Option =>
  new Option('--student <path>', 'where the student’s frozen weights are now, if not where they were in training');

/** Of a server: 0 is any that is free. */
export function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a whole number from 0 to 65535.');
}
