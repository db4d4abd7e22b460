/** What is wrong with a setting, in a sentence. */
import type { z } from 'zod';
import { nearest } from '../errors.js';

/** `epochs: expected …, got …`. @param known names of the settings there are */
export function explainIssue(issue: z.core.$ZodIssue, known: readonly string[]): string {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .map(
        (key) =>
          `${[...issue.path, key].join('.')}: no such setting; did you mean ${nearest(key, known, 2).join(' or ')}?`,
      )
      .join('\n');
  }
  const got = issue.input === undefined ? 'nothing' : JSON.stringify(issue.input);
  return `${issue.path.join('.')}: ${issue.message.replace(/^Invalid (input|option): /, '')}, got ${got}`;
}
