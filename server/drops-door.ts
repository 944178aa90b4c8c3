/** Drops, for `main.ts`: where their files lie, and who may see who claimed. */
import { join, resolve } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { KeyStore } from './access/key-store.ts';
import { secretsMatch } from './access/key-store.ts';
import type { Clock } from './base/clock.ts';
import type { HttpEndpoint } from './base/http-exchange.ts';
import { Drops } from './drops/drops.ts';
import { createDropsEndpoint } from './drops/http-endpoint.ts';
import type { Log } from './observability/log.ts';
import type { Metrics } from './observability/metrics.ts';

export type DropsDoor = { readonly drops: Drops; readonly endpoint: HttpEndpoint };

export const openDropsDoor = async (
  { dataDir, drops: { folder, shopKeysFile, ...options } }: Pick<Config, 'dataDir' | 'drops'>,
  parts: { keys: KeyStore; clock: Clock; log: Log; metrics: Metrics },
): Promise<DropsDoor> => {
  const { keys, ...others } = parts;
  const drops = await Drops.load(options, {
    folder: resolve(dataDir, folder),
    keyPath: join(dataDir, 'drop-key.json'),
    shopKeysPath: resolve(dataDir, shopKeysFile),
    ...others,
  });
  const mayList = (bearer: string | undefined, broadcast: string): boolean =>
    bearer !== undefined && (secretsMatch(bearer, keys.adminKey) || keys.isPublishKey(broadcast, bearer));
  return { drops, endpoint: createDropsEndpoint({ drops, mayList }) };
};
