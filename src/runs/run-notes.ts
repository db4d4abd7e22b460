/** What people write to a run: tags and a note, in a file of their own beside the run's, which no training reads. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';

export interface RunNotes {
  /** Each once, in the order in which they were given. */
  readonly tags: readonly string[];
  readonly note: string;
}

export const NOTES_FILE = 'notes.json';
const NONE: RunNotes = { tags: [], note: '' };
const [MOST_TAGS, LONGEST_TAG, LONGEST_NOTE] = [20, 40, 10_000];
/** Nobody's notes are larger. */
const LARGEST_FILE = 2 ** 17;

const Notes = z.object({
  format: z.literal('idat-notes-1'),
  tags: z.array(z.string().max(LONGEST_TAG)).max(MOST_TAGS),
  note: z.string().max(LONGEST_NOTE),
});

/** None where there are none, or what is there is none of ours. */
export async function readNotes(dir: string): Promise<RunNotes> {
  const path = join(dir, NOTES_FILE);
  try {
    if ((await stat(path)).size > LARGEST_FILE) return NONE;
    const { tags, note } = Notes.parse(JSON.parse(await readFile(path, 'utf8')));
    return { tags, note };
  } catch {
    return NONE;
  }
}

/** @returns them as they are kept: without spaces around tags, and each tag once. @throws IdatError `run.notes`, `files.write` */
export async function writeNotes(dir: string, { tags, note }: RunNotes): Promise<RunNotes> {
  const kept = { tags: [...new Set(tags.map((tag) => tag.trim()).filter((tag) => tag !== ''))], note };
  const refuse = (what: string) => new IdatError('run.notes', `${dir}: ${what}`);
  if (kept.tags.length > MOST_TAGS) throw refuse(`a run has ${MOST_TAGS} tags at most, got ${kept.tags.length}`);
  const long = kept.tags.find((tag) => tag.length > LONGEST_TAG);
  if (long !== undefined) throw refuse(`a tag has ${LONGEST_TAG} characters at most, got ${long.length}`);
  if (note.length > LONGEST_NOTE) throw refuse(`a note has ${LONGEST_NOTE} characters at most, got ${note.length}`);
  await writeFileAtomic(join(dir, NOTES_FILE), `${JSON.stringify({ format: 'idat-notes-1', ...kept }, null, 2)}\n`);
  return kept;
}
