/** Whether the first sample of an fMP4 fragment is a sync sample (ISO/IEC 14496-12, 8.8.7 and 8.8.8), as far as the fragment itself says. */

type Box = { readonly type: string; readonly body: Buffer };

function* boxesOf(bytes: Buffer): Generator<Box> {
  let offset = 0;
  while (offset + 8 <= bytes.byteLength) {
    const size = bytes.readUInt32BE(offset);
    const end = size === 0 ? bytes.byteLength : offset + size;
    if (size === 1 || end > bytes.byteLength || end < offset + 8) {
      return;
    }
    yield { type: bytes.toString('latin1', offset + 4, offset + 8), body: bytes.subarray(offset + 8, end) };
    offset = end;
  }
}

const find = (bytes: Buffer | undefined, type: string): Buffer | undefined => {
  for (const box of bytes === undefined ? [] : boxesOf(bytes)) {
    if (box.type === type) {
      return box.body;
    }
  }
  return undefined;
};

const NON_SYNC = 0x0001_0000;

/** Undefined when the flags stand in the init segment, or it is no fragment. */
export const startsWithSync = (fragment: Buffer): boolean | undefined => {
  const traf = find(find(fragment, 'moof'), 'traf');
  const [tfhd, trun] = [find(traf, 'tfhd'), find(traf, 'trun')];
  const flags =
    (trun === undefined ? undefined : firstFlagsOf(trun)) ?? (tfhd === undefined ? undefined : defaultFlagsOf(tfhd));
  return flags === undefined ? undefined : (flags & NON_SYNC) === 0;
};

/** trun: flags(24) count(32) [data offset 0x1] [first sample flags 0x4] then per sample [duration 0x100] [size 0x200] [flags 0x400] … */
const firstFlagsOf = (trun: Buffer): number | undefined => {
  const flags = trun.readUInt32BE(0) & 0xff_ffff;
  let offset = 8 + (flags & 0x1 ? 4 : 0);
  if (flags & 0x4) {
    return trun.readUInt32BE(offset);
  }
  if ((flags & 0x400) === 0) {
    return undefined;
  }
  offset += (flags & 0x100 ? 4 : 0) + (flags & 0x200 ? 4 : 0);
  return offset + 4 <= trun.byteLength ? trun.readUInt32BE(offset) : undefined;
};

/** tfhd: flags(24) track(32) [base offset 0x1] [description 0x2] [duration 0x8] [size 0x10] [flags 0x20] */
const defaultFlagsOf = (tfhd: Buffer): number | undefined => {
  const flags = tfhd.readUInt32BE(0) & 0xff_ffff;
  if ((flags & 0x20) === 0) {
    return undefined;
  }
  const offset = 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0) + (flags & 0x8 ? 4 : 0) + (flags & 0x10 ? 4 : 0);
  return offset + 4 <= tfhd.byteLength ? tfhd.readUInt32BE(offset) : undefined;
};
