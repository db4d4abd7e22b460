/** What this browser or this host lacks, told before anything is lost by it. */

import { canvasIsTrue } from '../data/web/canvas.js';

/** A sentence for each thing that will not work. */
export function problemsHere(): string[] {
  const problems: string[] = [];
  if (!isSecureContext) {
    problems.push(
      'This page was opened by plain http from another machine, where browsers keep no files and give no camera: open it by https, or on the machine that serves it.',
    );
  } else if (!navigator.storage?.getDirectory) {
    problems.push(
      'This browser keeps no files for pages, so that nothing can be trained here: take a current Chrome, Edge, Firefox or Safari, and no private window.',
    );
  }
  if (typeof WebAssembly !== 'object') {
    problems.push(
      'WebAssembly is switched off in this browser, and nothing can be trained without it: allow it for this page.',
    );
  }
  if (typeof OffscreenCanvas === 'function' && !canvasIsTrue()) {
    problems.push(
      'This browser changes the pixels that pages read, so that visitors are not recognised by them; nothing could be learnt from such pictures: allow this page to read canvases, and load it again.',
    );
  }
  const { deviceMemory } = navigator as { deviceMemory?: number };
  if (deviceMemory !== undefined && deviceMemory < 1) {
    problems.push('This device has little memory: keep to “Quick” and few pictures.');
  }
  return problems;
}

/** How the page is served, in a sentence: nothing of it needs isolation. */
export const isolationSays = (): string =>
  crossOriginIsolated
    ? 'This page is isolated from others (COOP and COEP).'
    : 'The host does not isolate this page (no COOP and COEP headers); nothing here needs it.';

/** Why there is no camera, in a sentence. */
export function cameraProblem(error: unknown): string {
  const { name, message } = error as DOMException;
  if (name === 'NotAllowedError') {
    return 'The camera was refused: allow it for this page in the address bar, then try again. Pictures from files work without it.';
  }
  if (name === 'NotFoundError' || name === 'OverconstrainedError') {
    return 'No camera was found on this device; add pictures from files instead.';
  }
  if (name === 'NotReadableError') return 'The camera is in use by another program; close that, then try again.';
  return `The camera cannot be used (${message}); add pictures from files instead.`;
}
