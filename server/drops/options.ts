/** What may be set of drops. */
export type DropsOptions = {
  /** The most one drop may have, and all that are in memory together; and how many drops. */
  readonly stockMaxCount: number;
  readonly totalStockMaxCount: number;
  readonly dropMaxCount: number;
  /** Tickets of one drop that go to one address, and claims a second of it. */
  readonly ticketsPerAddressMaxCount: number;
  readonly claimsPerAddressMaxPerS: number;
  /** A viewer token is good for so long beyond its end, for clocks that differ. */
  readonly tokenSkewMaxS: number;
  /** How often the file of the shop's keys is looked at. */
  readonly shopKeysReloadEveryMs: number;
  /** After a restart, a drop that nobody arms again within this time is over. */
  readonly resumeMaxMs: number;
  /** How long who has a ticket may ask for it again, and the host for the list, after the end. */
  readonly keepAfterEndMs: number;
  /** Hours after its last claim a journal is removed; 0: never. */
  readonly journalMaxHours: number;
  /** How often a disk that failed is tried again when nobody claims. */
  readonly retryEveryMs: number;
};

export const DROPS_DEFAULTS: DropsOptions = {
  stockMaxCount: 100_000,
  totalStockMaxCount: 1_000_000,
  dropMaxCount: 1_000,
  ticketsPerAddressMaxCount: 100,
  claimsPerAddressMaxPerS: 500,
  tokenSkewMaxS: 30,
  shopKeysReloadEveryMs: 5_000,
  resumeMaxMs: 3_600_000,
  keepAfterEndMs: 86_400_000,
  journalMaxHours: 0,
  retryEveryMs: 1_000,
};
