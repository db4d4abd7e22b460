/** Backbones as runs open them: what is not on this disk is fetched, in sight of the caller. */
import type { Backbone } from '../backbones/backbone.js';
import { resolveBackbone } from '../backbones/registry.js';
import type { FetchControl } from '../hub/fetch.js';
import type { FineTuneSettings } from './config.js';
import type { RunControl } from './progress.js';
import type { Role } from './state.js';

/**
 * The student's backbone, or the teacher's where there is one.
 * @throws IdatError as `resolveBackbone`; `hub.interrupted` when the signal stopped it
 */
export function openBackbone(settings: FineTuneSettings, role: Role, control: RunControl): Promise<Backbone> {
  const { imageSize, studentLayerNormEps, teacherLayerNormEps, offline } = settings;
  const name = settings[role]!;
  const layerNormEps = role === 'student' ? studentLayerNormEps : teacherLayerNormEps;
  return resolveBackbone(name, { imageSize, layerNormEps, fetch: offline ? undefined : fetching(name, control) });
}

/** A caller's control of a run as the control of fetching. @param name stands beside the progress */
export function fetching(name: string, { onProgress, signal }: RunControl): FetchControl {
  return {
    signal,
    onNote: (text) => onProgress?.({ kind: 'note', text }),
    onProgress: (done, total, bytesPerSecond) => onProgress?.({ kind: 'fetch', name, done, total, bytesPerSecond }),
  };
}
