/** Which compression a client takes (RFC 9110 12.5.3), among those we have ready. */
import type { Encoding } from './hls-rendition.ts';

/** Clients send the same few headers over and over. */
const KNOWN_MAX_COUNT = 256;
const known = new Map<string, Encoding>();

/** Brotli before gzip where both are taken alike; `q=0` refuses, `*` stands for what is not named. */
export const chooseEncoding = (acceptEncoding: string | undefined): Encoding => {
  if (acceptEncoding === undefined) {
    return 'identity';
  }
  let chosen = known.get(acceptEncoding);
  if (chosen === undefined) {
    chosen = choose(acceptEncoding);
    if (known.size >= KNOWN_MAX_COUNT) {
      known.clear();
    }
    known.set(acceptEncoding, chosen);
  }
  return chosen;
};

const choose = (acceptEncoding: string): Encoding => {
  const weights = new Map<string, number>();
  for (const item of acceptEncoding.toLowerCase().split(',')) {
    const [coding = '', ...parameters] = item.split(';').map((text) => text.trim());
    const weight = parameters.find((text) => text.startsWith('q='));
    weights.set(coding, weight === undefined ? 1 : Number(weight.slice(2)));
  }
  const weightOf = (coding: string): number => weights.get(coding) ?? weights.get('*') ?? 0;
  const [brotli, gzip] = [weightOf('br'), weightOf('gzip')];
  if (brotli > 0 && brotli >= gzip) {
    return 'br';
  }
  return gzip > 0 ? 'gzip' : 'identity';
};
