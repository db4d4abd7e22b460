/** The browsers that tests of a tab run in; `there` tells which of them are. */
import { type Browser, hasChromium, startBrowser } from './browser-support.js';
import { hasFirefox, startFirefox } from './firefox-support.js';

interface TestedBrowser {
  readonly name: string;
  readonly there: boolean;
  /** @param url of a server whose page says when it is ready, as `Browser.open` wants it */
  start(url: string): Promise<Browser>;
}

export const BROWSERS: readonly TestedBrowser[] = [
  { name: 'Chromium', there: hasChromium, start: startBrowser },
  { name: 'Firefox', there: hasFirefox, start: startFirefox },
];
