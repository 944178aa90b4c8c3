/** The library as the API sees it: with the keys that may change it. */
import type { KeyStore } from './access/key-store.ts';
import { secretsMatch } from './access/key-store.ts';
import type { ReplaysView } from './api/views.ts';
import type { Library } from './replay/library.ts';

export const createReplaysView = (library: Library, { keys }: { readonly keys: KeyStore }): ReplaysView => ({
  list: (query) => library.list(query),
  find: (id) => library.find(id),
  rename: async (id, title) => library.rename(id, title),
  remove: async (id) => library.remove(id),
  mayChange: (bearer, name) => {
    const publishKey = keys.publishKeyOf(name);
    return (
      bearer !== undefined &&
      (secretsMatch(bearer, keys.adminKey) || (publishKey !== undefined && secretsMatch(bearer, publishKey)))
    );
  },
});
