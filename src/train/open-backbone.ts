/** Backbones as runs open them: what is not on this disk is fetched, in sight of the caller. */
import type { Backbone } from '../backbones/backbone.js';
import { type BackboneOptions, resolveBackbone } from '../backbones/registry.js';
import type { FetchControl } from '../hub/fetch.js';
import type { FineTuneSettings } from './config.js';
import type { RunControl } from './progress.js';

/** @throws IdatError as `resolveBackbone`; `hub.interrupted` when the signal stopped it */
export function openBackbone(
  nameOrPath: string,
  { offline, ...options }: BackboneOptions & Pick<FineTuneSettings, 'offline'>,
  control: RunControl,
): Promise<Backbone> {
  return resolveBackbone(nameOrPath, { ...options, fetch: offline ? undefined : fetching(nameOrPath, control) });
}

/** A caller's control of a run as the control of fetching. @param name stands beside the progress */
export function fetching(name: string, { onProgress, signal }: RunControl): FetchControl {
  return {
    signal,
    onNote: (text) => onProgress?.({ kind: 'note', text }),
    onProgress: (done, total, bytesPerSecond) => onProgress?.({ kind: 'fetch', name, done, total, bytesPerSecond }),
  };
}
