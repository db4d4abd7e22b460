/** Addresses of pictures, made once each. */
const addresses = new WeakMap<Blob, string>();

export function thumbnail(blob: Blob): string {
  const there = addresses.get(blob);
  if (there !== undefined) return there;
  const made = URL.createObjectURL(blob);
  addresses.set(blob, made);
  return made;
}
