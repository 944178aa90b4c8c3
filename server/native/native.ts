/**
 * The one loader of the addon. It is built at the start by config/setup/native.mjs, which leaves word of where it lies or why there is none; before
 * it is trusted it must encrypt as node:crypto does. Whoever has none goes the plain way: nothing depends on it.
 */
import { createCipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { DtlsBinding } from './dtls-binding.ts';
import type { RtcpBinding } from './rtcp-binding.ts';
import type { SrtpBinding } from './srtp-binding.ts';
import type { UdpBinding } from './udp-binding.ts';

/** Each part of the addon puts one object here. */
export type Native = {
  readonly srtp: SrtpBinding;
  readonly udp: UdpBinding;
  readonly dtls: DtlsBinding;
  readonly rtcp: RtcpBinding;
};

const PARTS = ['srtp', 'udp', 'dtls', 'rtcp'] as const satisfies readonly (keyof Native)[];

export type NativeMode = 'auto' | 'off';

/** Why there is none, in words for the log. */
export type LoadedNative =
  { readonly native: Native; readonly reason: undefined } | { readonly native: undefined; readonly reason: string };

/** Written by config/setup/native.mjs. */
type Build = { readonly file?: string; readonly failed?: string };

const FOLDER =
  process.env['SLUICE_NATIVE_FOLDER'] ??
  join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'sluice', 'native');

/** Loads it once per thread that asks; loading again costs nothing. Never throws. */
export const loadNative = (mode: NativeMode = 'auto'): LoadedNative => {
  if (mode === 'off') {
    return { native: undefined, reason: 'webrtc.native is off' };
  }
  try {
    const native = requireBuilt(FOLDER) as Native;
    assertIsWhole(native);
    assertSealsRightly(native);
    return { native, reason: undefined };
  } catch (error) {
    return { native: undefined, reason: messageOf(error) };
  }
};

/** What config/setup/native.mjs has built in `folder`. Throws an error that says why there is none. */
export const requireBuilt = (folder: string): unknown => {
  const { file, failed } = JSON.parse(readFileSync(join(folder, 'build.json'), 'utf8')) as Build;
  if (file === undefined) {
    throw new Error(failed ?? 'it was not built');
  }
  return createRequire(import.meta.url)(join(folder, file));
};

/** It may be of other sources than these, where the server was started past the set-up. */
const assertIsWhole = (native: Partial<Native>): void => {
  const lacks = PARTS.filter((part) => native[part] === undefined);
  if (lacks.length > 0) {
    throw new Error(
      `the addon that was built is another version's: it lacks ${lacks.join(', ')} (npm start builds it anew)`,
    );
  }
};

/** An addon built against another OpenSSL than it meets could still load. */
const assertSealsRightly = ({ srtp }: Native): void => {
  const key = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
  const [iv, header, payload] = [Buffer.alloc(12, 1), Buffer.alloc(20, 2), Buffer.alloc(100, 3)];
  const cipher = createCipheriv('aes-128-gcm', key, iv);
  cipher.setAAD(header);
  const expected = Buffer.concat([cipher.update(payload), cipher.final(), cipher.getAuthTag()]);
  const sealed = Buffer.alloc(expected.byteLength);
  srtp.seal(key, iv, header, payload, sealed);
  if (!sealed.equals(expected)) {
    throw new Error('it does not encrypt as node:crypto does');
  }
};
