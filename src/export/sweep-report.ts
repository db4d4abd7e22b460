export async function sweepReport(_p: string, _a: string | undefined): Promise<{ html: string; missing: string[] }> {
  throw new Error('x');
}
