/**
 * CMYK to RGB as Pillow's `convert('RGB')` does it: plain arithmetic, no colour profile.
 *
 * R = clip(nk − nk·C/255), nk = 255 − K, the product rounded in integers.
 *
 * @param cmyk bytes [pixels, 4], 255 is full ink
 * @returns bytes [pixels, 3]
 * @see Pillow's src/libImaging/Convert.c, cmyk2rgb
 */
export function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let from = 0, to = 0; from < cmyk.length; from += 4, to += 3) {
    const notBlack = 255 - cmyk[from + 3]!;
    for (let c = 0; c < 3; c++) rgb[to + c] = notBlack - multiplyBytes(cmyk[from + c]!, notBlack);
  }
  return rgb;
}

/** a·b/255 rounded, without a division (Pillow's MULDIV255); at most b, so the difference above needs no clipping. */
function multiplyBytes(a: number, b: number): number {
  const t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}
