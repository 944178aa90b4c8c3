/** What x264 says of an encoding when it ends: pure, from the lines that ffmpeg passes on. Measures of what it made against what it was given included. */

/** One encoding; pictures of both kinds were in it. Means are over pictures. */
export type X264Report = {
  readonly keyframeCount: number;
  readonly pictureCount: number;
  readonly keyframeQp: number;
  readonly pictureQp: number;
  readonly keyframeBytes: number;
  /** Of the pictures between keyframes, as the two that follow. */
  readonly pictureBytes: number;
  readonly intraRatio: number;
  readonly skipRatio: number;
  /** Of luma. */
  readonly psnrDb: number;
  readonly ssimRatio: number;
};

/** A still picture has no error at all: x264 says `inf`. */
const PSNR_MAX_DB = 60;

/** One report an encoder, in the order of the outputs; those that encoded no keyframe or no other picture are undefined. */
export const readX264Reports = (lines: string): (X264Report | undefined)[] => {
  const byEncoder = new Map<string, string[]>();
  for (const [, encoder = '', text = ''] of lines.matchAll(/^\[libx264 @ (0x[0-9a-f]+)\] (.*)$/gm)) {
    // Encoders open in any order and close in that of the outputs: they are taken as they close.
    const isClosing = text.startsWith('frame I:');
    const known = byEncoder.get(encoder) ?? (isClosing ? [] : undefined);
    if (known !== undefined) {
      known.push(text);
      byEncoder.set(encoder, known);
    }
  }
  return [...byEncoder.values()].map((texts) => readOne(texts.join('\n')));
};

const readOne = (text: string): X264Report | undefined => {
  const keyframes = readPictures(text, 'I');
  const pictures = readPictures(text, 'P');
  const blocks = /^mb P +I16\.\.4: *([\d.]+)% *([\d.]+)% *([\d.]+)%.*skip: *([\d.]+)%/m.exec(text);
  const ssim = /^SSIM Mean Y:([\d.]+)/m.exec(text);
  const psnr = /^PSNR Mean Y:([\d.]+|inf)/m.exec(text);
  if (keyframes === undefined || pictures === undefined || blocks === null || ssim === null || psnr === null) {
    return undefined;
  }
  const [i16 = 0, i8 = 0, i4 = 0, skip = 0] = blocks.slice(1).map(Number);
  return {
    keyframeCount: keyframes.count,
    pictureCount: pictures.count,
    keyframeQp: keyframes.qp,
    pictureQp: pictures.qp,
    keyframeBytes: keyframes.bytes,
    pictureBytes: pictures.bytes,
    intraRatio: (i16 + i8 + i4) / 100,
    skipRatio: skip / 100,
    psnrDb: psnr[1] === 'inf' ? PSNR_MAX_DB : Math.min(PSNR_MAX_DB, Number(psnr[1])),
    ssimRatio: Number(ssim[1]),
  };
};

const readPictures = (text: string, kind: 'I' | 'P'): { count: number; qp: number; bytes: number } | undefined => {
  const found = new RegExp(`^frame ${kind}:(\\d+) +Avg QP: *([\\d.]+) +size: *(\\d+)`, 'm').exec(text);
  return found === null ? undefined : { count: Number(found[1]), qp: Number(found[2]), bytes: Number(found[3]) };
};
