/** Pictures on their way from files to what is kept: read one after the other, a few kept at a time. */
import type { Incoming, Prepare } from './intake.js';
import type { Picture } from './project.js';

/** Kept, and shown, at a time. */
const AT_ONCE = 24;

interface Taking {
  /** The class for pictures of a folder. */
  classFor(folder: string): string;
  readonly prepare: Prepare;
  /** Ids of pictures that are there already. */
  readonly known: ReadonlySet<string>;
  onReading(done: number, total: number): void;
  keep(pictures: readonly Picture[]): Promise<void>;
}

/** @returns what is to be said of it: sentences about what was left out, and about what was there already */
export async function takeIn(
  files: readonly Incoming[],
  { classFor, prepare, known, onReading, keep }: Taking,
): Promise<{ readonly problem: string | null; readonly note: string | null }> {
  const there = new Set(known);
  // once for each folder: of a class that is removed meanwhile no second one is made
  const classes = new Map<string, string>();
  const classOf = (folder: string): string => {
    const id = classes.get(folder) ?? classFor(folder);
    classes.set(folder, id);
    return id;
  };
  const unreadable: string[] = [];
  let twice = 0;
  let fresh: Picture[] = [];
  for (const [i, file] of files.entries()) {
    onReading(i, files.length);
    const picture = await prepare(file, classOf(file.folder)).catch(() => null);
    if (!picture) unreadable.push(file.name);
    else if (there.has(picture.id)) twice++;
    else {
      there.add(picture.id);
      fresh.push(picture);
    }
    if (fresh.length < AT_ONCE) continue;
    await keep(fresh);
    fresh = [];
  }
  await keep(fresh);
  return {
    problem: unreadable.length === 0 ? null : leftOut(unreadable),
    note: twice === 0 ? null : `${twice} ${twice === 1 ? 'picture was' : 'pictures were'} there already.`,
  };
}

function leftOut([first, ...others]: readonly string[]): string {
  const which = others.length === 0 ? first! : `${others.length + 1} pictures, such as ${first},`;
  const were = others.length === 0 ? 'was' : 'were';
  return `${which} cannot be read by this browser and ${were} left out; save as JPEG or PNG.`;
}
