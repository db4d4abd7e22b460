/** Reading a safetensors file without idat's own reader. */
export function decodeSafetensors(bytes: Uint8Array): { metadata: Record<string, string>; tensors: string[] } {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const { __metadata__: metadata, ...tensors } = header;
  return { metadata, tensors: Object.keys(tensors) };
}
