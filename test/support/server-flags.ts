/** What Node is given when a server is started in earnest, so that tests and benches run the same. The set-up is plain JavaScript without types. */
export const serverFlags = async (): Promise<readonly string[]> => {
  const machine: unknown = await import(new URL('../../config/setup/machine.mjs', import.meta.url).href);
  return (machine as { readonly SERVER_FLAGS: readonly string[] }).SERVER_FLAGS;
};
