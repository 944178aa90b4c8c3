/** NAL units behind start codes (ITU-T H.264 annex B), as hardware encoders give them. */

/** Whether these bytes begin with a start code. Lengths of four bytes that look like one belong to NAL units of 1, or of 256 to 511, bytes. */
export const startsWithStartCode = (bytes: Uint8Array): boolean =>
  bytes[0] === 0 && bytes[1] === 0 && (bytes[2] === 1 || (bytes[2] === 0 && bytes[3] === 1));

/** Views of the NAL units, without start codes and trailing zeros. Bytes before the first start code are left out. */
export const splitAnnexB = (bytes: Uint8Array): Uint8Array[] => {
  const starts: number[] = [];
  for (let at = bytes.indexOf(1, 2); at >= 0; at = bytes.indexOf(1, at + 1)) {
    if (bytes[at - 1] === 0 && bytes[at - 2] === 0) {
      starts.push(at + 1);
    }
  }
  return starts.flatMap((start, index) => {
    let end = index + 1 < starts.length ? (starts[index + 1] ?? 0) - 3 : bytes.byteLength;
    while (end > start && bytes[end - 1] === 0) {
      end -= 1;
    }
    return end > start ? [bytes.subarray(start, end)] : [];
  });
};
