/** The user's home folder, or what stands for it. */
import { lstatSync, type Stats } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { IdatError } from '../../errors.js';

/** What the system knows, to be asked. */
export interface HomeSources {
  /** Throws where neither HOME nor the list of users tells, as for the made-up user of a container. */
  readonly home: () => string;
  readonly temporary: string;
  readonly uid: number | undefined;
  /** Undefined where nothing is. */
  readonly look: (path: string) => Pick<Stats, 'uid' | 'isDirectory'> | undefined;
}

const SYSTEM: HomeSources = {
  home: homedir,
  temporary: tmpdir(),
  uid: process.getuid?.(),
  look: (path) => lstatSync(path, { throwIfNoEntry: false }),
};

/**
 * The home folder; without one a folder of this user's in the temporary one, which need not exist.
 * @throws IdatError `files.home` when somebody else has put something there
 */
export function homeFolder({ home, temporary, uid, look }: HomeSources = SYSTEM): string {
  try {
    const found = home();
    if (found !== '') return found;
  } catch {
    // nobody knows this user
  }
  const folder = join(temporary, `idat-home-${uid ?? 'user'}`);
  const there = look(folder);
  if (there === undefined || (there.isDirectory() && (uid === undefined || there.uid === uid))) return folder;
  throw new IdatError('files.home', `${folder}: is somebody else's, and this user has no home folder; set HOME to one`);
}
