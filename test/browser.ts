/**
 * A real browser for pages: Debian's Chromium or whichever of its kind is on the PATH, driven by playwright-core, which brings no
 * browser, needs no other package and runs no script when it is installed.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** Path of a browser; null where there is none. `IDAT_CHROMIUM` names another. */
export const BROWSER: string | null = ((): string | null => {
  if (process.env.IDAT_CHROMIUM !== undefined) return process.env.IDAT_CHROMIUM;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const paths = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  return paths.find(executable) ?? null;
})();

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Said in the name of what is skipped. */
export const IN_BROWSER =
  BROWSER === null ? 'in a browser (SKIPPED: there is no Chromium; apt-get install chromium)' : 'in a browser';

export const startBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: BROWSER!, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });

export interface Visit {
  readonly width: number;
  readonly height: number;
  readonly colorScheme: 'light' | 'dark';
}

/** What a page did while it was opened, besides being shown. */
export interface Opened {
  readonly page: Page;
  /** All that was written to the console, thrown, or refused by the page's policy. */
  readonly complaints: readonly string[];
  /** Every address that was asked for, but the page's own and what it holds itself. */
  readonly requests: readonly string[];
}

/** Opens a file and waits until it is drawn. */
export async function openFile(browser: Browser, file: string, { width, height, colorScheme }: Visit): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const page = await context.newPage();
  const own = pathToFileURL(file).href;
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`${error}`));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    if (request.url() !== own && !request.url().startsWith('data:')) requests.push(request.url());
  });
  await page.goto(own, { waitUntil: 'load' });
  return { page, complaints, requests };
}
