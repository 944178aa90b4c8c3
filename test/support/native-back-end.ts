/** The native back end, for tests that are skipped where there is none: where there is no compiler there is nothing to test. */
import type { Native } from '../../server/native/native.ts';
import { loadNative } from '../../server/native/native.ts';

const loaded = loadNative();

/** Only to be looked at in a test that is `only` for it. */
export const native = loaded.native as Native;

/** Options of such a test. */
export const only: { readonly skip?: string } = loaded.native === undefined ? { skip: loaded.reason } : {};
