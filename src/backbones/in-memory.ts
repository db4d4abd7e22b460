/** A checkpoint in memory as a frozen backbone: what a browser tab has of a file. */
import { parseSafetensorsHeader } from '../files/safetensors.js';
import { sha256 } from '../files/sha256.js';
import type { Backbone } from './backbone.js';
import { backboneOf, type Overrides } from './checkpoint.js';
import { checkpointOf } from './checkpoints/recognised.js';
import { isSafetensors, refuseOtherFormats } from './checkpoints/refused.js';
import { storedTensors } from './checkpoints/stored-safetensors.js';

/**
 * Opens the bytes of a .safetensors file, which must not change as long as the backbone is in use. There is nothing beside
 * it: what neither tensors nor the file's notes tell has to be among the overrides.
 *
 * @param path what messages and programs call it
 * @throws IdatError when it is no well-formed safetensors file of a backbone, and as `backboneOf`
 */
export async function backboneFromBytes(bytes: Uint8Array, path: string, overrides: Overrides = {}): Promise<Backbone> {
  if (!isSafetensors(bytes)) refuseOtherFormats(bytes.subarray(0, 512), path);
  const { tensors, metadata } = parseSafetensorsHeader(bytes, bytes.length, path);
  const read = (offset: number, byteLength: number) =>
    bytes.slice(offset, offset + byteLength) as Uint8Array<ArrayBuffer>;
  const file = { path, files: [path], tensors: storedTensors(tensors, path, read), metadata };
  const companions = { configPath: 'config.json', huggingFace: null, timm: null, preprocessor: null };
  const checkpoint = await checkpointOf(file, async () => companions, overrides.besides, overrides.config);
  return backboneOf(checkpoint, await sha256(bytes), overrides);
}
