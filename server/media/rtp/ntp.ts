/** NTP timestamps (RFC 3550 4): seconds since 1900 and a binary fraction of 2^-32 s. */

const SECONDS_1900_TO_1970 = 2_208_988_800;
const FRACTION_RANGE = 2 ** 32;

export type NtpTime = { readonly seconds: number; readonly fraction: number };

/** Of Unix milliseconds. The fraction is binary: half a second is 0x80000000. */
export const ntpFromWallMs = (wallMs: number): NtpTime => {
  const wholeS = Math.floor(wallMs / 1000);
  const fraction = Math.floor(((wallMs - wholeS * 1000) / 1000) * FRACTION_RANGE);
  return {
    seconds: (wholeS + SECONDS_1900_TO_1970) % FRACTION_RANGE,
    fraction: Math.min(FRACTION_RANGE - 1, Math.max(0, fraction)),
  };
};

/** The opposite, for instants from 1970 to 2036. */
export const wallMsFromNtp = (ntp: NtpTime): number =>
  (ntp.seconds - SECONDS_1900_TO_1970) * 1000 + (ntp.fraction / FRACTION_RANGE) * 1000;

/** The middle 32 bits, by which receiver reports name the sender report they answer (LSR). */
export const ntpMiddle32 = (ntp: NtpTime): number => (((ntp.seconds & 0xffff) << 16) | (ntp.fraction >>> 16)) >>> 0;

/** Milliseconds of a delay in units of 2^-16 s (DLSR). */
export const ntpDelayMs = (units: number): number => (units * 1000) / 65_536;
