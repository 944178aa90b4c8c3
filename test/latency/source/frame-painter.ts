/**
 * Paints the lab's pictures (planar YUV 4:2:0) and its sound (48 kHz stereo, 16 bit). The picture: stamp on top, in the middle a
 * clip, or a scrolling texture so that the encoder has work, and a bar at the bottom that flashes white when a second begins. The
 * sound: a beep when a second begins. Frame n and sample n/fps belong together, so picture and sound are in step by construction.
 */
import { STAMP_COLUMN_COUNT, STAMP_HEIGHT_DIVISOR, stampBits } from './stamp.ts';
import { Prng } from '../../../server/base/prng.ts';

export const SAMPLE_RATE_HZ = 48_000;
const BEEP_HZ = 1_000;
const BEEP_MS = 100;
const FLASH_MS = 100;
const BLACK = 16;
const WHITE = 235;
/** Write requests hold on to their buffer until the pipe took it. */
const POOL_COUNT = 8;

export type PictureOptions = {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly frameRateFps: number;
  /** 0 is a smooth texture, 1 is noise: how many bits the encoder needs. */
  readonly noiseRatio?: number;
};

export class FramePainter {
  readonly #widthPx: number;
  readonly #heightPx: number;
  readonly #frameRateFps: number;
  readonly #texture: Buffer;
  readonly #pool: Buffer[];
  #poolIndex = 0;

  constructor(options: PictureOptions) {
    this.#widthPx = options.widthPx;
    this.#heightPx = options.heightPx;
    this.#frameRateFps = options.frameRateFps;
    this.#texture = paintTexture(options.widthPx * 2, options.heightPx, options.noiseRatio ?? 0.05);
    const frameBytes = (options.widthPx * options.heightPx * 3) / 2;
    this.#pool = Array.from({ length: POOL_COUNT }, () => Buffer.alloc(frameBytes, 128));
  }

  /** The picture, over `content` (of the same size and format) where there is any; its memory is used again eight pictures later. */
  paint(frameIndex: number, wallMs: number, content?: Buffer): Buffer {
    const frame = this.#pool[this.#poolIndex]!;
    this.#poolIndex = (this.#poolIndex + 1) % POOL_COUNT;
    const blockPx = Math.floor(this.#heightPx / STAMP_HEIGHT_DIVISOR);
    const rows = { fromRow: blockPx * 2, toRow: blockPx * 7 };
    if (content === undefined) {
      this.#paintTexture(frame, frameIndex, rows);
    } else {
      this.#paintContent(frame, content, rows);
    }
    this.#paintStamp(frame, blockPx, wallMs);
    const isFlash = (frameIndex % this.#frameRateFps) * 1000 < FLASH_MS * this.#frameRateFps;
    frame.fill(isFlash ? WHITE : BLACK, blockPx * 7 * this.#widthPx, this.#heightPx * this.#widthPx);
    return frame;
  }

  #paintStamp(frame: Buffer, blockPx: number, wallMs: number): void {
    const bits = stampBits(wallMs);
    for (let row = 0; row < 2; row += 1) {
      const line = row * blockPx * this.#widthPx;
      for (let column = 0; column < STAMP_COLUMN_COUNT; column += 1) {
        const from = Math.round((column * this.#widthPx) / STAMP_COLUMN_COUNT);
        const to = Math.round(((column + 1) * this.#widthPx) / STAMP_COLUMN_COUNT);
        frame.fill(bits[row * STAMP_COLUMN_COUNT + column]! ? WHITE : BLACK, line + from, line + to);
      }
      for (let y = 1; y < blockPx; y += 1) {
        frame.copyWithin(line + y * this.#widthPx, line, line + this.#widthPx);
      }
    }
  }

  /** Colours stay between stamp and bar too: a coloured block would read as a darker one. */
  #paintContent(frame: Buffer, content: Buffer, rows: { fromRow: number; toRow: number }): void {
    content.copy(frame, rows.fromRow * this.#widthPx, rows.fromRow * this.#widthPx, rows.toRow * this.#widthPx);
    const lumaBytes = this.#widthPx * this.#heightPx;
    const lineBytes = this.#widthPx / 2;
    const fromLine = Math.ceil(rows.fromRow / 2);
    const toLine = Math.floor(rows.toRow / 2);
    for (const plane of [lumaBytes, lumaBytes + lumaBytes / 4]) {
      content.copy(frame, plane + fromLine * lineBytes, plane + fromLine * lineBytes, plane + toLine * lineBytes);
    }
  }

  #paintTexture(frame: Buffer, frameIndex: number, rows: { fromRow: number; toRow: number }): void {
    const shift = (frameIndex * 3) % this.#widthPx;
    for (let y = rows.fromRow; y < rows.toRow; y += 1) {
      const from = y * this.#widthPx * 2 + shift;
      this.#texture.copy(frame, y * this.#widthPx, from, from + this.#widthPx);
    }
  }
}

/** Stereo samples `[fromSample, fromSample + count)`. */
export const beepSamples = (fromSample: number, count: number): Buffer => {
  const samples = Buffer.alloc(count * 4);
  const beepLength = (BEEP_MS * SAMPLE_RATE_HZ) / 1000;
  for (let k = 0; k < count; k += 1) {
    const inSecond = (fromSample + k) % SAMPLE_RATE_HZ;
    if (inSecond < beepLength) {
      const value = Math.round(16_000 * Math.cos((2 * Math.PI * BEEP_HZ * inSecond) / SAMPLE_RATE_HZ));
      samples.writeInt16LE(value, k * 4);
      samples.writeInt16LE(value, k * 4 + 2);
    }
  }
  return samples;
};

const paintTexture = (widthPx: number, heightPx: number, noiseRatio: number): Buffer => {
  const texture = Buffer.alloc(widthPx * heightPx);
  const prng = new Prng(1);
  const periodPx = widthPx / 2;
  for (let y = 0; y < heightPx; y += 1) {
    for (let x = 0; x < periodPx; x += 1) {
      const wave =
        Math.sin((2 * Math.PI * 4 * x) / periodPx + y / 17) + Math.sin((2 * Math.PI * 7 * x) / periodPx - y / 31);
      const value = 125 + 45 * wave * (1 - noiseRatio) + 100 * noiseRatio * (prng.nextRatio() - 0.5) * 2;
      texture[y * widthPx + x] = value;
      texture[y * widthPx + x + periodPx] = value;
    }
  }
  return texture;
};
