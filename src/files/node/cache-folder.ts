/** Where idat keeps what it can make or fetch again. */
import { isAbsolute, join } from 'node:path';
import { homeFolder } from './home-folder.js';

/**
 * The user's cache folder for idat; it need not exist.
 * @see XDG Base Directory Specification: a path that is not absolute is to be ignored
 */
export function cacheFolder(): string {
  const { XDG_CACHE_HOME: base } = process.env;
  return join(base !== undefined && isAbsolute(base) ? base : join(homeFolder(), '.cache'), 'idat');
}
